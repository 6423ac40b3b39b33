//! The group commit: many turns, one transaction, one trip to SQLite's thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::accounts::BotAccounts;
use super::bulk::Bound;
use super::score::entry_cells;
use super::sql::{DELIVERY, EVENT, FIRST, LAST, SETTLE, TOUCH, TRIP};
use super::tally::{Count, Key, Tallies, bind_touch};
use super::{codes, failure};
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, Destination};
use crate::ledger::Transfer;
use crate::store::{MemberRow, Settlement, StoreError, TurnRows, Write};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Commits the whole batch in one transaction, or nothing of it.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    accounts: &BotAccounts,
    tallies: &Tallies,
    batch: &[Write],
) -> Result<(), StoreError> {
    let parts = Parts::of(batch);
    let step = tallies.step(&parts.turns);
    write(connection, accounts, &parts, &step.rows).await?;
    tallies.committed(step);
    Ok(())
}

async fn write(
    connection: &mut SqliteConnection,
    accounts: &BotAccounts,
    parts: &Parts<'_>,
    counts: &BTreeMap<Key, Count>,
) -> Result<(), StoreError> {
    accounts.learn(connection, parts.turns.iter().map(|turn| &turn.event.account)).await?;
    let (first, last) = (parts.first(), parts.last());
    let rows = [counts.len(), parts.turns.len(), parts.deliveries.len(), parts.settled.len()];
    let bind_event = |query, turn| bind_event(query, turn, accounts);
    let is_rare = last.iter().any(|rows| rows != NONE);
    if let Some(load) = TRIP.with_room(rows, is_rare) {
        let load = load
            .json(first)
            .rows(counts.iter(), bind_touch)
            .rows(parts.turns.iter().copied(), bind_event);
        return if load.has_rare { load.json(last) } else { load }
            .rows(parts.deliveries.iter().copied(), bind_delivery)
            .rows(parts.settled.iter().copied(), bind_settlement)
            .commit(connection)
            .await;
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    spread(&mut transaction, &FIRST, first).await?;
    TOUCH.run(&mut transaction, counts.iter(), bind_touch).await?;
    EVENT.run(&mut transaction, parts.turns.iter().copied(), bind_event).await?;
    spread(&mut transaction, &LAST, last).await?;
    DELIVERY.run(&mut transaction, parts.deliveries.iter().copied(), bind_delivery).await?;
    SETTLE.run(&mut transaction, parts.settled.iter().copied(), bind_settlement).await?;
    transaction.commit().await.map_err(failure)
}

/// Runs statements whose rows are JSON.
async fn spread(
    transaction: &mut SqliteConnection,
    statements: &[&'static str],
    rows: Vec<String>,
) -> Result<(), StoreError> {
    for (sql, rows) in statements.iter().zip(rows).filter(|(_, rows)| rows != NONE) {
        sqlx::query(*sql).bind(rows).execute(&mut *transaction).await.map_err(failure)?;
    }
    Ok(())
}

/// No rows, as JSON.
pub(super) const NONE: &str = "[]";

/// A batch, sorted by what its parts are.
struct Parts<'a> {
    turns: Vec<&'a TurnRows>,
    deliveries: Vec<&'a Delivery>,
    settled: Vec<&'a Settlement>,
}

impl<'a> Parts<'a> {
    fn of(batch: &'a [Write]) -> Self {
        let mut parts = Self {
            turns: Vec::with_capacity(batch.len()),
            deliveries: Vec::new(),
            settled: Vec::new(),
        };
        for write in batch {
            match write {
                Write::Turn(turn) => {
                    parts.deliveries.extend(&turn.deliveries);
                    parts.turns.push(turn);
                }
                Write::Deliver(delivery) => parts.deliveries.push(delivery),
                Write::Settle(settlement) => parts.settled.push(settlement),
            }
        }
        parts
    }

    /// Rows of [`FIRST`].
    fn first(&self) -> Vec<String> {
        let turns = &self.turns;
        vec![
            json(turns.iter().filter_map(|turn| turn.community.as_ref())),
            json(turns.iter().flat_map(|turn| &turn.groups)),
            json(turns.iter().flat_map(|turn| &turn.persons)),
            json(turns.iter().flat_map(|turn| &turn.persons)),
            json(turns.iter().flat_map(|turn| &turn.members).map(member_cells)),
            json(self.left_undone().into_iter()),
        ]
    }

    /// Rows of [`LAST`].
    fn last(&self) -> Vec<String> {
        let turns = &self.turns;
        let (state_set, state_gone) = state(turns);
        vec![
            json(turns.iter().flat_map(|turn| &turn.accounts)),
            json(turns.iter().flat_map(|turn| transfer_cells(turn))),
            json(turns.iter().flat_map(|turn| &turn.packets)),
            json(turns.iter().flat_map(|turn| &turn.shares)),
            json(turns.iter().flat_map(|turn| &turn.checkins)),
            json(turns.iter().flat_map(|turn| &turn.rule_versions)),
            json(turns.iter().flat_map(|turn| &turn.rule_acks)),
            json(turns.iter().flat_map(|turn| &turn.warnings)),
            state_set,
            state_gone,
            json(turns.iter().flat_map(|turn| &turn.timers)),
            json(turns.iter().flat_map(|turn| &turn.timers_gone)),
            json(turns.iter().flat_map(|turn| &turn.posted)),
            json(turns.iter().flat_map(|turn| &turn.runs)),
            json(turns.iter().flat_map(|turn| &turn.routines)),
            json(turns.iter().flat_map(|turn| &turn.routines)),
            json(turns.iter().flat_map(|turn| &turn.audit)),
            json(turns.iter().flat_map(|turn| &turn.scores.values)),
            json(turns.iter().flat_map(|turn| &turn.scores.log).map(entry_cells)),
            json(turns.iter().flat_map(|turn| &turn.scores.relations)),
            json(turns.iter().flat_map(|turn| &turn.scores.core_fans)),
            json(turns.iter().flat_map(|turn| &turn.scores.reviews)),
        ]
    }

    /// Days (since 1970) with the commands of each that were left undone.
    fn left_undone(&self) -> BTreeMap<i64, i64> {
        let mut days = BTreeMap::new();
        for turn in self.turns.iter().filter(|turn| turn.is_left_undone) {
            *days.entry(turn.event.received_at.div_euclid(DAY_MS)).or_insert(0) += 1;
        }
        days
    }
}

fn json<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    let mut json = String::new();
    for row in rows {
        json.push(if json.is_empty() { '[' } else { ',' });
        // Rows are our own types with text keys: they always have a JSON form.
        json.push_str(&serde_json::to_string(&row).expect("a row is JSON"));
    }
    if json.is_empty() {
        return NONE.to_owned();
    }
    json.push(']');
    json
}

/// What is set and what is removed. A key may be both by different turns of one batch: only the
/// last word counts.
fn state(turns: &[&TurnRows]) -> (String, String) {
    let mut last = BTreeMap::new();
    for row in turns.iter().flat_map(|turn| &turn.state) {
        last.insert((row.community, &row.script, &row.scope, &row.key), row);
    }
    let with_value = |is_set| last.values().filter(move |row| row.value.is_some() == is_set);
    (json(with_value(true)), json(with_value(false)))
}

fn bind_event(query: Bound, turn: &TurnRows, accounts: &BotAccounts) -> Bound {
    let row = &turn.event;
    query
        .bind(row.id.0)
        .bind(row.community.0)
        .bind(row.group.map(|group| group.0))
        .bind(row.person.map(|person| person.0))
        .bind(accounts.number(&row.account))
        .bind(Arc::clone(&row.key))
        .bind(codes::kind(row.kind))
        .bind(row.at)
        .bind(row.received_at)
        // SQLite has no unsigned 64-bit integer; the bits are what counts.
        .bind(row.seed.cast_signed())
        .bind(codes::state(row.state))
        .bind(turn.touched.first().map(|author| author.messages))
        .bind(row.text.clone())
        .bind(row.body.as_ref().and_then(|body| serde_json::to_string(body).ok()))
        .bind(row.outcome.clone())
        .bind(turn.touched.first().and_then(|author| author.counted).map(|mark| mark.0))
}

fn member_cells(row: &MemberRow) -> impl Serialize + '_ {
    (
        row.community,
        row.person,
        &row.reference,
        &row.name,
        &row.nickname,
        row.role,
        row.trust,
        i64::from(row.is_bot),
        row.joined_at,
        row.left_at,
        row.active_days,
        &row.last_day,
        serde_json::to_string(&row.tags).unwrap_or_default(),
    )
}

fn transfer_cells(turn: &TurnRows) -> impl Iterator<Item = impl Serialize + '_> {
    let community = turn.event.community;
    turn.transfers.iter().map(move |row: &Transfer| {
        (
            row.id,
            community,
            row.debit,
            row.credit,
            row.amount,
            row.kind.as_str(),
            row.pending,
            &row.key,
            &row.code,
            &row.reason,
            row.actor,
            row.event,
            row.at,
        )
    })
}

fn bind_delivery(query: Bound, row: &Delivery) -> Bound {
    let slot = match &row.call {
        Call::Card { key, .. } => Some(key),
        Call::Send { slot, .. } => slot.as_ref(),
        _ => None,
    };
    query
        .bind(row.id.0)
        .bind(row.key.clone())
        .bind(row.event.0)
        .bind(row.community.0)
        .bind(row.script.as_ref().map(|script| script.as_str().to_owned()))
        .bind(row.account.as_str().to_owned())
        .bind(destination(&row.to))
        .bind(row.call.word())
        .bind(slot.cloned())
        .bind(serde_json::to_string(&row.call).unwrap_or_default())
        .bind(row.policy.as_str())
        .bind(row.state.as_str())
        .bind(row.reason.clone())
        .bind(row.not_before)
        .bind(row.expires_at)
        .bind(row.attempts)
        .bind(row.platform_id.clone())
}

fn bind_settlement(query: Bound, row: &Settlement) -> Bound {
    query
        .bind(row.id.0)
        .bind(row.state.as_str())
        .bind(row.reason.clone())
        .bind(row.attempts)
        .bind(row.platform_id.clone())
}

/// A destination as one column: `@` leads those that are one person's.
pub(super) fn destination(to: &Destination) -> String {
    match to {
        Destination::Group(id) => id.to_string(),
        Destination::Direct(id) => format!("@{id}"),
    }
}

/// Forgets what is older than it needs to be. Events are numbered in the order in which they were
/// received, so that a time is a number.
pub(super) async fn housekeep(
    connection: &mut SqliteConnection,
    texts_before: TimeMs,
    keys_before: TimeMs,
) -> Result<u64, StoreError> {
    let texts = first_event_since(connection, texts_before).await?;
    let keys = first_event_since(connection, keys_before).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    let mut touched = 0;
    // A number stands for a time only as long as the clock went right: the row itself has the last
    // word, by the clock of its platform too.
    for (sql, before, time) in [
        (
            "UPDATE event SET text = NULL, body = NULL WHERE id < $1 AND state <> 1
            AND received_at < $2 AND at < $2 AND (text IS NOT NULL OR body IS NOT NULL)",
            texts,
            texts_before,
        ),
        (
            "DELETE FROM delivery WHERE event < $1 AND expires_at < $2
            AND state IN('sent','failed','skipped')",
            keys,
            keys_before,
        ),
        ("DELETE FROM routine_run WHERE event < $1 AND decided_at < $2", keys, keys_before),
        (
            "DELETE FROM event WHERE id < $1 AND state = 0 AND received_at < $2 AND at < $2
            AND NOT EXISTS(SELECT 1 FROM ledger_transfer t WHERE t.event = event.id)",
            keys,
            keys_before,
        ),
    ] {
        let done = sqlx::query(sql).bind(before).bind(time).execute(&mut *transaction).await;
        touched += done.map_err(failure)?.rows_affected();
    }
    transaction.commit().await.map_err(failure)?;
    Ok(touched)
}

/// The number of the first event that was received at or after a time; one beyond the last where
/// there is none.
async fn first_event_since(
    connection: &mut SqliteConnection,
    since: TimeMs,
) -> Result<i64, StoreError> {
    let ends = "SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM event";
    let row = sqlx::query(ends).fetch_one(&mut *connection).await.map_err(failure)?;
    let (mut low, mut high): (i64, i64) = (row.get(0), row.get(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT received_at FROM event WHERE id >= $1 ORDER BY id LIMIT 1";
        let found = sqlx::query(sql).bind(middle).fetch_optional(&mut *connection).await;
        let is_before = found.map_err(failure)?.is_some_and(|row| row.get::<i64, _>(0) < since);
        if is_before {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
