//! Accounts and members whose rows follow their commits.
//!
//! People stand all over their tables, so that a commit of a hundred whom nobody has met would write two
//! hundred pages, and everybody waits for it. In a rush it writes them in one piece instead, into the
//! table `late`; they follow in the order of keys, some neighbours with each commit, once fewer come.
//! A start after a crash reads them from there. Where little happens, everything is written at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::sql::{ACCOUNT, LATE_GONE, MEMBER};
use super::{begin, failure};
use crate::id::{CommunityId, PersonId, Ref};
use crate::store::parts::{NONE, json, member_cells};
use crate::store::{MemberRow, StoreError, TurnRows};

/// Rows of one commit that go straight into their tables if none wait, and rows of each table that follow
/// with a commit.
const FEW: usize = 16;
/// More than this is a long queue, and so many rows follow with a commit then.
const MANY: usize = 8192;
const NEIGHBOURS_MANY: usize = 128;
/// Rows of each table that follow at once when nothing else is to be written.
const IN_PEACE: usize = 256;

type Key = (CommunityId, PersonId);

#[derive(Clone, Debug, Default)]
struct People {
    accounts: BTreeMap<Ref, PersonId>,
    /// Cells of each as JSON, ready for the statement.
    members: BTreeMap<Key, Box<str>>,
}

impl People {
    fn len(&self) -> usize {
        self.accounts.len() + self.members.len()
    }

    fn add(&mut self, others: Self) {
        for (account, person) in others.accounts {
            // The first is right, as in the table.
            self.accounts.entry(account).or_insert(person);
        }
        self.members.extend(others.members);
    }

    fn of(&self, community: CommunityId) -> impl Iterator<Item = (&Key, &str)> {
        let ends = [i64::MIN, i64::MAX].map(|person| (community, PersonId(person)));
        self.members.range(ends[0]..=ends[1]).map(|(key, cells)| (key, &**cells))
    }

    /// As the statements for their tables want them.
    fn json(&self) -> Texts {
        let members: Vec<&str> = self.members.values().map(|cells| &**cells).collect();
        let members = format!("[{}]", members.join(","));
        Texts { accounts: json(self.accounts.iter()), members }
    }
}

/// Rows for the statements of both tables.
pub(super) struct Texts {
    pub(super) accounts: String,
    pub(super) members: String,
}

impl Texts {
    /// Both as one line of the table `late`.
    fn line(&self, number: i64) -> String {
        format!(r#"{number} {{"accounts":{},"members":{}}}"#, self.accounts, self.members)
    }
}

/// Rows that are committed, and not yet in their tables.
pub(super) struct Late {
    few: usize,
    state: Mutex<State>,
}

/// In two generations: lines can only be taken away from the oldest on, when all of theirs have followed.
#[derive(Default)]
struct State {
    following: Generation,
    since: Generation,
    /// The number of the last line.
    last: i64,
}

#[derive(Default)]
struct Generation {
    people: People,
    /// The last line of the table that holds any of it, while there is one.
    line: Option<i64>,
}

/// What one commit does about it.
pub(super) struct Step {
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
pub(super) struct Bound {
    pub(super) tables: Texts,
    pub(super) line: String,
    pub(super) gone: String,
}

impl Default for Late {
    fn default() -> Self {
        Self { few: FEW, state: Mutex::default() }
    }
}

impl Late {
    /// Lets everybody follow, as if there were always a rush.
    pub(super) fn always() -> Self {
        Self { few: 0, ..Self::default() }
    }

    /// Decides what a commit of these turns does; `None` where it writes its rows as they are.
    pub(super) fn step(&self, turns: &[&TurnRows]) -> Option<Step> {
        let state = self.state();
        let new: usize = turns.iter().map(|turn| turn.persons.len() + turn.members.len()).sum();
        if !state.is_behind() && new <= self.few {
            return None;
        }
        let mut fresh = People::default();
        for turn in turns {
            let persons = turn.persons.iter().map(|row| (row.account.clone(), row.id));
            let members = turn.members.iter().map(|row| ((row.community, row.person), cells(row)));
            fresh.add(People { accounts: persons.collect(), members: members.collect() });
        }
        if state.len() + fresh.len() <= self.few {
            return Some(state.all(fresh));
        }
        let most = if state.len() > MANY {
            NEIGHBOURS_MANY
        } else if new <= FEW {
            FEW
        } else {
            0
        };
        let wanted = turns.iter().filter(|turn| points_to_members(turn));
        let wanted = wanted.map(|turn| turn.event.community).collect();
        Some(state.step(fresh, most, &wanted))
    }

    /// The step is on the disk.
    pub(super) fn committed(&self, step: Step) {
        self.state().committed(step);
    }

    /// Persons whose accounts wait, in the order of what is asked.
    pub(super) fn persons(&self, accounts: &[Ref]) -> Vec<Option<PersonId>> {
        let state = self.state();
        let find = |account| {
            let mut both = [&state.following, &state.since].into_iter();
            both.find_map(|generation| generation.people.accounts.get(account)).copied()
        };
        accounts.iter().map(find).collect()
    }

    /// Whether anything waits.
    pub(super) fn is_behind(&self) -> bool {
        self.state().is_behind()
    }

    /// Whether members of a community wait.
    pub(super) fn has(&self, community: CommunityId) -> bool {
        let state = self.state();
        let mut both = [&state.following, &state.since].into_iter();
        both.any(|generation| generation.people.of(community).next().is_some())
    }

    /// Writes some of what waits, in a transaction of its own.
    pub(super) async fn follow(&self, writer: &mut SqliteConnection) -> Result<(), StoreError> {
        let step = self.state().step(People::default(), IN_PEACE, &BTreeSet::new());
        self.run(writer, step).await
    }

    /// Writes all that waits of one community.
    pub(super) async fn write(
        &self,
        writer: &mut SqliteConnection,
        community: CommunityId,
    ) -> Result<(), StoreError> {
        let step = self.state().step(People::default(), 0, &BTreeSet::from([community]));
        self.run(writer, step).await
    }

    /// Writes all that waits.
    pub(super) async fn write_all(&self, writer: &mut SqliteConnection) -> Result<(), StoreError> {
        if !self.is_behind() {
            return Ok(());
        }
        let step = self.state().all(People::default());
        self.run(writer, step).await
    }

    async fn run(&self, writer: &mut SqliteConnection, step: Step) -> Result<(), StoreError> {
        let Bound { tables, gone, .. } = step.bound();
        let mut transaction = writer.begin_with(begin()).await.map_err(failure)?;
        for (sql, rows) in [(ACCOUNT, tables.accounts), (MEMBER, tables.members), (LATE_GONE, gone)]
        {
            sqlx::query(sql).bind(rows).execute(&mut *transaction).await.map_err(failure)?;
        }
        transaction.commit().await.map_err(failure)?;
        self.committed(step);
        Ok(())
    }

    /// Lets those follow whom a crash has kept from it.
    pub(super) async fn catch_up(writer: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut transaction = writer.begin_with(begin()).await.map_err(failure)?;
        let sql = "SELECT line->'accounts', line->'members' FROM
            (SELECT n, substr(line, instr(line, '{')) AS line FROM late) ORDER BY n";
        let lines = sqlx::query(sql).fetch_all(&mut *transaction).await.map_err(failure)?;
        for line in lines {
            for (at, sql) in [ACCOUNT, MEMBER].into_iter().enumerate() {
                let rows = sqlx::query(sql).bind(line.get::<String, _>(at));
                rows.execute(&mut *transaction).await.map_err(failure)?;
            }
        }
        sqlx::query("DELETE FROM late").execute(&mut *transaction).await.map_err(failure)?;
        transaction.commit().await.map_err(failure)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member as an element of the list for her statement.
fn cells(row: &MemberRow) -> Box<str> {
    // Our own types always have a JSON form.
    serde_json::to_string(&member_cells(row)).unwrap_or_default().into()
}

/// Whether rows of a turn point to those of members, which must be there then.
fn points_to_members(turn: &TurnRows) -> bool {
    let scores = &turn.scores;
    !(turn.checkins.is_empty()
        && turn.rule_acks.is_empty()
        && turn.warnings.is_empty()
        && scores.values.is_empty()
        && scores.log.is_empty()
        && scores.relations.is_empty()
        && scores.core_fans.is_empty())
}

impl State {
    fn is_behind(&self) -> bool {
        self.following.line.is_some() || self.since.line.is_some()
    }

    fn len(&self) -> usize {
        self.following.people.len() + self.since.people.len()
    }

    /// All of it goes into the tables.
    fn all(&self, fresh: People) -> Step {
        let mut rows = self.following.people.clone();
        rows.add(self.since.people.clone());
        rows.add(fresh);
        let (fresh, current) = (People::default(), BTreeSet::new());
        Step { rows, fresh, current, line: self.last, gone: Gone::All }
    }

    /// Up to `most` of each table follow, and all members of the wanted communities.
    fn step(&self, fresh: People, most: usize, wanted: &BTreeSet<CommunityId>) -> Step {
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

    fn committed(&mut self, step: Step) {
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
    pub(super) fn bound(&self) -> Bound {
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

#[cfg(test)]
mod tests;
