//! The group commit: many turns, one transaction, a few statements a table.
//!
//! What every message writes is bound in bulk. The rows of other tables travel as one JSON array
//! and are spread by `json_each`, which costs one trip to SQLite's thread for each table instead
//! of one for each row.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::accounts::BotAccounts;
use super::bulk::{Bound, Bulk};
use super::{codes, failure};
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, Destination};
use crate::id::{CommunityId, PersonId};
use crate::ledger::Transfer;
use crate::store::{EventRow, MemberRow, Settlement, StoreError, TurnRows, Write};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// One statement for each table, in an order that satisfies the foreign keys.
const COMMUNITY: &str = "INSERT INTO community(id, key)
  SELECT value->>'id', value->>'key' FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
const GROUP: &str = "INSERT INTO grp(id, community, ref, name)
  SELECT value->>'id', value->>'community', value->>'reference', value->>'name'
  FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
const PERSON: &str = "INSERT INTO person(id, created_at)
  SELECT value->>'id', value->>'at' FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
const ACCOUNT: &str = "INSERT INTO account(ref, person)
  SELECT value->>'account', value->>'id' FROM json_each($1) WHERE true
  ON CONFLICT(ref) DO NOTHING";
const MEMBER: &str =
    "INSERT INTO member(community, person, ref, name, nickname, role, trust, is_bot,
    joined_at, left_at, active_days, last_day, tags)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12
  FROM json_each($1) WHERE true
  ON CONFLICT(community, person) DO UPDATE SET ref = excluded.ref, name = excluded.name,
    nickname = excluded.nickname, role = excluded.role, trust = excluded.trust,
    is_bot = excluded.is_bot, joined_at = excluded.joined_at, left_at = excluded.left_at,
    active_days = excluded.active_days, last_day = excluded.last_day, tags = excluded.tags";
static TOUCH: Bulk = Bulk::new(
    "INSERT INTO member_tally(community, person, messages)",
    3,
    "ON CONFLICT(community, person) DO UPDATE SET messages = excluded.messages",
);
static EVENT: Bulk = Bulk::new(
    "INSERT INTO event(id, community, grp, person, account, key, kind, at, received_at, seed,
    state, text, body, outcome)",
    14,
    "ON CONFLICT(id) DO UPDATE SET state = excluded.state, text = excluded.text,
    body = excluded.body, outcome = excluded.outcome",
);
const LEFT_UNDONE: &str = "INSERT INTO left_undone(day, commands)
  SELECT value->>0, value->>1 FROM json_each($1) WHERE true
  ON CONFLICT(day) DO UPDATE SET commands = commands + excluded.commands";
const LEDGER_ACCOUNT: &str = "INSERT INTO ledger_account(id, community, kind, owner)
  SELECT value->>'id', value->>'community', value->>'kind', value->>'owner' FROM json_each($1)";
const TRANSFER: &str = "INSERT INTO ledger_transfer(id, community, debit, credit, amount, kind,
    pending, key, code, reason, actor, event, at)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12 FROM json_each($1)";
const PACKET: &str =
    "INSERT INTO packet(id, community, grp, sender, mode, total, count, wish, seed,
    commitment, created_at, expires_at, state)
  SELECT value->>'id', value->>'community', value->>'group', value->>'sender', value->>'mode',
    value->>'total', value->>'count', value->>'wish', value->>'seed', value->>'commitment',
    value->>'created_at', value->>'expires_at', value->>'state'
  FROM json_each($1) WHERE true ON CONFLICT(id) DO UPDATE SET state = excluded.state";
const SHARE: &str = "INSERT INTO packet_share(packet, n, amount, person, taken_at)
  SELECT value->>'packet', value->>'n', value->>'amount', value->>'person', value->>'taken_at'
  FROM json_each($1) WHERE true
  ON CONFLICT(packet, n) DO UPDATE SET person = excluded.person, taken_at = excluded.taken_at";
const CHECKIN: &str = "INSERT INTO checkin(community, person, day, streak, ordinal)
  SELECT value->>'community', value->>'person', value->>'day', value->>'streak',
    value->>'ordinal' FROM json_each($1)";
const RULE_VERSION: &str = "INSERT INTO rule_version(community, version, text, author, at)
  SELECT value->>'community', value->>'version', value->>'text', value->>'author', value->>'at'
  FROM json_each($1)";
const RULE_ACK: &str = "INSERT INTO rule_ack(community, person, version, at)
  SELECT value->>'community', value->>'person', value->>'version', value->>'at'
  FROM json_each($1)";
const WARNING: &str = "INSERT INTO warning(community, person, event, n, reason, weight, script, at)
  SELECT value->>'community', value->>'person', value->>'event', value->>'n', value->>'reason',
    value->>'weight', value->>'script', value->>'at' FROM json_each($1)";
const STATE_SET: &str = "INSERT INTO script_state(community, script, scope, key, value)
  SELECT value->>'community', value->>'script', value->>'scope', value->>'key', value->>'value'
  FROM json_each($1) WHERE true
  ON CONFLICT(community, script, scope, key) DO UPDATE SET value = excluded.value";
const STATE_REMOVE: &str = "DELETE FROM script_state WHERE (community, script, scope, key) IN
  (SELECT value->>'community', value->>'script', value->>'scope', value->>'key'
   FROM json_each($1))";
const TIMER: &str = "INSERT INTO timer(id, community, grp, script, name, due, data)
  SELECT value->>'id', value->>'community', value->>'group', value->>'script', value->>'name',
    value->>'due', value->>'data' FROM json_each($1)";
const TIMER_GONE: &str = "DELETE FROM timer WHERE id IN (SELECT value FROM json_each($1))";
static DELIVERY: Bulk = Bulk::new(
    "INSERT INTO delivery(id, key, event, community, script, account, dest, call, slot, body,
    policy, state, reason, not_before, expires_at, attempts, platform_id)",
    17,
    "",
);
static SETTLE: Bulk = Bulk::new(
    "WITH s(id, state, reason, attempts, platform_id) AS (",
    5,
    ") UPDATE delivery SET state = s.state, reason = s.reason, attempts = s.attempts,
    platform_id = coalesce(s.platform_id, delivery.platform_id) FROM s WHERE delivery.id = s.id",
);
const AUDIT: &str = "INSERT INTO audit(event, community, at, actor, action, object, detail)
  SELECT value->>'event', value->>'community', value->>'at', value->>'actor', value->>'action',
    value->>'object', value->>'detail' FROM json_each($1)";

/// Commits the whole batch in one transaction, or nothing of it.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    accounts: &BotAccounts,
    batch: &[Write],
) -> Result<(), StoreError> {
    let parts = Parts::of(batch);
    accounts.learn(connection, parts.turns.iter().map(|turn| &turn.event.account)).await?;
    let (first, last) = parts.rare();
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    spread(&mut transaction, first).await?;
    parts.events(&mut transaction, accounts).await?;
    spread(&mut transaction, last).await?;
    let deliveries = parts.deliveries.iter().copied();
    DELIVERY.run(&mut transaction, deliveries, bind_delivery).await?;
    SETTLE.run(&mut transaction, parts.settled.iter().copied(), bind_settlement).await?;
    transaction.commit().await.map_err(failure)
}

/// Runs statements whose rows are JSON.
async fn spread(
    transaction: &mut SqliteConnection,
    statements: Statements,
) -> Result<(), StoreError> {
    for (sql, rows) in statements {
        sqlx::query(sql).bind(rows).execute(&mut *transaction).await.map_err(failure)?;
    }
    Ok(())
}

/// Statements with their rows as JSON.
type Statements = Vec<(&'static str, String)>;

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

    /// Statements for what few turns have, those before the events and those after them: an order
    /// that satisfies the foreign keys.
    fn rare(&self) -> (Statements, Statements) {
        let turns = &self.turns;
        let mut out = Vec::new();
        add(&mut out, COMMUNITY, turns.iter().filter_map(|turn| turn.community.as_ref()));
        add(&mut out, GROUP, turns.iter().flat_map(|turn| &turn.groups));
        add(&mut out, PERSON, turns.iter().flat_map(|turn| &turn.persons));
        add(&mut out, ACCOUNT, turns.iter().flat_map(|turn| &turn.persons));
        add(&mut out, MEMBER, turns.iter().flat_map(|turn| &turn.members).map(member_cells));
        add(&mut out, LEFT_UNDONE, self.left_undone().into_iter());
        let first = std::mem::take(&mut out);
        add(&mut out, LEDGER_ACCOUNT, turns.iter().flat_map(|turn| &turn.accounts));
        add(&mut out, TRANSFER, turns.iter().flat_map(|turn| transfer_cells(turn)));
        add(&mut out, PACKET, turns.iter().flat_map(|turn| &turn.packets));
        add(&mut out, SHARE, turns.iter().flat_map(|turn| &turn.shares));
        add(&mut out, CHECKIN, turns.iter().flat_map(|turn| &turn.checkins));
        add(&mut out, RULE_VERSION, turns.iter().flat_map(|turn| &turn.rule_versions));
        add(&mut out, RULE_ACK, turns.iter().flat_map(|turn| &turn.rule_acks));
        add(&mut out, WARNING, turns.iter().flat_map(|turn| &turn.warnings));
        add_state(&mut out, turns);
        add(&mut out, TIMER, turns.iter().flat_map(|turn| &turn.timers));
        add(&mut out, TIMER_GONE, turns.iter().flat_map(|turn| &turn.timers_gone));
        add(&mut out, AUDIT, turns.iter().flat_map(|turn| &turn.audit));
        (first, out)
    }

    /// Days (since 1970) with the commands of each that were left undone.
    fn left_undone(&self) -> BTreeMap<i64, i64> {
        let mut days = BTreeMap::new();
        for turn in self.turns.iter().filter(|turn| turn.is_left_undone) {
            *days.entry(turn.event.received_at.div_euclid(DAY_MS)).or_insert(0) += 1;
        }
        days
    }

    /// Events and the counts of messages.
    async fn events(
        &self,
        transaction: &mut SqliteConnection,
        accounts: &BotAccounts,
    ) -> Result<(), StoreError> {
        // Of several messages of one member in a batch only the last count matters.
        let mut counts = BTreeMap::new();
        for row in self.turns.iter().flat_map(|turn| &turn.touched) {
            counts.insert((row.community, row.person), row.messages);
        }
        TOUCH.run(transaction, counts.into_iter(), bind_touch).await?;
        let events = self.turns.iter().map(|turn| &turn.event);
        EVENT.run(transaction, events, |query, row| bind_event(query, row, accounts)).await
    }
}

fn add<T: Serialize>(out: &mut Statements, sql: &'static str, rows: impl Iterator<Item = T>) {
    let mut json = String::from("[");
    for row in rows {
        if json.len() > 1 {
            json.push(',');
        }
        // Rows are our own types with text keys: they always have a JSON form.
        json.push_str(&serde_json::to_string(&row).expect("a row is JSON"));
    }
    if json.len() > 1 {
        json.push(']');
        out.push((sql, json));
    }
}

/// A key may be set and removed by different turns of one batch: only the last word counts.
fn add_state(out: &mut Statements, turns: &[&TurnRows]) {
    let mut last = std::collections::BTreeMap::new();
    for row in turns.iter().flat_map(|turn| &turn.state) {
        last.insert((row.community, &row.script, &row.scope, &row.key), row);
    }
    add(out, STATE_SET, last.values().filter(|row| row.value.is_some()));
    add(out, STATE_REMOVE, last.values().filter(|row| row.value.is_none()));
}

fn bind_touch(
    query: Bound,
    ((community, person), messages): ((CommunityId, PersonId), i64),
) -> Bound {
    query.bind(community.0).bind(person.0).bind(messages)
}

fn bind_event(query: Bound, row: &EventRow, accounts: &BotAccounts) -> Bound {
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
        .bind(row.text.clone())
        .bind(row.body.as_ref().and_then(|body| serde_json::to_string(body).ok()))
        .bind(row.outcome.clone())
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
    for (sql, before) in [
        (
            "UPDATE event SET text = NULL, body = NULL WHERE id < $1 AND state <> 1
            AND (text IS NOT NULL OR body IS NOT NULL)",
            texts,
        ),
        (
            "DELETE FROM delivery WHERE expires_at < $1
            AND state IN('sent','failed','skipped')",
            keys_before,
        ),
        (
            "DELETE FROM event WHERE id < $1 AND state = 0
            AND NOT EXISTS(SELECT 1 FROM ledger_transfer t WHERE t.event = event.id)",
            keys,
        ),
    ] {
        let done = sqlx::query(sql).bind(before).execute(&mut *transaction).await;
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
