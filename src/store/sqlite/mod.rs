//! SQLite behind the store contract: one writer, readers apart, every commit on the disk before
//! anybody hears of it.

mod accounts;
mod audit;
mod auditor;
mod bulk;
mod checkpoint;
mod codes;
mod commit;
mod delivery;
mod file;
mod forget;
mod health;
mod keep;
mod ledger;
mod news;
mod read;
mod restore;
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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub use auditor::Hearer;

use accounts::BotAccounts;
use audit::Chain;
use checkpoint::Checkpoints;
use file::{folder_of, free_bytes, lock, refuse_foreign_log, restrict};
use tally::Tallies;

use super::chain::{ChainReport, Head};
use super::{
    AuditLine, AuditRow, CommunityRows, DecisionRow, DeliveryCount, DeliveryQuery, DueTimer,
    EventRow, ForgetRow, FreezeRow, LedgerAudit, LedgerDump, NewsItemRow, NewsRows, NewsSourceRow,
    Old, PacketRows, PointsEntry, Restored, RoutineRow, RoutineTimer, RunOutcome, ScoreEntryRow,
    Start, Store, StoreError, StoreHealth, StoredTransfer, TransferBy, Verification, Write,
};
use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::community::score::{Day, Facts};
use crate::effect::{Delivery, Destination};
use crate::id::{CommunityId, PersonId, Ref, ScriptName};
use crate::planted::{self, Bug, Point};

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
        audit::adopt(&mut writer).await?;
        let tallies = Arc::new(Tallies::catch_up(&mut writer).await?);
        let writer = Arc::new(Mutex::new(writer));
        let checkpoints =
            Some(Checkpoints::start(copier, Arc::clone(&writer), Arc::clone(&tallies)));
        let lock = Some(lock);
        let (path, folder) = (Some(path.to_owned()), Some(folder_of(path)));
        Ok(Self { reader, checkpoints, path, folder, ..Self::on(writer, accounts, tallies, lock) })
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
    /// mark, and a start wants to be told what became of the original ([`Store::restore`]).
    ///
    /// # Errors
    /// The file exists, or what SQLite and the disk say; then nothing is left of the copy.
    pub async fn backup(&self, file: &Path, now: TimeMs) -> Result<(), StoreError> {
        restore::backup(&mut *self.reader().await, file, now).await
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
        audit::adopt(&mut writer).await?;
        Ok(Arc::new(Mutex::new(writer)))
    }

    /// Opens a database that outlives this value, as the next process would: a simulation ends a
    /// process so, and all that it had not committed is gone.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn over(writer: Arc<Mutex<SqliteConnection>>) -> Result<Self, StoreError> {
        let (accounts, tallies) = {
            let mut writer = writer.lock().await;
            let accounts = BotAccounts::load(&mut writer).await?;
            (accounts, Arc::new(Tallies::catch_up(&mut writer).await?))
        };
        Ok(Self::on(writer, accounts, tallies, None))
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
            tallies,
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
        forget::compact(writer).await?;
        self.is_dirty.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// The connection for questions.
    async fn reader(&self) -> MutexGuard<'_, SqliteConnection> {
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
        // 4 MiB of pages.
        .pragma("cache_size", "-4096")
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

    fn restore(&self, now: TimeMs) -> BoxFuture<'_, Result<Restored, StoreError>> {
        Box::pin(async move {
            let numbers = self.start().await?.numbers;
            restore::restore(&mut *self.writer.lock().await, now, &numbers).await
        })
    }

    fn free_bytes(&self) -> Option<u64> {
        self.folder.as_deref().and_then(free_bytes)
    }

    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            let mut writer = self.writer.lock().await;
            commit::commit(&mut writer, &self.accounts, &self.tallies, &self.chain, batch).await?;
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

    fn find_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>> {
        Box::pin(async move { delivery::find(&mut *self.reader().await, query).await })
    }

    fn count_deliveries(
        &self,
        since: TimeMs,
    ) -> BoxFuture<'_, Result<Vec<DeliveryCount>, StoreError>> {
        Box::pin(async move { delivery::count(&mut *self.reader().await, since).await })
    }

    fn decide<'a>(
        &'a self,
        decisions: &'a [DecisionRow],
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { delivery::decide(&mut *self.writer.lock().await, decisions).await })
    }

    fn last_heard<'a>(
        &'a self,
        platform: &'a str,
    ) -> BoxFuture<'a, Result<Option<TimeMs>, StoreError>> {
        Box::pin(async { read::last_heard(&mut *self.reader().await, platform).await })
    }

    fn housekeep<'a>(&'a self, old: &'a Old) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            // What the events still tell must not go with them.
            self.tallies.write_all(&mut writer).await?;
            planted::reach(Point::Housekeeping);
            if self.is_dirty.load(Ordering::SeqCst) {
                self.write_anew(&mut writer).await?;
            }
            let touched = keep::housekeep(&mut writer, old).await?;
            let posted_before = old.texts.min(old.keys) - POSTED_KEPT_MS;
            let counts = ledger::forget(&mut writer, old.keys).await?;
            Ok(touched + counts + news::forget(&mut writer, old.keys, posted_before).await?)
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

    fn verify_audit(&self, known: Option<Head>) -> BoxFuture<'_, Result<ChainReport, StoreError>> {
        Box::pin(async move { audit::verify(&mut *self.reader().await, known).await })
    }

    fn audit_log(&self, take: i64) -> BoxFuture<'_, Result<Vec<AuditLine>, StoreError>> {
        Box::pin(async move { audit::last(&mut *self.reader().await, take).await })
    }

    fn audit_head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(async { audit::head(&mut *self.reader().await).await })
    }

    fn export(&self, person: PersonId) -> BoxFuture<'_, Result<Option<Value>, StoreError>> {
        Box::pin(async move { forget::export(&mut *self.reader().await, person).await })
    }

    fn forget<'a>(
        &'a self,
        wish: &'a ForgetRow,
        line: &'a AuditRow,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            // Counts of hers that wait would come back.
            self.tallies.write_all(&mut writer).await?;
            self.is_dirty.store(true, Ordering::SeqCst);
            forget::forget(&mut writer, &self.chain, wish, line).await
        })
    }

    fn forgetting(&self) -> BoxFuture<'_, Result<Vec<ForgetRow>, StoreError>> {
        Box::pin(async { forget::forgetting(&mut *self.reader().await).await })
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            let mut writer = self.writer.lock().await;
            self.write_anew(&mut writer).await
        })
    }

    fn note_unreadable<'a>(
        &'a self,
        platform: &'a str,
        now: TimeMs,
        events: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            health::note_unreadable(&mut *self.writer.lock().await, platform, now, events).await
        })
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
            if self.is_dirty.load(Ordering::SeqCst)
                && let Err(error) = self.write_anew(&mut writer).await
            {
                tracing::warn!(%error, "what was forgotten may still lie in the file");
            }
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
