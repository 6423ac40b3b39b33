//! The file written anew, without what was deleted.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::failure;
use crate::store::StoreError;

/// Tries at an empty log; a question that is being answered holds it up for a moment.
const TRIES: usize = 50;

/// Writes the file anew, without what was deleted, and empties the log.
pub(super) async fn compact(db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("VACUUM").execute(&mut *db).await.map_err(failure)?;
    for _ in 0..TRIES {
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *db).await;
        if row.map_err(failure)?.get::<i64, _>(0) == 0 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Err(StoreError::Io(
        "the log of the database could not be emptied: somebody reads it".to_owned(),
    ))
}
