//! The terminal as the console holds it: the screen, the queue to the printer, the clock's offset.
//!
//! Everything shown goes through one queue in the order in which its rows were counted; the
//! printer at its end may wait for the line editor, nobody else does.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock, TimeMs};

use super::encode::Shown;
use super::screen::Screen;
use super::span::show_span;

/// How a terminal console is set up.
pub struct TerminalSettings {
    /// Part of every id that this run gives out.
    pub run_id: String,
    /// Colours and cursor movement.
    pub color: bool,
    /// The clock that `/clock` moves; without one it cannot.
    pub clock: Option<Arc<SystemClock>>,
    /// Who sits there at the start, the owner of the group.
    pub member: String,
    /// Folder of the history of lines and of the clock's offset; without one neither is kept.
    pub data: Option<PathBuf>,
}

impl Default for TerminalSettings {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            run_id: format!("{:x}", since.as_millis()),
            color: std::io::stdout().is_terminal() && !no_color,
            clock: None,
            member: "阿明".to_owned(),
            data: None,
        }
    }
}

impl TerminalSettings {
    /// Offset of the clock that an earlier run left in the data folder, ms.
    ///
    /// # Errors
    /// The file is there and cannot be read as a number.
    pub fn kept_offset(data: &Path) -> anyhow::Result<i64> {
        let path = data.join("clock");
        match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().with_context(|| {
                format!(
                    "{}: not a number of milliseconds; delete the file to begin at the present",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
}

/// File of the history of typed lines in the data folder.
pub fn history(data: &Path) -> PathBuf {
    data.join("console-history")
}

/// A terminal with somebody before it.
pub struct Terminal {
    settings: TerminalSettings,
    screen: Mutex<Screen>,
    queue: Sender<String>,
    waiting: Mutex<Option<Receiver<String>>>,
    moved: Notify,
    left: CancellationToken,
}

impl Terminal {
    /// A terminal on which nothing was shown yet.
    pub fn new(settings: TerminalSettings) -> Self {
        let (queue, waiting) = channel();
        Self {
            screen: Mutex::new(Screen::new(settings.color)),
            settings,
            queue,
            waiting: Mutex::new(Some(waiting)),
            moved: Notify::new(),
            left: CancellationToken::new(),
        }
    }

    /// What is to be printed, for the one printer; `None` when somebody has it.
    pub fn take_queue(&self) -> Option<Receiver<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The screen.
    pub fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows something of the bot's.
    pub fn show(&self, shown: &Shown, here: &str) {
        self.print(|screen| screen.show(shown, here));
    }

    /// Shows a word of the console itself.
    pub fn note(&self, text: &str) {
        self.print(|screen| screen.note(text));
    }

    /// Shows a notice for the owner.
    pub fn warn(&self, text: &str) {
        self.print(|screen| screen.warn(text));
    }

    /// A word to the owner that all is well.
    pub fn tell(&self, text: &str) {
        self.print(|screen| screen.tell(text));
    }

    fn print(&self, draw: impl FnOnce(&mut Screen) -> String) {
        let mut screen = self.screen();
        let text = draw(&mut screen);
        // Sent under the screen's lock, so that rows are printed in the order of their counting.
        // A printer that is gone means that the console was closed: nobody is left to read it.
        let _ = self.queue.send(text);
    }

    /// How a prompt is painted.
    pub fn prompt_paint(&self) -> fn(&str) -> String {
        if self.settings.color {
            |prompt| format!("\x1b[1;32m{prompt}\x1b[0m")
        } else {
            str::to_owned
        }
    }

    /// The present.
    pub fn now(&self) -> TimeMs {
        match &self.settings.clock {
            Some(clock) => clock.now(),
            None => SystemClock::default().now(),
        }
    }

    /// File of the history of typed lines.
    pub fn history(&self) -> Option<PathBuf> {
        Some(history(self.settings.data.as_ref()?))
    }

    /// Lets time pass, keeps the offset and wakes who waits for timers; says how far ahead the
    /// clock is now.
    ///
    /// # Errors
    /// There is no clock to move, or its offset cannot be kept.
    pub fn advance(&self, by_ms: i64) -> anyhow::Result<String> {
        let clock = self.settings.clock.as_ref().context("this console has no clock to move")?;
        let offset = clock.advance(by_ms);
        self.moved.notify_one();
        if let Some(data) = &self.settings.data {
            let (path, fresh) = (data.join("clock"), data.join("clock.new"));
            std::fs::write(&fresh, format!("{offset}\n"))
                .and_then(|()| std::fs::rename(&fresh, &path))
                .with_context(|| format!("keep the clock's offset in {}", path.display()))?;
        }
        Ok(show_span(offset))
    }

    /// Notes that nobody sits here any more.
    pub fn close(&self) {
        self.left.cancel();
    }

    /// Resolves when nobody sits here any more.
    pub async fn closed(&self) {
        self.left.cancelled().await;
    }

    /// Resolves after the clock was moved.
    pub async fn clock_moved(&self) {
        self.moved.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stays_ahead_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().to_owned();
        let clock = Some(SystemClock::with_offset(0));
        let settings =
            TerminalSettings { clock, data: Some(data.clone()), ..TerminalSettings::default() };
        let terminal = Terminal::new(settings);
        assert_eq!(TerminalSettings::kept_offset(&data).expect("no file"), 0);
        terminal.advance(86_400_000).expect("moves");
        assert_eq!(terminal.advance(3_600_000).expect("moves"), "1d1h");
        assert_eq!(TerminalSettings::kept_offset(&data).expect("a file"), 90_000_000);
        std::fs::write(data.join("clock"), "soon").expect("writable");
        assert!(TerminalSettings::kept_offset(&data).is_err());
    }
}
