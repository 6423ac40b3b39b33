//! What a routine is: when it runs, and what becomes of a time that was missed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cron::Cron;
use crate::id::{Ref, ScriptName};
use crate::value::{Value, ValueMap};

/// Minutes after midnight on the clock of the community.
pub type DayMinute = u16;

/// What a script (or the configuration) says of a routine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoutineSpec {
    /// Its name, which stays the same when its times change.
    pub name: String,
    /// Its times.
    pub times: Times,
    /// What becomes of times that were missed.
    pub missed: Missed,
    /// How late it may still run, ms; each policy has a default.
    pub window_ms: Option<i64>,
    /// It does not run later in the day than this.
    pub not_after: Option<DayMinute>,
    /// What happens while the run before is not finished.
    pub overlap: Overlap,
    /// It runs up to so much later, by community and day, ms.
    pub jitter_ms: i64,
    /// What it posts unasked: it counts against the budget and keeps to the slots of this kind.
    pub kind: Option<String>,
    /// Who goes first where there is no room for all; more is more important.
    pub priority: i64,
}

impl RoutineSpec {
    /// A routine with every option at its default.
    pub fn new(name: String, times: Times) -> Self {
        Self {
            name,
            times,
            missed: Missed::Once,
            window_ms: None,
            not_after: None,
            overlap: Overlap::Skip,
            jitter_ms: 0,
            kind: None,
            priority: 5,
        }
    }
}

/// Where the times of a routine stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Times {
    /// In the script.
    Cron(String),
    /// In this setting of the script, so that config.toml may change them.
    Setting(String),
}

impl Times {
    /// The expression where a script has these settings; `None` where that setting is no text.
    pub fn resolve<'a>(&'a self, settings: &'a ValueMap) -> Option<&'a str> {
        match self {
            Self::Cron(text) => Some(text),
            Self::Setting(name) => match settings.get(name) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            },
        }
    }
}

/// What becomes of times that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missed {
    /// They are noted, and that is all.
    Skip,
    /// The latest runs, if it is not too late for it.
    Once,
    /// Each runs, in order.
    All,
}

/// What happens while the run before is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlap {
    /// This one is left out.
    Skip,
    /// This one waits for it.
    QueueOne,
    /// Both run.
    Allow,
}

impl Missed {
    /// The word in scripts and config.toml.
    pub const WORDS: [(&'static str, Self); 3] =
        [("skip", Self::Skip), ("once", Self::Once), ("all", Self::All)];
}

impl Overlap {
    /// The word in scripts and config.toml.
    pub const WORDS: [(&'static str, Self); 3] =
        [("skip", Self::Skip), ("queue_one", Self::QueueOne), ("allow", Self::Allow)];
}

/// A routine as one community has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Routine {
    /// The script that handles it.
    pub script: ScriptName,
    /// Everything that was said of it.
    pub spec: RoutineSpec,
    /// Its times, read.
    pub cron: Cron,
    /// What it says, where it comes from config.toml or from a command and not from a script.
    pub text: Option<Arc<str>>,
    /// The groups that it is for; all of the community where empty.
    pub groups: Vec<Ref>,
}

impl Routine {
    /// How it is called in tables and in the database.
    pub fn id(&self) -> (&str, &str) {
        (self.script.as_str(), &self.spec.name)
    }
}

/// `8:30` or `08:30` as minutes after midnight; `24:00` is the end of the day.
pub fn day_minute(text: &str) -> Option<DayMinute> {
    let (hour, minute) = text.trim().split_once([':', '：'])?;
    let fits = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !fits(hour, 1..=2) || !fits(minute, 2..=2) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= 24 * 60).then_some(at)
}

/// Minutes after midnight as a clock shows them.
pub fn shown_minute(at: DayMinute) -> String {
    format!("{:02}:{:02}", at / 60, at % 60)
}
