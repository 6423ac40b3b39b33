//! What every message writes, as columns: one array each, one statement a table.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;

use super::accounts::BotAccounts;
use super::sql::{DELIVERY, EVENT, SETTLE, TOUCH};
use super::text::kept;
use crate::community::score::Mark;
use crate::effect::Delivery;
use crate::store::parts::{Parts, destination, slot};
use crate::store::{Settlement, TurnRows, codes};

/// Events and the counts of their authors.
pub(super) struct Rows<'a> {
    turns: &'a [&'a TurnRows],
    accounts: &'a BotAccounts,
}

impl<'a> Rows<'a> {
    pub(super) fn of(parts: &'a Parts<'a>, accounts: &'a BotAccounts) -> Self {
        Self { turns: &parts.turns, accounts }
    }

    fn column<T>(&self, of: impl Fn(&TurnRows) -> T) -> Vec<T> {
        self.turns.iter().map(|turn| of(turn)).collect()
    }

    /// Counts of messages, the latest of each author.
    pub(super) async fn touch(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut counts: BTreeMap<(i64, i64), (i64, Mark)> = BTreeMap::new();
        for row in self.turns.iter().flat_map(|turn| &turn.touched) {
            let count = counts.entry((row.community.0, row.person.0)).or_default();
            count.0 = count.0.max(row.messages);
            count.1 = count.1.max(row.counted.unwrap_or_default());
        }
        if counts.is_empty() {
            return Ok(());
        }
        let column = |of: fn(&(i64, i64), &(i64, Mark)) -> i64| -> Vec<i64> {
            counts.iter().map(|(key, count)| of(key, count)).collect()
        };
        sqlx::query(TOUCH)
            .bind(column(|key, _| key.0))
            .bind(column(|key, _| key.1))
            .bind(column(|_, count| count.0))
            .bind(column(|_, count| count.1.0))
            .execute(db)
            .await
            .map(drop)
    }

    /// What happened.
    pub(super) async fn event(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.turns.is_empty() {
            return Ok(());
        }
        sqlx::query(EVENT)
            .bind(self.column(|turn| turn.event.id.0))
            .bind(self.column(|turn| turn.event.community.0))
            .bind(self.column(|turn| turn.event.group.map(|group| group.0)))
            .bind(self.column(|turn| turn.event.person.map(|person| person.0)))
            .bind(self.column(|turn| self.accounts.number(&turn.event.account)))
            .bind(self.column(|turn| kept(turn.event.key.as_ref().to_owned())))
            .bind(self.column(|turn| i64::from(codes::kind(turn.event.kind))))
            .bind(self.column(|turn| turn.event.at))
            .bind(self.column(|turn| turn.event.received_at))
            // There is no unsigned 64-bit integer; the bits are what counts.
            .bind(self.column(|turn| turn.event.seed.cast_signed()))
            .bind(self.column(|turn| i64::from(codes::state(turn.event.state))))
            .bind(self.column(|turn| turn.touched.first().map(|author| author.messages)))
            .bind(self.column(|turn| turn.event.text.as_deref().map(|it| kept(it.to_owned()))))
            .bind(self.column(|turn| {
                turn.event.body.as_ref().and_then(|body| serde_json::to_string(body).ok())
            }))
            .bind(self.column(|turn| turn.event.outcome.clone()))
            .bind(self.column(|turn| {
                turn.touched.first().and_then(|author| author.counted).map(|mark| mark.0)
            }))
            .execute(db)
            .await
            .map(drop)
    }
}

/// What is to be sent.
pub(super) async fn deliver(db: &mut PgConnection, rows: &[&Delivery]) -> Result<(), sqlx::Error> {
    fn column<T>(rows: &[&Delivery], of: impl Fn(&Delivery) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(DELIVERY)
        .bind(column(rows, |row| row.id.0))
        .bind(column(rows, |row| kept(row.key.clone())))
        .bind(column(rows, |row| row.event.0))
        .bind(column(rows, |row| row.community.0))
        .bind(column(rows, |row| row.script.as_ref().map(|script| script.as_str().to_owned())))
        .bind(column(rows, |row| row.account.as_str().to_owned()))
        .bind(column(rows, |row| kept(destination(&row.to))))
        .bind(column(rows, |row| row.call.word().to_owned()))
        .bind(column(rows, |row| slot(row).cloned().map(kept)))
        .bind(column(rows, |row| serde_json::to_string(&row.call).unwrap_or_default()))
        .bind(column(rows, |row| row.policy.as_str().to_owned()))
        .bind(column(rows, |row| row.state.as_str().to_owned()))
        .bind(column(rows, |row| row.reason.clone().map(kept)))
        .bind(column(rows, |row| row.not_before))
        .bind(column(rows, |row| row.expires_at))
        .bind(column(rows, |row| i64::from(row.attempts)))
        .bind(column(rows, |row| row.platform_id.clone().map(kept)))
        .execute(db)
        .await
        .map(drop)
}

/// What became of deliveries.
pub(super) async fn settle(
    db: &mut PgConnection,
    settled: &[&Settlement],
) -> Result<(), sqlx::Error> {
    if settled.is_empty() {
        return Ok(());
    }
    let last = last_words(settled);
    let rows: Vec<_> = last.values().collect();
    sqlx::query(SETTLE)
        .bind(last.keys().copied().collect::<Vec<i64>>())
        .bind(rows.iter().map(|(row, _)| row.state.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(row, _)| row.reason.clone().map(kept)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(row, _)| i64::from(row.attempts)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, id)| id.cloned().map(kept)).collect::<Vec<_>>())
        .execute(db)
        .await
        .map(drop)
}

/// The last outcome of each delivery, with the platform's id that any of them told.
fn last_words<'a>(
    settled: &[&'a Settlement],
) -> BTreeMap<i64, (&'a Settlement, Option<&'a String>)> {
    let mut last = BTreeMap::new();
    for row in settled {
        let entry = last.entry(row.id.0).or_insert((*row, None));
        *entry = (*row, row.platform_id.as_ref().or(entry.1));
    }
    last
}
