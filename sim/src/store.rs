//! The database of a process: SQLite in memory, which the world waits for, and which fails when the
//! seed says so. What it has committed outlives the process.

use std::sync::Arc;
use std::time::Duration;

use qundao::adapter::BoxFuture;
use qundao::clock::{Clock as _, TimeMs};
use qundao::community::score::{Day, Facts};
use qundao::effect::{Delivery, DeliveryState, Destination};
use qundao::id::{CommunityId, PersonId, Ref, ScriptName};
use qundao::store::chain::{ChainReport, Head};
use qundao::store::sqlite::Sqlite;
use qundao::store::*;

use crate::block;
use crate::draw::Draw;
use crate::world::World;

/// What a store answers.
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The database as one process has it open.
pub struct SimStore {
    inner: Sqlite,
    world: Arc<World>,
}

impl SimStore {
    /// Over what the process before has left.
    pub fn new(inner: Sqlite, world: Arc<World>) -> Self {
        Self { inner, world }
    }

    /// The fault of the next commit, if it has one.
    fn commit_fault(&self, batch: &[Write]) -> Option<StoreError> {
        let world = &self.world;
        let poison = batch.iter().find(|write| is_poisoned(world, write));
        if poison.is_some() {
            world.state().figures.faults += 1;
            return Some(StoreError::Constraint("simulated".to_owned()));
        }
        let mut state = world.state();
        state.commits += 1;
        if world.is_calm() {
            return None;
        }
        let mut draw = Draw::new(world.plan.seed, &format!("commit {}", state.commits));
        if draw.chance(world.plan.rates.commit_fails) {
            state.figures.faults += 1;
            return Some(StoreError::Io("disk I/O error".to_owned()));
        }
        None
    }

    /// How long a commit takes, and whether the process ends with it.
    fn commit_fate(&self) -> (u64, Option<bool>) {
        let mut state = self.world.state();
        let crash = state.crash_at_commit.take();
        if self.world.is_calm() {
            return (0, crash);
        }
        let mut draw = Draw::new(self.world.plan.seed, &format!("fate {}", state.commits));
        let is_slow = draw.chance(self.world.plan.rates.commit_slow);
        (if is_slow { draw.below(3000) } else { 0 }, crash)
    }

    async fn try_commit(&self, batch: &[Write]) -> Result<(), StoreError> {
        let (slow_ms, crash) = self.commit_fate();
        if slow_ms > 0 {
            tokio::time::sleep(Duration::from_millis(slow_ms)).await;
        }
        if crash == Some(false) {
            self.world.kill();
        }
        self.alive().await;
        if let Some(error) = self.commit_fault(batch) {
            self.world.log(format_args!("commit of {}: {error}", batch.len()));
            return Err(error);
        }
        let done = block::on(self.inner.commit(batch));
        match &done {
            Ok(()) => {
                let now = self.world.clock.now();
                let (lines, verdict) = {
                    let mut state = self.world.state();
                    let (mut lines, mut verdict) = (Vec::new(), Ok(()));
                    for write in batch {
                        lines.push(crate::told::write(write));
                        if verdict.is_ok() {
                            verdict = state.model.committed(write, now);
                        }
                    }
                    let turns = batch.iter().filter(|it| matches!(it, Write::Turn(_)));
                    state.figures.turns += turns.count() as u64;
                    (lines, verdict)
                };
                lines.iter().for_each(|line| self.world.log(line));
                self.world.judge(verdict);
            }
            Err(error) => self.world.log(format_args!("commit of {}: {error}", batch.len())),
        }
        if crash == Some(true) {
            self.world.kill();
        }
        self.alive().await;
        done
    }

    /// A process that has ended hears nothing any more.
    async fn alive(&self) {
        if self.world.state().is_dead {
            std::future::pending::<()>().await;
        }
    }

    /// A question may fail.
    async fn asked(&self, what: &str) -> Result<(), StoreError> {
        self.alive().await;
        if self.world.is_calm() || self.world.plan.rates.read_fails == 0 {
            return Ok(());
        }
        let reads = {
            let mut state = self.world.state();
            state.reads += 1;
            state.reads
        };
        let mut draw = Draw::new(self.world.plan.seed, &format!("read {reads}"));
        if draw.chance(self.world.plan.rates.read_fails) {
            self.world.state().figures.faults += 1;
            self.world.log(format_args!("question `{what}` fails"));
            return Err(StoreError::Io("disk I/O error".to_owned()));
        }
        Ok(())
    }
}

/// The database always refuses this turn, until it is set aside.
fn is_poisoned(world: &World, write: &Write) -> bool {
    let Write::Turn(rows) = write else { return false };
    let rate = world.plan.rates.poisoned;
    let is_ours = rows.event.account.platform() != "core" && rows.event.kind == "message";
    let key = &rows.event.key;
    rate > 0
        && is_ours
        && rows.event.state == EventState::Done
        && Draw::new(world.plan.seed, &format!("poison {key}")).chance(rate)
}

impl Store for SimStore {
    fn start(&self) -> Answer<'_, Start> {
        Box::pin(async { block::on(self.inner.start()) })
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn commit<'a>(&'a self, batch: &'a [Write]) -> Answer<'a, ()> {
        Box::pin(self.try_commit(batch))
    }

    fn community(&self, id: CommunityId) -> Answer<'_, CommunityRows> {
        Box::pin(async move {
            self.asked("community").await?;
            block::on(self.inner.community(id))
        })
    }

    fn known<'a>(&'a self, keys: &'a [(Ref, Arc<str>)]) -> Answer<'a, Vec<usize>> {
        Box::pin(async move {
            self.asked("known").await?;
            block::on(self.inner.known(keys))
        })
    }

    fn persons<'a>(&'a self, accounts: &'a [Ref]) -> Answer<'a, Vec<Option<PersonId>>> {
        Box::pin(async move {
            self.asked("persons").await?;
            block::on(self.inner.persons(accounts))
        })
    }

    fn communities_of(&self, person: PersonId) -> Answer<'_, Vec<CommunityId>> {
        Box::pin(async move { block::on(self.inner.communities_of(person)) })
    }

    fn points_log(
        &self,
        community: CommunityId,
        person: PersonId,
        skip: i64,
        take: i64,
    ) -> Answer<'_, Vec<PointsEntry>> {
        Box::pin(async move {
            self.asked("points_log").await?;
            block::on(self.inner.points_log(community, person, skip, take))
        })
    }

    fn score_facts(&self, community: CommunityId, since: Day) -> Answer<'_, Facts> {
        Box::pin(async move { block::on(self.inner.score_facts(community, since)) })
    }

    fn score_log(
        &self,
        community: CommunityId,
        person: PersonId,
        take: i64,
    ) -> Answer<'_, Vec<ScoreEntryRow>> {
        Box::pin(async move { block::on(self.inner.score_log(community, person, take)) })
    }

    fn slot_of<'a>(&'a self, to: &'a Destination, message: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move { block::on(self.inner.slot_of(to, message)) })
    }

    fn message_in<'a>(&'a self, to: &'a Destination, slot: &'a str) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            self.asked("message_in").await?;
            block::on(self.inner.message_in(to, slot))
        })
    }

    fn packet(&self, community: CommunityId, packet: i64) -> Answer<'_, Option<PacketRows>> {
        Box::pin(async move { block::on(self.inner.packet(community, packet)) })
    }

    fn waiting(&self, community: CommunityId, take: i64) -> Answer<'_, Vec<EventRow>> {
        Box::pin(async move {
            self.asked("waiting").await?;
            block::on(self.inner.waiting(community, take))
        })
    }

    fn open_deliveries(&self) -> Answer<'_, Vec<Delivery>> {
        Box::pin(async { block::on(self.inner.open_deliveries()) })
    }

    fn last_heard<'a>(&'a self, platform: &'a str) -> Answer<'a, Option<TimeMs>> {
        Box::pin(async move { block::on(self.inner.last_heard(platform)) })
    }

    fn timers_of<'a>(
        &'a self,
        scripts: &'a [ScriptName],
        except: &'a str,
    ) -> Answer<'a, Vec<DueTimer>> {
        Box::pin(async move { block::on(self.inner.timers_of(scripts, except)) })
    }

    fn routines_waiting(&self) -> Answer<'_, Vec<RoutineTimer>> {
        Box::pin(async move { block::on(self.inner.routines_waiting()) })
    }

    fn routines_made(&self) -> Answer<'_, Vec<RoutineRow>> {
        Box::pin(async move { block::on(self.inner.routines_made()) })
    }

    fn runs(&self, since: TimeMs, take: i64) -> Answer<'_, Vec<RunOutcome>> {
        Box::pin(async move { block::on(self.inner.runs(since, take)) })
    }

    fn news(&self) -> Answer<'_, NewsRows> {
        Box::pin(async { block::on(self.inner.news()) })
    }

    fn keep_news<'a>(
        &'a self,
        source: &'a NewsSourceRow,
        items: Option<&'a [NewsItemRow]>,
    ) -> Answer<'a, ()> {
        Box::pin(async move { block::on(self.inner.keep_news(source, items)) })
    }

    fn health(&self, since: TimeMs) -> Answer<'_, StoreHealth> {
        Box::pin(async move { block::on(self.inner.health(since)) })
    }

    fn verify(&self) -> Answer<'_, Verification> {
        Box::pin(async { block::on(self.inner.verify()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { block::on(self.inner.close()) })
    }

    fn restore(&self, now: TimeMs) -> BoxFuture<'_, Result<Restored, StoreError>> {
        Box::pin(async move { block::on(self.inner.restore(now)) })
    }

    fn transfer<'a>(
        &'a self,
        community: CommunityId,
        by: &'a TransferBy,
    ) -> BoxFuture<'a, Result<Option<StoredTransfer>, StoreError>> {
        Box::pin(async move { block::on(self.inner.transfer(community, by)) })
    }

    fn find_deliveries<'a>(&'a self, query: &'a DeliveryQuery) -> Answer<'a, Vec<Delivery>> {
        Box::pin(async move {
            // Asked every other second of a simulated year: where nothing is queued, nothing is found.
            let is_queued = query.which == Which::State(DeliveryState::Queued);
            if is_queued && self.world.state().model.sends.queued.is_empty() {
                return Ok(Vec::new());
            }
            block::on(self.inner.find_deliveries(query))
        })
    }

    fn count_deliveries(
        &self,
        since: TimeMs,
    ) -> BoxFuture<'_, Result<Vec<DeliveryCount>, StoreError>> {
        Box::pin(async move { block::on(self.inner.count_deliveries(since)) })
    }

    fn decide<'a>(
        &'a self,
        decisions: &'a [DecisionRow],
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { block::on(self.inner.decide(decisions)) })
    }

    fn housekeep<'a>(&'a self, old: &'a Old) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { block::on(self.inner.housekeep(old)) })
    }

    fn verify_audit(&self, known: Option<Head>) -> BoxFuture<'_, Result<ChainReport, StoreError>> {
        Box::pin(async move { block::on(self.inner.verify_audit(known)) })
    }

    fn audit_log(&self, take: i64) -> BoxFuture<'_, Result<Vec<AuditLine>, StoreError>> {
        Box::pin(async move { block::on(self.inner.audit_log(take)) })
    }

    fn audit_head(&self) -> BoxFuture<'_, Result<Head, StoreError>> {
        Box::pin(async { block::on(self.inner.audit_head()) })
    }

    fn export(
        &self,
        person: PersonId,
    ) -> BoxFuture<'_, Result<Option<serde_json::Value>, StoreError>> {
        Box::pin(async move { block::on(self.inner.export(person)) })
    }

    fn forget<'a>(
        &'a self,
        wish: &'a ForgetRow,
        line: &'a AuditRow,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { block::on(self.inner.forget(wish, line)) })
    }

    fn forgetting(&self) -> BoxFuture<'_, Result<Vec<ForgetRow>, StoreError>> {
        Box::pin(async { block::on(self.inner.forgetting()) })
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { block::on(self.inner.compact()) })
    }

    fn note_unreadable<'a>(
        &'a self,
        platform: &'a str,
        now: TimeMs,
        events: u64,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { block::on(self.inner.note_unreadable(platform, now, events)) })
    }

    fn audit(&self, community: CommunityId) -> BoxFuture<'_, Result<LedgerAudit, StoreError>> {
        Box::pin(async move { block::on(self.inner.audit(community)) })
    }

    fn dump(
        &self,
        community: CommunityId,
        take: i64,
    ) -> BoxFuture<'_, Result<LedgerDump, StoreError>> {
        Box::pin(async move { block::on(self.inner.dump(community, take)) })
    }

    fn freeze<'a>(&'a self, row: &'a FreezeRow) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { block::on(self.inner.freeze(row)) })
    }

    fn frozen(&self) -> BoxFuture<'_, Result<Vec<FreezeRow>, StoreError>> {
        Box::pin(async { block::on(self.inner.frozen()) })
    }

    fn thaw(&self, community: CommunityId) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { block::on(self.inner.thaw(community)) })
    }
}
