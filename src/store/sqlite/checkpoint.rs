//! Copies the write-ahead log into the database beside the commits, not between them.
//!
//! SQLite would do it within the commit that makes the log long enough, and the messages of that
//! commit would wait for tens of milliseconds. Here a connection of its own copies nearly all of it
//! while commits go on. Once in a while the writer copies what has come meanwhile, so that nothing is
//! left and the log starts anew (<https://www.sqlite.org/wal.html#ckpt>); commits wait for that, so
//! the log is let grow a little longer instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

use super::tally::Tallies;
use crate::planted::{self, Point};

/// Writes between two checkpoints: a few MiB of log. Rarer ones copy less in all, but the disk is then
/// busy with each for so long that commits wait behind it.
const WRITES: usize = 2048;
/// Checkpoints until the writer copies the rest. The log has up to 45 MB by then, measured in a rush of
/// new members, and is written over from its start.
const TO_THE_END: u32 = 8;
/// Checkpoints between two notes of how far the counts are. A note is a commit of its own, for which
/// the others wait; without it, a start after a crash reads some more events.
const NOTED: u32 = 16;

/// The task that copies. Ends with this value.
pub(super) struct Checkpoints {
    writes: AtomicUsize,
    due: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Checkpoints {
    /// Copies over a connection of its own, and briefly over the writer's.
    pub(super) fn start(
        mut own: SqliteConnection,
        writer: Arc<Mutex<SqliteConnection>>,
        tallies: Arc<Tallies>,
    ) -> Self {
        let due = Arc::new(Notify::new());
        let called = Arc::clone(&due);
        let task = tokio::spawn(async move {
            let mut round = 0_u32;
            loop {
                called.notified().await;
                round = round.wrapping_add(1);
                copy(&mut own).await;
                if !round.is_multiple_of(TO_THE_END) {
                    continue;
                }
                let mut writer = writer.lock().await;
                copy(&mut writer).await;
                if round.is_multiple_of(NOTED)
                    && let Err(error) = tallies.note(&mut writer).await
                {
                    tracing::debug!(%error, "note how far the counts are");
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

/// Copies what nobody reads any more. A failure loses nothing: the log is read instead.
async fn copy(connection: &mut SqliteConnection) {
    planted::reach(Point::BeforeCheckpoint);
    let done = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(connection).await;
    if let Err(error) = done {
        tracing::debug!(%error, "checkpoint");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

    /// Commits; each fills about two pages of the log and counts for many writes, so that a checkpoint
    /// is always due and the log starts anew as often as it can.
    const COMMITS: usize = 4000;
    const EACH: usize = WRITES / 8;

    #[tokio::test]
    async fn the_log_starts_anew_while_commits_go_on() {
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
        let writer = Arc::new(Mutex::new(writer));
        let checkpoints = Checkpoints::start(
            options.connect().await.unwrap(),
            Arc::clone(&writer),
            Arc::default(),
        );
        for _ in 0..COMMITS {
            let write = sqlx::query("INSERT INTO t VALUES(hex(zeroblob(1500)))");
            write.execute(&mut *writer.lock().await).await.unwrap();
            checkpoints.committed(EACH);
        }
        let log = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
        let all = COMMITS as u64 * 4096;
        assert!(log * 4 < all, "{log} bytes of log after {all} bytes of pages");
    }
}
