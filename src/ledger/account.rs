//! Accounts: whose points, and how many.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, PacketId, PersonId};

/// Whose account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountKey {
    /// A member's points.
    Member(PersonId),
    /// Points set aside in a red packet.
    Escrow(PacketId),
    /// A budget that grants are drawn from; by its number in the community.
    Campaign(i64),
    /// Where points come from; the only account below zero.
    Mint,
    /// Where spent points go.
    Burn,
}

impl AccountKey {
    /// The kind and owner, as the database has them.
    pub fn columns(&self) -> (&'static str, i64) {
        match self {
            Self::Member(person) => ("member", person.0),
            Self::Escrow(packet) => ("escrow", packet.0),
            Self::Campaign(number) => ("campaign", *number),
            Self::Mint => ("mint", 0),
            Self::Burn => ("burn", 0),
        }
    }

    /// Back from the database's columns.
    pub fn from_columns(kind: &str, owner: i64) -> Option<Self> {
        match kind {
            "member" => Some(Self::Member(PersonId(owner))),
            "escrow" => Some(Self::Escrow(PacketId(owner))),
            "campaign" => Some(Self::Campaign(owner)),
            "mint" => Some(Self::Mint),
            "burn" => Some(Self::Burn),
            _ => None,
        }
    }

    /// Whether points that lie here may expire. Where they come from and where they end they have no
    /// age.
    pub fn has_lots(&self) -> bool {
        match self {
            Self::Member(_) | Self::Escrow(_) | Self::Campaign(_) => true,
            Self::Mint | Self::Burn => false,
        }
    }
}

/// An account with its totals; all of them only grow, except the pending ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Everything that ever went out.
    pub debits: i64,
    /// Everything that ever came in.
    pub credits: i64,
    /// Set aside to go out.
    pub debits_pending: i64,
    /// Announced to come in.
    pub credits_pending: i64,
}

impl Account {
    /// A new account without movements.
    pub fn new(id: AccountId) -> Self {
        Self { id, debits: 0, credits: 0, debits_pending: 0, credits_pending: 0 }
    }

    /// What may be spent.
    pub fn available(&self) -> i64 {
        self.credits - self.debits - self.debits_pending
    }
}
