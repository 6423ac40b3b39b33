//! Accounts and members whose rows follow their commits.
//!
//! People stand all over their tables, so that a commit of a hundred whom nobody has met would write two
//! hundred pages, and everybody waits for it. In a rush it writes them in one piece instead, into the
//! table `late`; they follow in the order of keys, some neighbours with each commit, once fewer come.
//! A start after a crash reads them from there. Where little happens, everything is written at once.

mod people;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::sql::{ACCOUNT, LATE_GONE, MEMBER};
use super::{begin, failure};
use crate::id::{CommunityId, PersonId, Ref};
use crate::store::{StoreError, TurnRows};
use people::{People, cells};
use state::State;
pub(super) use state::{Bound, Step};

/// Rows of one commit that go straight into their tables if none wait, and rows of each table that follow
/// with a commit.
const FEW: usize = 16;
/// More than this is a long queue, and so many rows follow with a commit then.
const MANY: usize = 8192;
const NEIGHBOURS_MANY: usize = 128;
/// Rows of each table that follow at once when nothing else is to be written.
const IN_PEACE: usize = 256;

/// Rows that are committed, and not yet in their tables.
pub(super) struct Late {
    few: usize,
    state: Mutex<State>,
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
