//! What the door has heard of lately, so that it need not ask the database at every event.
//!
//! Both memories have two generations: when the younger one is full, it becomes the older, and what
//! was older is forgotten. That takes half the room of a queue beside each set.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use crate::clock::TimeMs;
use crate::id::{PersonId, Ref};

/// Keys that are remembered in each generation; the database knows the older ones. So many fill their
/// tables to the last place that is used (seven eighths).
const KEYS: usize = 57_344;
/// Accounts whose person is remembered in each generation. More than can be under way at once, so
/// that nobody is forgotten before she is in the database.
const PERSONS: usize = 65_536;

/// The persons behind accounts. Who falls out of the older generation was entered before all of the
/// younger one, so the database has known her for long.
#[derive(Default)]
pub(super) struct Persons {
    younger: HashMap<Ref, PersonId>,
    older: HashMap<Ref, PersonId>,
}

impl Persons {
    pub(super) fn get(&self, account: &Ref) -> Option<PersonId> {
        self.younger.get(account).or_else(|| self.older.get(account)).copied()
    }

    pub(super) fn insert(&mut self, account: Ref, person: PersonId) {
        if self.younger.len() >= PERSONS {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(account, person);
    }
}

/// The latest keys, as 128-bit fingerprints. A collision would drop somebody's message, so two
/// hashes with secret keys stand for one key: nobody can look for two that are alike.
pub(super) struct Recent {
    hashers: (RandomState, RandomState),
    younger: HashSet<u128>,
    older: HashSet<u128>,
    /// Since when each generation has every key.
    since: (TimeMs, TimeMs),
}

impl Recent {
    /// Remembers nothing yet.
    pub(super) fn new(now: TimeMs) -> Self {
        Self {
            hashers: (RandomState::new(), RandomState::new()),
            younger: HashSet::default(),
            older: HashSet::default(),
            since: (now, now),
        }
    }

    /// Every key that came since then is remembered.
    pub(super) fn complete_since(&self) -> TimeMs {
        self.since.1
    }

    /// Whether the key is new.
    pub(super) fn insert(&mut self, account: &Ref, key: &str, now: TimeMs) -> bool {
        let fingerprint = self.fingerprint(account, key);
        if self.older.contains(&fingerprint) || !self.younger.insert(fingerprint) {
            return false;
        }
        if self.younger.len() == KEYS {
            std::mem::swap(&mut self.younger, &mut self.older);
            self.younger.clear();
            // Another key of this millisecond may have come before this one.
            self.since = (now + 1, self.since.0);
        }
        true
    }

    fn fingerprint(&self, account: &Ref, key: &str) -> u128 {
        let (first, second) = &self.hashers;
        let parts = (account, key);
        u128::from(first.hash_one(parts)) << 64 | u128::from(second.hash_one(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once_for_at_least_a_generation() {
        let (account, mut recent) = (Ref::new("qq", 1), Recent::new(5));
        for n in 0..3 * KEYS {
            let now = 10 + n as i64 / 1000;
            assert!(recent.insert(&account, &n.to_string(), now), "{n} is new");
            let earlier = n.saturating_sub(KEYS - 1);
            assert!(!recent.insert(&account, &earlier.to_string(), now), "{earlier} came before");
            // What it says of itself holds: all that came since then is there.
            let first = (recent.complete_since() - 10).max(0) as usize * 1000;
            assert!(first > n || !recent.insert(&account, &first.to_string(), now), "{first} too");
        }
        assert!(recent.younger.capacity() + recent.older.capacity() < 5 * KEYS / 2);
    }

    #[test]
    fn the_same_key_of_another_account_is_new() {
        let mut recent = Recent::new(5);
        assert!(recent.insert(&Ref::new("qq", 1), "a", 5));
        assert!(recent.insert(&Ref::new("qq", 2), "a", 5));
    }
}
