//! Housekeeping, once an hour: what is old is forgotten, and once a day the head of the audit log is
//! told, so that it stands where nobody who tampers with the database can reach it.
//!
//! What is forgotten is gone, so a wrong clock must not make it more: a machine whose clock says next
//! year for an hour would lose every key by which a repeated event is known.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, DAY_MS, TimeMs};
use crate::commit::{Listeners, tell};
use crate::community::score::WINDOW_DAYS;
use crate::config::{Config, PrivacyConfig};
use crate::planted::{Point, reach};
use crate::report::Notice;
use crate::store::{Old, Store};
use crate::text::text;
use crate::value::ValueMap;

/// Keys are needed as long as a platform may repeat an event; days.
pub const KEYS_DAYS: i64 = 30;
/// How often, ms.
const EVERY_MS: i64 = 3_600_000;
/// The clock and the time that passes differ by more than this between two rounds: a jump.
const JUMP_MS: i64 = 60_000;
/// A clock that has gone right for so long is believed.
const STEADY: Duration = Duration::from_secs(24 * 3600);

/// Looks after what is kept.
pub(super) struct Housekeeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: Arc<RwLock<Arc<Config>>>,
    notices: Arc<Listeners<Notice>>,
    platforms: Vec<String>,
    /// When it looked last, Unix ms.
    looked_at: AtomicI64,
    /// The day on which the head was told last, since 1970.
    told_on: AtomicI64,
}

impl Housekeeper {
    /// Looks for the first time an hour from now, and tells the head for the first time then.
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: Arc<RwLock<Arc<Config>>>,
        notices: Arc<Listeners<Notice>>,
        platforms: Vec<String>,
    ) -> Self {
        let looked_at = AtomicI64::new(clock.now());
        Self { store, clock, config, notices, platforms, looked_at, told_on: AtomicI64::new(0) }
    }

    /// Works as time passes.
    pub(super) async fn run(self: Arc<Self>) {
        let (mut wall, mut passed) = (self.clock.now(), Instant::now());
        let mut right_since = passed;
        loop {
            tokio::time::sleep(Duration::from_millis(EVERY_MS as u64)).await;
            let (now, here) = (self.clock.now(), Instant::now());
            if (now - wall - (here - passed).as_millis() as i64).abs() > JUMP_MS {
                right_since = here;
            }
            (wall, passed) = (now, here);
            let is_believed = here - right_since >= STEADY;
            let old_at = if is_believed { Some(now) } else { self.heard(now).await };
            self.keep(now, old_at).await;
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

    /// Works if it is time; a virtual clock was moved.
    pub(super) async fn look(&self) {
        let now = self.clock.now();
        if now - self.looked_at.load(Ordering::SeqCst) < EVERY_MS {
            return;
        }
        self.keep(now, Some(now)).await;
    }

    /// Forgets what is old at a time, if that is known.
    async fn keep(&self, now: TimeMs, old_at: Option<TimeMs>) {
        self.looked_at.store(now, Ordering::SeqCst);
        let config = self.config.read().expect("the configuration is only replaced whole").clone();
        reach(Point::Housekeeping);
        if let Some(at) = old_at {
            match self.store.housekeep(&old(&config.privacy, at)).await {
                Ok(rows) => tracing::debug!(rows, "forgot what is old"),
                Err(error) => tracing::warn!(%error, "could not forget what is old"),
            }
        }
        let day = now.div_euclid(DAY_MS);
        if self.told_on.swap(day, Ordering::SeqCst) != day {
            self.tell_head(&config.bot.locale).await;
        }
    }

    async fn tell_head(&self, locale: &str) {
        match self.store.audit_head().await {
            Ok(head) if head.n > 0 => {
                let args = ValueMap::from([
                    ("n".to_owned(), head.n.into()),
                    ("head".to_owned(), head.to_string().into()),
                ]);
                let text = text(locale, "audit.daily", &args);
                tell(&self.notices, &Notice { community: None, text, is_problem: false });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the head of the audit log could not be read"),
        }
    }
}

/// What is old by these settings.
fn old(privacy: &PrivacyConfig, now: TimeMs) -> Old {
    let before = |days: i64| now - days * DAY_MS;
    let texts = i64::from(privacy.archive_days);
    let bodies = i64::from(privacy.body_days);
    Old {
        texts: before(texts),
        bodies: before(bodies),
        audit: before(privacy.audit_days.into()),
        // Keys are needed as long as a platform may repeat an event, and carry what is kept.
        keys: before(KEYS_DAYS.max(texts).max(bodies)),
        // A day more, because communities have days of their own.
        relations: now.div_euclid(DAY_MS) - WINDOW_DAYS - 1,
    }
}
