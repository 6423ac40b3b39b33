//! Transfers: what was moved, and what is to be.

use serde::{Deserialize, Serialize};

use super::AccountKey;
use crate::clock::TimeMs;
use crate::community::score::Day;
use crate::id::{AccountId, EventId, PersonId, TransferId};

/// How a transfer moves value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferKind {
    /// At once.
    Post,
    /// Sets aside.
    Pending,
    /// Makes a pending one final.
    PostPending,
    /// Gives a pending one back.
    VoidPending,
}

impl TransferKind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Pending => "pending",
            Self::PostPending => "post_pending",
            Self::VoidPending => "void_pending",
        }
    }
}

/// One movement of value; never changed, never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its number.
    pub id: TransferId,
    /// From.
    pub debit: AccountId,
    /// To.
    pub credit: AccountId,
    /// How much; always positive.
    pub amount: i64,
    /// How.
    pub kind: TransferKind,
    /// The pending transfer that this one resolves.
    pub pending: Option<TransferId>,
    /// One key for each cause: a second transfer with the same key cannot be.
    pub key: String,
    /// What for, one word: `grab`, `checkin`.
    pub code: String,
    /// What for, for people.
    pub reason: String,
    /// Who decided, where a person did.
    pub actor: Option<PersonId>,
    /// The turn.
    pub event: EventId,
    /// When, Unix ms.
    pub at: TimeMs,
    /// The transfer that this one takes back.
    pub corrects: Option<TransferId>,
    /// When what arrives expires, Unix ms; `None` leaves it what it was.
    pub expires_at: Option<TimeMs>,
    /// The local day whose caps it counts against.
    pub day: Option<Day>,
}

/// A transfer to be made.
#[derive(Clone, Debug)]
pub struct Posting {
    /// From.
    pub debit: AccountKey,
    /// To.
    pub credit: AccountKey,
    /// How much.
    pub amount: i64,
    /// At once, or set aside.
    pub pending: bool,
    /// One key for each cause.
    pub key: String,
    /// One word.
    pub code: String,
    /// For people.
    pub reason: String,
    /// The transfer that this one takes back.
    pub corrects: Option<TransferId>,
    /// When what arrives expires, Unix ms.
    pub expires_at: Option<TimeMs>,
    /// The local day whose caps it counts against.
    pub day: Option<Day>,
}

impl Posting {
    /// A transfer at once that corrects nothing, never expires and counts against no cap.
    pub fn new(debit: AccountKey, credit: AccountKey, amount: i64, key: String) -> Self {
        let (code, reason) = (String::new(), String::new());
        let (pending, corrects, expires_at, day) = (false, None, None, None);
        Self { debit, credit, amount, pending, key, code, reason, corrects, expires_at, day }
    }
}

/// What a key stands for: the same key never means anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// From.
    pub debit: AccountKey,
    /// To.
    pub credit: AccountKey,
    /// How much.
    pub amount: i64,
    /// Set aside, or at once.
    pub pending: bool,
}

impl Content {
    /// What a posting says.
    pub fn of(posting: &Posting) -> Self {
        let Posting { debit, credit, amount, pending, .. } = posting;
        let (debit, credit) = (debit.clone(), credit.clone());
        Self { debit, credit, amount: *amount, pending: *pending }
    }
}

/// A hold that waits to be settled or released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// From.
    pub debit: AccountKey,
    /// To.
    pub credit: AccountKey,
    /// How much.
    pub amount: i64,
}

/// What the turn adds to a posting.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// The turn.
    pub event: EventId,
    /// The person behind it.
    pub actor: Option<PersonId>,
    /// When, Unix ms.
    pub at: TimeMs,
}

/// Numbers for new rows.
pub trait Numbers {
    /// The next account number.
    fn account(&mut self) -> AccountId;
    /// The next transfer number.
    fn transfer(&mut self) -> TransferId;
}
