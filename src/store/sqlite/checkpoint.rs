//! Copies the write-ahead log into the database beside the commits, not between them.
//!
//! SQLite would do it within the commit that makes the log long enough, and the messages of that
//! commit would wait for tens of milliseconds. Here a connection of its own copies nearly all of it
//! while commits go on. Once in a while the writer copies what has come meanwhile, so that nothing is
//! left and the log starts anew (<https://www.sqlite.org/wal.html#ckpt>); commits wait for that, so
//! the log is let grow a little longer instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

use super::tally::Tallies;
use crate::planted::{self, Point};

/// Writes between two checkpoints: a few MiB of log. Rarer ones copy less in all, but the disk is then
/// busy with each for so long that commits wait behind it.
const WRITES: usize = 2048;
/// The writer copies the rest when the log has so many pages (40 MiB), or after so many checkpoints.
/// The file does not get shorter; it is written over from its start.
const LONG: i64 = 10_240;
const TO_THE_END: u32 = 16;

/// The task that copies. Ends with this value.
pub(super) struct Checkpoints {
    writes: AtomicUsize,
    due: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Checkpoints {
    /// Copies over a connection of its own, and briefly over the writer's.
    pub(super) fn start(
        own: SqliteConnection,
        writer: Arc<Mutex<SqliteConnection>>,
        tallies: Arc<Tallies>,
    ) -> Self {
        let due = Arc::new(Notify::new());
        let called = Arc::clone(&due);
        let mut copier = Copier { own, writer, long: LONG, since_the_end: 0 };
        let task = tokio::spawn(async move {
            loop {
                called.notified().await;
                if copier.copy_beside().await {
                    copier.copy_to_the_end(&tallies).await;
                }
            }
        });
        Self { writes: AtomicUsize::new(0), due, task }
    }

    /// Counts what was committed.
    pub(super) fn committed(&self, writes: usize) {
        let before = self.writes.fetch_add(writes, Ordering::Relaxed);
        if before / WRITES != (before + writes) / WRITES {
            self.due.notify_one();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One checkpoint after another.
struct Copier {
    own: SqliteConnection,
    writer: Arc<Mutex<SqliteConnection>>,
    /// Pages of a long log.
    long: i64,
    since_the_end: u32,
}

impl Copier {
    /// Copies while commits go on. Says whether the writer should copy the rest.
    async fn copy_beside(&mut self) -> bool {
        let pages = copy(&mut self.own).await;
        self.since_the_end += 1;
        pages >= self.long || self.since_the_end >= TO_THE_END
    }

    /// Copies what is left while commits wait, and notes how far the counts are: a note is a commit of
    /// its own. Without it, a start after a crash reads some more events.
    async fn copy_to_the_end(&mut self, tallies: &Tallies) {
        self.since_the_end = 0;
        let mut writer = self.writer.lock().await;
        copy(&mut writer).await;
        if let Err(error) = tallies.note(&mut writer).await {
            tracing::debug!(%error, "note how far the counts are");
        }
    }
}

/// Copies what nobody reads any more; says how many pages the log has. A failure loses nothing: the log
/// is read instead.
async fn copy(connection: &mut SqliteConnection) -> i64 {
    planted::reach(Point::BeforeCheckpoint);
    match sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await {
        Ok(row) => row.get("log"),
        Err(error) => {
            tracing::debug!(%error, "checkpoint");
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    /// Pages of a log that is long here, and pages between two checkpoints.
    const LONG_HERE: i64 = 64;
    const BETWEEN: usize = 10;

    async fn commit(writer: &Mutex<SqliteConnection>) {
        let write = sqlx::query("INSERT INTO t VALUES(hex(zeroblob(1500)))");
        write.execute(&mut *writer.lock().await).await.unwrap();
    }

    /// Somebody always reads while the copier copies, so that it never gets to the end by itself.
    #[tokio::test]
    async fn the_log_starts_anew_while_others_read_and_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal);
        // Only what is tested here copies.
        let options = options.pragma("wal_autocheckpoint", "0").pragma("synchronous", "OFF");
        let mut writer = options.connect().await.unwrap();
        for sql in ["CREATE TABLE t(text TEXT)", "CREATE TABLE meta(key PRIMARY KEY, value)"] {
            sqlx::query(sql).execute(&mut writer).await.unwrap();
        }
        let (own, mut reader) =
            (options.connect().await.unwrap(), options.connect().await.unwrap());
        let writer = Arc::new(Mutex::new(writer));
        let mut copier =
            Copier { own, writer: Arc::clone(&writer), long: LONG_HERE, since_the_end: 0 };
        let mut ends = 0;
        for _ in 0..100 {
            for _ in 0..BETWEEN {
                commit(&writer).await;
            }
            sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
            sqlx::query("SELECT count(*) FROM t").execute(&mut reader).await.unwrap();
            commit(&writer).await;
            let is_long = copier.copy_beside().await;
            sqlx::query("ROLLBACK").execute(&mut reader).await.unwrap();
            if is_long {
                ends += 1;
                copier.copy_to_the_end(&Tallies::default()).await;
            }
        }
        assert!(ends > 10, "{ends}");
        let log = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
        // A commit writes two pages or three; nobody waits longer than one checkpoint.
        let most = (LONG_HERE as u64 + 3 * (BETWEEN as u64 + 2)) * 4120;
        assert!(log < most, "{log} bytes of log, at most {most} expected");
    }

    #[tokio::test]
    async fn a_short_log_is_copied_to_its_end_once_in_a_while() {
        let connect =
            || async { SqliteConnectOptions::new().in_memory(true).connect().await.unwrap() };
        let writer = Arc::new(Mutex::new(connect().await));
        let mut copier = Copier { own: connect().await, writer, long: LONG, since_the_end: 0 };
        for round in 1..TO_THE_END {
            assert!(!copier.copy_beside().await, "{round}");
        }
        assert!(copier.copy_beside().await);
        copier.copy_to_the_end(&Tallies::default()).await;
        assert!(!copier.copy_beside().await);
    }
}
