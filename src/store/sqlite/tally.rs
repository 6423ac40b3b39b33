//! How many messages each member wrote, and the last that her score counts: which of these counts a commit writes into their table.
//!
//! Every message changes its author's count, and authors lie all over the table, so that writing
//! each count at once would be most of what a commit writes. The count is in the event's own row
//! (`event.n` and `event.counted`), so nothing is lost when the table is behind: it follows in the order of its keys, some
//! neighbours with each commit, and catches up from the events after a crash. Where little is said,
//! everything is written at once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::bulk::Bound as Bulk;
use super::failure;
use super::sql::TOUCH;
use crate::community::score::Mark;
use crate::id::{CommunityId, EventId, PersonId};
use crate::store::{MemberRow, StoreError, TurnRows};

/// Counts that a commit writes, if more wait; and with a long queue.
const NEIGHBOURS: usize = 16;
const NEIGHBOURS_MANY: usize = 256;
/// More than this is a long queue.
const MANY: usize = 8192;

pub(super) type Key = (CommunityId, PersonId);

/// What a member's messages have come to. Both only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) messages: i64,
    pub(super) counted: Mark,
}

impl Count {
    fn or_later(self, other: Self) -> Self {
        Self {
            messages: self.messages.max(other.messages),
            counted: self.counted.max(other.counted),
        }
    }

    fn is_within(self, other: Self) -> bool {
        self.or_later(other) == other
    }
}

type Counts = BTreeMap<Key, Count>;

fn note_later(counts: &mut Counts, key: Key, count: Count) {
    let known = counts.entry(key).or_default();
    *known = known.or_later(count);
}

/// Counts that are committed with their events and not yet in their table.
#[derive(Default)]
pub(super) struct Tallies(Mutex<State>);

struct State {
    waiting: Counts,
    /// The last key that this round has written.
    reached: Option<Key>,
    /// The last event when this round began. Counts of later events may wait; one of an earlier
    /// event, which comes late, is written with it.
    mark: EventId,
    /// Everything up to this event is in the table.
    done: EventId,
    /// The last event.
    last: EventId,
}

/// Before the first event.
const NONE: EventId = EventId(0);

impl Default for State {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), reached: None, mark: NONE, done: NONE, last: NONE }
    }
}

/// What one commit does about it.
pub(super) struct Step {
    /// Counts to write, in the order of their keys.
    pub(super) rows: Counts,
    /// Counts of this commit that wait.
    fresh: Counts,
    /// The last of the neighbours; `None` where the round is complete.
    reached: Option<Key>,
    last: EventId,
}

impl Tallies {
    /// Decides what a commit of these turns writes.
    pub(super) fn step(&self, turns: &[&TurnRows]) -> Step {
        let state = self.state();
        let (mut rows, mut fresh) = (BTreeMap::new(), BTreeMap::new());
        for turn in turns {
            let kept = if turn.event.id <= state.mark { &mut rows } else { &mut fresh };
            for row in &turn.touched {
                let counted = row.counted.unwrap_or_default();
                let count = Count { messages: row.messages, counted };
                note_later(kept, (row.community, row.person), count);
            }
        }
        let many = state.waiting.len() > MANY;
        let most = if many { NEIGHBOURS_MANY } else { NEIGHBOURS };
        let from = (state.reached.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut next = Counts::new();
        for counts in [&state.waiting, &fresh] {
            let some = counts.range(from).take(most + 1);
            some.for_each(|(key, count)| note_later(&mut next, *key, *count));
        }
        let is_complete = next.len() <= most;
        let neighbours: Vec<(Key, Count)> = next.into_iter().take(most).collect();
        let reached = neighbours.last().filter(|_| !is_complete).map(|(key, _)| *key);
        for (key, count) in neighbours {
            note_later(&mut rows, key, count);
        }
        let last = turns.iter().map(|turn| turn.event.id).max().unwrap_or(NONE);
        Step { rows, fresh, reached, last: last.max(state.last) }
    }

    /// The commit is on the disk.
    pub(super) fn committed(&self, step: Step) {
        let mut state = self.state();
        for (key, count) in step.fresh {
            note_later(&mut state.waiting, key, count);
        }
        for (key, count) in step.rows {
            if state.waiting.get(&key).is_some_and(|waiting| waiting.is_within(count)) {
                state.waiting.remove(&key);
            }
        }
        state.last = step.last;
        if step.reached.is_none() {
            (state.done, state.mark) = (state.mark, state.last);
        }
        state.reached = step.reached;
    }

    /// Counts of a community that are not in the table yet.
    pub(super) fn of(&self, community: CommunityId) -> Vec<(PersonId, Count)> {
        let all = (community, PersonId(i64::MIN))..=(community, PersonId(i64::MAX));
        let state = self.state();
        state.waiting.range(all).map(|((_, person), count)| (*person, *count)).collect()
    }

    /// Takes from the events what a crash has kept from the table.
    pub(super) async fn catch_up(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let last = sqlx::query(CATCH_UP).execute(&mut *connection).await;
        last.map_err(failure)?;
        let last = sqlx::query("SELECT coalesce(max(id), 0) FROM event");
        let last = EventId(last.fetch_one(&mut *connection).await.map_err(failure)?.get(0));
        note(connection, last).await?;
        let state = State { mark: last, done: last, last, ..State::default() };
        Ok(Self(Mutex::new(state)))
    }

    /// Writes all that waits.
    pub(super) async fn write_all(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let (waiting, last) = {
            let state = self.state();
            (state.waiting.clone(), state.last)
        };
        let bind = |query, (key, count): (Key, Count)| bind_touch(query, (&key, &count));
        TOUCH.run(connection, waiting.into_iter(), bind).await?;
        let mut state = self.state();
        state.waiting.clear();
        (state.reached, state.mark, state.done) = (None, last, last);
        Ok(())
    }

    /// Notes how far the table is, so that catching up is short.
    pub(super) async fn note(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let done = self.state().done;
        note(connection, done).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds counts that are not in their table yet.
pub(super) fn count(members: &mut [MemberRow], behind: &[(PersonId, Count)]) {
    for member in members {
        if let Ok(at) = behind.binary_search_by_key(&member.person, |(person, _)| *person) {
            member.messages = member.messages.max(behind[at].1.messages);
            member.counted = member.counted.max(behind[at].1.counted);
        }
    }
}

/// The row of a count.
pub(super) fn bind_touch(query: Bulk, ((community, person), count): (&Key, &Count)) -> Bulk {
    query.bind(community.0).bind(person.0).bind(count.messages).bind(count.counted.0)
}

/// Counts only grow, so the highest is the latest.
const CATCH_UP: &str = "INSERT INTO member_tally(community, person, messages, counted)
  SELECT community, person, max(n), coalesce(max(counted), 0) FROM event
  WHERE id > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'tallied'), 0)
    AND n IS NOT NULL AND person IS NOT NULL GROUP BY community, person
  ON CONFLICT(community, person) DO UPDATE SET messages = max(messages, excluded.messages),
    counted = max(counted, excluded.counted)";

async fn note(connection: &mut SqliteConnection, done: EventId) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta(key, value) VALUES('tallied', $1)
      ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    let noted = sqlx::query(sql).bind(done.0.to_string()).execute(connection).await;
    noted.map(drop).map_err(failure)
}
