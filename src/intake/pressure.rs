//! Whether more comes in than can be handled, for so long that something must be left undone.
//!
//! A short rush waits at the door and is handled late, which nobody minds. When the mailboxes stay
//! full, every answer comes later than the one before it, until none is of use to anybody. Then
//! the commands of members are left undone, which are cheap to repeat; scores, rules, the archive
//! and what the staff asks for are not.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::clock::TimeMs;

/// The mailboxes count as full when less than this part of their room is free.
const FULL_BELOW: usize = 16;

/// How full the mailboxes are, and since when.
#[derive(Debug)]
pub struct Pressure {
    room: Arc<Semaphore>,
    capacity: usize,
    full_since: Option<TimeMs>,
    is_high: bool,
    left_undone: u64,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Commands of members are left undone from now on.
    High,
    /// All is well again; so many were left undone.
    Over(u64),
}

impl Pressure {
    /// Of mailboxes with so much room in all.
    pub fn new(room: Arc<Semaphore>, capacity: usize) -> Self {
        Self { room, capacity, full_since: None, is_high: false, left_undone: 0 }
    }

    /// Room in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Looks at the mailboxes; they may be full for `patience_ms`. It is over when half of their
    /// room is free.
    pub fn look(&mut self, now: TimeMs, patience_ms: i64) -> Option<Change> {
        let free = self.room.available_permits();
        if free * 2 >= self.capacity {
            self.full_since = None;
            if std::mem::take(&mut self.is_high) {
                return Some(Change::Over(std::mem::take(&mut self.left_undone)));
            }
        } else if free * FULL_BELOW < self.capacity {
            let since = *self.full_since.get_or_insert(now);
            if !self.is_high && now - since >= patience_ms {
                self.is_high = true;
                return Some(Change::High);
            }
        } else if !self.is_high {
            self.full_since = None;
        }
        None
    }

    /// Commands of members are to be left undone.
    pub fn is_high(&self) -> bool {
        self.is_high
    }

    /// One was.
    pub fn note_left_undone(&mut self) {
        self.left_undone += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_is_borne_and_a_flood_is_not() {
        let room = Arc::new(Semaphore::new(100));
        let mut pressure = Pressure::new(room.clone(), 100);
        assert_eq!(pressure.look(0, 1000), None);
        let rush = room.clone().try_acquire_many_owned(100).expect("room");
        assert_eq!(pressure.look(100, 1000), None);
        assert_eq!(pressure.look(1099, 1000), None);
        assert!(!pressure.is_high());
        drop(rush);
        assert_eq!(pressure.look(1200, 1000), None);
        let mut flood = room.clone().try_acquire_many_owned(96).expect("room");
        assert_eq!(pressure.look(1300, 1000), None);
        assert_eq!(pressure.look(2300, 1000), Some(Change::High));
        assert_eq!(pressure.look(2400, 1000), None);
        pressure.note_left_undone();
        // A little better is not well.
        drop(flood.split(40));
        assert_eq!(pressure.look(2500, 1000), None);
        assert!(pressure.is_high());
        drop(flood.split(20));
        assert_eq!(pressure.look(2600, 1000), Some(Change::Over(1)));
        assert!(!pressure.is_high());
    }
}
