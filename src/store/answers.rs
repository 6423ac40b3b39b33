//! What a [`super::Store`] answers: a community, the start, a page of movements, a check.

use serde::Serialize;

use super::{
    CheckinRow, CommunityRow, CoreFanRow, FanReviewRow, GroupRow, MemberRow, NewsItemRow,
    NewsSourceRow, PacketRows, PostedRow, RelationRow, RoutineRow, RuleVersionRow, RunRow,
    ScoreRow, StateRow, TimerRow, WarningRow,
};
use crate::clock::TimeMs;
use crate::community::score::Day;
use crate::id::{CommunityId, PersonId, ScriptName, TimerId};

/// A community as it was last committed.
#[derive(Clone, Debug, Default)]
pub struct CommunityRows {
    /// Members, those who left too.
    pub members: Vec<MemberRow>,
    /// `(id, kind, owner, debits, credits, debits_pending, credits_pending)`
    pub accounts: Vec<(i64, String, i64, i64, i64, i64, i64)>,
    /// Open holds: `(transfer, debit account, credit account, amount)`.
    pub holds: Vec<(i64, i64, i64, i64)>,
    /// What expires: `(account, expires_at, amount)`.
    pub lots: Vec<(i64, i64, i64)>,
    /// What was counted in the latest days: `(day, kind, owner, amount)`.
    pub quotas: Vec<(i64, String, i64, i64)>,
    /// Budgets: `(n, name)`.
    pub campaigns: Vec<(i64, String)>,
    /// Packets that are open or ended lately.
    pub packets: Vec<PacketRows>,
    /// The latest check-in of each member.
    pub checkins: Vec<CheckinRow>,
    /// The rules in force.
    pub rules: Option<RuleVersionRow>,
    /// Latest accepted version of each member.
    pub acks: Vec<(PersonId, i64)>,
    /// Warnings.
    pub warnings: Vec<WarningRow>,
    /// What scripts remember.
    pub state: Vec<StateRow>,
    /// Timers.
    pub timers: Vec<TimerRow>,
    /// The latest [`super::RUNS_REMEMBERED`] times of routines that were decided, in that order.
    pub runs: Vec<RunRow>,
    /// Routines made by command.
    pub routines: Vec<RoutineRow>,
    /// News that was posted.
    pub posted: Vec<PostedRow>,
    /// Scores.
    pub scores: Vec<ScoreRow>,
    /// Who answered or liked whom on the latest day on which anybody did.
    pub relations: Vec<RelationRow>,
    /// Core fans, and who is on the way.
    pub core_fans: Vec<CoreFanRow>,
    /// The latest evaluations, oldest first.
    pub reviews: Vec<FanReviewRow>,
}

/// A timer that a routine waits as: community, script, name and data.
pub type RoutineTimer = (CommunityId, ScriptName, String, String);

/// A time of a routine with what became of its posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutcome {
    /// What was decided.
    pub run: RunRow,
    /// Where to, the state, and why: a post each.
    pub posts: Vec<(String, String, Option<String>)>,
}

/// What the newsroom knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewsRows {
    /// Every source that was ever asked.
    pub sources: Vec<NewsSourceRow>,
    /// Their items, in the order of each feed.
    pub items: Vec<NewsItemRow>,
}

/// A timer by when it is due, with whose it is.
pub type DueTimer = (TimeMs, TimerId, CommunityId);

/// What must be known before the first event.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Every community.
    pub communities: Vec<CommunityRow>,
    /// Every group.
    pub groups: Vec<GroupRow>,
    /// Every timer.
    pub timers: Vec<DueTimer>,
    /// Communities in which events wait.
    pub waiting: Vec<CommunityId>,
    /// Communities whose ledger is frozen.
    pub frozen: Vec<CommunityId>,
    /// Highest number in use of each kind, in the order of [`NUMBERED`]; after a restore at least
    /// as high as any that was given before it.
    pub numbers: Vec<i64>,
    /// When the backup was made that this database is, unless it was restored.
    pub backup_of: Option<TimeMs>,
    /// When it was last restored from a backup.
    pub restored_at: Option<TimeMs>,
}

/// What a restore came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// When the backup was made; `None` where nothing says that this is one.
    pub backup_of: Option<TimeMs>,
    /// Deliveries that are not sent, because they may have been since.
    pub held: u64,
}

/// Kinds of rows that the process numbers itself.
pub const NUMBERED: [&str; 9] = [
    "event",
    "community",
    "grp",
    "person",
    "ledger_account",
    "ledger_transfer",
    "packet",
    "timer",
    "delivery",
];

/// What the people who run the bot should know of their database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreHealth {
    /// Events that the database refused, set aside for a human.
    pub quarantined: i64,
    /// Events that were accepted and not handled yet.
    pub waiting: i64,
    /// When the oldest of them came in, Unix ms.
    pub oldest_waiting: Option<TimeMs>,
    /// Deliveries that were not made.
    pub failed: i64,
    /// Deliveries of which nobody knows whether they were made.
    pub unknown: i64,
    /// Commands that were left undone because too much came in.
    pub left_undone: i64,
    /// Communities whose ledger is frozen.
    pub frozen: i64,
    /// Events that an adapter could not read.
    pub unreadable: i64,
}

/// What is old: everything before these times is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// Texts of messages.
    pub texts: TimeMs,
    /// What a turn did, and what was sent.
    pub bodies: TimeMs,
    /// Payloads of the audit log.
    pub audit: TimeMs,
    /// Keys of events, and ended deliveries.
    pub keys: TimeMs,
    /// Who answered or liked whom.
    pub relations: Day,
}

impl Old {
    /// The same for everything.
    pub fn all_before(at: TimeMs) -> Self {
        Self { texts: at, bodies: at, audit: at, keys: at, relations: at.div_euclid(86_400_000) }
    }
}

/// Rows of an export by table, and `words`: messages whose text is kept.
pub fn counted(export: &serde_json::Value) -> Vec<(String, i64)> {
    let Some(tables) = export.as_object() else { return Vec::new() };
    let rows = |table: &serde_json::Value| table.as_array().map_or(0, Vec::len) as i64;
    let mut counts: Vec<(String, i64)> =
        tables.iter().map(|(name, table)| (name.clone(), rows(table))).collect();
    let events = tables.get("event").and_then(serde_json::Value::as_array);
    let is_kept =
        |event: &&serde_json::Value| event.get("text").is_some_and(|text| !text.is_null());
    let words = events.map_or(0, |events| events.iter().filter(is_kept).count());
    counts.push(("words".to_owned(), words as i64));
    counts
}

/// A line of the audit log, to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Its number.
    pub n: i64,
    /// When, Unix ms.
    pub at: TimeMs,
    /// Who decided.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The rest; `None` once erased.
    pub payload: Option<super::chain::Payload>,
}

/// Result of a check of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Communities checked.
    pub communities: i64,
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
