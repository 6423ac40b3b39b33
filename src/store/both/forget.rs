//! Forgetting what is older than it needs to be.

use sqlx::Row;

use super::{Db, failure};
use crate::clock::TimeMs;
use crate::store::StoreError;

/// What was posted is known for so long beyond everything else, ms: a year.
const POSTED_KEPT_MS: i64 = 365 * 24 * 3_600_000;

/// Forgets what is older than it needs to be. Events are numbered in the order in which they were
/// received, so that a time is a number. In a transaction.
pub async fn housekeep(
    db: &mut Db,
    texts_before: TimeMs,
    keys_before: TimeMs,
) -> Result<u64, StoreError> {
    let texts = first_event_since(db, texts_before).await?;
    let keys = first_event_since(db, keys_before).await?;
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
        ("DELETE FROM routine_run WHERE event < $1", keys),
        (
            "DELETE FROM event WHERE id < $1 AND state = 0
            AND NOT EXISTS(SELECT 1 FROM ledger_transfer t WHERE t.event = event.id)",
            keys,
        ),
    ] {
        let done = sqlx::query(sql).bind(before).execute(&mut *db).await;
        touched += done.map_err(failure)?.rows_affected();
    }
    let posted_before = texts_before.min(keys_before) - POSTED_KEPT_MS;
    Ok(touched + super::news::forget(db, keys_before, posted_before).await?)
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
