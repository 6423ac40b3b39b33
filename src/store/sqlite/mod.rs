//! SQLite behind the store contract: one writer, readers apart, every commit on the disk before
//! anybody hears of it.

mod accounts;
mod auditor;
mod bulk;
mod checkpoint;
mod codes;
mod commit;
mod health;
mod ledger;
mod news;
mod read;
mod routine;
mod score;
mod sql;
mod tally;
mod trip;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub use auditor::Hearer;

use accounts::BotAccounts;
use checkpoint::Checkpoints;
use tally::Tallies;

use super::{
    CommunityRows, DueTimer, EventRow, FreezeRow, LedgerAudit, LedgerDump, NewsItemRow, NewsRows,
    NewsSourceRow, PacketRows, PointsEntry, RoutineRow, RoutineTimer, RunOutcome, ScoreEntryRow,
    Start, Store, StoreError, StoreHealth, StoredTransfer, TransferBy, Verification, Write,
};
use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::community::score::{Day, Facts};
use crate::effect::{Delivery, Destination};
use crate::id::{CommunityId, PersonId, Ref, ScriptName};

/// Schema, by number; the same numbers will stand in migrations/postgres.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/migrations/sqlite");

/// What was posted is known for so long beyond everything else, ms: a year.
const POSTED_KEPT_MS: i64 = 365 * 24 * 3_600_000;

/// A community's data in one SQLite file, or in memory.
pub struct Sqlite {
    writer: Arc<Mutex<SqliteConnection>>,
    /// Absent for a database in memory, which only its one connection can see.
    reader: Option<Mutex<SqliteConnection>>,
    /// Absent for a database in memory, which has no log.
    checkpoints: Option<Checkpoints>,
    accounts: BotAccounts,
    tallies: Arc<Tallies>,
    /// The file; absent where there is none, or where this only looks.
    path: Option<PathBuf>,
    /// Opened for the first check.
    auditor: OnceCell<Mutex<SqliteConnection>>,
    hearer: Option<Hearer>,
    /// Held as long as the store is open.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens (or makes) the file and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; otherwise what SQLite says.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::Io(format!("make the folder `{}`: {error}", folder.display()))
            })?;
        }
        let lock = lock(path)?;
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut writer = connect(options.clone()).await?;
        migrate(&mut writer).await?;
        restrict(path);
        sql::TRIP.warm(&mut writer).await?;
        let copier = connect(options.clone()).await?;
        let reader = Some(Mutex::new(connect(options.read_only(true)).await?));
        let accounts = BotAccounts::load(&mut writer).await?;
        let tallies = Arc::new(Tallies::catch_up(&mut writer).await?);
        let writer = Arc::new(Mutex::new(writer));
        let checkpoints =
            Some(Checkpoints::start(copier, Arc::clone(&writer), Arc::clone(&tallies)));
        let lock = Some(lock);
        Ok(Self {
            reader,
            checkpoints,
            path: Some(path.to_owned()),
            ..Self::on(writer, accounts, tallies, lock)
        })
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
        Ok(Self::on(writer, BotAccounts::default(), Arc::default(), None))
    }

    /// A database that lives as long as this value.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(failure)?;
        let mut writer = connect(options).await?;
        migrate(&mut writer).await?;
        let writer = Arc::new(Mutex::new(writer));
        Ok(Self::on(writer, BotAccounts::default(), Arc::default(), None))
    }

    /// With one connection for everything.
    fn on(
        writer: Arc<Mutex<SqliteConnection>>,
        accounts: BotAccounts,
        tallies: Arc<Tallies>,
        lock: Option<File>,
    ) -> Self {
        let (reader, checkpoints, path, hearer) = (None, None, None, None);
        let auditor = OnceCell::new();
        Self { writer, reader, checkpoints, accounts, tallies, path, auditor, hearer, _lock: lock }
    }

    /// The connection for questions.
    async fn reader(&self) -> MutexGuard<'_, SqliteConnection> {
        match &self.reader {
            Some(reader) => reader.lock().await,
            None => self.writer.lock().await,
        }
    }
}

/// The file whose lock says who works on the database.
fn lock(path: &Path) -> Result<File, StoreError> {
    let beside: PathBuf = path.with_extension("lock");
    let failed = |error: std::io::Error| {
        StoreError::Io(format!("open the lock file `{}`: {error}", beside.display()))
    };
    let file =
        File::options().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(format!(
            "another qundao is running on `{}`; stop it first, or give this one its own `[bot] \
             data` folder",
            path.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Only the owner may read what members wrote.
fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        if let Err(error) = std::fs::set_permissions(path, mode) {
            tracing::warn!(path = %path.display(), %error, "cannot restrict the database file");
        }
    }
}

async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    let mut connection = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(128)
        .pragma("journal_size_limit", "67108864")
        // 4 MiB of pages.
        .pragma("cache_size", "-4096")
        // Only where `checkpoint` does not get that far: 64 MiB of log.
        .pragma("wal_autocheckpoint", "16384")
        .connect()
        .await
        .map_err(failure)?;
    // What was asked for is not always what was given, and these two are what durability rests on.
    for (pragma, wanted) in [("PRAGMA synchronous", 2_i64), ("PRAGMA foreign_keys", 1)] {
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

impl Store for Sqlite {
    fn start(&self) -> BoxFuture<'_, Result<Start, StoreError>> {
        Box::pin(async { read::start(&mut *self.reader().await).await })
    }

    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            let mut writer = self.writer.lock().await;
            commit::commit(&mut writer, &self.accounts, &self.tallies, batch).await?;
            self.look_after(&mut writer, batch).await?;
            self.checkpoints.iter().for_each(|checkpoints| checkpoints.committed(batch.len()));
            Ok(())
        })
    }

    fn community(&self, id: CommunityId) -> BoxFuture<'_, Result<CommunityRows, StoreError>> {
        Box::pin(async move {
            let behind = self.tallies.of(id);
            let mut rows = read::community(&mut *self.reader().await, id).await?;
            read::count(&mut rows.members, &behind);
            Ok(rows)
        })
    }

    fn known<'a>(
        &'a self,
        keys: &'a [(Ref, Arc<str>)],
    ) -> BoxFuture<'a, Result<Vec<usize>, StoreError>> {
        Box::pin(async { read::known(&mut *self.reader().await, &self.accounts, keys).await })
    }

    fn persons<'a>(
        &'a self,
        accounts: &'a [Ref],
    ) -> BoxFuture<'a, Result<Vec<Option<PersonId>>, StoreError>> {
        Box::pin(async { read::persons(&mut *self.reader().await, accounts).await })
    }

    fn communities_of(
        &self,
        person: PersonId,
    ) -> BoxFuture<'_, Result<Vec<CommunityId>, StoreError>> {
        Box::pin(async move { read::communities_of(&mut *self.reader().await, person).await })
    }

    fn points_log(
        &self,
        community: CommunityId,
        person: PersonId,
        skip: i64,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<PointsEntry>, StoreError>> {
        Box::pin(async move {
            ledger::points_log(&mut *self.reader().await, community, person, skip, take).await
        })
    }

    fn transfer<'a>(
        &'a self,
        community: CommunityId,
        by: &'a TransferBy,
    ) -> BoxFuture<'a, Result<Option<StoredTransfer>, StoreError>> {
        Box::pin(async move { ledger::transfer(&mut *self.reader().await, community, by).await })
    }

    fn score_facts(
        &self,
        community: CommunityId,
        since: Day,
    ) -> BoxFuture<'_, Result<Facts, StoreError>> {
        Box::pin(async move { score::facts(&mut *self.reader().await, community, since).await })
    }

    fn score_log(
        &self,
        community: CommunityId,
        person: PersonId,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<ScoreEntryRow>, StoreError>> {
        Box::pin(
            async move { score::log(&mut *self.reader().await, community, person, take).await },
        )
    }

    fn slot_of<'a>(
        &'a self,
        to: &'a Destination,
        message: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move { read::slot_of(&mut *self.reader().await, to, message).await })
    }

    fn message_in<'a>(
        &'a self,
        to: &'a Destination,
        slot: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move { read::message_in(&mut *self.reader().await, to, slot).await })
    }

    fn packet(
        &self,
        community: CommunityId,
        packet: i64,
    ) -> BoxFuture<'_, Result<Option<PacketRows>, StoreError>> {
        Box::pin(async move { read::packet(&mut *self.reader().await, community, packet).await })
    }

    fn waiting(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<EventRow>, StoreError>> {
        Box::pin(async move { read::waiting(&mut *self.reader().await, community, take).await })
    }

    fn open_deliveries(&self) -> BoxFuture<'_, Result<Vec<Delivery>, StoreError>> {
        Box::pin(async { read::open_deliveries(&mut *self.reader().await).await })
    }

    fn last_heard<'a>(
        &'a self,
        platform: &'a str,
    ) -> BoxFuture<'a, Result<Option<TimeMs>, StoreError>> {
        Box::pin(async { read::last_heard(&mut *self.reader().await, platform).await })
    }

    fn housekeep(
        &self,
        texts_before: TimeMs,
        keys_before: TimeMs,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            // What the events still tell must not go with them.
            self.tallies.write_all(&mut writer).await?;
            let touched = commit::housekeep(&mut writer, texts_before, keys_before).await?;
            let posted_before = texts_before.min(keys_before) - POSTED_KEPT_MS;
            let counts = ledger::forget(&mut writer, keys_before).await?;
            Ok(touched + counts + news::forget(&mut writer, keys_before, posted_before).await?)
        })
    }

    fn timers_of<'a>(
        &'a self,
        scripts: &'a [ScriptName],
        except: &'a str,
    ) -> BoxFuture<'a, Result<Vec<DueTimer>, StoreError>> {
        Box::pin(async move { health::timers_of(&mut *self.reader().await, scripts, except).await })
    }

    fn routines_waiting(&self) -> BoxFuture<'_, Result<Vec<RoutineTimer>, StoreError>> {
        Box::pin(async move { routine::waiting(&mut *self.reader().await).await })
    }

    fn routines_made(&self) -> BoxFuture<'_, Result<Vec<RoutineRow>, StoreError>> {
        Box::pin(async move { routine::all_made(&mut *self.reader().await).await })
    }

    fn runs(&self, since: TimeMs, take: i64) -> BoxFuture<'_, Result<Vec<RunOutcome>, StoreError>> {
        Box::pin(async move { routine::runs(&mut *self.reader().await, since, take).await })
    }

    fn news(&self) -> BoxFuture<'_, Result<NewsRows, StoreError>> {
        Box::pin(async { news::load(&mut *self.reader().await).await })
    }

    fn keep_news<'a>(
        &'a self,
        source: &'a NewsSourceRow,
        items: Option<&'a [NewsItemRow]>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { news::keep(&mut *self.writer.lock().await, source, items).await })
    }

    fn health(&self, since: TimeMs) -> BoxFuture<'_, Result<StoreHealth, StoreError>> {
        Box::pin(async move { health::health(&mut *self.reader().await, since).await })
    }

    fn verify(&self) -> BoxFuture<'_, Result<Verification, StoreError>> {
        Box::pin(async { verify::verify(&mut *self.auditor().await?.lock().await).await })
    }

    fn audit(&self, community: CommunityId) -> BoxFuture<'_, Result<LedgerAudit, StoreError>> {
        Box::pin(self.check_one(community))
    }

    fn dump(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<LedgerDump, StoreError>> {
        Box::pin(async move {
            ledger::dump(&mut *self.auditor().await?.lock().await, community, take).await
        })
    }

    fn freeze<'a>(&'a self, row: &'a FreezeRow) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { ledger::freeze(&mut *self.writer.lock().await, row).await })
    }

    fn frozen(&self) -> BoxFuture<'_, Result<Vec<FreezeRow>, StoreError>> {
        Box::pin(async { ledger::frozen(&mut *self.reader().await).await })
    }

    fn thaw(&self, community: CommunityId) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { ledger::thaw(&mut *self.writer.lock().await, community).await })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // A failure loses nothing: the next start reads the log, and the events.
            let mut writer = self.writer.lock().await;
            for done in
                [self.tallies.write_all(&mut writer).await, self.tallies.note(&mut writer).await]
            {
                done.unwrap_or_else(|error| tracing::debug!(%error, "counts at the end"));
            }
            let checkpoint =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await;
            if let Err(error) = checkpoint {
                tracing::debug!(%error, "checkpoint at the end");
            }
        })
    }
}
