//! The typed result: one struct a section, with its defaults.
//!
//! Everything here has been checked; nothing here knows TOML or where it was written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{AdapterConfig, PostingConfig, RoutineConfig, ScriptTables, SourceText, StoreUrl};
use crate::id::Ref;
use crate::script::protocol::ScriptLimits;
use crate::value::Role;
use crate::zone::Zone;

/// A configuration that has passed every check that needs no script.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read from.
    pub path: PathBuf,
    /// What was read, for the places of later problems.
    pub source: SourceText,
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
    /// `[posting]`
    pub posting: PostingConfig,
    /// `[[routine]]`
    pub routines: Vec<RoutineConfig>,
    /// `[limits]`
    pub limits: Limits,
    /// `[roles]`: authority given by configuration, whatever the platform says.
    pub roles: BTreeMap<Ref, Role>,
    /// `[privacy]`
    pub privacy: PrivacyConfig,
    /// `[news]`
    pub news: NewsConfig,
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        Self {
            path: PathBuf::from("config.toml"),
            source: SourceText::default(),
            bot: BotConfig::default(),
            store: StoreConfig::default(),
            adapters: BTreeMap::new(),
            scripts: ScriptTables::default(),
            communities: Vec::new(),
            posting: PostingConfig::default(),
            routines: Vec::new(),
            limits: Limits::default(),
            roles: BTreeMap::new(),
            privacy: PrivacyConfig::default(),
            news: NewsConfig::default(),
        }
    }
}

/// `[bot]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotConfig {
    /// Language where a community names none: `zh` or `en`.
    pub locale: String,
    /// Time zone where a community names none.
    pub timezone: Zone,
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

impl Default for BotConfig {
    fn default() -> Self {
        Self {
            locale: "zh".to_owned(),
            timezone: Zone::shanghai(),
            scripts: PathBuf::from("scripts"),
            rules: PathBuf::from("rules"),
            data: PathBuf::from("data"),
            log: "info".to_owned(),
            stale_after_s: 120,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// `sqlite:PATH` (relative to the data folder), `sqlite::memory:` or `postgres://…`.
    pub url: StoreUrl,
    /// How long a process that does not answer keeps a database on a server, s.
    pub lease_s: i64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: StoreUrl::new("sqlite:qundao.db"), lease_s: 10 }
    }
}

/// `[[community]]`
#[derive(Clone, Debug, Default)]
pub struct CommunityConfig {
    /// Its name in this file and in the database.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its groups.
    pub groups: Vec<Ref>,
    /// Its time zone.
    pub timezone: Option<Zone>,
    /// Its language.
    pub locale: Option<String>,
    /// Its profile of posting; that of `[posting]` where absent.
    pub posting: Option<String>,
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
    /// Time for which they may be full before commands of members are left undone, ms.
    pub overload_ms: i64,
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
    /// Points issued in one community in a day.
    pub points_minted_day: i64,
    /// Points issued to one member in a day.
    pub points_member_day: i64,
    /// Members whom scripts may remove from one group in a minute without a human.
    pub removals: u32,
    /// The same in an hour; or one in a hundred of its members, if that is more.
    pub removals_hour: u32,
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
    /// Free space below which nothing new is taken in, MiB; 0 for none.
    pub disk_free_mb: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script: ScriptLimits::default(),
            mailbox: 2_000,
            mailboxes: 8_000,
            overload_ms: 1_000,
            commit_turns: 256,
            communities_cached: 20_000,
            deliveries: 1000,
            delivery_attempts: 8,
            reply_expires_s: 600,
            commands: 5,
            commands_period_s: 10,
            points_minted_day: 1_000_000,
            points_member_day: 100_000,
            removals: 5,
            removals_hour: 3,
            timers: 1000,
            state_bytes: 1024 * 1024,
            breaker_failures: 3,
            breaker_pause_s: 600,
            shutdown_s: 15,
            disk_free_mb: 64,
        }
    }
}

/// `[news]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewsConfig {
    /// How often each source is asked, min.
    pub every_min: i64,
}

impl Default for NewsConfig {
    fn default() -> Self {
        Self { every_min: 30 }
    }
}

/// `[privacy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivacyConfig {
    /// Days that the text of messages is kept; 0 keeps none.
    pub archive_days: u32,
    /// Days that what a turn did and what was sent is kept in full.
    pub body_days: u32,
    /// Days that a line of the audit log says more than who did what kind of thing.
    pub audit_days: u32,
    /// Days of the log file.
    pub log_days: u32,
}

impl Default for PrivacyConfig {
    fn default() -> Self {
        Self { archive_days: 30, body_days: 7, audit_days: 365, log_days: 14 }
    }
}
