//! Which of our accounts serves which group, so that a message that several of them see is handled
//! once.
//!
//! The first account that speaks of a group serves it. When it goes, the next that speaks of the
//! group takes over, and what lies between is a gap.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::SelfId;
use crate::clock::TimeMs;

/// Messages of a group that are remembered, to know them again in its history. An implementation
/// that puts the time of the question into the history makes keys useless there.
const REMEMBERED: usize = 128;

/// A time in which messages of a group may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// From, Unix ms.
    pub from: TimeMs,
    /// Another account had served before: only what is later than this is certainly new.
    pub after: Option<TimeMs>,
}

/// Whether an account may hand on what it hears of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Yes; and what may have been missed before.
    Mine(Option<Missed>),
    /// Another account does.
    Others,
}

struct Group {
    by: SelfId,
    /// Nobody serves it since the account was heard for the last time.
    vacant_since: Option<TimeMs>,
    last_at: TimeMs,
    recent: VecDeque<u64>,
}

/// Every group that was heard of.
#[derive(Default)]
pub struct Serving {
    groups: HashMap<i64, Group>,
}

impl Serving {
    /// An account hears something of a group.
    pub fn claim(&mut self, id: i64, by: SelfId) -> Claim {
        let Some(group) = self.groups.get_mut(&id) else {
            let group = Group { by, vacant_since: None, last_at: 0, recent: VecDeque::new() };
            self.groups.insert(id, group);
            return Claim::Mine(None);
        };
        match group.vacant_since {
            None if group.by == by => Claim::Mine(None),
            None => Claim::Others,
            Some(from) => {
                group.vacant_since = None;
                let after = (group.by != by).then_some(group.last_at);
                if after.is_some() {
                    // The ids of one account mean nothing to another.
                    (group.by, group.recent) = (by, VecDeque::new());
                }
                Claim::Mine(Some(Missed { from, after }))
            }
        }
    }

    /// Remembers a message of a group; `false` when it is remembered already.
    pub fn remember(&mut self, id: i64, message: &str, at: TimeMs) -> bool {
        let Some(group) = self.groups.get_mut(&id) else { return true };
        group.last_at = group.last_at.max(at);
        let hash = hash(message);
        if group.recent.contains(&hash) {
            return false;
        }
        if group.recent.len() >= REMEMBERED {
            group.recent.pop_front();
        }
        group.recent.push_back(hash);
        true
    }

    /// An account is back, heard for the last time at `heard`: its groups, and what each may have
    /// missed.
    pub fn resume(&mut self, by: SelfId, heard: TimeMs) -> Vec<(i64, Missed)> {
        let mut missed: Vec<(TimeMs, i64, Missed)> = Vec::new();
        for (id, group) in self.groups.iter_mut().filter(|(_, group)| group.by == by) {
            let from = group.vacant_since.take().unwrap_or(heard);
            missed.push((group.last_at, *id, Missed { from, after: None }));
        }
        // The liveliest groups first.
        missed.sort_by_key(|(last_at, id, _)| (std::cmp::Reverse(*last_at), *id));
        missed.into_iter().map(|(_, id, missed)| (id, missed)).collect()
    }

    /// An account is gone, heard for the last time at `heard`.
    pub fn vacate(&mut self, by: SelfId, heard: TimeMs) {
        for group in self.groups.values_mut().filter(|group| group.by == by) {
            group.vacant_since.get_or_insert(heard);
        }
    }

    /// The account that serves a group now.
    pub fn server(&self, id: i64) -> Option<SelfId> {
        self.groups.get(&id).filter(|group| group.vacant_since.is_none()).map(|group| group.by)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SelfId = SelfId(1);
    const B: SelfId = SelfId(2);

    #[test]
    fn one_serves_until_it_goes_and_the_other_knows_what_it_missed() {
        let mut serving = Serving::default();
        assert_eq!(serving.claim(7, A), Claim::Mine(None));
        assert_eq!(serving.claim(7, B), Claim::Others);
        serving.remember(7, "m1", 90);
        serving.vacate(A, 100);
        assert_eq!(serving.server(7), None);
        let missed = Missed { from: 100, after: Some(90) };
        assert_eq!(serving.claim(7, B), Claim::Mine(Some(missed)));
        assert_eq!(serving.claim(7, B), Claim::Mine(None));
        assert_eq!((serving.claim(7, A), serving.server(7)), (Claim::Others, Some(B)));
        assert_eq!(serving.resume(A, 200), []);
    }

    #[test]
    fn who_is_back_serves_again_and_knows_its_messages() {
        let mut serving = Serving::default();
        for (group, at) in [(7, 50), (8, 60)] {
            serving.claim(group, A);
            assert!(serving.remember(group, "m1", at));
        }
        serving.vacate(A, 100);
        let missed = Missed { from: 100, after: None };
        assert_eq!(serving.resume(A, 100), [(8, missed), (7, missed)]);
        assert!(!serving.remember(7, "m1", 50));
        assert!(serving.remember(7, "m2", 110));
        // A second connection that replaces the first: the gap is what lies between.
        let missed = Missed { from: 120, after: None };
        assert_eq!(serving.resume(A, 120), [(7, missed), (8, missed)]);
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let mut serving = Serving::default();
        serving.claim(7, A);
        for n in 0..REMEMBERED * 2 {
            assert!(serving.remember(7, &n.to_string(), 0));
        }
        assert!(serving.remember(7, "0", 0));
        assert!(!serving.remember(7, &(REMEMBERED * 2 - 1).to_string(), 0));
    }
}
