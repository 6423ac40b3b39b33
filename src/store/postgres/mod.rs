//! PostgreSQL behind the contract: the connection that writes, the pool for questions, the lease.
//!
//! A server that is away is waited for: questions are asked again until it answers, commits fail as
//! [`StoreError::Io`] and are tried again by whoever commits. A commit whose answer was lost is never
//! sent again blindly: the number that every transaction leaves behind tells what became of it.

mod commit;
mod connect;
mod copy;
mod failure;
mod lease;
mod rows;
mod sql;
mod text;
#[allow(clippy::duplicate_mod, reason = "its types are those of this module")]
#[path = "../both/mod.rs"]
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgRow, Postgres as Engine};
use sqlx::{Connection as _, Pool, Row};
use tokio::sync::Mutex;

use commit::{Job, Writer};
use failure::failure;
use lease::Lease;
use text::{kept, kept_json};
use words::{accounts, forget, health, news, read, routine, score, verify};

use super::parts::Parts;
use super::{
    CommunityRows, DueTimer, EventRow, NewsItemRow, NewsRows, NewsSourceRow, PacketRows,
    PointsEntry, RoutineRow, RoutineTimer, RunOutcome, ScoreEntryRow, Start, Store, StoreError,
    StoreHealth, Verification, Write,
};
use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::community::score::{Day, Facts};
use crate::effect::{Delivery, Destination};
use crate::id::{CommunityId, PersonId, Ref, ScriptName};

pub use lease::LEASE_MS;

/// Schema, by number; the same numbers stand in migrations/sqlite.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// Connections for questions.
const READERS: u32 = 4;
/// A question waits so long for one of them, ms.
const READER_WAIT_MS: u64 = 10_000;
/// Waits before a question is asked again, ms: doubled up to the last.
const AGAIN_MS: (u64, u64) = (50, 2000);

/// What the questions in `both` are asked of.
type Db = PgConnection;
type DbRow = PgRow;

/// A database on a server.
pub struct Postgres {
    readers: Pool<Engine>,
    /// Absent where only questions are asked.
    writing: Option<Writing>,
    accounts: accounts::BotAccounts,
    is_closed: AtomicBool,
}

/// What it takes to write.
struct Writing {
    writer: Mutex<Writer>,
    lease: Lease,
}

impl Postgres {
    /// Takes the lease of the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process works on it; otherwise what the server says.
    pub async fn open(url: &str, lease_ms: u64) -> Result<Self, StoreError> {
        let options = connect::options(url, lease_ms)?;
        let taken = lease::take(&options, lease_ms).await?;
        let mut writer = Writer::new(options.clone(), taken.fence, taken.batch);
        let mut connection = writer.connection().await?;
        let accounts = accounts::BotAccounts::load(&mut connection).await?;
        writer.keep(connection);
        let lease = Lease::keep(taken, options.clone(), lease_ms);
        let writing = Some(Writing { writer: Mutex::new(writer), lease });
        Ok(Self { readers: readers(options), writing, accounts, is_closed: AtomicBool::new(false) })
    }

    /// Opens it for questions, beside a process that works on it; `None` where no bot ever did.
    ///
    /// # Errors
    /// What the server says.
    pub async fn look(url: &str) -> Result<Option<Self>, StoreError> {
        let options = connect::options(url, LEASE_MS)?;
        let mut connection = connect::connect(&options).await?;
        let there = "SELECT to_regclass('delivery') IS NOT NULL";
        let row = sqlx::query(there).fetch_one(&mut connection).await.map_err(failure)?;
        if !row.get::<bool, _>(0) {
            return Ok(None);
        }
        let accounts = accounts::BotAccounts::load(&mut connection).await?;
        let is_closed = AtomicBool::new(false);
        Ok(Some(Self { readers: readers(options), writing: None, accounts, is_closed }))
    }

    async fn reader(&self) -> Result<PoolConnection<Engine>, StoreError> {
        self.readers.acquire().await.map_err(failure)
    }

    /// Whether a question that failed so is asked again, after a while.
    async fn asks_again(&self, error: &StoreError, wait_ms: &mut u64) -> bool {
        let is_away = matches!(error, StoreError::Io(_));
        if !is_away || self.writing.is_none() || self.is_closed.load(Ordering::SeqCst) {
            return false;
        }
        tracing::warn!(%error, wait_ms, "the database server is away; asking again");
        tokio::time::sleep(Duration::from_millis(*wait_ms)).await;
        *wait_ms = (*wait_ms * 2).min(AGAIN_MS.1);
        true
    }

    async fn write(&self, job: Job<'_>) -> Result<u64, StoreError> {
        let Some(Writing { writer, lease }) = &self.writing else {
            return Err(StoreError::Io("the database was opened for questions only".to_owned()));
        };
        writer.lock().await.run(&job, &self.accounts, lease).await
    }
}

/// The pool for questions, whose connections cannot write.
fn readers(options: PgConnectOptions) -> Pool<Engine> {
    PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_millis(READER_WAIT_MS))
        .after_connect(|connection, _| {
            Box::pin(async move {
                // A pool knows errors of sqlx only.
                let checked = connect::check(connection).await?;
                checked.map_err(|error| sqlx::Error::Configuration(error.to_string().into()))
            })
        })
        .connect_lazy_with(options.options([("default_transaction_read_only", "on")]))
}

async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    MIGRATIONS
        .run(connection)
        .await
        .map_err(|error| StoreError::Data(format!("bring the schema up to date: {error}")))
}

/// Asks a question of a connection, again and again while the server is away.
macro_rules! ask {
    ($self:ident, $db:ident => $question:expr) => {
        Box::pin(async move {
            let mut wait_ms = AGAIN_MS.0;
            loop {
                let answer = match $self.reader().await {
                    Ok(mut held) => {
                        let $db = &mut *held;
                        $question.await
                    }
                    Err(error) => Err(error),
                };
                match answer {
                    Err(error) if $self.asks_again(&error, &mut wait_ms).await => {}
                    answer => return answer,
                }
            }
        })
    };
}

impl Store for Postgres {
    fn start(&self) -> BoxFuture<'_, Result<Start, StoreError>> {
        ask!(self, db => read::start(db))
    }

    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { self.write(Job::Batch(&Parts::of(batch))).await.map(drop) })
    }

    fn community(&self, id: CommunityId) -> BoxFuture<'_, Result<CommunityRows, StoreError>> {
        ask!(self, db => read::community(db, id))
    }

    fn known<'a>(
        &'a self,
        keys: &'a [(Ref, Arc<str>)],
    ) -> BoxFuture<'a, Result<Vec<usize>, StoreError>> {
        ask!(self, db => read::known(db, &self.accounts, keys))
    }

    fn persons<'a>(
        &'a self,
        accounts: &'a [Ref],
    ) -> BoxFuture<'a, Result<Vec<Option<PersonId>>, StoreError>> {
        ask!(self, db => read::persons(db, accounts))
    }

    fn communities_of(
        &self,
        person: PersonId,
    ) -> BoxFuture<'_, Result<Vec<CommunityId>, StoreError>> {
        ask!(self, db => read::communities_of(db, person))
    }

    fn points_log(
        &self,
        community: CommunityId,
        person: PersonId,
        skip: i64,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<PointsEntry>, StoreError>> {
        ask!(self, db => read::points_log(db, community, person, skip, take))
    }

    fn transfer_amount<'a>(
        &'a self,
        community: CommunityId,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        ask!(self, db => read::transfer_amount(db, community, key))
    }

    fn score_facts(
        &self,
        community: CommunityId,
        since: Day,
    ) -> BoxFuture<'_, Result<Facts, StoreError>> {
        ask!(self, db => score::facts(db, community, since))
    }

    fn score_log(
        &self,
        community: CommunityId,
        person: PersonId,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<ScoreEntryRow>, StoreError>> {
        ask!(self, db => score::log(db, community, person, take))
    }

    fn slot_of<'a>(
        &'a self,
        to: &'a Destination,
        message: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        ask!(self, db => read::slot_of(db, to, message))
    }

    fn message_in<'a>(
        &'a self,
        to: &'a Destination,
        slot: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        ask!(self, db => read::message_in(db, to, slot))
    }

    fn packet(
        &self,
        community: CommunityId,
        packet: i64,
    ) -> BoxFuture<'_, Result<Option<PacketRows>, StoreError>> {
        ask!(self, db => read::packet(db, community, packet))
    }

    fn waiting(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<EventRow>, StoreError>> {
        ask!(self, db => read::waiting(db, community, take))
    }

    fn open_deliveries(&self) -> BoxFuture<'_, Result<Vec<Delivery>, StoreError>> {
        ask!(self, db => read::open_deliveries(db))
    }

    fn last_heard<'a>(
        &'a self,
        platform: &'a str,
    ) -> BoxFuture<'a, Result<Option<TimeMs>, StoreError>> {
        ask!(self, db => read::last_heard(db, platform))
    }

    fn housekeep(
        &self,
        texts_before: TimeMs,
        keys_before: TimeMs,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.write(Job::Forget(texts_before, keys_before)))
    }

    fn timers_of<'a>(
        &'a self,
        scripts: &'a [ScriptName],
        except: &'a str,
    ) -> BoxFuture<'a, Result<Vec<DueTimer>, StoreError>> {
        ask!(self, db => health::timers_of(db, scripts, except))
    }

    fn routines_waiting(&self) -> BoxFuture<'_, Result<Vec<RoutineTimer>, StoreError>> {
        ask!(self, db => routine::waiting(db))
    }

    fn routines_made(&self) -> BoxFuture<'_, Result<Vec<RoutineRow>, StoreError>> {
        ask!(self, db => routine::all_made(db))
    }

    fn runs(&self, since: TimeMs, take: i64) -> BoxFuture<'_, Result<Vec<RunOutcome>, StoreError>> {
        ask!(self, db => routine::runs(db, since, take))
    }

    fn news(&self) -> BoxFuture<'_, Result<NewsRows, StoreError>> {
        ask!(self, db => news::load(db))
    }

    fn keep_news<'a>(
        &'a self,
        source: &'a NewsSourceRow,
        items: Option<&'a [NewsItemRow]>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.write(Job::News(source, items)).await.map(drop) })
    }

    fn health(&self, since: TimeMs) -> BoxFuture<'_, Result<StoreHealth, StoreError>> {
        ask!(self, db => health::health(db, since))
    }

    fn verify(&self) -> BoxFuture<'_, Result<Verification, StoreError>> {
        Box::pin(async {
            // One picture of everything, beside those who write.
            let mut held = self.reader().await?;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
            let mut picture = held.begin_with(begin).await.map_err(failure)?;
            verify::verify(&mut picture).await
        })
    }

    fn replaced(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            match &self.writing {
                Some(writing) => writing.lease.until_lost().await,
                None => std::future::pending().await,
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.is_closed.store(true, Ordering::SeqCst);
            if let Some(Writing { writer, lease }) = &self.writing {
                let released = async {
                    let mut connection = writer.lock().await.connection().await?;
                    lease.release(&mut connection).await
                };
                if let Err(error) = released.await {
                    tracing::debug!(%error, "the lease was not given back; it ends by itself");
                }
            }
            self.readers.close().await;
        })
    }
}
