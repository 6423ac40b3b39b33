//! The rows of scores: values, their log, who answered whom, core fans.

use serde::Serialize;

use crate::clock::TimeMs;
use crate::community::score::{Day, Kind};
use crate::id::{CommunityId, EventId, PersonId};

/// What one turn says about scores.
#[derive(Clone, Debug, Default)]
pub struct ScoreRows {
    /// Scores as they are now.
    pub values: Vec<ScoreRow>,
    /// New lines of the log.
    pub log: Vec<ScoreEntryRow>,
    /// Who answered or liked whom today.
    pub relations: Vec<RelationRow>,
    /// Where members stand as core fans now.
    pub core_fans: Vec<CoreFanRow>,
    /// The evaluation that was made.
    pub reviews: Vec<FanReviewRow>,
}

/// A member's score without her own messages of its day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScoreRow {
    /// Whose.
    pub community: CommunityId,
    /// Who.
    pub person: PersonId,
    /// Thousandths of a point.
    pub score: i64,
    /// As of this day.
    pub day: Day,
    /// Days with a counted message, hexadecimal.
    pub days: String,
    /// Added by scripts on that day.
    pub added: i64,
}

/// A line of the log of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreEntryRow {
    /// Whose.
    pub community: CommunityId,
    /// To whom.
    pub person: PersonId,
    /// On which day.
    pub day: Day,
    /// For what.
    pub kind: Kind,
    /// The turn that wrote it.
    pub event: EventId,
    /// Which of the turn.
    pub n: i64,
    /// Thousandths of a point.
    pub weight: i64,
    /// By whom, if by somebody.
    pub source: Option<PersonId>,
    /// For people.
    pub reason: String,
}

/// That somebody answered or liked somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RelationRow {
    /// Whose.
    pub community: CommunityId,
    /// Who was answered or liked.
    pub person: PersonId,
    /// By whom.
    pub source: PersonId,
    /// The last day of an answer; 0: never.
    pub replied: Day,
    /// The last day of a like; 0: never.
    pub liked: Day,
}

/// Where a member stands as a core fan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CoreFanRow {
    /// Whose.
    pub community: CommunityId,
    /// Who.
    pub person: PersonId,
    /// Since when she is one.
    pub since: Option<TimeMs>,
    /// Evaluations in a row that were high enough to enter.
    pub above: u8,
    /// Evaluations in a row that were too low to stay.
    pub below: u8,
    /// The end of her grace.
    pub grace_until: Option<Day>,
}

/// A weekly evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FanReviewRow {
    /// Whose.
    pub community: CommunityId,
    /// Of which week.
    pub week: i64,
    /// By which cut-offs.
    pub version: i64,
    /// The turn.
    pub event: EventId,
    /// When.
    pub at: TimeMs,
    /// Members who could be core fans.
    pub eligible: i64,
    /// Those who are.
    pub eligible_core: i64,
    /// Members who are active.
    pub active: i64,
    /// Those who are core fans.
    pub active_core: i64,
    /// How many entered.
    pub entered: i64,
    /// How many left.
    pub gone: i64,
    /// The first of them, JSON: `[person, entered, score, gate]`.
    pub moved: String,
}
