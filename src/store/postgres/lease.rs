//! One process a database: a lease with a fence.
//!
//! Two things say who works on a database. A session lock of the server, which ends with the process
//! (or its connection) within moments, so that a bot that was killed starts again at once. And a row
//! with an end, which the holder moves on, so that a process that lives but does not answer (stopped,
//! swapped out, cut off) can be replaced. Whoever takes over counts the fence on; a commit under an
//! older fence is refused by the database itself, however late it wakes up.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::connect::connect;
use super::failure::{failure, lost};
use crate::planted::{self, Bug};
use crate::store::StoreError;

/// How long a process may be silent before another may take its place, ms.
pub const LEASE_MS: u64 = 10_000;
/// The row is moved on so many times within it.
const RENEWALS: u64 = 4;
/// Waits for the lock of a process that has just ended: tries, and ms between them.
const TRIES: u32 = 30;
const TRY_EVERY_MS: u64 = 50;
/// The lock's two numbers: `qund`, and what it is for.
const LOCK: &str = "1903521380, 1";

/// The lease of this process.
pub(super) struct Lease {
    owner: Arc<str>,
    lost: CancellationToken,
    keeper: AbortOnDropHandle<()>,
}

/// A lease that was taken, before anybody keeps it.
pub(super) struct Taken {
    connection: PgConnection,
    owner: Arc<str>,
    /// What every transaction must find.
    pub(super) fence: i64,
    /// The last transaction there was.
    pub(super) batch: i64,
}

/// Takes the lease, brings the schema up to date meanwhile nobody else works, and counts the fence.
///
/// # Errors
/// [`StoreError::InUse`] where another process lives and answers.
pub(super) async fn take(options: &PgConnectOptions, lease_ms: u64) -> Result<Taken, StoreError> {
    let mut connection = connect(options).await?;
    if !lock(&mut connection, TRIES).await? {
        evict(&mut connection).await?;
        if !lock(&mut connection, TRIES).await? {
            return Err(StoreError::InUse(
                "another qundao has just begun to work on this database".to_owned(),
            ));
        }
    }
    super::migrate(&mut connection).await?;
    super::adopt(&mut connection).await?;
    super::home::check(&mut connection).await?;
    let owner: Arc<str> = token()?.into();
    let sql = "UPDATE bot_lease SET owner = $1, holder = $2, fence = fence + 1,
          until = clock_timestamp() + $3 * interval '1 millisecond'
        WHERE id = 1 RETURNING fence, batch";
    let row = sqlx::query(sql).bind(&*owner).bind(holder()).bind(ms(lease_ms));
    let row = row.fetch_one(&mut connection).await.map_err(failure)?;
    let (fence, batch) = (row.get(0), row.get(1));
    Ok(Taken { connection, owner, fence, batch })
}

impl Lease {
    /// Keeps a lease until the process ends or somebody else has it.
    pub(super) fn keep(taken: Taken, options: PgConnectOptions, lease_ms: u64) -> Self {
        let lost = CancellationToken::new();
        let keeper = Keeper {
            connection: Some(taken.connection),
            options,
            owner: taken.owner.clone(),
            lost: lost.clone(),
            lease_ms,
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run()));
        Self { owner: taken.owner, lost, keeper }
    }

    /// Whether somebody else is known to have it.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Resolves when somebody else has it.
    pub(super) async fn until_lost(&self) {
        self.lost.cancelled().await;
    }

    /// Says that a transaction found another fence.
    pub(super) fn note_lost(&self) {
        self.lost.cancel();
    }

    /// An answer was lost. Makes sure that nothing sent before can be committed any more, and tells
    /// the fence from now on and the number of the last transaction that was.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where somebody else has the lease; otherwise what the server says.
    pub(super) async fn settle(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(i64, i64), StoreError> {
        // Waits for a transaction that is being committed: it holds the row.
        let sql = "UPDATE bot_lease SET fence = fence + 1 WHERE id = 1 AND owner = $1
            RETURNING fence, batch";
        let row = sqlx::query(sql).bind(&*self.owner).fetch_optional(connection).await;
        let row = row.map_err(failure)?.ok_or_else(lost)?;
        Ok((row.get(0), row.get(1)))
    }

    /// Whether the row still says so.
    pub(super) async fn is_held(&self, connection: &mut PgConnection) -> Result<bool, StoreError> {
        if planted::has(Bug::DropFence) {
            return Ok(true);
        }
        let sql = "SELECT count(*) FROM bot_lease WHERE id = 1 AND owner = $1";
        let row = sqlx::query(sql).bind(&*self.owner).fetch_one(connection).await;
        Ok(row.map_err(failure)?.get::<i64, _>(0) == 1)
    }

    /// Gives the lease back.
    pub(super) async fn release(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.keeper.abort();
        let sql = "UPDATE bot_lease SET until = '-infinity' WHERE id = 1 AND owner = $1";
        let released = sqlx::query(sql).bind(&*self.owner).execute(connection).await;
        released.map(drop).map_err(failure)
    }
}

/// The task that moves the end of the lease on.
struct Keeper {
    connection: Option<PgConnection>,
    options: PgConnectOptions,
    owner: Arc<str>,
    lost: CancellationToken,
    lease_ms: u64,
}

impl Keeper {
    async fn run(mut self) {
        let every = Duration::from_millis(self.lease_ms / RENEWALS);
        loop {
            tokio::time::sleep(every).await;
            let renewed = tokio::time::timeout(every, self.renew()).await;
            match renewed.unwrap_or_else(|_| Err(StoreError::Io("no answer".to_owned()))) {
                Ok(true) => {}
                Ok(false) => {
                    self.lost.cancel();
                    tracing::error!("the lease of the database is lost: {}", lost());
                    return;
                }
                Err(error) => {
                    self.connection = None;
                    tracing::warn!(%error, "the lease of the database could not be renewed");
                }
            }
        }
    }

    /// Moves the end on; `false` when somebody else has the lease.
    async fn renew(&mut self) -> Result<bool, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let mut fresh = connect(&self.options).await?;
                // Who holds it now is told by the row.
                lock(&mut fresh, 1).await?;
                self.connection.insert(fresh)
            }
        };
        let sql = "UPDATE bot_lease SET until = clock_timestamp() + $2 * interval '1 millisecond'
            WHERE id = 1 AND owner = $1";
        let done = sqlx::query(sql).bind(&*self.owner).bind(ms(self.lease_ms));
        Ok(done.execute(connection).await.map_err(failure)?.rows_affected() == 1)
    }
}

/// Takes the session lock; `false` when somebody else holds it to the last try.
async fn lock(connection: &mut PgConnection, tries: u32) -> Result<bool, StoreError> {
    for left in (0..tries).rev() {
        let sql = sqlx::AssertSqlSafe(format!("SELECT pg_try_advisory_lock({LOCK})"));
        let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(failure)?;
        if row.get(0) {
            return Ok(true);
        }
        if left > 0 {
            tokio::time::sleep(Duration::from_millis(TRY_EVERY_MS)).await;
        }
    }
    Ok(false)
}

/// Ends the session of a holder whose lease has run out.
async fn evict(connection: &mut PgConnection) -> Result<(), StoreError> {
    let in_use = |holder: &str| {
        StoreError::InUse(format!(
            "another qundao is running on this database{holder}; stop it first, or give this one \
             its own database"
        ))
    };
    let there = "SELECT to_regclass('bot_lease') IS NOT NULL";
    let there = sqlx::query(there).fetch_one(&mut *connection).await.map_err(failure)?;
    if !there.get::<bool, _>(0) {
        return Err(in_use(""));
    }
    let sql = "SELECT holder, until < clock_timestamp() FROM bot_lease WHERE id = 1";
    let row = sqlx::query(sql).fetch_one(&mut *connection).await.map_err(failure)?;
    let holder: String = row.get(0);
    if !row.get::<bool, _>(1) {
        return Err(in_use(&format!(" ({holder})")));
    }
    tracing::warn!(holder, "the process that holds the database does not answer; taking over");
    let (class, object) = LOCK.split_once(", ").unwrap_or_default();
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks
         WHERE locktype = 'advisory' AND classid = {class} AND objid = {object} AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ));
    sqlx::query(sql).fetch_all(connection).await.map(drop).map_err(failure)
}

/// A name that no other process has, nor this one when it starts again.
fn token() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Io(format!("no randomness from the system: {error}")))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

/// This process, for people.
fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let process = std::process::id();
    match host.trim() {
        "" => format!("process {process}"),
        host => format!("process {process} on {host}"),
    }
}

/// As PostgreSQL multiplies intervals.
fn ms(span: u64) -> f64 {
    span as f64
}
