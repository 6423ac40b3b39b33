//! The contract of the database: what the core needs, said in batches, without SQL.
//!
//! A [`Store`] commits many turns in one transaction, loads a community, and answers the few
//! questions that memory cannot. SQLite or PostgreSQL is behind it: no type of either appears here,
//! and no SQL outside this folder.

mod answers;
mod audit_rows;
pub mod chain;
mod codes;
mod copy;
mod delivery_rows;
mod ledger_rows;
mod news_rows;
mod open;
mod parts;
pub mod postgres;
mod rows;
mod score_rows;
pub mod scrub;
pub mod sqlite;

pub use answers::*;
pub use audit_rows::*;
pub use copy::{Copied, copy};
pub use delivery_rows::*;
pub use ledger_rows::*;
pub use news_rows::*;
pub use open::Address;
pub use rows::*;
pub use score_rows::*;

use std::sync::Arc;

use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::community::score::{Day, Facts};
use crate::effect::{Delivery, Destination};
use crate::id::{CommunityId, PersonId, Ref, ScriptName};
use chain::{ChainReport, Head};
use serde_json::Value;

/// What went wrong in the store, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A constraint refused the data: running it again gives the same.
    #[error("the database refused: {0}")]
    Constraint(String),
    /// An event with this key was committed before.
    #[error("the event was committed before")]
    Repeat,
    /// The disk or the connection failed: it may work later.
    #[error("the database failed: {0}")]
    Io(String),
    /// Another process works on the same data.
    #[error("{0}")]
    InUse(String),
    /// The data is not what this version expects.
    #[error("the database holds something unexpected: {0}")]
    Data(String),
}

/// One thing to commit.
#[derive(Clone, Debug)]
pub enum Write {
    /// Everything that a turn changed.
    Turn(Box<TurnRows>),
    /// A delivery that the outbox itself adds: tidying up after another.
    Deliver(Box<Delivery>),
    /// What became of a delivery.
    Settle(Settlement),
    /// A line of the audit log about something that no turn did.
    Audit(Box<AuditRow>),
}

/// A database.
pub trait Store: Send + Sync {
    /// Everything that must be known before the first event.
    fn start(&self) -> BoxFuture<'_, Result<Start, StoreError>>;

    /// Makes a database that was restored from a backup fit to work on, in one transaction: open
    /// deliveries become `unknown`, numbers that may have been given since are not given again, the
    /// mark of a backup goes, and `restored_at` is set.
    fn restore(&self, now: TimeMs) -> BoxFuture<'_, Result<Restored, StoreError>>;

    /// Bytes that are free where the data lies; `None` where that is unknown or not ours to watch.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// Whether a command beside the bot can write here.
    fn is_shared(&self) -> bool {
        true
    }

    /// Commits all of the batch, or nothing.
    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Whether rows that are committed wait for their place in the tables.
    fn is_behind(&self) -> bool {
        false
    }

    /// Puts some of them there; for when nothing else is to be written.
    fn follow(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    /// A community as it was last committed.
    fn community(&self, id: CommunityId) -> BoxFuture<'_, Result<CommunityRows, StoreError>>;

    /// Which of these events have been committed before: `(account, key)` in, indices out.
    fn known<'a>(
        &'a self,
        keys: &'a [(Ref, Arc<str>)],
    ) -> BoxFuture<'a, Result<Vec<usize>, StoreError>>;

    /// The persons behind these accounts, in the same order.
    fn persons<'a>(
        &'a self,
        accounts: &'a [Ref],
    ) -> BoxFuture<'a, Result<Vec<Option<PersonId>>, StoreError>>;

    /// Communities that a person is a member of.
    fn communities_of(
        &self,
        person: PersonId,
    ) -> BoxFuture<'_, Result<Vec<CommunityId>, StoreError>>;

    /// The latest movements of a member's points, newest first.
    fn points_log(
        &self,
        community: CommunityId,
        person: PersonId,
        skip: i64,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<PointsEntry>, StoreError>>;

    /// One transfer, if there is one.
    fn transfer<'a>(
        &'a self,
        community: CommunityId,
        by: &'a TransferBy,
    ) -> BoxFuture<'a, Result<Option<StoredTransfer>, StoreError>>;

    /// What an evaluation of core fans needs, since a day.
    fn score_facts(
        &self,
        community: CommunityId,
        since: Day,
    ) -> BoxFuture<'_, Result<Facts, StoreError>>;

    /// The latest lines of the log of a member's score, newest first.
    fn score_log(
        &self,
        community: CommunityId,
        person: PersonId,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<ScoreEntryRow>, StoreError>>;

    /// The slot (card key) of a message that the bot sent.
    fn slot_of<'a>(
        &'a self,
        to: &'a Destination,
        message: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

    /// The platform's id of the latest message in a slot.
    fn message_in<'a>(
        &'a self,
        to: &'a Destination,
        slot: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

    /// A packet that is no longer in memory.
    fn packet(
        &self,
        community: CommunityId,
        packet: i64,
    ) -> BoxFuture<'_, Result<Option<PacketRows>, StoreError>>;

    /// Events that wait in a community, oldest first.
    fn waiting(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<Vec<EventRow>, StoreError>>;

    /// Deliveries that had not ended when the last process did.
    fn open_deliveries(&self) -> BoxFuture<'_, Result<Vec<Delivery>, StoreError>>;

    /// Deliveries by what is known of them.
    fn find_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>>;

    /// How many deliveries that were decided since then stand where.
    fn count_deliveries(
        &self,
        since: TimeMs,
    ) -> BoxFuture<'_, Result<Vec<DeliveryCount>, StoreError>>;

    /// Writes down what was decided about deliveries in doubt; how many that concerned.
    fn decide<'a>(&'a self, decisions: &'a [DecisionRow])
    -> BoxFuture<'a, Result<u64, StoreError>>;

    /// When the last event of a platform happened.
    fn last_heard<'a>(
        &'a self,
        platform: &'a str,
    ) -> BoxFuture<'a, Result<Option<TimeMs>, StoreError>>;

    /// Forgets what is older than it may be. Returns how many rows were touched.
    fn housekeep<'a>(&'a self, old: &'a Old) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Timers of these scripts, except those of one name.
    fn timers_of<'a>(
        &'a self,
        scripts: &'a [ScriptName],
        except: &'a str,
    ) -> BoxFuture<'a, Result<Vec<DueTimer>, StoreError>>;

    /// Timers that routines wait as.
    fn routines_waiting(&self) -> BoxFuture<'_, Result<Vec<RoutineTimer>, StoreError>>;

    /// Routines made by command, of all communities.
    fn routines_made(&self) -> BoxFuture<'_, Result<Vec<RoutineRow>, StoreError>>;

    /// Times of routines that were decided since then, the latest first, with their posts.
    fn runs(&self, since: TimeMs, take: i64) -> BoxFuture<'_, Result<Vec<RunOutcome>, StoreError>>;

    /// What the newsroom knows.
    fn news(&self) -> BoxFuture<'_, Result<NewsRows, StoreError>>;

    /// Keeps a source of news; its items are replaced as a whole, or stay.
    fn keep_news<'a>(
        &'a self,
        source: &'a NewsSourceRow,
        items: Option<&'a [NewsItemRow]>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Checks the chain of the audit log; `known` is a head that was written down earlier.
    fn verify_audit(&self, known: Option<Head>) -> BoxFuture<'_, Result<ChainReport, StoreError>>;

    /// The latest lines of the audit log, the last one first.
    fn audit_log(&self, take: i64) -> BoxFuture<'_, Result<Vec<AuditLine>, StoreError>>;

    /// The head of the audit log.
    fn audit_head(&self) -> BoxFuture<'_, Result<Head, StoreError>>;

    /// Everything that is kept of a person, as JSON; `None` where she is not known.
    fn export(&self, person: PersonId) -> BoxFuture<'_, Result<Option<Value>, StoreError>>;

    /// Makes a person a number without account, names or words, in one transaction with the line
    /// that says so. Deliveries under way keep their rows, so that their outcomes find them.
    fn forget<'a>(
        &'a self,
        wish: &'a ForgetRow,
        line: &'a AuditRow,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Wishes to be forgotten that are not done.
    fn forgetting(&self) -> BoxFuture<'_, Result<Vec<ForgetRow>, StoreError>>;

    /// Takes what was deleted out of the file itself.
    fn compact(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// So many events of a platform, more than before, could not be read.
    fn note_unreadable<'a>(
        &'a self,
        platform: &'a str,
        now: TimeMs,
        events: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What waits, was set aside, or could not be delivered since then.
    fn health(&self, since: TimeMs) -> BoxFuture<'_, Result<StoreHealth, StoreError>>;

    /// Checks every invariant of every ledger, and the database file itself.
    fn verify(&self) -> BoxFuture<'_, Result<Verification, StoreError>>;

    /// Checks every invariant of one ledger, and holds nobody up meanwhile.
    fn audit(&self, community: CommunityId) -> BoxFuture<'_, Result<LedgerAudit, StoreError>>;

    /// Rows of one ledger for people, of transfers the latest `take`.
    fn dump(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<LedgerDump, StoreError>>;

    /// Notes that a ledger is frozen; one that was before stays as it is.
    fn freeze<'a>(&'a self, row: &'a FreezeRow) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Ledgers that are frozen.
    fn frozen(&self) -> BoxFuture<'_, Result<Vec<FreezeRow>, StoreError>>;

    /// Lets a ledger move again; whether it was frozen.
    fn thaw(&self, community: CommunityId) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Resolves when another process has taken this one's place; never where that cannot be.
    fn replaced(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Finishes and closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}
