//! The time of a world: it passes as tokio's paused time does, and the machine's clock may be wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use qundao::clock::{Clock, TimeMs};
use tokio::time::Instant;

/// Two clocks: what the time is, and what the machine of the bot shows.
#[derive(Debug)]
pub struct SimClock {
    base: AtomicI64,
    since: Mutex<Option<Instant>>,
    skew_ms: AtomicI64,
}

impl SimClock {
    /// A clock that is right.
    pub fn starting_at(now: TimeMs) -> Self {
        Self { base: AtomicI64::new(now), since: Mutex::new(None), skew_ms: AtomicI64::new(0) }
    }

    /// What the time is, for the platforms.
    pub fn real(&self) -> TimeMs {
        let passed = self.since().map_or(0, |since| (Instant::now() - since).as_millis() as i64);
        self.base.load(Ordering::SeqCst) + passed
    }

    /// A process begins: from now on time passes with its runtime.
    pub fn begin(&self) {
        *self.since() = Some(Instant::now());
    }

    /// A process ends; must be called within its runtime.
    pub fn end(&self) {
        let now = self.real();
        self.base.store(now, Ordering::SeqCst);
        *self.since() = None;
    }

    /// Time passes without a process.
    pub fn pass(&self, ms: i64) {
        self.base.fetch_add(ms, Ordering::SeqCst);
    }

    /// The machine's clock is put forward or back.
    pub fn jump(&self, by_ms: i64) {
        self.skew_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// The machine's clock is put right.
    pub fn correct(&self) {
        self.skew_ms.store(0, Ordering::SeqCst);
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimClock {
    fn now(&self) -> TimeMs {
        self.real() + self.skew_ms.load(Ordering::SeqCst)
    }

    fn flows(&self) -> bool {
        true
    }
}
