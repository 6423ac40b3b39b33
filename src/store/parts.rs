//! The rows of a batch, table by table. What few batches write travels as JSON, one text a table,
//! in the order of the statements of each database.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::chain::ChainRow;
use super::{AuditRow, MemberRow, ScoreEntryRow, Settlement, TurnRows, Write};
use crate::clock::DAY_MS;
use crate::effect::{Call, Delivery, Destination};
use crate::id::CommunityId;
use crate::ledger::Transfer;

/// No rows, as JSON.
pub(super) const NONE: &str = "[]";

/// A batch, sorted by what its parts are.
pub(super) struct Parts<'a> {
    pub(super) turns: Vec<&'a TurnRows>,
    pub(super) deliveries: Vec<&'a Delivery>,
    pub(super) settled: Vec<&'a Settlement>,
    /// Lines of the audit log, which become links of its chain.
    pub(super) audit: Vec<&'a AuditRow>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(batch: &'a [Write]) -> Self {
        let mut parts = Self {
            turns: Vec::with_capacity(batch.len()),
            deliveries: Vec::new(),
            settled: Vec::new(),
            audit: Vec::new(),
        };
        for write in batch {
            match write {
                Write::Turn(turn) => {
                    parts.deliveries.extend(&turn.deliveries);
                    parts.audit.extend(&turn.audit);
                    parts.turns.push(turn);
                }
                Write::Deliver(delivery) => parts.deliveries.push(delivery),
                Write::Settle(settlement) => parts.settled.push(settlement),
                Write::Audit(line) => parts.audit.push(line),
            }
        }
        parts
    }

    /// Rows that stand before the events.
    pub(super) fn first(&self) -> Vec<String> {
        let turns = &self.turns;
        vec![
            json(turns.iter().filter_map(|turn| turn.community.as_ref())),
            json(turns.iter().flat_map(|turn| &turn.groups)),
            json(turns.iter().flat_map(|turn| &turn.persons)),
            json(turns.iter().flat_map(|turn| &turn.persons).map(|row| (&row.account, row.id))),
            json(turns.iter().flat_map(|turn| &turn.members).map(member_cells)),
            json(self.left_undone().into_iter()),
        ]
    }

    /// Rows that stand after the events, with the audit log as links.
    pub(super) fn last(&self, lines: &[ChainRow]) -> Vec<String> {
        let turns = &self.turns;
        let (state_set, state_gone) = state(turns);
        vec![
            json(turns.iter().flat_map(|turn| &turn.accounts)),
            json(turns.iter().flat_map(|turn| transfer_cells(turn))),
            json(turns.iter().flat_map(|turn| &turn.ledger.lots)),
            json(turns.iter().flat_map(|turn| &turn.ledger.quotas)),
            json(turns.iter().flat_map(|turn| &turn.ledger.campaigns)),
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
            json(lines.iter()),
            json(turns.iter().flat_map(|turn| &turn.forgets)),
            json(turns.iter().flat_map(|turn| &turn.scores.values)),
            json(turns.iter().flat_map(|turn| &turn.scores.log).map(entry_cells)),
            json(turns.iter().flat_map(|turn| &turn.scores.relations)),
            json(turns.iter().flat_map(|turn| &turn.scores.core_fans)),
            json(turns.iter().flat_map(|turn| &turn.scores.reviews)),
            json(turns.iter().flat_map(|turn| &turn.decisions)),
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

pub(super) fn json<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
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

/// Cells of a member, in the order of her statement.
pub(super) fn member_cells(row: &MemberRow) -> impl Serialize + '_ {
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
            row.corrects,
            row.expires_at,
            row.day,
        )
    })
}

/// Cells of a line of the log, in the order of its statement.
fn entry_cells(row: &ScoreEntryRow) -> impl Serialize + '_ {
    (
        row.community,
        row.person,
        row.day,
        row.kind.as_str(),
        row.event,
        row.n,
        row.weight,
        row.source,
        &row.reason,
    )
}

/// Communities whose ledger a batch touches.
pub(super) fn ledgers_of(batch: &[Write]) -> BTreeSet<CommunityId> {
    let touches = |write: &Write| match write {
        Write::Turn(rows) => {
            let moves = !rows.transfers.is_empty() || !rows.packets.is_empty();
            let counts = !rows.ledger.quotas.is_empty() || !rows.scores.log.is_empty();
            (moves || counts).then_some(rows.event.community)
        }
        Write::Deliver(_) | Write::Settle(_) | Write::Audit(_) => None,
    };
    batch.iter().filter_map(touches).collect()
}

/// The slot of a delivery's message, if it has one.
pub(super) fn slot(delivery: &Delivery) -> Option<&String> {
    match &delivery.call {
        Call::Card { key, .. } => Some(key),
        Call::Send { slot, .. } => slot.as_ref(),
        _ => None,
    }
}

/// A destination as one column: `@` leads those that are one person's.
pub(super) fn destination(to: &Destination) -> String {
    match to {
        Destination::Group(id) => id.to_string(),
        Destination::Direct(id) => format!("@{id}"),
    }
}
