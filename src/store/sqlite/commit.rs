//! The group commit: many turns, one transaction, one trip to SQLite's thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::accounts::BotAccounts;
use super::audit::Chain;
use super::bulk::Bound;
use super::late::{Late, Step};
use super::sql::{AT_ACCOUNT, AT_MEMBER, DELIVERY, EVENT, FIRST, LAST, SETTLE, TOUCH, TRIP};
use super::tally::{Count, Key, Tallies, bind_touch};
use super::{begin, failure};
use crate::effect::Delivery;
use crate::planted::{self, Point};
use crate::store::chain::ChainRow;
use crate::store::parts::{NONE, Parts, destination, slot};
use crate::store::{Settlement, StoreError, TurnRows, Write, codes};

/// Commits the whole batch in one transaction, or nothing of it.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    accounts: &BotAccounts,
    (tallies, late): (&Tallies, &Late),
    chain: &Chain,
    batch: &[Write],
) -> Result<(), StoreError> {
    let parts = Parts::of(batch);
    let (step, people) = (tallies.step(&parts.turns), late.step(&parts.turns));
    if !step.rows.is_empty() {
        planted::reach(Point::BeforeCounts);
    }
    let (lines, head) = chain.link(connection, &parts.audit).await?;
    if let Err(error) =
        write(connection, accounts, &parts, &lines, (&step.rows, people.as_ref())).await
    {
        // Whether it is in the file is seen there before the next line.
        chain.lost();
        return Err(error);
    }
    tallies.committed(step);
    people.into_iter().for_each(|people| late.committed(people));
    chain.committed(head);
    Ok(())
}

async fn write(
    connection: &mut SqliteConnection,
    accounts: &BotAccounts,
    parts: &Parts<'_>,
    lines: &[ChainRow],
    (counts, people): (&BTreeMap<Key, Count>, Option<&Step>),
) -> Result<(), StoreError> {
    accounts.learn(connection, parts.turns.iter().map(|turn| &turn.event.account)).await?;
    let (first, last) = (first(parts, people), parts.last(lines));
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
    let mut transaction = connection.begin_with(begin()).await.map_err(failure)?;
    spread(&mut transaction, &FIRST, first).await?;
    TOUCH.run(&mut transaction, counts.iter(), bind_touch).await?;
    EVENT.run(&mut transaction, parts.turns.iter().copied(), bind_event).await?;
    spread(&mut transaction, &LAST, last).await?;
    DELIVERY.run(&mut transaction, parts.deliveries.iter().copied(), bind_delivery).await?;
    SETTLE.run(&mut transaction, parts.settled.iter().copied(), bind_settlement).await?;
    transaction.commit().await.map_err(failure)
}

/// Rows of [`FIRST`].
fn first(parts: &Parts<'_>, people: Option<&Step>) -> Vec<String> {
    let mut rows = parts.first();
    let [line, gone] = match people.map(Step::bound) {
        Some(bound) => {
            (rows[AT_ACCOUNT], rows[AT_MEMBER]) = (bound.tables.accounts, bound.tables.members);
            [bound.line, bound.gone]
        }
        None => [NONE.to_owned(), NONE.to_owned()],
    };
    rows.extend([line, gone]);
    rows
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

fn bind_delivery(query: Bound, row: &Delivery) -> Bound {
    query
        .bind(row.id.0)
        .bind(row.key.clone())
        .bind(row.event.0)
        .bind(row.community.0)
        .bind(row.script.as_ref().map(|script| script.as_str().to_owned()))
        .bind(row.account.as_str().to_owned())
        .bind(destination(&row.to))
        .bind(row.call.word())
        .bind(slot(row).cloned())
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
