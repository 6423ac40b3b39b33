//! How long what is kept: what is older than it may be is forgotten. docs/privacy.md says why.

use sqlx::Row as _;

use super::{Db, failure, ledger, news};
use crate::clock::TimeMs;
use crate::store::{Old, StoreError};

/// What was posted is known for so long beyond everything else, ms: a year.
const POSTED_KEPT_MS: i64 = 365 * 24 * 3_600_000;

/// Forgets what is older than it may be. Events are numbered in the order in which they were
/// received, so that a time is a number.
pub async fn housekeep(db: &mut Db, old: &Old) -> Result<u64, StoreError> {
    let texts = first_event_since(db, old.texts).await?;
    let bodies = first_event_since(db, old.bodies).await?;
    let keys = first_event_since(db, old.keys).await?;
    let mut touched = 0;
    // A number stands for a time only as long as the clock went right: the row itself has the last
    // word, by the clock of its platform too.
    for (sql, before, time) in [
        (
            "UPDATE event SET text = NULL WHERE id < $1 AND state <> 1
            AND received_at < $2 AND at < $2 AND text IS NOT NULL",
            texts,
            old.texts,
        ),
        (
            "UPDATE event SET body = NULL, outcome = NULL WHERE id < $1 AND state <> 1
            AND received_at < $2 AND at < $2 AND (body IS NOT NULL OR outcome IS NOT NULL)",
            bodies,
            old.bodies,
        ),
        (
            "UPDATE delivery SET body = '{}' WHERE event < $1 AND expires_at < $2
            AND body <> '{}' AND state IN('sent','failed','skipped')",
            bodies,
            old.bodies,
        ),
        // Somebody may still decide about these.
        (
            "UPDATE delivery SET body = '{}' WHERE event < $1 AND expires_at < $2
            AND body <> '{}' AND state = 'unknown'",
            texts.min(bodies),
            old.texts.min(old.bodies),
        ),
        (
            "DELETE FROM delivery WHERE event < $1 AND expires_at < $2
            AND state IN('sent','failed','skipped','unknown')",
            keys,
            old.keys,
        ),
        ("DELETE FROM routine_run WHERE event < $1 AND decided_at < $2", keys, old.keys),
        (
            "UPDATE audit SET salt = NULL, payload = NULL WHERE at < $1 AND at < $2
            AND payload IS NOT NULL",
            old.audit,
            old.audit,
        ),
        ("DELETE FROM relation WHERE replied < $1 AND liked < $2", old.relations, old.relations),
        (
            "DELETE FROM event WHERE id < $1 AND state = 0 AND received_at < $2 AND at < $2
            AND NOT EXISTS(SELECT 1 FROM ledger_transfer t WHERE t.event = event.id)",
            keys,
            old.keys,
        ),
    ] {
        let done = sqlx::query(sql).bind(before).bind(time).execute(&mut *db).await;
        touched += done.map_err(failure)?.rows_affected();
    }
    let posted_before = old.texts.min(old.keys) - POSTED_KEPT_MS;
    touched += ledger::forget(db, old.keys).await?;
    Ok(touched + news::forget(db, old.keys, posted_before).await?)
}

/// The number of the first event that was received at or after a time; one beyond the last where
/// there is none.
async fn first_event_since(db: &mut Db, since: TimeMs) -> Result<i64, StoreError> {
    let ends = "SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM event";
    let row = sqlx::query(ends).fetch_one(&mut *db).await.map_err(failure)?;
    let (mut low, mut high): (i64, i64) = (row.get(0), row.get(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT received_at FROM event WHERE id >= $1 ORDER BY id LIMIT 1";
        let found = sqlx::query(sql).bind(middle).fetch_optional(&mut *db).await;
        let is_before = found.map_err(failure)?.is_some_and(|row| row.get::<i64, _>(0) < since);
        if is_before {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
