//! The contract, method by method: who writes takes the writer, who asks a connection of the pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use sqlx::Connection as _;

use super::commit::Job;
use super::{
    AGAIN_MS, Postgres, Writing, audit, delivery, failure, forget, health, ledger, news, read,
    routine, score, verify,
};
use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::community::score::{Day, Facts};
use crate::effect::{Delivery, Destination};
use crate::id::{CommunityId, PersonId, Ref, ScriptName};
use crate::store::chain::{ChainReport, Head};
use crate::store::parts::Parts;
use crate::store::{
    AuditLine, AuditRow, CommunityRows, DecisionRow, DeliveryCount, DeliveryQuery, DueTimer,
    EventRow, ForgetRow, FreezeRow, LedgerAudit, LedgerDump, NewsItemRow, NewsRows, NewsSourceRow,
    Old, PacketRows, PointsEntry, Restored, RoutineRow, RoutineTimer, RunOutcome, ScoreEntryRow,
    Start, Store, StoreError, StoreHealth, StoredTransfer, TransferBy, Verification, Write,
};

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

/// Asks several questions of one moment of the database, beside those who write.
macro_rules! ask_at_once {
    ($self:ident, $db:ident => $question:expr) => {
        Box::pin(async move {
            let mut held = $self.reader().await?;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
            let mut picture = held.begin_with(begin).await.map_err(failure)?;
            let $db = &mut *picture;
            $question.await
        })
    };
}

impl Store for Postgres {
    fn start(&self) -> BoxFuture<'_, Result<Start, StoreError>> {
        ask!(self, db => read::start(db))
    }

    fn restore(&self, now: TimeMs) -> BoxFuture<'_, Result<Restored, StoreError>> {
        Box::pin(async move {
            let start = self.start().await?;
            let held = self.write(Job::Restore(now, &start.numbers)).await?;
            Ok(Restored { backup_of: start.backup_of, held })
        })
    }

    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            self.strangers.note(batch);
            self.write(Job::Batch(&Parts::of(batch))).await.map(drop)
        })
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
        if self.strangers.are(accounts) {
            return Box::pin(async { Ok(vec![None; accounts.len()]) });
        }
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
        ask!(self, db => ledger::points_log(db, community, person, skip, take))
    }

    fn transfer<'a>(
        &'a self,
        community: CommunityId,
        by: &'a TransferBy,
    ) -> BoxFuture<'a, Result<Option<StoredTransfer>, StoreError>> {
        ask!(self, db => ledger::transfer(db, community, by))
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

    fn find_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
    ) -> BoxFuture<'a, Result<Vec<Delivery>, StoreError>> {
        ask!(self, db => delivery::find(db, query))
    }

    fn count_deliveries(
        &self,
        since: TimeMs,
    ) -> BoxFuture<'_, Result<Vec<DeliveryCount>, StoreError>> {
        ask!(self, db => delivery::count(db, since))
    }

    fn decide<'a>(
        &'a self,
        decisions: &'a [DecisionRow],
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            match &self.writing {
                Some(_) => self.write(Job::Decide(decisions)).await,
                None => self.leave(decisions).await,
            }
        })
    }

    fn last_heard<'a>(
        &'a self,
        platform: &'a str,
    ) -> BoxFuture<'a, Result<Option<TimeMs>, StoreError>> {
        ask!(self, db => read::last_heard(db, platform))
    }

    fn housekeep<'a>(&'a self, old: &'a Old) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            if self.is_dirty.load(Ordering::SeqCst) {
                self.write_anew().await?;
            }
            self.write(Job::Housekeep(old)).await
        })
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

    fn verify_audit(&self, known: Option<Head>) -> BoxFuture<'_, Result<ChainReport, StoreError>> {
        ask!(self, db => audit::verify(db, known))
    }

    fn audit_log(&self, take: i64) -> BoxFuture<'_, Result<Vec<AuditLine>, StoreError>> {
        ask!(self, db => audit::last(db, take))
    }

    fn audit_head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        ask!(self, db => audit::head(db))
    }

    fn export(&self, person: PersonId) -> BoxFuture<'_, Result<Option<Value>, StoreError>> {
        ask_at_once!(self, db => forget::export(db, person))
    }

    fn forget<'a>(
        &'a self,
        wish: &'a ForgetRow,
        line: &'a AuditRow,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.is_dirty.store(true, Ordering::SeqCst);
            self.write(Job::Forget(wish, line)).await.map(drop)
        })
    }

    fn forgetting(&self) -> BoxFuture<'_, Result<Vec<ForgetRow>, StoreError>> {
        ask!(self, db => forget::forgetting(db))
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write_anew())
    }

    fn note_unreadable<'a>(
        &'a self,
        platform: &'a str,
        now: TimeMs,
        events: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.write(Job::Unreadable(platform, now, events)).await.map(drop) })
    }

    fn health(&self, since: TimeMs) -> BoxFuture<'_, Result<StoreHealth, StoreError>> {
        ask!(self, db => health::health(db, since))
    }

    fn verify(&self) -> BoxFuture<'_, Result<Verification, StoreError>> {
        ask_at_once!(self, db => verify::verify(db))
    }

    fn audit(&self, community: CommunityId) -> BoxFuture<'_, Result<LedgerAudit, StoreError>> {
        ask_at_once!(self, db => verify::audit(db, community))
    }

    fn dump(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<LedgerDump, StoreError>> {
        ask_at_once!(self, db => ledger::dump(db, community, take))
    }

    fn freeze<'a>(&'a self, row: &'a FreezeRow) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.write(Job::Freeze(row)).await.map(drop) })
    }

    fn frozen(&self) -> BoxFuture<'_, Result<Vec<FreezeRow>, StoreError>> {
        ask!(self, db => ledger::frozen(db))
    }

    fn thaw(&self, community: CommunityId) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.write(Job::Thaw(community)).await? > 0) })
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
            if self.is_dirty.load(Ordering::SeqCst)
                && let Err(error) = self.write_anew().await
            {
                tracing::warn!(%error, "what was forgotten may still lie in the database");
            }
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
