//! Rows of the ledger beside accounts and transfers, and what is asked about it.

use serde::Serialize;

use crate::clock::TimeMs;
use crate::community::score::Day;
use crate::id::{AccountId, CommunityId, EventId, PersonId, TransferId};
use crate::ledger::{AccountKey, Content, QuotaKind};

/// What a turn says about the ledger beside accounts and transfers.
#[derive(Clone, Debug, Default)]
pub struct LedgerRows {
    /// What of an account expires at one time, as it is now.
    pub lots: Vec<LotRow>,
    /// What was counted against caps, to be added.
    pub quotas: Vec<QuotaRow>,
    /// New budgets.
    pub campaigns: Vec<CampaignRow>,
}

/// Points of an account that expire at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LotRow {
    /// Whose.
    pub community: CommunityId,
    /// Which account.
    pub account: AccountId,
    /// When, Unix ms.
    pub expires_at: TimeMs,
    /// How many now; 0 ends it.
    pub amount: i64,
}

/// Something that counts against a cap of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaRow {
    /// Whose.
    pub community: CommunityId,
    /// Which local day since 1970.
    pub day: Day,
    /// What is counted.
    pub kind: QuotaKind,
    /// The member or group; 0 for the whole community.
    pub owner: i64,
    /// How much more.
    pub amount: i64,
    /// The cap that holds.
    pub cap: i64,
}

/// A budget that grants are drawn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CampaignRow {
    /// Whose.
    pub community: CommunityId,
    /// Its number: the owner of its account.
    pub n: i64,
    /// Its name.
    pub name: String,
    /// The turn that made it.
    pub event: EventId,
    /// When, Unix ms.
    pub at: TimeMs,
}

/// A ledger in which nothing moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FreezeRow {
    /// Whose.
    pub community: CommunityId,
    /// Since when, Unix ms.
    pub at: TimeMs,
    /// What does not hold, and where the dump lies.
    pub reason: String,
}

/// Which transfer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferBy {
    /// By its key.
    Key(String),
    /// By its number.
    Id(TransferId),
}

/// A transfer with the accounts that it moved between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransfer {
    /// Its number.
    pub id: TransferId,
    /// From.
    pub debit: AccountKey,
    /// To.
    pub credit: AccountKey,
    /// How much.
    pub amount: i64,
    /// `post`, `pending`, `post_pending` or `void_pending`.
    pub kind: String,
    /// What it takes back.
    pub corrects: Option<TransferId>,
    /// What took it back.
    pub corrected_by: Option<TransferId>,
    /// For people.
    pub reason: String,
}

impl StoredTransfer {
    /// What its key stands for.
    pub fn content(&self) -> Content {
        Content {
            debit: self.debit.clone(),
            credit: self.credit.clone(),
            amount: self.amount,
            pending: self.kind == "pending",
        }
    }
}

/// A movement of points, as 积分明细 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointsEntry {
    /// The number of the transfer.
    pub id: TransferId,
    /// When, Unix ms.
    pub at: TimeMs,
    /// By how much.
    pub delta: i64,
    /// Which script.
    pub code: String,
    /// For people.
    pub reason: String,
    /// Who decided.
    pub actor: Option<PersonId>,
    /// The account at the other end.
    pub other: Option<AccountKey>,
    /// What it takes back.
    pub corrects: Option<TransferId>,
    /// Set aside and not settled yet.
    pub is_held: bool,
}

/// Result of a check of one community's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerAudit {
    /// Accounts checked.
    pub accounts: i64,
    /// Transfers checked.
    pub transfers: i64,
    /// Packets checked.
    pub packets: i64,
    /// Scores checked.
    pub scores: i64,
    /// Everything that does not hold, one sentence each.
    pub broken: Vec<String>,
}

/// All rows of a ledger, for people who look into what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LedgerDump {
    /// Tables with their rows as JSON objects.
    pub tables: Vec<(String, Vec<serde_json::Value>)>,
}
