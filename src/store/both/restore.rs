//! What must happen before a copy of a database is worked on.
//!
//! A copy knows nothing of what came after it. What it says is to be sent may have been sent, and
//! numbers that it would give next may have been given. So a copy carries a mark, a start refuses a
//! database that has one, and taking the mark away is one transaction with what makes it safe.

use sqlx::Row as _;

use super::{Db, failure};
use crate::clock::TimeMs;
use crate::store::{NUMBERED, StoreError};

/// When a copy was made: the mark.
pub const BACKUP_AT: &str = "backup_at";
/// When a copy was last made fit to work on.
const RESTORED_AT: &str = "restored_at";
/// Numbers below which none is given any more: `floor_event` and so on.
const FLOOR: &str = "floor_";
/// Numbers that may have been given since the copy was made. Those of packets are read and typed by
/// members, and there are few of them.
const LEAP: i64 = 1_000_000_000;
const LEAP_OF_PACKETS: i64 = 10_000;
/// Why a delivery of a copy is not sent.
const REASON: &str = "restored from a backup: it may have been sent since";

/// Says something of the database as a whole.
pub async fn set(db: &mut Db, key: &str, value: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta(key, value) VALUES($1, $2)
      ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    let set = sqlx::query(sql).bind(key).bind(value.to_string()).execute(db).await;
    set.map(drop).map_err(failure)
}

async fn get(db: &mut Db, key: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT CAST(value AS BIGINT) FROM meta WHERE key = $1";
    let row = sqlx::query(sql).bind(key).fetch_optional(db).await.map_err(failure)?;
    Ok(row.map(|row| row.get(0)))
}

/// When the copy was made that this file is; `None` where it is none, or is one no longer.
pub async fn backup_of(db: &mut Db) -> Result<Option<TimeMs>, StoreError> {
    get(db, BACKUP_AT).await
}

/// When this file was last restored.
pub async fn restored_at(db: &mut Db) -> Result<Option<TimeMs>, StoreError> {
    get(db, RESTORED_AT).await
}

/// Highest numbers in use, or given since the copy was made: never less than the floor of each.
pub async fn lift(db: &mut Db, numbers: &mut [i64]) -> Result<(), StoreError> {
    for (kind, number) in NUMBERED.iter().zip(numbers) {
        let floor = get(db, &format!("{FLOOR}{kind}")).await?;
        *number = floor.map_or(*number, |floor| floor.max(*number));
    }
    Ok(())
}

/// What a database that this one is copied into must know too, by name.
pub async fn marks(db: &mut Db) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT key, value FROM meta WHERE key = $1 OR substr(key, 1, 6) = $2 ORDER BY key";
    let rows = sqlx::query(sql).bind(RESTORED_AT).bind(FLOOR).fetch_all(db).await;
    Ok(rows.map_err(failure)?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Makes a copy fit to be worked on. How many deliveries are not sent.
pub async fn restore(db: &mut Db, now: TimeMs, numbers: &[i64]) -> Result<u64, StoreError> {
    let sql = "UPDATE delivery SET state = 'unknown', reason = $1
      WHERE state IN('queued', 'sending')";
    let held = sqlx::query(sql).bind(REASON).execute(&mut *db).await.map_err(failure)?;
    for (kind, number) in NUMBERED.iter().zip(numbers) {
        let leap = if *kind == "packet" { LEAP_OF_PACKETS } else { LEAP };
        set(db, &format!("{FLOOR}{kind}"), number + leap).await?;
    }
    set(db, RESTORED_AT, now).await?;
    let unmark = sqlx::query("DELETE FROM meta WHERE key = $1").bind(BACKUP_AT);
    unmark.execute(db).await.map_err(failure)?;
    Ok(held.rows_affected())
}
