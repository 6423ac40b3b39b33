//! A clock that is put back must not hold up for as long what was to go by it: waits are lengths, and
//! keep their length.

use super::{Outbox, Outgoing};
use crate::clock::TimeMs;

/// A clock that is put back by less is only being put right.
const BACK_MS: i64 = 1000;
/// What was left by an earlier process waits no longer than this ahead of the clock; what seems to was
/// decided by a clock that was wrong.
pub(super) const AHEAD_MAX_MS: i64 = 3_600_000;
/// Before any window that is still open.
const LONG_AGO: TimeMs = 0;

impl Outbox {
    /// Looks whether the clock was put back, and puts all waits back with it. Whatever happens, this
    /// comes first.
    pub(super) fn look_at_clock(&mut self) {
        let now = self.clock.now();
        let by_ms = std::mem::replace(&mut self.looked_at, now) - now;
        if by_ms < BACK_MS {
            return;
        }
        self.put_back_ms += by_ms;
        for queue in self.queues.values_mut() {
            queue.put_back(by_ms);
        }
        self.slots.put_back(by_ms);
        self.pace.put_back(by_ms);
        self.parking.put_back(by_ms);
    }

    /// What comes in was decided by the clock as it was.
    pub(super) fn believe(&self, outgoing: &mut Outgoing) {
        let ahead_ms = outgoing.delivery.not_before - self.clock.now();
        if ahead_ms > AHEAD_MAX_MS {
            outgoing.put_back(ahead_ms);
        }
    }
}

impl Outgoing {
    /// All its times are earlier by so much. How long ago it was tried nobody knows then: the clock
    /// may have been put back over hours in which this process stood still. So no window is taken
    /// for open.
    pub(super) fn put_back(&mut self, by_ms: TimeMs) {
        self.delivery.not_before -= by_ms;
        self.delivery.expires_at -= by_ms;
        self.holds_since = self.holds_since.map(|since| since - by_ms);
        self.tried_at = LONG_AGO;
        self.in_doubt = self.in_doubt.map(|_| LONG_AGO);
    }
}
