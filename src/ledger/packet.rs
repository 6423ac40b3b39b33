//! The red packet: open, then exhausted or refunded, never anything else.
//!
//! Shares are cut when it is sent; a grab only assigns the next one. So the sum is provable at
//! the start and a replay cannot change an amount.

use serde::{Deserialize, Serialize};

use super::{commitment, split_equal, split_lucky};
use crate::clock::TimeMs;
use crate::id::{GroupId, PacketId, PersonId};
use crate::planted::{self, Bug};
use crate::refusal::Refusal;

/// Nobody reads a message and answers it within this time, ms.
const QUICK_MS: i64 = 300;

/// How a packet is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// 拼手气: by chance.
    Lucky,
    /// 平均: equal.
    Equal,
}

impl Mode {
    /// The word in the database and in scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lucky => "lucky",
            Self::Equal => "equal",
        }
    }
}

/// Where a packet stands. `Exhausted` and `Refunded` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacketState {
    /// Shares are left.
    Open,
    /// Every share is taken.
    Exhausted,
    /// What was left went back.
    Refunded,
}

impl PacketState {
    /// The word in the database and in scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Exhausted => "exhausted",
            Self::Refunded => "refunded",
        }
    }
}

/// One share, assigned in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// How much.
    pub amount: i64,
    /// Who took it, and when (Unix ms).
    pub taken: Option<(PersonId, TimeMs)>,
}

/// A red packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its number.
    pub id: PacketId,
    /// Where it may be grabbed.
    pub group: GroupId,
    /// Who sent it.
    pub sender: PersonId,
    /// How it was cut.
    pub mode: Mode,
    /// All points in it.
    pub total: i64,
    /// What the sender wished.
    pub wish: String,
    /// Source of its chance; secret while it is open.
    pub seed: [u8; 32],
    /// Published at the start.
    pub commitment: String,
    /// When it was sent, Unix ms.
    pub created_at: TimeMs,
    /// It can be grabbed from then on, Unix ms.
    pub opens_at: TimeMs,
    /// From then on it is refunded, Unix ms.
    pub expires_at: TimeMs,
    /// Where it stands.
    pub state: PacketState,
    /// The shares; those before `claimed` are taken.
    pub shares: Vec<Share>,
    /// Shares taken.
    pub claimed: usize,
}

/// Who wants a share.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Who.
    pub person: PersonId,
    /// When she joined, Unix ms.
    pub joined_at: TimeMs,
    /// When she asks, Unix ms.
    pub at: TimeMs,
    /// In which group she asks.
    pub group: GroupId,
    /// A sender may take from her own packet.
    pub own_allowed: bool,
    /// How long one must have been a member when the packet was sent, ms; 0 lets everybody.
    pub member_for_ms: i64,
}

impl Packet {
    /// Points that nobody has taken.
    pub fn rest(&self) -> i64 {
        self.shares[self.claimed..].iter().map(|share| share.amount).sum()
    }

    /// Whether this person has a share.
    pub fn has(&self, person: PersonId) -> bool {
        self.share_of(person).is_some()
    }

    /// This person's share.
    pub fn share_of(&self, person: PersonId) -> Option<i64> {
        self.shares[..self.claimed]
            .iter()
            .find(|share| share.taken.is_some_and(|(by, _)| by == person))
            .map(|share| share.amount)
    }

    /// The luckiest: the largest share, the earliest of equals.
    pub fn best(&self) -> Option<(PersonId, i64)> {
        let mut best: Option<(PersonId, i64)> = None;
        for share in &self.shares[..self.claimed] {
            if let Some((person, _)) = share.taken
                && best.is_none_or(|(_, most)| share.amount > most)
            {
                best = Some((person, share.amount));
            }
        }
        best
    }

    /// Whether a share was taken faster than anybody can read.
    pub fn was_quick(&self, person: PersonId) -> bool {
        let visible_at = self.created_at.max(self.opens_at);
        self.taken_at(person).is_some_and(|at| at - visible_at < QUICK_MS)
    }

    /// When this person took her share.
    pub fn taken_at(&self, person: PersonId) -> Option<TimeMs> {
        let mut shares = self.shares[..self.claimed].iter().filter_map(|share| share.taken);
        shares.find(|(by, _)| *by == person).map(|(_, at)| at)
    }

    /// Whether the seed gives the shares that were cut, and both the published commitment.
    pub fn is_as_committed(&self) -> bool {
        let count = self.shares.len() as i64;
        let cut = match self.mode {
            Mode::Lucky => split_lucky(self.total, count, &self.seed),
            Mode::Equal => split_equal(self.total, count),
        };
        let amounts: Vec<i64> = self.shares.iter().map(|share| share.amount).collect();
        cut.is_ok_and(|cut| cut == amounts)
            && commitment(&self.seed, self.total, &amounts) == self.commitment
    }

    /// Whether it must go back at this moment.
    pub fn is_due(&self, now: TimeMs) -> bool {
        self.state == PacketState::Open && now >= self.expires_at
    }

    /// Assigns the next share. The caller moves the points.
    ///
    /// # Errors
    /// `already`, `empty`, `expired`, `own`, `too_new`, `not_open`, `elsewhere`: first what the member
    /// can do nothing about any more.
    pub fn grab(&mut self, claim: Claim) -> Result<i64, Refusal> {
        if claim.group != self.group {
            return Err(Refusal::new("elsewhere"));
        }
        if let Some(amount) = self.share_of(claim.person)
            && !planted::has(Bug::GrabTwice)
        {
            return Err(Refusal::new("already").with("amount", amount));
        }
        if self.state == PacketState::Exhausted {
            return Err(Refusal::new("empty"));
        }
        if self.state == PacketState::Refunded || claim.at >= self.expires_at {
            return Err(Refusal::new("expired"));
        }
        if claim.person == self.sender && !claim.own_allowed {
            return Err(Refusal::new("own"));
        }
        if claim.member_for_ms > 0 && claim.joined_at + claim.member_for_ms > self.created_at {
            let hours = (claim.member_for_ms + 3_599_999) / 3_600_000;
            return Err(Refusal::new("too_new").with("hours", hours));
        }
        if claim.at < self.opens_at {
            let seconds = (self.opens_at - claim.at + 999) / 1000;
            return Err(Refusal::new("not_open").with("seconds", seconds));
        }
        let share = &mut self.shares[self.claimed];
        share.taken = Some((claim.person, claim.at));
        self.claimed += 1;
        let amount = share.amount;
        if self.claimed == self.shares.len() {
            self.state = PacketState::Exhausted;
        }
        Ok(amount)
    }
}
