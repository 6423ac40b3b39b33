//! A community from the rows of the store.

use std::collections::HashMap;

use super::score::{CoreFan, Gate, Kind, Move, Moved, Ratio, Reviewed, Score};
use super::{Checkin, Community, Member, Rules, Scope, Warning};
use crate::id::{AccountId, CommunityId, PacketId, PersonId, ScriptName, TransferId};
use crate::ledger::{Account, AccountKey, Hold, Mode, Packet, PacketState, QuotaKind, Share};
use crate::news::{Bigrams, ItemId, Posted};
use crate::store::{CommunityRows, CoreFanRow, FanReviewRow, PacketRows, RelationRow, ScoreRow};

impl Community {
    /// Builds the state that the rows describe.
    pub fn from_rows(id: CommunityId, rows: CommunityRows) -> Self {
        let mut community = Self::new(id);
        for row in rows.members {
            community.accounts.insert(row.reference.clone(), row.person);
            community.members.insert(row.person, Member::from(row));
        }
        community.size = community.members.values().filter(|member| member.counts()).count() as i64;
        for row in rows.warnings {
            if let Some(member) = community.members.get_mut(&row.person) {
                member.warnings.push(Warning { at: row.at, weight: row.weight });
            }
        }
        restore_ledger(&mut community, &rows.accounts, &rows.holds, &rows.lots);
        for (day, kind, owner, amount) in &rows.quotas {
            if let Some(kind) = QuotaKind::parse(kind) {
                community.quotas.restore((*day, kind, *owner), *amount);
            }
        }
        community.campaigns = rows.campaigns.into_iter().map(|(n, name)| (name, n)).collect();
        for row in rows.packets {
            let packet = packet_from_rows(row);
            community.packets.insert(packet.id, packet);
        }
        for row in rows.checkins {
            community.note_checkin_day(&row.day, row.ordinal);
            let checkin = Checkin { day: row.day, streak: row.streak, ordinal: row.ordinal };
            community.checkins.insert(row.person, checkin);
        }
        community.rules =
            rows.rules.map(|row| Rules { version: row.version, text: row.text.into(), at: row.at });
        community.acks = rows.acks.into_iter().collect();
        for row in rows.state {
            let value = row.value.and_then(|text| serde_json::from_str(&text).ok());
            if let (Some(scope), Some(value)) = (Scope::parse(&row.scope), value) {
                community.state.insert((ScriptName::new(&row.script), scope, row.key), value);
            }
        }
        community.posted = rows
            .posted
            .into_iter()
            .map(|row| {
                let posted = Posted { bigrams: Bigrams::of(&row.title), at: row.at };
                (ItemId(row.item.into()), posted)
            })
            .collect();
        community.runs = rows.runs;
        community.routines = rows.routines.into_iter().map(|row| (row.name.clone(), row)).collect();
        restore_scores(&mut community, rows.scores, &rows.relations);
        let fans = rows.core_fans.into_iter().map(|row| (row.person, core_fan(&row)));
        community.core_fans = fans.collect();
        community.reviews = rows.reviews.iter().map(reviewed).collect();
        community.timers = rows.timers.into_iter().map(|timer| (timer.id, timer)).collect();
        community
    }

    /// Keeps the highest ordinal of the latest day.
    pub fn note_checkin_day(&mut self, day: &str, ordinal: i64) {
        let (latest, count) = &mut self.checkins_today;
        match day.cmp(latest.as_str()) {
            std::cmp::Ordering::Greater => self.checkins_today = (day.to_owned(), ordinal),
            std::cmp::Ordering::Equal => *count = ordinal.max(*count),
            std::cmp::Ordering::Less => {}
        }
    }
}

fn restore_scores(community: &mut Community, scores: Vec<ScoreRow>, relations: &[RelationRow]) {
    for member in community.members.values_mut() {
        member.score = Score::of_mark(member.score.counted);
    }
    for row in scores {
        let Some(member) = community.members.get_mut(&row.person) else { continue };
        let days = u128::from_str_radix(&row.days, 16).unwrap_or_default();
        let Score { counted, .. } = member.score;
        let (value, day, added) = (row.score, row.day, row.added);
        member.score = Score { value, day, days, added, counted };
    }
    for row in relations {
        community.pairs.restore(row.person, row.source, Kind::Reply, row.replied);
        community.pairs.restore(row.person, row.source, Kind::Like, row.liked);
    }
}

fn core_fan(row: &CoreFanRow) -> CoreFan {
    let CoreFanRow { since, above, below, grace_until, .. } = *row;
    CoreFan { since, above, below, grace_until }
}

fn reviewed(row: &FanReviewRow) -> Reviewed {
    let moved: Vec<(i64, bool, i64, Option<String>)> =
        serde_json::from_str(&row.moved).unwrap_or_default();
    let moved = moved.into_iter().map(|(person, entered, score, gate)| Moved {
        person: PersonId(person),
        how: if entered { Move::Entered } else { Move::Left },
        score,
        gate: gate.and_then(|word| Gate::parse(&word)),
    });
    Reviewed {
        week: row.week,
        at: row.at,
        of_eligible: Ratio { part: row.eligible_core, whole: row.eligible },
        of_active: Ratio { part: row.active_core, whole: row.active },
        entered: row.entered,
        left: row.gone,
        moved: moved.collect(),
    }
}

fn restore_ledger(
    community: &mut Community,
    accounts: &[(i64, String, i64, i64, i64, i64, i64)],
    holds: &[(i64, i64, i64, i64)],
    lots: &[(i64, i64, i64)],
) {
    let mut keys: HashMap<i64, AccountKey> = HashMap::new();
    for (id, kind, owner, debits, credits, debits_pending, credits_pending) in accounts {
        let Some(key) = AccountKey::from_columns(kind, *owner) else { continue };
        let account = Account {
            id: AccountId(*id),
            debits: *debits,
            credits: *credits,
            debits_pending: *debits_pending,
            credits_pending: *credits_pending,
        };
        keys.insert(*id, key.clone());
        community.ledger.restore(key, account);
    }
    for (id, debit, credit, amount) in holds {
        if let (Some(debit), Some(credit)) = (keys.get(debit), keys.get(credit)) {
            let hold = Hold { debit: debit.clone(), credit: credit.clone(), amount: *amount };
            community.ledger.restore_hold(TransferId(*id), hold);
        }
    }
    for (account, expires_at, amount) in lots {
        if let Some(key) = keys.get(account) {
            community.ledger.restore_lot(key.clone(), *expires_at, *amount);
        }
    }
}

/// A packet from its rows.
pub fn packet_from_rows(rows: PacketRows) -> Packet {
    let row = rows.packet;
    let shares: Vec<Share> = rows
        .shares
        .into_iter()
        .map(|share| Share { amount: share.amount, taken: share.person.zip(share.taken_at) })
        .collect();
    let claimed = shares.iter().filter(|share| share.taken.is_some()).count();
    let mut seed = [0; 32];
    for (byte, pair) in seed.iter_mut().zip(row.seed.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    Packet {
        id: PacketId(row.id),
        group: row.group,
        sender: PersonId(row.sender.0),
        mode: if row.mode == "equal" { Mode::Equal } else { Mode::Lucky },
        total: row.total,
        wish: row.wish,
        seed,
        commitment: row.commitment,
        created_at: row.created_at,
        opens_at: row.opens_at,
        expires_at: row.expires_at,
        state: match row.state.as_str() {
            "exhausted" => PacketState::Exhausted,
            "refunded" => PacketState::Refunded,
            _ => PacketState::Open,
        },
        shares,
        claimed,
    }
}
