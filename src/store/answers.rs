//! What a [`super::Store`] answers: a community, the start, a page of movements, a check.

use serde::Serialize;

use super::{
    CheckinRow, CommunityRow, CoreFanRow, FanReviewRow, GroupRow, MemberRow, NewsItemRow,
    NewsSourceRow, PacketRows, PostedRow, RelationRow, RoutineRow, RuleVersionRow, RunRow,
    ScoreRow, StateRow, TimerRow, WarningRow,
};
use crate::clock::TimeMs;
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
    /// Highest number in use of each kind, in the order of [`NUMBERED`].
    pub numbers: Vec<i64>,
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

/// A movement of points, as 积分明细 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointsEntry {
    /// When, Unix ms.
    pub at: TimeMs,
    /// By how much.
    pub delta: i64,
    /// One word.
    pub code: String,
    /// For people.
    pub reason: String,
    /// Who decided.
    pub actor: Option<PersonId>,
}

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
