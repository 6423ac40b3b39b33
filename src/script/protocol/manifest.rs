//! Scripts as sources, and what each says about itself at its top level.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::ScriptName;
use crate::routine::RoutineSpec;
use crate::value::{Value, ValueMap};

/// A script as it was read from disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: ScriptName,
    /// Its path as the manager knows it, `scripts/red_packet.rhai`.
    pub path: String,
    /// A feature of scripts/ or a rule of rules/.
    pub is_rule: bool,
    /// Its text.
    pub text: Arc<str>,
    /// First 12 hex digits of the SHA-256 of its text: the revision that a turn notes.
    pub revision: String,
}

/// Every script in force, in one immutable set; a reload makes a new one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// Grows with each swap.
    pub number: u64,
    /// Sources by name.
    pub sources: BTreeMap<ScriptName, Source>,
}

/// What a script said at its top level: everything that the host must know to dispatch to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which script.
    pub name: ScriptName,
    /// A rule of rules/.
    pub is_rule: bool,
    /// Its path.
    pub path: String,
    /// Its revision.
    pub revision: String,
    /// Its `//!` text: what it is for.
    pub about: String,
    /// Settings with their defaults.
    pub settings: Vec<Setting>,
    /// Handlers in the order in which they were registered; a [`HandlerId`] is an index here.
    pub handlers: Vec<Handler>,
    /// Word lists that it names, each once.
    pub lists: Vec<ListUse>,
}

/// A word list that a script names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUse {
    /// Its name.
    pub name: ListName,
    /// Where it is first named, from 1.
    pub line: usize,
    /// Column there, from 1.
    pub column: usize,
}

/// How a script names a word list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListName {
    /// `"ads"`
    Is(Arc<str>),
    /// `cfg("list")`: the name is the value of this setting.
    Setting(String),
}

impl ListName {
    /// The name where a script has these settings; `None` where that setting is no text.
    pub fn resolve(&self, settings: &ValueMap) -> Option<Arc<str>> {
        match self {
            Self::Is(name) => Some(name.clone()),
            Self::Setting(setting) => match settings.get(setting) {
                Some(Value::Text(name)) => Some(name.as_str().into()),
                _ => None,
            },
        }
    }
}

/// A declared setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name in `[features.NAME]` or `[rules.NAME]`.
    pub name: String,
    /// Its default, which also gives its type.
    pub default: Value,
    /// Line of the declaration, from 1.
    pub line: usize,
}

/// A registered handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handler {
    /// Name of the anonymous function in the script.
    pub function: String,
    /// Line where it was registered, from 1.
    pub line: usize,
    /// What it is for.
    pub trigger: Trigger,
}

/// When a handler runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trigger {
    /// A command.
    Command(Command),
    /// Every message.
    Message,
    /// A message that contains one of the words.
    Keyword(Vec<String>),
    /// A message with words of a list of this name.
    Words(Arc<str>),
    /// A message that matches.
    Regex(String),
    /// Somebody joined.
    Join,
    /// Somebody left.
    Leave,
    /// Somebody asks to join.
    JoinRequest,
    /// A reaction; with these emoji, or any where empty.
    Reaction(Vec<String>),
    /// A button that no command answers.
    Button,
    /// A timer of this name.
    Timer(String),
    /// The times of a routine.
    Every(Box<RoutineSpec>),
}

/// A command: pattern and options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The verb, `红包`.
    pub verb: String,
    /// Other verbs for the same.
    pub alias: Vec<String>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// One line of help: a key of the catalogue, or text.
    pub help: String,
    /// Name on platforms with slash commands.
    pub slash: Option<String>,
    /// Least role.
    pub role: crate::value::Role,
    /// Least trust 0–4.
    pub trust: u8,
    /// Between two uses by one member, ms.
    pub cooldown_ms: i64,
    /// Refusals are shown to nobody but the actor, and not at all where that cannot be done.
    pub quiet: bool,
}

/// A parameter of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParamKind,
    /// `<required>` or `[optional]`.
    pub required: bool,
}

/// Types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// A positive whole number, also in full-width or (up to 99) Chinese digits.
    Int,
    /// A decimal number.
    Number,
    /// The rest of the line.
    Text,
    /// One word.
    Word,
    /// A member: a mention, or a name.
    User,
    /// A group of this community.
    Group,
    /// `10m`, `2小时`.
    Duration,
    /// `2026-11-23`.
    Date,
}

/// Index of a handler in its script's manifest.
pub type HandlerId = u16;
