//! Whether a database lies where it was worked on last. One that was read in from a dump does not,
//! and is a backup: it is worked on only when somebody says so ([`crate::store::Store::restore`]).

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use super::failure;
use crate::store::StoreError;

/// The number of the server with that of the database: a dump has neither.
const HERE: &str = "SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || oid
    FROM pg_database WHERE datname = current_database()";
/// `here` is where it lies, `home` where it was worked on. A backup is as old as its last event.
const NOTE: [&str; 3] = [
    "INSERT INTO meta(key, value) VALUES('here', $1)
      ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    "INSERT INTO meta(key, value) VALUES('home', $1) ON CONFLICT DO NOTHING",
    "INSERT INTO meta(key, value) SELECT 'backup_at',
        coalesce((SELECT received_at FROM event ORDER BY id DESC LIMIT 1), 0)::text
      FROM meta WHERE key = 'home' AND value <> $1 ON CONFLICT DO NOTHING",
];
/// It is at home here.
const SETTLE: &str = "UPDATE meta SET value = (SELECT value FROM meta WHERE key = 'here')
    WHERE key = 'home'";

/// Marks a database that was read in from a dump. A server that does not tell its number is asked
/// nothing: whoever reads in a dump there has to know.
pub(super) async fn check(db: &mut PgConnection) -> Result<(), StoreError> {
    let here: String = match sqlx::query(HERE).fetch_one(&mut *db).await {
        Ok(row) => row.get(0),
        Err(sqlx::Error::Database(error)) => {
            tracing::debug!(%error, "the server does not tell where it is");
            return Ok(());
        }
        Err(error) => return Err(failure(error)),
    };
    let mut transaction = db.begin().await.map_err(failure)?;
    for sql in NOTE {
        let noted = sqlx::query(sql).bind(&here).execute(&mut *transaction).await;
        noted.map_err(failure)?;
    }
    transaction.commit().await.map_err(failure)
}

/// Says that it is at home here. In a transaction.
pub(super) async fn settle(db: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(SETTLE).execute(db).await.map(drop).map_err(failure)
}
