//! When stored timers are due. The timers themselves belong to their communities.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::clock::TimeMs;
use crate::id::{CommunityId, TimerId};

#[derive(Debug, Default)]
struct Inner {
    due: BTreeSet<(TimeMs, TimerId)>,
    by_id: HashMap<TimerId, (TimeMs, CommunityId)>,
}

/// Every timer that is committed and has not fired.
#[derive(Debug, Default)]
pub struct Timers {
    inner: Mutex<Inner>,
    /// Wakes the task that waits for the earliest.
    pub changed: Notify,
}

impl Timers {
    /// A timer exists now.
    pub fn add(&self, due: TimeMs, id: TimerId, community: CommunityId) {
        let mut inner = self.lock();
        inner.due.insert((due, id));
        inner.by_id.insert(id, (due, community));
        drop(inner);
        self.changed.notify_one();
    }

    /// A timer is gone.
    pub fn remove(&self, id: TimerId) {
        let mut inner = self.lock();
        if let Some((due, _)) = inner.by_id.remove(&id) {
            inner.due.remove(&(due, id));
        }
    }

    /// When the earliest is due.
    pub fn next_due(&self) -> Option<TimeMs> {
        self.lock().due.first().map(|(due, _)| *due)
    }

    /// Takes those that are due, the earliest first.
    pub fn take_due(&self, now: TimeMs) -> Vec<(TimeMs, TimerId, CommunityId)> {
        let mut inner = self.lock();
        let mut taken = Vec::new();
        while let Some((due, id)) = inner.due.first().copied().filter(|(due, _)| *due <= now) {
            inner.due.remove(&(due, id));
            if let Some((_, community)) = inner.by_id.remove(&id) {
                taken.push((due, id, community));
            }
        }
        taken
    }

    /// Communities that have any.
    pub fn communities(&self) -> BTreeSet<CommunityId> {
        self.lock().by_id.values().map(|(_, community)| *community).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the timers")
    }
}
