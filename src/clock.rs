//! Time and chance come in from outside, so that a year can be tested in seconds and any turn
//! can be run again.
//!
//! Times are Unix milliseconds in UTC ([`TimeMs`]); a local date is computed once, in the
//! community's zone, where it is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds, UTC.
pub type TimeMs = i64;

/// A day of twenty-four hours, ms.
pub const DAY_MS: i64 = 24 * 3_600_000;

/// Where `now` comes from.
pub trait Clock: Send + Sync {
    /// The present, Unix milliseconds.
    fn now(&self) -> TimeMs;

    /// The same without what somebody put it forward by, to see whether the machine's clock goes
    /// right.
    fn wall(&self) -> TimeMs {
        self.now()
    }

    /// Whether time passes by itself; a virtual clock only moves when told.
    fn flows(&self) -> bool;
}

/// The machine's clock plus an offset that only grows (`/clock +1d` at the prompt).
#[derive(Debug, Default)]
pub struct SystemClock {
    offset_ms: AtomicI64,
}

impl SystemClock {
    /// A clock that is `offset_ms` ahead of the machine's.
    pub fn with_offset(offset_ms: i64) -> Arc<Self> {
        Arc::new(Self { offset_ms: AtomicI64::new(offset_ms.max(0)) })
    }

    /// Moves the clock forward; returns the new offset.
    pub fn advance(&self, by_ms: i64) -> i64 {
        let by_ms = by_ms.max(0);
        self.offset_ms.fetch_add(by_ms, Ordering::SeqCst) + by_ms
    }
}

impl Clock for SystemClock {
    fn now(&self) -> TimeMs {
        self.wall() + self.offset_ms.load(Ordering::SeqCst)
    }

    fn wall(&self) -> TimeMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as TimeMs
    }

    fn flows(&self) -> bool {
        true
    }
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct VirtualClock {
    now_ms: AtomicI64,
}

impl VirtualClock {
    /// A clock that shows `now_ms`.
    pub fn starting_at(now_ms: TimeMs) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(now_ms) })
    }

    /// Sets the clock; it never goes back.
    pub fn set(&self, now_ms: TimeMs) {
        self.now_ms.fetch_max(now_ms, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> TimeMs {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn flows(&self) -> bool {
        false
    }
}

/// One step of SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): turns a bot's seed and an
/// event's number into the event's own seed.
pub fn mix_seed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
