//! Points that expire: how much of an account's balance does, and when.
//!
//! Points carry their expiry wherever they go, so that neither a red packet nor a transfer makes old
//! points new. What expires first is spent first; what is in no lot never expires.

use std::collections::BTreeMap;

use crate::clock::{DAY_MS, TimeMs};

/// What of one account expires, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lots(BTreeMap<TimeMs, i64>);

impl Lots {
    /// Puts a lot back as the store has it.
    pub fn restore(&mut self, expires_at: TimeMs, amount: i64) {
        self.0.insert(expires_at, amount);
    }

    /// Times and amounts, the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = (TimeMs, i64)> {
        self.0.iter().map(|(at, amount)| (*at, *amount))
    }

    /// The amount that expires at this time.
    pub fn at(&self, expires_at: TimeMs) -> i64 {
        self.0.get(&expires_at).copied().unwrap_or_default()
    }

    /// All that expires some time.
    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }

    /// When the next expires.
    pub fn earliest(&self) -> Option<TimeMs> {
        self.0.keys().next().copied()
    }

    /// What expires before a time.
    pub fn before(&self, time: TimeMs) -> i64 {
        self.0.range(..time).map(|(_, amount)| amount).sum()
    }

    /// Whether nothing expires.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes points out of the account: the pieces that expire, the earliest first.
    pub fn take(&mut self, mut amount: i64) -> Vec<(TimeMs, i64)> {
        let mut taken = Vec::new();
        while amount > 0
            && let Some(mut lot) = self.0.first_entry()
        {
            let piece = amount.min(*lot.get());
            taken.push((*lot.key(), piece));
            amount -= piece;
            *lot.get_mut() -= piece;
            if *lot.get() == 0 {
                lot.remove();
            }
        }
        taken
    }

    /// Pieces arrive. What was overdue on its way (a packet lies for a day) gets another day.
    pub fn add(&mut self, pieces: &[(TimeMs, i64)], now: TimeMs) {
        for (expires_at, amount) in pieces {
            *self.0.entry(later(*expires_at, now)).or_default() += amount;
        }
    }
}

/// The same time of day, on the first day on which it is yet to come.
fn later(expires_at: TimeMs, now: TimeMs) -> TimeMs {
    let days = if expires_at > now { 0 } else { (now - expires_at) / DAY_MS + 1 };
    expires_at + days * DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expires_first_goes_first() {
        let mut lots = Lots::default();
        lots.add(&[(300, 5), (100, 2), (200, 3)], 0);
        assert_eq!(lots.take(4), [(100, 2), (200, 2)]);
        assert_eq!((lots.total(), lots.earliest(), lots.before(300)), (6, Some(200), 1));
        assert_eq!(lots.take(99), [(200, 1), (300, 5)]);
        assert!(lots.is_empty());
    }

    #[test]
    fn what_was_overdue_on_its_way_gets_another_day() {
        let mut lots = Lots::default();
        lots.add(&[(100, 1)], 100);
        assert_eq!(lots.earliest(), Some(100 + DAY_MS));
        assert_eq!(later(100, 99), 100);
        assert_eq!(later(100, 100 + 3 * DAY_MS), 100 + 4 * DAY_MS);
    }
}
