//! Forgets what need not be kept, and takes care that a wrong clock does not make it forget more.
//!
//! What is forgotten is gone: a machine whose clock says next year for an hour would lose every key by
//! which a repeated event is known.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, TimeMs};
use crate::config::Config;
use crate::store::Store;

/// How often old texts and keys are forgotten.
const EVERY: Duration = Duration::from_secs(3600);
/// Keys are needed as long as a platform may repeat an event; days.
const KEYS_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3_600_000;
/// The clock and the time that passes differ by more than this between two rounds: a jump.
const JUMP_MS: i64 = 60_000;
/// A clock that has gone right for so long is believed.
const STEADY: Duration = Duration::from_secs(24 * 3600);

/// The task that forgets.
pub(super) struct Housekeeper {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: Arc<RwLock<Arc<Config>>>,
    pub(super) platforms: Vec<String>,
}

impl Housekeeper {
    /// Works until the bot stops.
    pub(super) async fn run(self) {
        let (mut wall, mut passed) = (self.clock.now(), Instant::now());
        let mut right_since = passed;
        loop {
            tokio::time::sleep(EVERY).await;
            let (now, here) = (self.clock.now(), Instant::now());
            if (now - wall - (here - passed).as_millis() as i64).abs() > JUMP_MS {
                right_since = here;
            }
            (wall, passed) = (now, here);
            let is_believed = here - right_since >= STEADY;
            let now = if is_believed { Some(now) } else { self.heard(now).await };
            if let Some(now) = now {
                self.forget(now).await;
            }
        }
    }

    /// The latest that any platform told, if the clock is not behind even that.
    async fn heard(&self, now: TimeMs) -> Option<TimeMs> {
        let mut heard = None;
        for platform in &self.platforms {
            match self.store.last_heard(platform).await {
                Ok(at) => heard = heard.max(at),
                Err(error) => tracing::warn!(%error, "could not see when `{platform}` was heard"),
            }
        }
        heard.map(|heard| now.min(heard))
    }

    async fn forget(&self, now: TimeMs) {
        let days = {
            let config = self.config.read().expect("the configuration is only replaced whole");
            i64::from(config.privacy.archive_days)
        };
        match self.store.housekeep(now - days * DAY_MS, now - KEYS_DAYS.max(days) * DAY_MS).await {
            Ok(rows) => tracing::debug!(rows, "forgot what is old"),
            Err(error) => tracing::warn!(%error, "could not forget what is old"),
        }
    }
}
