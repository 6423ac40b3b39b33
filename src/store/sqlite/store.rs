//! The contract, method by method: who writes takes the writer, who asks the reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use sqlx::Connection as _;

use super::file::free_bytes;
use super::{
    Sqlite, aside, audit, begin, commit, delivery, failure, forget, health, keep, ledger, news,
    read, restore, routine, score, tally, verify,
};
use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::community::score::{Day, Facts};
use crate::effect::{Delivery, Destination};
use crate::id::{CommunityId, PersonId, Ref, ScriptName};
use crate::planted::{self, Point};
use crate::store::chain::{ChainReport, Head};
use crate::store::{
    AuditLine, AuditRow, CommunityRows, DecisionRow, DeliveryCount, DeliveryQuery, DueTimer,
    EventRow, ForgetRow, FreezeRow, LedgerAudit, LedgerDump, NewsItemRow, NewsRows, NewsSourceRow,
    Old, PacketRows, PointsEntry, Restored, RoutineRow, RoutineTimer, RunOutcome, ScoreEntryRow,
    Start, Store, StoreError, StoreHealth, StoredTransfer, TransferBy, Verification, Write,
};

impl Store for Sqlite {
    fn start(&self) -> BoxFuture<'_, Result<Start, StoreError>> {
        Box::pin(async { read::start(&mut *self.reader().await).await })
    }

    fn restore(&self, now: TimeMs) -> BoxFuture<'_, Result<Restored, StoreError>> {
        Box::pin(async move {
            let start = self.start().await?;
            let mut writer = self.writer.lock().await;
            let mut transaction = writer.begin_with(begin()).await.map_err(failure)?;
            let held = restore::restore(&mut transaction, now, &start.numbers).await?;
            transaction.commit().await.map_err(failure)?;
            Ok(Restored { backup_of: start.backup_of, held })
        })
    }

    fn is_shared(&self) -> bool {
        self.folder.is_some()
    }

    fn free_bytes(&self) -> Option<u64> {
        self.folder.as_deref().and_then(free_bytes)
    }

    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            let mut writer = self.writer.lock().await;
            self.strangers.note(batch);
            let behind = (&*self.tallies, &self.late);
            commit::commit(&mut writer, &self.accounts, behind, &self.chain, batch).await?;
            self.look_after(&mut writer, batch).await?;
            self.checkpoints.iter().for_each(|checkpoints| checkpoints.committed(batch.len()));
            Ok(())
        })
    }

    fn is_behind(&self) -> bool {
        self.late.is_behind()
    }

    fn follow(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { self.late.follow(&mut *self.writer.lock().await).await })
    }

    fn community(&self, id: CommunityId) -> BoxFuture<'_, Result<CommunityRows, StoreError>> {
        Box::pin(async move {
            if self.late.has(id) {
                self.late.write(&mut *self.writer.lock().await, id).await?;
            }
            let behind = self.tallies.of(id);
            let mut rows = read::community(&mut *self.reader().await, id).await?;
            tally::count(&mut rows.members, &behind);
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
        Box::pin(async {
            if self.strangers.are(accounts) {
                return Ok(vec![None; accounts.len()]);
            }
            let late = self.late.persons(accounts);
            let there = read::persons(&mut *self.reader().await, accounts).await?;
            Ok(late.into_iter().zip(there).map(|(late, there)| late.or(there)).collect())
        })
    }

    fn communities_of(
        &self,
        person: PersonId,
    ) -> BoxFuture<'_, Result<Vec<CommunityId>, StoreError>> {
        Box::pin(async move {
            self.late.write_all(&mut *self.writer.lock().await).await?;
            read::communities_of(&mut *self.reader().await, person).await
        })
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
            aside::in_files(&mut writer).await;
            let done = async {
                let mut transaction = writer.begin_with(begin()).await.map_err(failure)?;
                let touched = keep::housekeep(&mut transaction, old).await?;
                transaction.commit().await.map_err(failure)?;
                Ok(touched)
            };
            let done = done.await;
            aside::in_memory(&mut writer).await;
            done
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
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            let mut transaction = writer.begin_with(begin()).await.map_err(failure)?;
            news::keep(&mut transaction, source, items).await?;
            transaction.commit().await.map_err(failure)
        })
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
        Box::pin(async move {
            self.late.write_all(&mut *self.writer.lock().await).await?;
            forget::export(&mut *self.reader().await, person).await
        })
    }

    fn forget<'a>(
        &'a self,
        wish: &'a ForgetRow,
        line: &'a AuditRow,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            // What of hers waits would come back.
            self.tallies.write_all(&mut writer).await?;
            self.late.write_all(&mut writer).await?;
            self.is_dirty.store(true, Ordering::SeqCst);
            let (links, head) = self.chain.link(&mut writer, &[line]).await?;
            aside::in_files(&mut writer).await;
            let done = async {
                let mut transaction = writer.begin_with(begin()).await.map_err(failure)?;
                forget::forget(&mut transaction, wish).await?;
                audit::write(&mut transaction, &links).await?;
                transaction.commit().await.map_err(failure)
            };
            let done = done.await;
            match &done {
                Ok(()) => self.chain.committed(head),
                Err(_) => self.chain.lost(),
            }
            aside::in_memory(&mut writer).await;
            done
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
            for done in [
                self.tallies.write_all(&mut writer).await,
                self.tallies.note(&mut writer).await,
                self.late.write_all(&mut writer).await,
            ] {
                done.unwrap_or_else(|error| tracing::debug!(%error, "what waits, at the end"));
            }
            let checkpoint =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await;
            if let Err(error) = checkpoint {
                tracing::debug!(%error, "checkpoint at the end");
            }
        })
    }
}
