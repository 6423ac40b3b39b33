//! What lies in the database that somebody should know of, or that should go.

use sqlx::Row;

use super::sql::TIMERS_OF;
use super::{Db, failure};
use crate::clock::TimeMs;
use crate::id::{CommunityId, ScriptName, TimerId};
use crate::store::{DueTimer, StoreError, StoreHealth};

/// A delivery has no date of its own; it may be sent from the moment at which it was made.
const HEALTH: &str = "SELECT
    (SELECT count(*) FROM event WHERE state = 2),
    (SELECT count(*) FROM event WHERE state = 1),
    (SELECT min(received_at) FROM event WHERE state = 1),
    (SELECT count(*) FROM delivery WHERE state = 'failed' AND not_before >= $1),
    (SELECT count(*) FROM delivery WHERE state = 'unknown' AND not_before >= $1),
    (SELECT CAST(coalesce(sum(commands), 0) AS BIGINT) FROM left_undone WHERE day >= $1 / 86400000),
    (SELECT count(*) FROM ledger_freeze),
    (SELECT CAST(coalesce(sum(events), 0) AS BIGINT) FROM unreadable
      WHERE day >= $1 / 86400000)";

pub async fn health(db: &mut Db, since: TimeMs) -> Result<StoreHealth, StoreError> {
    let row = sqlx::query(HEALTH).bind(since).fetch_one(db).await.map_err(failure)?;
    Ok(StoreHealth {
        quarantined: row.get(0),
        waiting: row.get(1),
        oldest_waiting: row.get(2),
        failed: row.get(3),
        unknown: row.get(4),
        left_undone: row.get(5),
        frozen: row.get(6),
        unreadable: row.get(7),
    })
}

pub async fn note_unreadable(
    db: &mut Db,
    platform: &str,
    now: TimeMs,
    events: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO unreadable(day, platform, events) VALUES($1 / 86400000, $2, $3)
        ON CONFLICT(day, platform) DO UPDATE SET events = unreadable.events + excluded.events";
    let events = i64::try_from(events).unwrap_or(i64::MAX);
    let done = sqlx::query(sql).bind(now).bind(platform).bind(events).execute(db).await;
    done.map(drop).map_err(failure)
}

pub async fn timers_of(
    db: &mut Db,
    scripts: &[ScriptName],
    except: &str,
) -> Result<Vec<DueTimer>, StoreError> {
    let names: Vec<&str> = scripts.iter().map(ScriptName::as_str).collect();
    let names = serde_json::to_string(&names).map_err(|e| StoreError::Data(e.to_string()))?;
    let rows = sqlx::query(TIMERS_OF).bind(names).bind(except).fetch_all(db).await;
    let rows = rows.map_err(failure)?;
    Ok(rows.iter().map(|row| (row.get(0), TimerId(row.get(1)), CommunityId(row.get(2)))).collect())
}
