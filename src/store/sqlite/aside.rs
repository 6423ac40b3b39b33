//! Where SQLite keeps what was there before, for as long as a statement changes it.
//!
//! Above 64 KiB that is a temporary file, made and removed again several times in a busy second
//! (<https://www.sqlite.org/tempfiles.html#stmtjrnl>). The writer keeps it in memory instead: a commit is
//! small enough. Work that may be as large as the database has files.

use sqlx::sqlite::SqliteConnection;

/// From the next transaction on, in memory.
pub(super) async fn in_memory(db: &mut SqliteConnection) {
    set(db, "PRAGMA temp_store = MEMORY").await;
}

/// From the next transaction on, in files.
pub(super) async fn in_files(db: &mut SqliteConnection) {
    set(db, "PRAGMA temp_store = FILE").await;
}

/// Where it fails, the work goes on as before, and takes more time or memory.
async fn set(db: &mut SqliteConnection, pragma: &'static str) {
    if let Err(error) = sqlx::query(pragma).execute(db).await {
        tracing::debug!(%error, pragma);
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::super::{Sqlite, tests::forgotten};
    use crate::id::{EventId, PersonId};
    use crate::store::{ForgetRow, Old, Store as _};

    async fn is_in_memory(store: &Sqlite) -> bool {
        let mut writer = store.writer.lock().await;
        let row = sqlx::query("PRAGMA temp_store").fetch_one(&mut *writer).await.unwrap();
        row.get::<i64, _>(0) == 2
    }

    #[tokio::test]
    async fn commits_have_memory_again_after_work_that_has_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("a.db")).await.unwrap();
        assert!(is_in_memory(&store).await, "open");
        store.housekeep(&Old::all_before(1)).await.unwrap();
        assert!(is_in_memory(&store).await, "housekeep");
        store.compact().await.unwrap();
        assert!(is_in_memory(&store).await, "compact");
        let wish = ForgetRow { person: PersonId(1), community: None, event: EventId(1), at: 1 };
        store.forget(&wish, &forgotten()).await.unwrap();
        assert!(is_in_memory(&store).await, "forget");
    }
}
