//! The rows that go in and come out of a [`super::Store`]: plain columns, no behaviour.

use std::sync::Arc;

use serde::Serialize;

use super::{AuditRow, ForgetRow, LedgerRows, ScoreRows};
use crate::clock::TimeMs;
use crate::community::score::Mark;
use crate::effect::{Delivery, DeliveryState};
use crate::event::Envelope;
use crate::id::{AccountId, CommunityId, DeliveryId, EventId, GroupId, PersonId, Ref, TimerId};
use crate::ledger::Transfer;

use super::{DecisionRow, PostedRow};

/// Everything that one turn commits.
#[derive(Clone, Debug)]
pub struct TurnRows {
    /// What happened, with what came of it.
    pub event: EventRow,
    /// It asked for something that was left undone because too much came in.
    pub is_left_undone: bool,
    /// The community, if it is seen for the first time.
    pub community: Option<CommunityRow>,
    /// Groups seen for the first time.
    pub groups: Vec<GroupRow>,
    /// People seen for the first time; known ones are left as they are.
    pub persons: Vec<PersonRow>,
    /// Members as they are now.
    pub members: Vec<MemberRow>,
    /// Members whose messages were counted.
    pub touched: Vec<TouchRow>,
    /// Accounts of the ledger that are new.
    pub accounts: Vec<AccountRow>,
    /// Movements of value.
    pub transfers: Vec<Transfer>,
    /// Packets that are new or changed their state.
    pub packets: Vec<PacketRow>,
    /// Shares that are new or were taken.
    pub shares: Vec<ShareRow>,
    /// Check-ins.
    pub checkins: Vec<CheckinRow>,
    /// New versions of the group's rules.
    pub rule_versions: Vec<RuleVersionRow>,
    /// Who accepted them.
    pub rule_acks: Vec<RuleAckRow>,
    /// Warnings.
    pub warnings: Vec<WarningRow>,
    /// What scripts remember; `None` forgets.
    pub state: Vec<StateRow>,
    /// New timers.
    pub timers: Vec<TimerRow>,
    /// Timers that fired or were cancelled.
    pub timers_gone: Vec<TimerId>,
    /// News that was posted.
    pub posted: Vec<PostedRow>,
    /// Times of routines that were decided.
    pub runs: Vec<RunRow>,
    /// Routines made by command, or taken away.
    pub routines: Vec<RoutineRow>,
    /// What is to be sent.
    pub deliveries: Vec<Delivery>,
    /// What was decided about deliveries in doubt.
    pub decisions: Vec<DecisionRow>,
    /// Lines of the audit log.
    pub audit: Vec<AuditRow>,
    /// Who asked to be forgotten.
    pub forgets: Vec<ForgetRow>,
    /// What the turn says about scores.
    pub scores: ScoreRows,
    /// What it says about the ledger beside accounts and transfers.
    pub ledger: LedgerRows,
}

impl TurnRows {
    /// A turn that did nothing but happen.
    pub fn new(event: EventRow) -> Self {
        Self {
            event,
            is_left_undone: false,
            community: None,
            groups: Vec::new(),
            persons: Vec::new(),
            members: Vec::new(),
            touched: Vec::new(),
            accounts: Vec::new(),
            transfers: Vec::new(),
            packets: Vec::new(),
            shares: Vec::new(),
            checkins: Vec::new(),
            rule_versions: Vec::new(),
            rule_acks: Vec::new(),
            warnings: Vec::new(),
            state: Vec::new(),
            timers: Vec::new(),
            timers_gone: Vec::new(),
            posted: Vec::new(),
            runs: Vec::new(),
            routines: Vec::new(),
            deliveries: Vec::new(),
            decisions: Vec::new(),
            audit: Vec::new(),
            forgets: Vec::new(),
            scores: ScoreRows::default(),
            ledger: LedgerRows::default(),
        }
    }
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// Handled.
    Done,
    /// Accepted, to be handled later.
    Waiting,
    /// Could not be handled; kept for a human.
    Quarantined,
}

impl EventState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Quarantined => "quarantined",
        }
    }
}

/// An event with its outcome.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its number.
    pub id: EventId,
    /// Whose.
    pub community: CommunityId,
    /// Where.
    pub group: Option<GroupId>,
    /// Who.
    pub person: Option<PersonId>,
    /// Account that saw it.
    pub account: Ref,
    /// Unique for the account.
    pub key: Arc<str>,
    /// One word.
    pub kind: &'static str,
    /// When it happened.
    pub at: TimeMs,
    /// When it was received.
    pub received_at: TimeMs,
    /// Seed of its chance.
    pub seed: u64,
    /// Where it stands.
    pub state: EventState,
    /// Text of a message, kept for the archive's days.
    pub text: Option<Arc<str>>,
    /// The whole envelope, while it waits or is quarantined.
    pub body: Option<Envelope>,
    /// What came of it, JSON; `None` where nothing did.
    pub outcome: Option<String>,
}

/// A community.
#[derive(Clone, Debug, Serialize)]
pub struct CommunityRow {
    /// Its number.
    pub id: CommunityId,
    /// `=id` of config.toml, or the reference of its only group.
    pub key: String,
}

/// A group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupRow {
    /// Its number.
    pub id: GroupId,
    /// Whose.
    pub community: CommunityId,
    /// What the platform calls it.
    pub reference: Ref,
    /// Its name.
    pub name: String,
}

/// A person with the account by which she is known.
#[derive(Clone, Debug, Serialize)]
pub struct PersonRow {
    /// Her number.
    pub id: PersonId,
    /// The account.
    pub account: Ref,
    /// First seen.
    pub at: TimeMs,
}

/// A member of a community.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRow {
    /// Whose.
    pub community: CommunityId,
    /// Who.
    pub person: PersonId,
    /// The account to reach her by.
    pub reference: Ref,
    /// Display name.
    pub name: String,
    /// Name in the community.
    pub nickname: Option<String>,
    /// Authority.
    pub role: &'static str,
    /// Trust 0–4.
    pub trust: u8,
    /// A bot's account.
    pub is_bot: bool,
    /// When the present stay began.
    pub joined_at: TimeMs,
    /// When it ended.
    pub left_at: Option<TimeMs>,
    /// Messages counted; written by [`TouchRow`] alone.
    pub messages: i64,
    /// The latest message that her score counts; written by [`TouchRow`] alone.
    pub counted: Mark,
    /// Local days with a message.
    pub active_days: i64,
    /// The last of them, `YYYY-MM-DD` or empty.
    pub last_day: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// What a message changes about its author, apart from the rest because it is by far the most
/// frequent change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TouchRow {
    /// Whose.
    pub community: CommunityId,
    /// Who.
    pub person: PersonId,
    /// Messages counted.
    pub messages: i64,
    /// The message counts in her score too, as this one of her day.
    pub counted: Option<Mark>,
}

/// A new account of the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// Whose.
    pub community: CommunityId,
    /// `member`, `escrow`, `campaign`, `mint`, `burn`.
    pub kind: &'static str,
    /// Person, packet or budget.
    pub owner: i64,
}

/// A packet without its shares.
#[derive(Clone, Debug, Serialize)]
pub struct PacketRow {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub community: CommunityId,
    /// Where.
    pub group: GroupId,
    /// Sent by.
    pub sender: PersonId,
    /// `lucky`, `equal`.
    pub mode: String,
    /// Points.
    pub total: i64,
    /// Shares.
    pub count: i64,
    /// Wish.
    pub wish: String,
    /// 64 hex digits.
    pub seed: String,
    /// 64 hex digits.
    pub commitment: String,
    /// Sent.
    pub created_at: TimeMs,
    /// Can be grabbed from then on.
    pub opens_at: TimeMs,
    /// Ends.
    pub expires_at: TimeMs,
    /// `open`, `exhausted`, `refunded`.
    pub state: String,
}

/// A share of a packet.
#[derive(Clone, Debug, Serialize)]
pub struct ShareRow {
    /// Which packet.
    pub packet: i64,
    /// Which share, from 0.
    pub n: i64,
    /// How much.
    pub amount: i64,
    /// Taken by.
    pub person: Option<PersonId>,
    /// Taken when.
    pub taken_at: Option<TimeMs>,
}

/// A packet with its shares.
#[derive(Clone, Debug)]
pub struct PacketRows {
    /// The packet.
    pub packet: PacketRow,
    /// Its shares by number.
    pub shares: Vec<ShareRow>,
}

/// A check-in.
#[derive(Clone, Debug, Serialize)]
pub struct CheckinRow {
    /// Whose.
    pub community: CommunityId,
    /// Who.
    pub person: PersonId,
    /// Local day, `YYYY-MM-DD`.
    pub day: String,
    /// Days in a row.
    pub streak: i64,
    /// Which of the day.
    pub ordinal: i64,
}

/// A version of a group's rules.
#[derive(Clone, Debug, Serialize)]
pub struct RuleVersionRow {
    /// Whose.
    pub community: CommunityId,
    /// From 1.
    pub version: i64,
    /// The text.
    pub text: String,
    /// Written by.
    pub author: Option<PersonId>,
    /// When.
    pub at: TimeMs,
}

/// An acceptance of the rules.
#[derive(Clone, Debug, Serialize)]
pub struct RuleAckRow {
    /// Whose.
    pub community: CommunityId,
    /// Who.
    pub person: PersonId,
    /// Which version.
    pub version: i64,
    /// When.
    pub at: TimeMs,
}

/// A warning.
#[derive(Clone, Debug, Serialize)]
pub struct WarningRow {
    /// Whose.
    pub community: CommunityId,
    /// Against whom.
    pub person: PersonId,
    /// The turn.
    pub event: EventId,
    /// Which of the turn.
    pub n: i64,
    /// Why.
    pub reason: String,
    /// How much it counts.
    pub weight: i64,
    /// By which script.
    pub script: String,
    /// When.
    pub at: TimeMs,
}

/// Something that a script remembers.
#[derive(Clone, Debug, Serialize)]
pub struct StateRow {
    /// Whose.
    pub community: CommunityId,
    /// Which script.
    pub script: String,
    /// `community`, `member:7`, `group:3`.
    pub scope: String,
    /// Under which name.
    pub key: String,
    /// JSON; `None` forgets it.
    pub value: Option<String>,
}

/// A timer.
#[derive(Clone, Debug, Serialize)]
pub struct TimerRow {
    /// Its number.
    pub id: TimerId,
    /// Whose.
    pub community: CommunityId,
    /// Where.
    pub group: Option<GroupId>,
    /// Which script.
    pub script: String,
    /// Name of the handler.
    pub name: String,
    /// When, Unix ms.
    pub due: TimeMs,
    /// JSON.
    pub data: String,
}

/// A time of a routine and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunRow {
    /// Whose.
    pub community: CommunityId,
    /// The script that handles it.
    pub script: String,
    /// The routine.
    pub name: String,
    /// Its time on the clock of the community, `2026-11-26T08:00:00`.
    pub local: String,
    /// 1 for the second of two moments with that time.
    pub fold: u8,
    /// The moment, Unix ms.
    pub at: TimeMs,
    /// When it was decided, Unix ms.
    pub decided_at: TimeMs,
    /// `ran`, `missed` or `skipped`.
    pub state: &'static str,
    /// 1 where it ran late.
    pub late: u8,
    /// Why it did not run.
    pub reason: Option<String>,
    /// What it posted unasked.
    pub kind: Option<String>,
    /// The turn that decided.
    pub event: EventId,
}

/// Decided times of a community that are remembered in memory, the latest: for a day's budget, and
/// for a clock that is put back.
pub const RUNS_REMEMBERED: usize = 1000;

/// The state of a time that ran.
pub const RAN: &str = "ran";
/// The state of a time that passed while nobody was there.
pub const MISSED: &str = "missed";
/// The state of a time that was left out on purpose.
pub const SKIPPED: &str = "skipped";

/// A routine that was made by command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoutineRow {
    /// Whose.
    pub community: CommunityId,
    /// Its name.
    pub name: String,
    /// Its times; `None` takes it away.
    pub cron: Option<String>,
    /// What it says.
    pub text: String,
    /// Who made it.
    pub author: Option<PersonId>,
    /// When, Unix ms.
    pub at: TimeMs,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// Which.
    pub id: DeliveryId,
    /// Where it stands now.
    pub state: DeliveryState,
    /// Why.
    pub reason: Option<String>,
    /// Tries so far.
    pub attempts: u32,
    /// The platform's id.
    pub platform_id: Option<String>,
}
