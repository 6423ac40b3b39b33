//! Doctor: is everything in place for the bot to run well, and if not, what is to be done?
//!
//! Checks that need a running bot or the store are handed in by the caller as lines; everything
//! that a look at the machine can tell is found here.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::adapter::ADAPTERS;
use crate::adapter::console::show_span;
use crate::config::Config;
use crate::store::{NewsSourceRow, StoreHealth};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, but somebody should know.
    Warning,
    /// Does not work.
    Problem,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub health: Health,
    /// What was found, and the next step where one is needed.
    pub found: String,
}

impl Check {
    /// A line.
    pub fn new(name: &'static str, health: Health, found: impl Into<String>) -> Self {
        Self { name, health, found: found.into() }
    }
}

/// The report as lines for people.
pub fn show(checks: &[Check], color: bool) -> String {
    let line = |check: &Check| {
        let (mark, code) = match check.health {
            Health::Ok => ("✓", "32"),
            Health::Warning => ("⚠", "33"),
            Health::Problem => ("✗", "31"),
        };
        let mark = if color { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() };
        format!("{mark} {:<8} {}\n", check.name, check.found)
    };
    checks.iter().map(line).collect()
}

/// What a look at the machine tells.
pub fn machine(config: &Config, now_ms: i64) -> Vec<Check> {
    let mut checks = vec![clock(now_ms)];
    checks.extend(data_folder(&config.bot.data));
    checks.push(free_disk(&config.bot.data, config.limits.disk_free_mb));
    checks.push(secrets(&config.path));
    checks.extend(adapters(config));
    checks
}

/// The clock cannot be before this program was written: 2026-01-01.
const EARLIEST_MS: i64 = 1_767_225_600_000;

fn clock(now_ms: i64) -> Check {
    if now_ms < EARLIEST_MS {
        let found = "the clock of this machine is years behind; set it, or every timer is wrong";
        return Check::new("clock", Health::Problem, found);
    }
    Check::new("clock", Health::Ok, "plausible")
}

fn data_folder(data: &Path) -> Vec<Check> {
    if !data.exists() {
        let found = format!("{} is not there yet; the first run makes it", data.display());
        return vec![Check::new("data", Health::Ok, found)];
    }
    let mut checks = vec![match tempfile_in(data) {
        Ok(()) => Check::new("data", Health::Ok, format!("{} can be written", data.display())),
        Err(error) => {
            let found = format!("{} cannot be written: {error}", data.display());
            Check::new("data", Health::Problem, found)
        }
    }];
    checks.extend(open_to_others(data, "data"));
    checks
}

/// Writes and removes a small file.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(&path)
}

/// What members said and wrote is nobody else's business on this machine.
#[cfg(unix)]
fn open_to_others(path: &Path, name: &'static str) -> Option<Check> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        let path = path.display();
        let found = format!("{path} is open to everybody (mode {mode:o}); `chmod o-rwx {path}`");
        Check::new(name, Health::Warning, found)
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &Path, _: &'static str) -> Option<Check> {
    None
}

/// config.toml may hold secrets.
fn secrets(config: &Path) -> Check {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(config).map(|found| found.permissions().mode() & 0o777);
        if let Ok(mode) = mode
            && mode & 0o022 != 0
        {
            let path = config.display();
            let found =
                format!("{path} can be changed by others (mode {mode:o}); `chmod go-w {path}`");
            return Check::new("config", Health::Warning, found);
        }
    }
    Check::new("config", Health::Ok, format!("{}", config.display()))
}

/// Below this somebody should know.
const DISK_WARN_MB: u64 = 1024;

fn free_disk(data: &Path, least_mb: u64) -> Check {
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    match free_mb(there) {
        None => Check::new("disk", Health::Warning, "free space is unknown on this system"),
        Some(mb) if mb < least_mb => {
            let found = format!(
                "{mb} MB free, less than `disk_free_mb` ({least_mb}): nothing new is taken in; make \
                 room"
            );
            Check::new("disk", Health::Problem, found)
        }
        Some(mb) if mb < DISK_WARN_MB => {
            Check::new("disk", Health::Warning, format!("{mb} MB free; make room soon"))
        }
        Some(mb) => {
            let found = format!("{} GB free (limit `disk_free_mb` is {least_mb} MB)", mb / 1024);
            Check::new("disk", Health::Ok, found)
        }
    }
}

#[cfg(unix)]
fn free_mb(path: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    #[allow(clippy::unnecessary_cast)] // the width of these fields differs between systems
    let bytes = (found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64);
    Some(bytes / (1024 * 1024))
}

#[cfg(not(unix))]
fn free_mb(_: &Path) -> Option<u64> {
    None
}

fn adapters(config: &Config) -> Vec<Check> {
    if config.adapters.is_empty() {
        let found = "none is on, so nobody can talk to the bot; add `[adapters.console]`";
        return vec![Check::new("adapters", Health::Problem, found)];
    }
    let line = |(name, section)| match ADAPTERS.iter().find(|spec| spec.name == name) {
        // Making one opens nothing; it only says whether its section makes sense.
        Some(spec) => match (spec.build)(section) {
            Ok(_) => Check::new("adapter", Health::Ok, format!("{name}: {}", spec.about)),
            Err(error) => Check::new("adapter", Health::Problem, format!("{name}: {error:#}")),
        },
        None => {
            let found = format!("{name} is not part of this program; remove `[adapters.{name}]`");
            Check::new("adapter", Health::Problem, found)
        }
    };
    config.adapters.iter().map(line).collect()
}

/// What the database says of the past: events that wait or were set aside, deliveries that went
/// wrong lately.
pub fn backlog(found: &StoreHealth, now_ms: i64) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut warn = |count: i64, name, what: String| {
        if count > 0 {
            checks.push(Check::new(name, Health::Warning, what));
        }
    };
    let StoreHealth { quarantined, waiting, oldest_waiting, failed, unknown, .. } = *found;
    let StoreHealth { left_undone, unreadable, frozen, .. } = *found;
    let age = show_span(oldest_waiting.map_or(0, |at| (now_ms - at).max(0)));
    warn(
        waiting,
        "waiting",
        format!("{waiting} events are not handled yet, the oldest for {age}; start the bot"),
    );
    warn(
        quarantined,
        "events",
        format!(
            "{quarantined} events could not be handled and are set aside; the log has the reasons"
        ),
    );
    warn(
        frozen,
        "ledger",
        format!(
            "{frozen} ledgers are frozen because something did not hold: `qundao ledger verify` says \
             what, `qundao ledger thaw` lets points move again"
        ),
    );
    warn(
        failed,
        "sending",
        format!(
            "{failed} messages could not be sent in the last 7 days; see `qundao deliveries --state failed`"
        ),
    );
    warn(
        unknown,
        "sending",
        format!(
            "{unknown} messages of the last 7 days may or may not have arrived; `qundao deliveries` \
             shows them"
        ),
    );
    warn(
        left_undone,
        "load",
        format!(
            "{left_undone} commands of the last 7 days were left undone because more came in than \
             could be handled (limits `mailboxes` and `overload_ms`); switch off what is slow, or \
             give the bot a faster machine"
        ),
    );
    warn(
        unreadable,
        "events",
        format!(
            "{unreadable} events of the last 7 days could not be read; the log names the first of \
             each kind, and a newer version may know them"
        ),
    );
    if checks.is_empty() {
        let found = "nothing waits, nothing was set aside, every message of 7 days arrived";
        checks.push(Check::new("backlog", Health::Ok, found));
    }
    checks
}

/// How the sources of news are that the scripts name.
pub fn news(known: &[NewsSourceRow], feeds: &BTreeSet<String>, now_ms: i64) -> Vec<Check> {
    let mut checks = Vec::new();
    let (mut well, mut new) = (0, 0);
    for feed in feeds {
        let shown = crate::news::shown(feed);
        match known.iter().find(|source| source.address == *feed) {
            None => new += 1,
            Some(source) if source.failures == 0 => well += 1,
            Some(source) => {
                let last = source.ok_at.map_or("it has never worked".to_owned(), |at| {
                    format!("it last worked {} ago", show_span((now_ms - at).max(0)))
                });
                let found = format!("{shown}: {}; {last}", source.error);
                checks.push(Check::new("news", Health::Warning, found));
            }
        }
    }
    if well + new > 0 {
        let found = format!("{well} sources work, {new} have not been asked yet");
        checks.push(Check::new("news", Health::Ok, found));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_says_what_to_do() {
        let empty = StoreHealth::default();
        assert_eq!(backlog(&empty, 0)[0].health, Health::Ok);
        let found = StoreHealth { waiting: 3, oldest_waiting: Some(0), unknown: 1, ..empty };
        let lines = show(&backlog(&found, 7_200_000), false);
        assert_eq!(
            lines,
            "⚠ waiting  3 events are not handled yet, the oldest for 2h; start the bot\n\
             ⚠ sending  1 messages of the last 7 days may or may not have arrived; `qundao \
             deliveries` shows them\n"
        );
    }

    #[test]
    fn a_section_that_makes_no_sense_is_a_problem() {
        let mut config = Config::default();
        let keys = crate::adapter::onebot::SPEC.keys;
        let section = crate::config::AdapterConfig { keys, ..Default::default() };
        config.adapters.insert("onebot".to_owned(), section);
        let [check] = &adapters(&config)[..] else { panic!("one line for one adapter") };
        assert_eq!(check.health, Health::Problem);
        assert!(check.found.contains("`listen`") && check.found.contains("`connect`"), "{check:?}");
    }

    #[test]
    fn sources_of_news_are_told_with_their_state() {
        let source = |address: &str, failures, error: &str, ok_at| NewsSourceRow {
            address: address.to_owned(),
            failures,
            error: error.to_owned(),
            ok_at,
            ..NewsSourceRow::default()
        };
        let known = [
            source("https://a.example/x?key=1", 3, "answers 500", Some(0)),
            source("https://b.example/", 1, "is no feed", None),
            source("file:c.xml", 0, "", Some(0)),
            source("https://old.example/", 9, "nobody asks any more", None),
        ];
        let feeds = ["https://a.example/x?key=1", "https://b.example/", "file:c.xml", "file:d.xml"];
        let feeds = feeds.map(str::to_owned).into();
        assert_eq!(
            show(&news(&known, &feeds, 7_200_000), false),
            "⚠ news     https://a.example/x: answers 500; it last worked 2h ago\n\
             ⚠ news     https://b.example/: is no feed; it has never worked\n\
             ✓ news     1 sources work, 1 have not been asked yet\n"
        );
        assert_eq!(news(&known, &BTreeSet::new(), 0), []);
    }

    #[test]
    fn shows_marks() {
        let checks = [
            Check::new("config", Health::Ok, "fine"),
            Check::new("disk", Health::Warning, "80 MB free; make room soon"),
            Check::new("store", Health::Problem, "locked"),
        ];
        assert_eq!(
            show(&checks, false),
            "✓ config   fine\n⚠ disk     80 MB free; make room soon\n✗ store    locked\n"
        );
    }

    #[test]
    fn a_folder_that_can_be_written_is_well() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(data_folder(folder.path())[0].health, Health::Ok);
        assert_eq!(clock(0).health, Health::Problem);
        assert!(matches!(free_disk(folder.path(), 64).health, Health::Ok | Health::Warning));
    }
}
