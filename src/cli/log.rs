//! Where the log goes: to standard error, or to a file while a prompt has the terminal.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::adapter::ADAPTERS;
use crate::clock::{Clock as _, DAY_MS, SystemClock};

/// Logs to standard error.
pub fn to_stderr(filter: &str) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(chosen(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A log that is set up already (in a test) is as good.
    let _ = subscriber.try_init();
}

/// Logs to the end of a file in a folder; a new one each day, and those of so many days stay.
///
/// # Errors
/// The file cannot be opened.
pub fn to_file(filter: &str, folder: &Path, days: u32) -> anyhow::Result<()> {
    let today = || SystemClock::default().now().div_euclid(DAY_MS);
    let file = DailyFile::open(folder, days, Box::new(today))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(chosen(filter))
        .with_writer(Mutex::new(file))
        .with_ansi(false);
    let _ = subscriber.try_init();
    Ok(())
}

/// What the adapters say of their libraries, and then what the configuration says.
fn with_libraries(filter: &str) -> String {
    let libraries = ADAPTERS.iter().map(|spec| spec.log).filter(|log| !log.is_empty());
    libraries.chain([filter]).collect::<Vec<_>>().join(",")
}

/// `RUST_LOG` has the last word; a filter that cannot be read falls back to `info`.
fn chosen(filter: &str) -> EnvFilter {
    EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(with_libraries(filter)))
        .unwrap_or_else(|_| EnvFilter::new("info"))
}

/// The file that is written.
const CURRENT: &str = "qundao.log";

/// A log of one file a day.
struct DailyFile {
    folder: PathBuf,
    days: u32,
    /// The day since 1970.
    today: Box<dyn Fn() -> i64 + Send>,
    day: i64,
    file: File,
}

impl DailyFile {
    fn open(folder: &Path, days: u32, today: Box<dyn Fn() -> i64 + Send>) -> anyhow::Result<Self> {
        let file = open(folder).with_context(|| format!("open the log in {}", folder.display()))?;
        // What an earlier run left may be of an earlier day.
        let begun = file.metadata().and_then(|meta| meta.modified()).ok();
        let begun = begun.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let has_lines = file.metadata().is_ok_and(|meta| meta.len() > 0);
        let day =
            begun.filter(|_| has_lines).map_or_else(&*today, |at| at.as_secs() as i64 / 86_400);
        let mut log = Self { folder: folder.to_owned(), days, today, day, file };
        log.turn_over();
        log.forget_old();
        Ok(log)
    }

    /// Puts the file of another day aside. A log that cannot be moved is written on.
    fn turn_over(&mut self) {
        let today = (self.today)();
        if today == self.day {
            return;
        }
        let aside = self.folder.join(format!("qundao.{}.log", shown(self.day)));
        if std::fs::rename(self.folder.join(CURRENT), aside).is_ok()
            && let Ok(file) = open(&self.folder)
        {
            self.file = file;
        }
        self.day = today;
        self.forget_old();
    }

    fn forget_old(&self) {
        let first = shown(self.day - i64::from(self.days));
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let day = name.strip_prefix("qundao.").and_then(|rest| rest.strip_suffix(".log"));
            // Days are written so that they sort.
            if day.is_some_and(|day| day.len() == first.len() && day < &*first) {
                // One that stays is tried again tomorrow.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Write for DailyFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.turn_over();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn open(folder: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true);
    // Names of members may stand in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(CURRENT))
}

/// `2026-11-26`
fn shown(day: i64) -> String {
    let date = chrono::DateTime::from_timestamp(day * 86_400, 0);
    date.map_or_else(String::new, |date| date.format("%F").to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_file_a_day_and_no_more_days_than_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let first = 20_000;
        let now = Arc::new(AtomicI64::new(first));
        let clock = now.clone();
        let today = Box::new(move || clock.load(Ordering::SeqCst));
        let mut log = DailyFile::open(folder.path(), 14, today).unwrap();
        for day in 0..40 {
            now.store(first + day, Ordering::SeqCst);
            writeln!(log, "day {day}").unwrap();
            writeln!(log, "still day {day}").unwrap();
        }
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), 15, "{names:?}");
        let oldest = format!("qundao.{}.log", shown(first + 25));
        assert_eq!((&names[0], names[14].as_str()), (&oldest, CURRENT));
        let text = std::fs::read_to_string(folder.path().join(oldest)).unwrap();
        assert_eq!(text, "day 25\nstill day 25\n");
    }

    #[test]
    fn what_a_run_of_yesterday_left_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CURRENT), "yesterday\n").unwrap();
        let tomorrow = SystemClock::default().now().div_euclid(DAY_MS) + 1;
        let mut log = DailyFile::open(folder.path(), 14, Box::new(move || tomorrow)).unwrap();
        writeln!(log, "today").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(CURRENT)).unwrap(), "today\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
