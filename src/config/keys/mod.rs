//! The one table of keys: what `[bot] [store] [limits] [roles] [privacy] [[community]]` may say.
//!
//! Validation, the search for the nearest name, the JSON schema, the list of changes and the test
//! of the shipped config.toml all read this table, so that a key is described in one place.

mod limits;
mod planned;
mod sections;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::StoreUrl;
use crate::id::Ref;
use crate::routine::PostingSlot;
use crate::routine::spec::{DayMinute, shown_minute};
use crate::zone::Zone;

pub use limits::{EFFECT_WORDS, LIMITS};
pub use planned::{POSTING, ROUTINE, SLOT};
pub use sections::{BOT, COMMUNITY, NEWS, PRIVACY, ROLES, STORE};

/// One key of a section that is read into a `T`.
pub struct Key<T: 'static> {
    /// Its description.
    pub doc: KeyDoc,
    /// The value in force; `None` where the key is absent and has no default.
    pub get: fn(&T) -> Option<KeyValue>,
    /// Puts a checked value in its place.
    pub set: fn(&mut T, KeyValue),
}

/// What people and editors are told about a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyDoc {
    /// Its section: `bot`.
    pub section: &'static str,
    /// Its name: `timezone`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// One sentence: what it is for.
    pub about: &'static str,
    /// When a change takes effect.
    pub change: Applies,
    /// The section is wrong without it.
    pub required: bool,
}

/// When a changed key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// With the next reload.
    Live,
    /// With the next start.
    Restart,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// A short name without spaces.
    Name,
    /// A whole number.
    Int {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
    },
    /// An IANA time zone.
    Zone,
    /// A language that the catalogue has.
    Locale,
    /// A folder, relative to the one of config.toml.
    Folder,
    /// The address of the database.
    StoreUrl,
    /// A filter of the log.
    LogFilter,
    /// A time of day, `08:30`.
    Clock,
    /// Times of a routine: a cron expression.
    Cron,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of short names.
    Words,
    /// A list of `platform:id`.
    Refs,
    /// A table of counts by effect.
    Counts {
        /// Most.
        max: i64,
    },
}

impl Kind {
    /// What it takes, as a sentence goes on after "wants".
    pub fn wants(self) -> &'static str {
        match self {
            Self::Text | Self::Name | Self::LogFilter => "text",
            Self::Int { .. } => "a whole number",
            Self::Zone => "a time zone as text",
            Self::Locale => "a language as text",
            Self::Folder => "a folder as text",
            Self::StoreUrl => "an address as text",
            Self::Clock => "a time of day as text",
            Self::Cron => "times as text",
            Self::OneOf(_) => "a word as text",
            Self::Words => "a list of names",
            Self::Refs => "a list of references",
            Self::Counts { .. } => "a table of whole numbers",
        }
    }
}

/// A value that has been checked against its [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// For `Text`, `Name`, `Locale`, `LogFilter`, `Cron` and `OneOf`.
    Text(String),
    /// For `StoreUrl`.
    Url(StoreUrl),
    /// For `Int`.
    Int(i64),
    /// For `Zone`.
    Zone(Zone),
    /// For `Folder`.
    Path(PathBuf),
    /// For `Clock`.
    Clock(DayMinute),
    /// For `Words`.
    Words(Vec<String>),
    /// For `Refs`.
    Refs(Vec<Ref>),
    /// For `Counts`.
    Counts(BTreeMap<String, usize>),
}

impl std::fmt::Display for KeyValue {
    /// As it would be written in config.toml.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Url(url) => write!(f, "{url:?}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Zone(zone) => write!(f, "{:?}", zone.name()),
            Self::Path(path) => write!(f, "{:?}", path.display().to_string()),
            Self::Clock(minute) => write!(f, "{:?}", shown_minute(*minute)),
            Self::Words(words) => f.debug_list().entries(words).finish(),
            Self::Refs(refs) => f.debug_list().entries(refs.iter().map(Ref::as_str)).finish(),
            Self::Counts(counts) => {
                let pairs: Vec<_> = counts.iter().map(|(k, v)| format!("{k} = {v}")).collect();
                write!(f, "{{ {} }}", pairs.join(", "))
            }
        }
    }
}

/// Sections of config.toml with a fixed list of keys or of tables, in the order of the shipped file.
pub const SECTIONS: &[&str] = &[
    "bot",
    "store",
    "adapters",
    "community",
    "features",
    "rules",
    "news",
    "posting",
    "routine",
    "roles",
    "privacy",
    "limits",
];

/// Sections that the design knows and this version does not.
pub const LATER: &[(&str, &str)] = &[("web", "the web console")];

/// Languages of the catalogue.
pub const LOCALES: &[&str] = &["zh", "en"];

/// Every key with its default.
pub fn all() -> Vec<(KeyDoc, Option<KeyValue>)> {
    fn described<T>(keys: &'static [Key<T>], default: &T) -> Vec<(KeyDoc, Option<KeyValue>)> {
        keys.iter().map(|key| (key.doc, (key.get)(default))).collect()
    }
    let config = super::Config::default();
    let mut all = described(BOT, &config.bot);
    all.extend(described(STORE, &config.store));
    all.extend(described(COMMUNITY, &super::CommunityConfig::default()));
    all.extend(described(NEWS, &config.news));
    all.extend(described(POSTING, &config.posting.common));
    all.extend(described(SLOT, &PostingSlot::default()));
    all.extend(described(ROUTINE, &super::RoutineConfig::default()));
    all.extend(described(ROLES, &config.roles));
    all.extend(described(PRIVACY, &config.privacy));
    all.extend(described(LIMITS, &config.limits));
    all
}

/// Sections that know a key of this name, for keys that were written in the wrong place.
pub fn homes(name: &str) -> Vec<&'static str> {
    all().iter().filter(|(doc, _)| doc.name == name).map(|(doc, _)| doc.section).collect()
}
