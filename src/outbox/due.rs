//! When the outbox wants to go on; a virtual clock must be moved there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::TimeMs;

/// What the outbox tells of its waiting, and what it is told.
#[derive(Debug, Default)]
pub struct OutboxDue {
    next: Mutex<Option<TimeMs>>,
    parking: AtomicBool,
    /// The clock was moved.
    pub moved: tokio::sync::Notify,
    /// After [`Self::park`]: everything that waited is on its way to the database.
    pub is_parked: tokio::sync::Notify,
}

impl OutboxDue {
    /// When the next delivery that waits may go.
    pub fn next(&self) -> Option<TimeMs> {
        *self.next.lock().expect("nothing panics while it holds the time")
    }

    /// The bot stops: what no adapter has yet is left for the next start.
    pub fn park(&self) {
        self.parking.store(true, Ordering::SeqCst);
        self.moved.notify_one();
    }

    pub(super) fn is_parking(&self) -> bool {
        self.parking.load(Ordering::SeqCst)
    }

    pub(super) fn set(&self, at: Option<TimeMs>) {
        *self.next.lock().expect("nothing panics while it holds the time") = at;
    }
}
