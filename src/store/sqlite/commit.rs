//! The group commit: many turns, one transaction, one statement a table.
//!
//! The rows of a table travel as one JSON array and are spread by `json_each`, which costs one
//! trip to SQLite's thread for each table instead of one for each row.

use serde::Serialize;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::failure;
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, Destination};
use crate::ledger::Transfer;
use crate::store::{EventRow, MemberRow, Settlement, StoreError, TurnRows, Write};

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
    joined_at, left_at, messages, active_days, last_day, tags)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12, value->>13
  FROM json_each($1) WHERE true
  ON CONFLICT(community, person) DO UPDATE SET ref = excluded.ref, name = excluded.name,
    nickname = excluded.nickname, role = excluded.role, trust = excluded.trust,
    is_bot = excluded.is_bot, joined_at = excluded.joined_at, left_at = excluded.left_at,
    messages = excluded.messages, active_days = excluded.active_days,
    last_day = excluded.last_day, tags = excluded.tags";
const TOUCH: &str = "UPDATE member SET messages = t.value->>2, trust = t.value->>3,
    active_days = t.value->>4, last_day = t.value->>5
  FROM json_each($1) t WHERE member.community = t.value->>0 AND member.person = t.value->>1
    AND member.messages < t.value->>2"; // a whole row of a later turn may stand there already
const EVENT: &str = "INSERT INTO event(id, community, grp, person, account, key, kind, at,
    received_at, seed, state, text, body, outcome)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12, value->>13
  FROM json_each($1) WHERE true
  ON CONFLICT(id) DO UPDATE SET state = excluded.state, text = excluded.text,
    body = excluded.body, outcome = excluded.outcome";
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
const DELIVERY: &str =
    "INSERT INTO delivery(id, key, event, community, script, account, dest, call,
    slot, body, policy, state, reason, not_before, expires_at, attempts, platform_id)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12, value->>13, value->>14, value->>15,
    value->>16 FROM json_each($1)";
const SETTLE: &str = "UPDATE delivery SET state = s.value->>1, reason = s.value->>2,
    attempts = s.value->>3, platform_id = coalesce(s.value->>4, platform_id)
  FROM json_each($1) s WHERE delivery.id = s.value->>0";
const AUDIT: &str = "INSERT INTO audit(event, community, at, actor, action, object, detail)
  SELECT value->>'event', value->>'community', value->>'at', value->>'actor', value->>'action',
    value->>'object', value->>'detail' FROM json_each($1)";

/// Commits the whole batch in one transaction, or nothing of it.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    batch: &[Write],
) -> Result<(), StoreError> {
    let statements = statements(batch);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    for (sql, rows) in statements {
        sqlx::query(sql).bind(rows).execute(&mut *transaction).await.map_err(failure)?;
    }
    transaction.commit().await.map_err(failure)
}

/// The statements that a batch needs, with their rows, in order.
fn statements(batch: &[Write]) -> Vec<(&'static str, String)> {
    let turns: Vec<&TurnRows> = batch
        .iter()
        .filter_map(|write| match write {
            Write::Turn(turn) => Some(turn.as_ref()),
            Write::Deliver(_) | Write::Settle(_) => None,
        })
        .collect();
    let added = batch.iter().filter_map(|write| match write {
        Write::Deliver(delivery) => Some(delivery.as_ref()),
        Write::Turn(_) | Write::Settle(_) => None,
    });
    let settled: Vec<_> = batch
        .iter()
        .filter_map(|write| match write {
            Write::Turn(_) | Write::Deliver(_) => None,
            Write::Settle(settlement) => Some(settle_cells(settlement)),
        })
        .collect();
    let mut out = Vec::new();
    add(&mut out, COMMUNITY, turns.iter().filter_map(|turn| turn.community.as_ref()));
    add(&mut out, GROUP, turns.iter().flat_map(|turn| &turn.groups));
    add(&mut out, PERSON, turns.iter().flat_map(|turn| &turn.persons));
    add(&mut out, ACCOUNT, turns.iter().flat_map(|turn| &turn.persons));
    add(&mut out, MEMBER, turns.iter().flat_map(|turn| &turn.members).map(member_cells));
    add_touched(&mut out, &turns);
    add(&mut out, EVENT, turns.iter().map(|turn| event_cells(&turn.event)));
    add(&mut out, LEDGER_ACCOUNT, turns.iter().flat_map(|turn| &turn.accounts));
    add(&mut out, TRANSFER, turns.iter().flat_map(|turn| transfer_cells(turn)));
    add(&mut out, PACKET, turns.iter().flat_map(|turn| &turn.packets));
    add(&mut out, SHARE, turns.iter().flat_map(|turn| &turn.shares));
    add(&mut out, CHECKIN, turns.iter().flat_map(|turn| &turn.checkins));
    add(&mut out, RULE_VERSION, turns.iter().flat_map(|turn| &turn.rule_versions));
    add(&mut out, RULE_ACK, turns.iter().flat_map(|turn| &turn.rule_acks));
    add(&mut out, WARNING, turns.iter().flat_map(|turn| &turn.warnings));
    add_state(&mut out, &turns);
    add(&mut out, TIMER, turns.iter().flat_map(|turn| &turn.timers));
    add(&mut out, TIMER_GONE, turns.iter().flat_map(|turn| &turn.timers_gone));
    let deliveries = turns.iter().flat_map(|turn| &turn.deliveries).chain(added);
    add(&mut out, DELIVERY, deliveries.map(delivery_cells));
    add(&mut out, AUDIT, turns.iter().flat_map(|turn| &turn.audit));
    add(&mut out, SETTLE, settled.iter());
    out
}

fn add<T: Serialize>(
    out: &mut Vec<(&'static str, String)>,
    sql: &'static str,
    rows: impl Iterator<Item = T>,
) {
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

/// Of several turns of one member in a batch only the last counts; `UPDATE … FROM` would pick any.
fn add_touched(out: &mut Vec<(&'static str, String)>, turns: &[&TurnRows]) {
    let mut last = std::collections::BTreeMap::new();
    for row in turns.iter().flat_map(|turn| &turn.touched) {
        last.insert((row.community, row.person), row);
    }
    let cells = last.values().map(|row| {
        (row.community, row.person, row.messages, row.trust, row.active_days, &row.last_day)
    });
    add(out, TOUCH, cells);
}

/// A key may be set and removed by different turns of one batch: only the last word counts.
fn add_state(out: &mut Vec<(&'static str, String)>, turns: &[&TurnRows]) {
    let mut last = std::collections::BTreeMap::new();
    for row in turns.iter().flat_map(|turn| &turn.state) {
        last.insert((row.community, &row.script, &row.scope, &row.key), row);
    }
    add(out, STATE_SET, last.values().filter(|row| row.value.is_some()));
    add(out, STATE_REMOVE, last.values().filter(|row| row.value.is_none()));
}

fn event_cells(row: &EventRow) -> impl Serialize + '_ {
    (
        row.id,
        row.community,
        row.group,
        row.person,
        &row.account,
        &row.key,
        row.kind,
        row.at,
        row.received_at,
        row.seed as i64, // SQLite has no unsigned 64-bit integer; the bits are what counts
        row.state.as_str(),
        &row.text,
        row.body.as_ref().and_then(|body| serde_json::to_string(body).ok()),
        &row.outcome,
    )
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
        row.messages,
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

/// `(slot, account, destination)` and the rest, as the columns stand.
fn delivery_cells(row: &Delivery) -> serde_json::Value {
    let slot = match &row.call {
        Call::Card { key, .. } => Some(key),
        Call::Send { slot, .. } => slot.as_ref(),
        _ => None,
    };
    serde_json::json!([
        row.id,
        row.key,
        row.event,
        row.community,
        row.script,
        row.account,
        destination(&row.to),
        row.call.word(),
        slot,
        serde_json::to_string(&row.call).unwrap_or_default(),
        row.policy.as_str(),
        row.state.as_str(),
        row.reason,
        row.not_before,
        row.expires_at,
        row.attempts,
        row.platform_id,
    ])
}

fn settle_cells(row: &Settlement) -> impl Serialize + '_ {
    (row.id, row.state.as_str(), &row.reason, row.attempts, &row.platform_id)
}

/// A destination as one column: `@` leads those that are one person's.
pub(super) fn destination(to: &Destination) -> String {
    match to {
        Destination::Group(id) => id.to_string(),
        Destination::Direct(id) => format!("@{id}"),
    }
}

/// Forgets what is older than it needs to be.
pub(super) async fn housekeep(
    connection: &mut SqliteConnection,
    texts_before: TimeMs,
    keys_before: TimeMs,
) -> Result<u64, StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    let mut touched = 0;
    for (sql, before) in [
        (
            "UPDATE event SET text = NULL, body = NULL WHERE at < $1 AND state <> 'waiting'
            AND (text IS NOT NULL OR body IS NOT NULL)",
            texts_before,
        ),
        (
            "DELETE FROM delivery WHERE expires_at < $1
            AND state IN('sent','failed','skipped')",
            keys_before,
        ),
        (
            "DELETE FROM event WHERE at < $1 AND state = 'done'
            AND NOT EXISTS(SELECT 1 FROM ledger_transfer t WHERE t.event = event.id)",
            keys_before,
        ),
    ] {
        let done = sqlx::query(sql).bind(before).execute(&mut *transaction).await;
        touched += done.map_err(failure)?.rows_affected();
    }
    transaction.commit().await.map_err(failure)?;
    Ok(touched)
}
