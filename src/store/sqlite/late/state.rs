//! What waits, in two generations, and what one commit does about it.

use std::collections::BTreeSet;

use super::people::{Key, People, Texts};
use crate::id::CommunityId;
use crate::store::parts::NONE;

/// In two generations: lines can only be taken away from the oldest on, when all of theirs have followed.
#[derive(Default)]
pub(super) struct State {
    pub(super) following: Generation,
    pub(super) since: Generation,
    /// The number of the last line.
    last: i64,
}

/// Rows that came together.
#[derive(Default)]
pub(super) struct Generation {
    pub(super) people: People,
    /// The last line of the table that holds any of it, while there is one.
    line: Option<i64>,
}

/// What one commit does about it.
pub(in super::super) struct Step {
    /// For their tables.
    rows: People,
    /// Of this commit, for a line.
    fresh: People,
    /// What of it need not follow, because it is in `rows` as it is now.
    current: BTreeSet<Key>,
    /// The number of its line.
    line: i64,
    gone: Gone,
}

/// Lines that are not needed any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    None,
    UpTo(i64),
    All,
}

/// What is bound to the statements of a step.
pub(in super::super) struct Bound {
    pub(in super::super) tables: Texts,
    pub(in super::super) line: String,
    pub(in super::super) gone: String,
}

impl State {
    pub(super) fn is_behind(&self) -> bool {
        self.following.line.is_some() || self.since.line.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.following.people.len() + self.since.people.len()
    }

    /// All of it goes into the tables.
    pub(super) fn all(&self, fresh: People) -> Step {
        let mut rows = self.following.people.clone();
        rows.add(self.since.people.clone());
        rows.add(fresh);
        let (fresh, current) = (People::default(), BTreeSet::new());
        Step { rows, fresh, current, line: self.last, gone: Gone::All }
    }

    /// Up to `most` of each table follow, and all members of the wanted communities.
    pub(super) fn step(&self, fresh: People, most: usize, wanted: &BTreeSet<CommunityId>) -> Step {
        let following = &self.following.people;
        let accounts = following.accounts.iter().take(most);
        let mut rows = People {
            accounts: accounts.map(|(account, person)| (account.clone(), *person)).collect(),
            members: following
                .members
                .iter()
                .take(most)
                .map(|(key, row)| (*key, row.clone()))
                .collect(),
        };
        let mut current = BTreeSet::new();
        for community in wanted {
            // The last is the newest.
            for people in [following, &self.since.people, &fresh] {
                for (key, row) in people.of(*community) {
                    current.insert(*key);
                    rows.members.insert(*key, row.into());
                }
            }
        }
        let gone = self.gone(&rows, &fresh, &current);
        Step { rows, fresh, current, line: self.last + 1, gone }
    }

    /// Lines that are not needed when these rows are in their tables.
    fn gone(&self, rows: &People, fresh: &People, current: &BTreeSet<Key>) -> Gone {
        let following = &self.following.people;
        let all_follow = following.accounts.len() <= rows.accounts.len()
            && following.members.keys().all(|key| rows.members.contains_key(key));
        let since = &self.since.people;
        let none_since =
            since.accounts.is_empty() && since.members.keys().all(|key| current.contains(key));
        if all_follow && none_since && fresh.len() == 0 {
            Gone::All
        } else {
            let line = self.following.line.filter(|_| all_follow);
            line.map_or(Gone::None, Gone::UpTo)
        }
    }

    pub(super) fn committed(&mut self, step: Step) {
        let Step { rows, mut fresh, current, line, gone } = step;
        let following = &mut self.following.people;
        for account in rows.accounts.keys() {
            following.accounts.remove(account);
        }
        for key in rows.members.keys() {
            following.members.remove(key);
        }
        if fresh.len() > 0 {
            self.last = line;
            self.since.line = Some(line);
        }
        fresh.members.retain(|key, _| !current.contains(key));
        self.since.people.members.retain(|key, _| !current.contains(key));
        self.since.people.add(fresh);
        match gone {
            Gone::None if self.following.line.is_some() => {}
            Gone::None | Gone::UpTo(_) => self.following = std::mem::take(&mut self.since),
            Gone::All => *self = Self { last: self.last, ..Self::default() },
        }
    }
}

impl Step {
    /// What is bound to its statements.
    pub(in super::super) fn bound(&self) -> Bound {
        let is_line = self.fresh.len() > 0;
        let gone = match self.gone {
            Gone::None => 0,
            Gone::UpTo(line) => line,
            Gone::All => i64::MAX,
        };
        Bound {
            tables: self.rows.json(),
            line: if is_line { self.fresh.json().line(self.line) } else { NONE.to_owned() },
            gone: gone.to_string(),
        }
    }
}
