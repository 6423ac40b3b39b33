//! The group commit: many turns, one transaction, and what became of it when the answer was lost.

use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::accounts::BotAccounts;
use super::audit::{self, Chain};
use super::connect::connect;
use super::failure::{failure, is_conflict, lost};
use super::lease::Lease;
use super::rows::{self, Rows};
use super::sql::{FIRST, LAST, LOCK_ACCOUNTS, LOCK_PACKETS};
use super::text::kept_json;
use super::{delivery, forget, health, home, keep, ledger, news, restore};
use crate::clock::TimeMs;
use crate::id::CommunityId;
use crate::planted::{self, Bug};
use crate::store::chain::{ChainRow, Head};
use crate::store::parts::{NONE, Parts};
use crate::store::{
    AuditRow, DecisionRow, ForgetRow, FreezeRow, NewsItemRow, NewsSourceRow, Old, StoreError,
};

/// Transactions that met another, or whose answer was lost, are run again so many times.
const AGAIN_MAX: u32 = 5;
/// No transaction takes longer, ms; the connection is given up then.
const TRANSACTION_MAX_MS: u64 = 60_000;
/// Waits while the server is away, ms: doubled up to the last.
const AWAY_MS: (u64, u64) = (50, 2000);

/// What is written in one transaction.
pub(super) enum Job<'a> {
    /// A batch of turns, deliveries and outcomes.
    Batch(&'a Parts<'a>),
    /// What is old is forgotten.
    Housekeep(&'a Old),
    /// A person is forgotten, and a line of the audit log says so.
    Forget(&'a ForgetRow, &'a AuditRow),
    /// What somebody decided about deliveries in doubt.
    Decide(&'a [DecisionRow]),
    /// Events of a platform could not be read: whose, when, how many.
    Unreadable(&'a str, TimeMs, u64),
    /// A ledger is frozen.
    Freeze(&'a FreezeRow),
    /// A ledger moves again.
    Thaw(CommunityId),
    /// A restored database is made fit to work on: when, with the highest numbers in use.
    Restore(TimeMs, &'a [i64]),
    /// A source of news is kept.
    News(&'a NewsSourceRow, Option<&'a [NewsItemRow]>),
    /// Rows of another store, as JSON for a statement.
    Copy(&'a str, &'a str),
}

impl Job<'_> {
    /// Lines of the audit log that it writes.
    fn lines(&self) -> Vec<&AuditRow> {
        match self {
            Self::Batch(parts) => parts.audit.clone(),
            Self::Forget(_, line) => vec![line],
            Self::Housekeep(_)
            | Self::Decide(_)
            | Self::Unreadable(..)
            | Self::Freeze(_)
            | Self::Thaw(_)
            | Self::Restore(..)
            | Self::News(..)
            | Self::Copy(..) => Vec::new(),
        }
    }
}

/// The one connection that writes.
pub(super) struct Writer {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    fence: i64,
    /// Number of the last transaction that was committed.
    batch: i64,
    chain: Chain,
}

/// How a transaction failed.
enum Failed {
    /// Before its `COMMIT`: nothing of it was committed.
    Rows(sqlx::Error),
    /// The same, said by our own code.
    Told(StoreError),
    /// At its `COMMIT`, or the server did not answer at all: nobody knows.
    Unknown,
}

impl Writer {
    pub(super) fn new(options: PgConnectOptions, fence: i64, batch: i64) -> Self {
        Self { options, connection: None, fence, batch, chain: Chain::default() }
    }

    /// A connection, made anew where the last one broke.
    pub(super) async fn connection(&mut self) -> Result<PgConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => connect(&self.options).await,
        }
    }

    /// Gives a connection that works back.
    pub(super) fn keep(&mut self, connection: PgConnection) {
        self.connection = Some(connection);
    }

    /// Commits a job whole, or nothing of it. How many rows were touched, where that is known.
    pub(super) async fn run(
        &mut self,
        job: &Job<'_>,
        accounts: &BotAccounts,
        lease: &Lease,
    ) -> Result<u64, StoreError> {
        let mut tries = 0;
        loop {
            if lease.is_lost() && !planted::has(Bug::DropFence) {
                return Err(lost());
            }
            // Whoever leaves in the middle (an error, a future that is dropped) leaves no connection
            // behind in a state that nobody knows.
            let mut db = self.connection().await?;
            let done = self.attempt(&mut db, job, accounts).await;
            if done.is_err() {
                // How far the audit log is, is seen before its next line.
                self.chain.lost();
            }
            let (error, goes_again) = match done {
                Ok((rows, head)) => {
                    self.batch += 1;
                    self.chain.committed(head);
                    self.keep(db);
                    return Ok(rows);
                }
                Err(Failed::Rows(error)) => {
                    let is_met = is_conflict(&error);
                    (self.roll_back(db, failure(error), lease).await, is_met)
                }
                Err(Failed::Told(error)) => (self.roll_back(db, error, lease).await, false),
                Err(Failed::Unknown) => {
                    drop(db);
                    if self.was_committed(lease).await? {
                        return Ok(0);
                    }
                    (StoreError::Io("commits are lost again and again".to_owned()), true)
                }
            };
            tries += 1;
            if !goes_again || tries > AGAIN_MAX {
                return Err(error);
            }
            tracing::debug!(%error, tries, "a transaction is run again");
        }
    }

    /// Ends a transaction that failed before its `COMMIT`; gives the reason that counts.
    async fn roll_back(
        &mut self,
        mut db: PgConnection,
        error: StoreError,
        lease: &Lease,
    ) -> StoreError {
        let is_held = match &error {
            StoreError::InUse(_) => false,
            StoreError::Io(_) => true,
            // What was refused may be so because somebody else has gone on meanwhile.
            StoreError::Constraint(_) | StoreError::Repeat | StoreError::Data(_) => {
                if let Err(error) = db.execute("ROLLBACK").await {
                    return failure(error);
                }
                match lease.is_held(&mut db).await {
                    Ok(is_held) => is_held,
                    Err(error) => return error,
                }
            }
        };
        if !is_held {
            lease.note_lost();
            return lost();
        }
        // Where a connection broke there is nothing to roll back, and nothing to keep.
        if db.execute("ROLLBACK").await.is_ok() {
            self.keep(db);
        }
        error
    }

    /// One try.
    async fn attempt(
        &self,
        db: &mut PgConnection,
        job: &Job<'_>,
        accounts: &BotAccounts,
    ) -> Result<(u64, Option<Head>), Failed> {
        let all = async {
            if let Job::Batch(parts) = job {
                let seen = parts.turns.iter().map(|turn| &turn.event.account);
                accounts.learn(db, seen).await.map_err(Failed::Told)?;
            }
            db.execute("BEGIN").await.map_err(Failed::Rows)?;
            let (links, head) = self.chain.link(db, &job.lines()).await.map_err(Failed::Told)?;
            let rows = write(db, job, accounts, &links).await?;
            self.stamp(db).await?;
            Ok((rows, head))
        };
        let limit = Duration::from_millis(TRANSACTION_MAX_MS);
        tokio::time::timeout(limit, all).await.unwrap_or(Err(Failed::Unknown))
    }

    /// The fence, the number, and the end of the transaction: one trip.
    async fn stamp(&self, db: &mut PgConnection) -> Result<(), Failed> {
        let (fence, number) = (self.fence, self.batch + 1);
        let stamp = if planted::has(Bug::DropFence) {
            format!("UPDATE bot_lease SET batch = {number}")
        } else {
            format!("SELECT bot_stamp({fence}, {number})")
        };
        let sql = sqlx::AssertSqlSafe(format!("{stamp}; COMMIT"));
        match sqlx::raw_sql(sql).execute(db).await {
            Ok(_) => Ok(()),
            // What the server says of a constraint or of the fence, it says instead of committing.
            Err(error) => Err(match error.as_database_error().and_then(|inner| inner.code()) {
                Some(code) if ["23", "40", "QD"].iter().any(|class| code.starts_with(class)) => {
                    Failed::Rows(error)
                }
                _ => {
                    tracing::warn!(%error, "a commit was not answered");
                    Failed::Unknown
                }
            }),
        }
    }

    /// Whether the last transaction was committed, whose answer was lost. Asks until the server
    /// answers; afterwards nothing that was sent before can be committed any more.
    async fn was_committed(&mut self, lease: &Lease) -> Result<bool, StoreError> {
        let mut wait_ms = AWAY_MS.0;
        loop {
            let answer = async {
                let mut db = self.connection().await?;
                let (fence, batch) = lease.settle(&mut db).await?;
                Ok((db, fence, batch))
            };
            match answer.await {
                Ok((db, fence, batch)) => {
                    self.keep(db);
                    let is_committed = batch > self.batch;
                    (self.fence, self.batch) = (fence, batch);
                    tracing::warn!(is_committed, "the answer to a commit was lost; looked it up");
                    return Ok(is_committed);
                }
                Err(StoreError::Io(error)) => {
                    tracing::warn!(%error, wait_ms, "a commit is in doubt, and the server is away");
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    wait_ms = (wait_ms * 2).min(AWAY_MS.1);
                }
                Err(error) => {
                    if matches!(error, StoreError::InUse(_)) {
                        lease.note_lost();
                    }
                    return Err(error);
                }
            }
        }
    }
}

/// The rows of a job, within a transaction.
async fn write(
    db: &mut PgConnection,
    job: &Job<'_>,
    accounts: &BotAccounts,
    links: &[ChainRow],
) -> Result<u64, Failed> {
    let told = match job {
        Job::Batch(parts) => {
            batch(db, parts, accounts, links).await.map_err(Failed::Rows)?;
            Ok(0)
        }
        Job::Copy(sql, rows) => {
            let query = sqlx::query(sqlx::AssertSqlSafe((*sql).to_owned()));
            let done = query.bind(kept_json((*rows).to_owned())).execute(db).await;
            Ok(done.map_err(Failed::Rows)?.rows_affected())
        }
        Job::Housekeep(old) => keep::housekeep(db, old).await,
        Job::Forget(wish, _) => match forget::forget(db, wish).await {
            Ok(()) => audit::write(db, links).await.map(|()| 0),
            Err(error) => Err(error),
        },
        Job::Decide(decisions) => delivery::decide(db, decisions).await,
        Job::Unreadable(platform, now, events) => {
            health::note_unreadable(db, platform, *now, *events).await.map(|()| 0)
        }
        Job::Freeze(row) => ledger::freeze(db, row).await.map(|()| 0),
        Job::Thaw(community) => ledger::thaw(db, *community).await.map(u64::from),
        Job::Restore(now, numbers) => match home::settle(db).await {
            Ok(()) => restore::restore(db, *now, numbers).await,
            Err(error) => Err(error),
        },
        Job::News(source, items) => news::keep(db, source, *items).await.map(|()| 0),
    };
    told.map_err(Failed::Told)
}

async fn batch(
    db: &mut PgConnection,
    parts: &Parts<'_>,
    accounts: &BotAccounts,
    links: &[ChainRow],
) -> Result<(), sqlx::Error> {
    spread(db, &FIRST, parts.first()).await?;
    let rows = Rows::of(parts, accounts);
    rows.touch(db).await?;
    rows.event(db).await?;
    lock(db, parts).await?;
    spread(db, &LAST, parts.last(links)).await?;
    rows::deliver(db, &parts.deliveries).await?;
    rows::settle(db, &parts.settled).await
}

/// Takes the rows that others may want too, in one order.
async fn lock(db: &mut PgConnection, parts: &Parts<'_>) -> Result<(), sqlx::Error> {
    let turns = &parts.turns;
    let moved = turns.iter().flat_map(|turn| &turn.transfers);
    let mut accounts: Vec<i64> = moved.flat_map(|row| [row.debit.0, row.credit.0]).collect();
    let mut packets: Vec<i64> = turns
        .iter()
        .flat_map(|turn| {
            let shares = turn.shares.iter().map(|share| share.packet);
            turn.packets.iter().map(|packet| packet.id).chain(shares)
        })
        .collect();
    for (sql, ids) in [(LOCK_PACKETS, &mut packets), (LOCK_ACCOUNTS, &mut accounts)] {
        if !ids.is_empty() {
            ids.sort_unstable();
            ids.dedup();
            sqlx::query(sql).bind(&*ids).execute(&mut *db).await?;
        }
    }
    Ok(())
}

/// Runs statements whose rows are JSON.
async fn spread(
    db: &mut PgConnection,
    statements: &[&'static str],
    rows: Vec<String>,
) -> Result<(), sqlx::Error> {
    for (sql, rows) in statements.iter().zip(rows).filter(|(_, rows)| rows != NONE) {
        sqlx::query(*sql).bind(kept_json(rows)).execute(&mut *db).await?;
    }
    Ok(())
}
