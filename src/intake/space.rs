//! Room on the disk: below a named limit nothing new is taken in, while there is still room to finish
//! what has begun.
//!
//! What is offered meanwhile waits at the door, and nobody is told that it was accepted: a platform
//! that waits for an answer brings it again. The door opens by itself when there is room.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::commit::{Listeners, tell};
use crate::config::Config;
use crate::report::Notice;
use crate::store::Store;

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);
const MIB: u64 = 1024 * 1024;

/// Whether the disk has room.
#[derive(Debug)]
pub struct Space(watch::Sender<bool>);

impl Default for Space {
    /// There is, until somebody has looked.
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Space {
    /// Resolves when there is room.
    pub async fn enough(&self) {
        if *self.0.borrow() {
            return;
        }
        // The sender is ours, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|is_enough| *is_enough).await;
    }

    /// Lets everybody through: the bot stops, and the door itself is closed.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Whether there is room as far as is known; what was believed before says how much is enough,
    /// so that a few bytes more or less do not open and close the door again and again.
    fn look(&self, free: u64, least: u64) -> Option<bool> {
        let was_enough = *self.0.borrow();
        let wanted = if was_enough { least } else { least + least / 8 };
        let is_enough = free >= wanted;
        (self.0.send_replace(is_enough) != is_enough).then_some(is_enough)
    }
}

/// Watches the disk as long as the bot runs.
pub struct SpaceWatch {
    /// Where the door looks.
    pub space: Arc<Space>,
    /// Whose disk.
    pub store: Arc<dyn Store>,
    /// The limit.
    pub config: Arc<RwLock<Arc<Config>>>,
    /// Who hears of it.
    pub notices: Arc<Listeners<Notice>>,
}

impl SpaceWatch {
    /// Looks at the disk now.
    pub fn look(&self) {
        let Some(free) = self.store.free_bytes() else { return };
        let least = {
            let config = self.config.read().expect("the configuration is only replaced whole");
            config.limits.disk_free_mb
        };
        match self.space.look(free, least * MIB) {
            Some(false) => self.tell(true, &format!(
                "limit `disk_free_mb` ({least}): {} MiB are free where the data lies; nothing new is \
                 taken in until there is room; free some, or lower the limit",
                free / MIB
            )),
            Some(true) => self.tell(false, &format!(
                "{} MiB are free where the data lies: the bot goes on", free / MIB
            )),
            None => {}
        }
    }

    /// Looks again and again.
    pub async fn run(self) {
        while self.store.free_bytes().is_some() {
            tokio::time::sleep(LOOK).await;
            self.look();
        }
    }

    fn tell(&self, is_problem: bool, text: &str) {
        tell(&self.notices, &Notice { community: None, text: text.to_owned(), is_problem });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_below_the_limit_and_opens_a_little_above() {
        let space = Space::default();
        assert_eq!(space.look(100, 64), None);
        assert_eq!(space.look(63, 64), Some(false));
        assert_eq!(space.look(64, 64), None, "not for a byte");
        assert_eq!(space.look(72, 64), Some(true));
        assert_eq!(space.look(0, 0), None, "0 is no limit");
    }
}
