//! PostgreSQL behind the contract: the connection that writes, the pool for questions, the lease.
//!
//! A server that is away is waited for: questions are asked again until it answers, commits fail as
//! [`StoreError::Io`] and are tried again by whoever commits. A commit whose answer was lost is never
//! sent again blindly: the number that every transaction leaves behind tells what became of it.

mod commit;
mod compact;
mod connect;
mod copy;
mod failure;
mod home;
mod lease;
mod rows;
mod sql;
mod store;
mod text;
#[allow(clippy::duplicate_mod, reason = "its types are those of this module")]
#[path = "../both/mod.rs"]
mod words;

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
use words::{
    accounts, audit, delivery, forget, health, keep, ledger, news, read, restore, routine, score,
    strangers, verify,
};

use super::{DecisionRow, StoreError};

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
    /// How to leave word beside the process that works on it; absent where that was not asked for.
    word: Option<PgConnectOptions>,
    accounts: accounts::BotAccounts,
    strangers: strangers::Strangers,
    is_closed: AtomicBool,
    /// Something was forgotten that may still lie in the files of the server.
    is_dirty: AtomicBool,
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
        let strangers = strangers::Strangers::load(&mut connection).await?;
        writer.keep(connection);
        let lease = Lease::keep(taken, options.clone(), lease_ms);
        let writing = Some(Writing { writer: Mutex::new(writer), lease });
        Ok(Self { writing, strangers, ..Self::on(options, accounts) })
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
        Ok(Some(Self::on(options, accounts)))
    }

    /// For questions.
    fn on(options: PgConnectOptions, accounts: accounts::BotAccounts) -> Self {
        let (is_closed, is_dirty) = (AtomicBool::new(false), AtomicBool::new(false));
        let (readers, strangers) = (readers(options), strangers::Strangers::default());
        Self { readers, writing: None, word: None, accounts, strangers, is_closed, is_dirty }
    }

    /// The same, to leave word too; `None` where no bot ever did.
    ///
    /// # Errors
    /// What the server says.
    pub async fn beside(url: &str) -> Result<Option<Self>, StoreError> {
        let word = Some(connect::options(url, LEASE_MS)?);
        Ok(Self::look(url).await?.map(|looking| Self { word, ..looking }))
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
            return Err(for_questions_only());
        };
        writer.lock().await.run(&job, &self.accounts, lease).await
    }

    /// Leaves a decision beside who works on the database: each row of it is changed only where it
    /// still waits for one, whoever comes first.
    async fn leave(&self, decisions: &[DecisionRow]) -> Result<u64, StoreError> {
        let options = self.word.as_ref().ok_or_else(for_questions_only)?;
        let mut connection = connect::connect(options).await?;
        let mut transaction = connection.begin().await.map_err(failure)?;
        let done = delivery::decide(&mut transaction, decisions).await?;
        transaction.commit().await.map_err(failure)?;
        Ok(done)
    }
}

fn for_questions_only() -> StoreError {
    StoreError::Io("the database was opened for questions only".to_owned())
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

/// Takes what was kept before into its new form.
async fn adopt(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await.map_err(failure)?;
    audit::adopt(&mut transaction).await?;
    transaction.commit().await.map_err(failure)
}
