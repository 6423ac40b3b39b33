//! What was typed in config.toml → what was meant.
//!
//! [`load`] reads, checks everything at once and gives either a [`Config`] or every problem with
//! its place. Nothing else in the program reads TOML.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;

use crate::id::Ref;
use crate::script::protocol::ScriptLimits;
use crate::value::Role;

/// A configuration that has passed every check that needs no script.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read from.
    pub path: PathBuf,
    /// `[bot]`
    pub bot: BotConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[adapters.NAME]`, by platform; only those that are enabled.
    pub adapters: BTreeMap<String, AdapterConfig>,
    /// `[features.NAME]` and `[rules.NAME]` for every community.
    pub scripts: ScriptTables,
    /// `[[community]]`
    pub communities: Vec<CommunityConfig>,
    /// `[limits]`
    pub limits: Limits,
    /// `[roles]`: authority given by configuration, whatever the platform says.
    pub roles: BTreeMap<Ref, Role>,
    /// `[privacy]`
    pub privacy: PrivacyConfig,
}

/// `[bot]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotConfig {
    /// Language where a community names none: `zh` or `en`.
    pub locale: String,
    /// Time zone where a community names none.
    pub timezone: Tz,
    /// Folder of features.
    pub scripts: PathBuf,
    /// Folder of rules.
    pub rules: PathBuf,
    /// Folder of everything that the bot keeps.
    pub data: PathBuf,
    /// Filter of the log, as in `RUST_LOG`.
    pub log: String,
    /// Events older than this are not answered, s.
    pub stale_after_s: i64,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// `sqlite:PATH` (relative to the data folder) or `sqlite::memory:`.
    pub url: String,
}

/// `[adapters.NAME]`: the settings of one adapter, already checked against its keys.
#[derive(Clone, Debug, Default)]
pub struct AdapterConfig {
    /// Plain settings.
    pub values: BTreeMap<String, toml::Value>,
    /// Secrets, after `${ENV}` and files; never printed.
    pub secrets: BTreeMap<String, Secret>,
}

/// A secret. Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, at the place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `[features.*]` and `[rules.*]` of one level (everywhere, or one community).
#[derive(Clone, Debug, Default)]
pub struct ScriptTables {
    /// `[features.NAME]`
    pub features: BTreeMap<String, ScriptConfig>,
    /// `[rules.NAME]`
    pub rules: BTreeMap<String, ScriptConfig>,
}

/// One `[features.NAME]` or `[rules.NAME]`.
#[derive(Clone, Debug, Default)]
pub struct ScriptConfig {
    /// On or off; absent means: as the level above, at the top on.
    pub enabled: Option<bool>,
    /// Live, shadow or off; absent means: as the level above, at the top live.
    pub mode: Option<Mode>,
    /// Everything else, to be checked against the script's `setting()`s.
    pub settings: BTreeMap<String, Spanned<toml::Value>>,
    /// Byte range of the section's head in config.toml.
    pub span: std::ops::Range<usize>,
}

/// A value with its byte range in config.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: std::ops::Range<usize>,
    /// Where its key stands.
    pub key_span: std::ops::Range<usize>,
}

/// Whether a script's effects happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    #[default]
    Live,
    /// They are recorded and reported, not performed.
    Shadow,
    /// It does not run.
    Off,
}

/// `[[community]]`
#[derive(Clone, Debug)]
pub struct CommunityConfig {
    /// Its name in this file and in the database.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its groups.
    pub groups: Vec<Ref>,
    /// Its time zone.
    pub timezone: Option<Tz>,
    /// Its language.
    pub locale: Option<String>,
    /// Overrides of `[features.*]` and `[rules.*]`.
    pub scripts: ScriptTables,
}

/// `[limits]`: every queue, loop and retry has a named limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Limits of scripts.
    pub script: ScriptLimits,
    /// Events waiting in one community's mailbox.
    pub mailbox: usize,
    /// Events waiting in all mailboxes together.
    pub mailboxes: usize,
    /// Turns in one commit.
    pub commit_turns: usize,
    /// Communities whose state is kept in memory.
    pub communities_cached: usize,
    /// Deliveries waiting for one destination.
    pub deliveries: usize,
    /// Tries of one delivery.
    pub delivery_attempts: u32,
    /// Life of a reply that cannot be sent, s.
    pub reply_expires_s: i64,
    /// Commands of one member in `commands_period_s`.
    pub commands: u32,
    /// The period of `commands`, s.
    pub commands_period_s: i64,
    /// Timers of one script in one community.
    pub timers: usize,
    /// Bytes that one script may keep in one community.
    pub state_bytes: usize,
    /// Failures in a row after which a script pauses in a community.
    pub breaker_failures: u32,
    /// The pause, s.
    pub breaker_pause_s: i64,
    /// Longest wait for a graceful end, s.
    pub shutdown_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script: ScriptLimits::default(),
            mailbox: 10_000,
            mailboxes: 50_000,
            commit_turns: 256,
            communities_cached: 20_000,
            deliveries: 1000,
            delivery_attempts: 8,
            reply_expires_s: 600,
            commands: 5,
            commands_period_s: 10,
            timers: 1000,
            state_bytes: 1024 * 1024,
            breaker_failures: 3,
            breaker_pause_s: 600,
            shutdown_s: 15,
        }
    }
}

/// `[privacy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivacyConfig {
    /// Days that the text of messages is kept; 0 keeps none.
    pub archive_days: u32,
}

/// stub until merge
#[derive(Clone, Debug)]
pub struct Effective {
    /// On.
    pub enabled: bool,
    /// Mode.
    pub mode: Mode,
    /// Settings.
    pub settings: std::sync::Arc<crate::value::ValueMap>,
}
/// stub until merge
#[derive(Clone, Debug, Default)]
pub struct Resolved;
impl Resolved {
    /// stub
    pub fn effective(
        &self,
        _community: Option<&str>,
        _script: &crate::id::ScriptName,
    ) -> Option<std::sync::Arc<Effective>> {
        None
    }
}
