//! SQLite behind the store contract: one writer, readers apart, every commit on the disk before
//! anybody hears of it.

mod aside;
mod auditor;
mod backup;
mod bulk;
mod checkpoint;
mod commit;
mod compact;
mod copy;
mod file;
mod late;
mod sql;
mod store;
mod tally;
mod trip;
#[allow(clippy::duplicate_mod, reason = "its types are those of this module")]
#[path = "../both/mod.rs"]
mod words;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub use auditor::Hearer;

use accounts::BotAccounts;
use audit::Chain;
use checkpoint::Checkpoints;
use file::{folder_of, lock, refuse_foreign_log, restrict};
use late::Late;
use strangers::Strangers;
use tally::Tallies;
use words::{
    accounts, audit, delivery, forget, health, keep, ledger, news, read, restore, routine, score,
    strangers, verify,
};

use super::StoreError;
use crate::clock::TimeMs;
use crate::planted::{self, Bug};

/// Schema, by number; the same numbers stand in migrations/postgres.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/migrations/sqlite");

/// What the questions in `both` are asked of.
type Db = SqliteConnection;
type DbRow = SqliteRow;

/// A text as SQLite keeps it: as it is.
fn kept(text: String) -> String {
    text
}

/// JSON likewise.
fn kept_json(json: String) -> String {
    json
}

/// A community's data in one SQLite file, or in memory.
pub struct Sqlite {
    writer: Arc<Mutex<SqliteConnection>>,
    /// Absent for a database in memory, which only its one connection can see.
    reader: Option<Mutex<SqliteConnection>>,
    /// Absent for a database in memory, which has no log.
    checkpoints: Option<Checkpoints>,
    accounts: BotAccounts,
    strangers: Strangers,
    tallies: Arc<Tallies>,
    late: Late,
    /// Where the file lies; absent for a database in memory.
    folder: Option<PathBuf>,
    /// The file; absent where there is none, or where this only looks.
    path: Option<PathBuf>,
    /// Opened for the first check.
    auditor: OnceCell<Mutex<SqliteConnection>>,
    hearer: Option<Hearer>,
    chain: Chain,
    /// Something was forgotten that may still lie in the file.
    is_dirty: AtomicBool,
    /// Held as long as the store is open.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens (or makes) the file and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; otherwise what SQLite says.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, SqliteConnectOptions::new()).await
    }

    /// The same with what else SQLite shall know: tests put a file system of their own under it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(path: &Path, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::Io(format!("make the folder `{}`: {error}", folder.display()))
            })?;
        }
        let lock = lock(path)?;
        refuse_foreign_log(path)?;
        let options = options.filename(path).create_if_missing(true);
        let mut writer = connect(options.clone()).await?;
        migrate(&mut writer).await?;
        restrict(path);
        sql::TRIP.warm(&mut writer).await?;
        let copier = connect(options.clone()).await?;
        let reader = Some(Mutex::new(connect(options.read_only(true)).await?));
        let accounts = BotAccounts::load(&mut writer).await?;
        adopt(&mut writer).await?;
        Late::catch_up(&mut writer).await?;
        let strangers = Strangers::load(&mut writer).await?;
        let tallies = Arc::new(Tallies::catch_up(&mut writer).await?);
        aside::in_memory(&mut writer).await;
        let writer = Arc::new(Mutex::new(writer));
        let checkpoints =
            Some(Checkpoints::start(copier, Arc::clone(&writer), Arc::clone(&tallies)));
        let lock = Some(lock);
        let (path, folder) = (Some(path.to_owned()), Some(folder_of(path)));
        let on = Self::on(writer, accounts, tallies, lock);
        Ok(Self { reader, checkpoints, path, folder, strangers, ..on })
    }

    /// Opens a file for questions, beside a process that works on it.
    ///
    /// # Errors
    /// What SQLite says; also when the file is of an older version, which the next start brings up
    /// to date.
    pub async fn look(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let looker = options.busy_timeout(Duration::from_secs(5)).connect().await;
        let writer = Arc::new(Mutex::new(looker.map_err(failure)?));
        let folder = Some(folder_of(path));
        Ok(Self { folder, ..Self::on(writer, BotAccounts::default(), Arc::default(), None) })
    }

    /// Writes a consistent copy into a new file, beside whoever works on this one; the copy bears a
    /// mark, and a start wants to be told what became of the original ([`super::Store::restore`]).
    ///
    /// # Errors
    /// The file exists, or what SQLite and the disk say; then nothing is left of the copy.
    pub async fn backup(&self, file: &Path, now: TimeMs) -> Result<(), StoreError> {
        backup::backup(&mut *self.reader().await, file, now).await
    }

    /// Opens a file to leave word in it, beside a process that works on it or without one.
    ///
    /// # Errors
    /// What SQLite says; also when the file is of an older version.
    pub async fn beside(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path);
        let writer = Arc::new(Mutex::new(connect(options).await?));
        let folder = Some(folder_of(path));
        Ok(Self { folder, ..Self::on(writer, BotAccounts::default(), Arc::default(), None) })
    }

    /// A database that lives as long as this value.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Self::over(Self::memory().await?).await
    }

    /// A database in memory with its schema, for [`Self::over`]: it lives as long as somebody holds
    /// this.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn memory() -> Result<Arc<Mutex<SqliteConnection>>, StoreError> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(failure)?;
        let mut writer = connect(options).await?;
        migrate(&mut writer).await?;
        adopt(&mut writer).await?;
        Ok(Arc::new(Mutex::new(writer)))
    }

    /// Opens a database that outlives this value, as the next process would: a simulation ends a
    /// process so, and all that it had not committed is gone.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn over(writer: Arc<Mutex<SqliteConnection>>) -> Result<Self, StoreError> {
        let (accounts, strangers, tallies) = {
            let mut writer = writer.lock().await;
            let accounts = BotAccounts::load(&mut writer).await?;
            Late::catch_up(&mut writer).await?;
            let strangers = Strangers::load(&mut writer).await?;
            (accounts, strangers, Arc::new(Tallies::catch_up(&mut writer).await?))
        };
        // A simulated day has no rush; without this nobody would ever wait, and none of it be seen.
        let late = Late::always();
        Ok(Self { strangers, late, ..Self::on(writer, accounts, tallies, None) })
    }

    /// With one connection for everything.
    fn on(
        writer: Arc<Mutex<SqliteConnection>>,
        accounts: BotAccounts,
        tallies: Arc<Tallies>,
        lock: Option<File>,
    ) -> Self {
        Self {
            writer,
            reader: None,
            checkpoints: None,
            accounts,
            strangers: Strangers::default(),
            tallies,
            late: Late::default(),
            folder: None,
            path: None,
            auditor: OnceCell::new(),
            hearer: None,
            chain: Chain::default(),
            is_dirty: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// Writes the file anew without what was deleted. Nobody reads meanwhile.
    async fn write_anew(&self, writer: &mut SqliteConnection) -> Result<(), StoreError> {
        let _reader = match &self.reader {
            Some(reader) => Some(reader.lock().await),
            None => None,
        };
        aside::in_files(writer).await;
        let done = compact::compact(writer).await;
        aside::in_memory(writer).await;
        done?;
        self.is_dirty.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// The connection for questions.
    pub(super) async fn reader(&self) -> MutexGuard<'_, SqliteConnection> {
        match &self.reader {
            Some(reader) => reader.lock().await,
            None => self.writer.lock().await,
        }
    }
}

/// How a transaction begins that writes: as a writer, so that it waits for others before it has read
/// anything. One that began as a reader would be refused where somebody wrote meanwhile.
fn begin() -> &'static str {
    if planted::has(Bug::DeferredBegin) { "BEGIN" } else { "BEGIN IMMEDIATE" }
}

/// Whether a commit waits for the disk.
fn synchronous() -> (SqliteSynchronous, i64) {
    if planted::has(Bug::SynchronousOff) {
        (SqliteSynchronous::Off, 0)
    } else {
        (SqliteSynchronous::Full, 2)
    }
}

async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    let (synchronous, wanted) = synchronous();
    let mut connection = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(128)
        .pragma("journal_size_limit", "67108864")
        // What was deleted is written over at once.
        .pragma("secure_delete", "ON")
        // 2 MiB of pages; the system keeps the others.
        .pragma("cache_size", "-2048")
        // Only where `checkpoint` does not get that far: 64 MiB of log.
        .pragma("wal_autocheckpoint", "16384")
        .connect()
        .await
        .map_err(failure)?;
    // What was asked for is not always what was given, and these two are what durability rests on.
    for (pragma, wanted) in [("PRAGMA synchronous", wanted), ("PRAGMA foreign_keys", 1)] {
        let row = sqlx::query(pragma).fetch_one(&mut connection).await.map_err(failure)?;
        if row.get::<i64, _>(0) != wanted {
            return Err(StoreError::Data(format!("`{pragma}` is not {wanted}")));
        }
    }
    Ok(connection)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    MIGRATIONS
        .run(connection)
        .await
        .map_err(|error| StoreError::Data(format!("bring the schema up to date: {error}")))
}

/// Takes what was kept before into its new form.
async fn adopt(writer: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    audit::adopt(&mut transaction).await?;
    transaction.commit().await.map_err(failure)
}

/// Sorts SQLite's errors by what can be done about them.
fn failure(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(inner) => {
            // Primary result codes: https://www.sqlite.org/rescode.html (19 = constraint).
            let code = inner.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or(0);
            if inner.message().contains("event.account, event.key") {
                StoreError::Repeat
            } else if code & 0xff == 19 {
                StoreError::Constraint(inner.message().to_owned())
            } else {
                StoreError::Io(inner.message().to_owned())
            }
        }
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            StoreError::Data(error.to_string())
        }
        _ => StoreError::Io(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AuditRow;

    /// The line of the log that goes with forgetting somebody.
    pub(super) fn forgotten() -> AuditRow {
        AuditRow {
            event: None,
            community: None,
            at: 0,
            actor: "operator".to_owned(),
            by: None,
            about: None,
            action: "forget".to_owned(),
            object: String::new(),
            detail: String::new(),
            salt: [0; 16],
        }
    }

    /// `.cargo/config.toml` says how, in a variable that could go unread. SQLite tells of one of the
    /// two options in it; `HAVE_FDATASYNC` shows only in the calls of the process.
    #[tokio::test]
    async fn sqlite_is_built_as_this_repository_asks() {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
        let mut connection = options.connect().await.unwrap();
        let rows = sqlx::query("PRAGMA compile_options").fetch_all(&mut connection).await.unwrap();
        let options: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(options.contains(&"STMTJRNL_SPILL=65536".to_owned()), "{options:?}");
    }
}
