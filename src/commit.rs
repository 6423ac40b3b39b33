//! The group commit: finished turns in, one transaction for many, then the world may know.
//!
//! Commits follow the order in which turns came. If the database refuses a batch, its turns are
//! tried one by one, and only the refused one goes back to its lane, with all that follow it there.
//! If the disk fails, the batch waits and is tried again: nothing is lost, the mailboxes fill and
//! the adapters wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::adapter::Accepted;
use crate::bot::gauge::{Gauge, Ticket};
use crate::effect::Delivery;
use crate::event::{Event, EventKind};
use crate::id::{CommunityId, TimerId};
use crate::lane::{Arrival, Message};
use crate::outbox::{OutboxDue, Outgoing, Watched};
use crate::planted::{self, Bug, Point};
use crate::report::{Line, Notice, TurnReport};
use crate::store::{Store, StoreError, TurnRows, Write};

/// A finished turn on its way to the disk.
pub struct Item {
    pub(crate) arrival: Option<Arrival>,
    /// What to write; `None` for a repeat, which only waits its turn.
    pub rows: Option<Box<TurnRows>>,
    /// What the turn did.
    pub lines: Vec<Line>,
    /// What the people who run the bot should know.
    pub notices: Vec<Notice>,
    /// Only set aside, not handled.
    pub is_spill: bool,
    pub(crate) epoch: u32,
    pub(crate) solo: bool,
}

impl Item {
    /// An item for an arrival, without rows yet.
    pub fn of(arrival: Arrival, epoch: u32, solo: bool) -> Self {
        Self {
            arrival: Some(arrival),
            rows: None,
            lines: Vec::new(),
            notices: Vec::new(),
            is_spill: false,
            epoch,
            solo,
        }
    }

    /// Nothing but a notice.
    pub fn notice(notice: Notice) -> Self {
        Self {
            arrival: None,
            rows: None,
            lines: Vec::new(),
            notices: vec![notice],
            is_spill: false,
            epoch: 0,
            solo: false,
        }
    }

    /// Whose it is.
    pub fn community(&self) -> CommunityId {
        self.arrival.as_ref().map_or(CommunityId(0), |arrival| arrival.event.community)
    }

    /// Gives the event back.
    pub fn into_arrival(self) -> Option<Arrival> {
        self.arrival
    }
}

/// Why the database refused a turn.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its words.
    pub reason: String,
    /// The event had been committed before.
    pub is_repeat: bool,
}

/// What is heard about commits.
#[derive(Debug, Default)]
pub struct Figures {
    /// Transactions.
    pub commits: AtomicU64,
    /// Turns in them.
    pub turns: AtomicU64,
    /// Turns that were refused.
    pub refused: AtomicU64,
}

/// Those who hear of committed turns.
pub type Listeners<T> = std::sync::Mutex<Vec<mpsc::UnboundedSender<T>>>;

/// The task that commits.
pub struct Committer {
    /// Where to.
    pub store: Arc<dyn Store>,
    /// Most turns in one transaction.
    pub batch: usize,
    /// How long outcomes of deliveries wait for turns to travel with: a transaction of their own
    /// costs as much as one of many turns, and keeps the next turns waiting.
    pub outcomes_wait: Duration,
    /// Back to the lanes.
    pub lanes: mpsc::UnboundedSender<Message>,
    /// What may be sent now.
    pub outbox: mpsc::UnboundedSender<Outgoing>,
    /// What is under way.
    pub gauge: Arc<Gauge>,
    /// Timers that exist now.
    pub timers: Arc<crate::bot::timers::Timers>,
    /// Deliveries that are to be sent after all.
    pub orders: mpsc::UnboundedSender<Ticket>,
    /// Places that refuse the bot; something that happens there may mean that they do so no more.
    pub watched: Arc<Watched>,
    /// Wakes the outbox.
    pub outbox_due: Arc<OutboxDue>,
    /// Who wants to hear of turns.
    pub reports: Arc<Listeners<Arc<TurnReport>>>,
    /// Who wants to hear of problems.
    pub notices: Arc<Listeners<Notice>>,
    /// Counters.
    pub figures: Arc<Figures>,
    /// Communities of which a turn was refused: older epochs go back.
    pub epochs: HashMap<CommunityId, u32>,
}

/// What the outbox has to write; the ticket ends when it is written.
pub type Settling = (Write, Option<Ticket>);

/// Waits between tries when the disk fails, ms: doubled up to the last.
/// Short enough that the bot goes on within seconds when there is room again.
const BACKOFF_MS: (u64, u64) = (50, 2000);
/// After so long without anything to commit, what waits in the store for its place is put there.
const PEACE: Duration = Duration::from_millis(50);
/// [`Committer::outcomes_wait`] where time passes.
pub const OUTCOMES_WAIT: Duration = Duration::from_millis(4);

impl Committer {
    /// Works until both queues are closed.
    pub async fn run(
        mut self,
        mut turns: mpsc::UnboundedReceiver<Item>,
        mut settlements: mpsc::UnboundedReceiver<Settling>,
    ) {
        let mut items = Vec::with_capacity(self.batch);
        let mut settled = Vec::with_capacity(self.batch);
        loop {
            let (mut no_turns, mut no_settlements) = (false, false);
            let flows = !self.outcomes_wait.is_zero();
            tokio::select! {
                biased;
                count = turns.recv_many(&mut items, self.batch) => no_turns = count == 0,
                count = settlements.recv_many(&mut settled, self.batch) => no_settlements = count == 0,
                () = tokio::time::sleep(PEACE), if flows && self.store.is_behind() => {
                    if let Err(error) = self.store.follow().await {
                        tracing::debug!(%error, "rows that wait");
                    }
                    continue;
                }
            }
            if items.is_empty() && !settled.is_empty() && flows {
                // Time that is up, and a queue that is closed, both mean that nobody comes along.
                let more = turns.recv_many(&mut items, self.batch);
                let _ = tokio::time::timeout(self.outcomes_wait, more).await;
            }
            // What came to the other queue meanwhile travels along.
            while settled.len() < self.batch
                && let Ok(next) = settlements.try_recv()
            {
                settled.push(next);
            }
            let idle = items.is_empty() && settled.is_empty();
            if idle && (no_turns || no_settlements) && turns.is_closed() && settlements.is_closed()
            {
                return;
            }
            if idle {
                if no_turns && settlements.recv_many(&mut settled, self.batch).await == 0 {
                    return;
                }
                if no_settlements && turns.recv_many(&mut items, self.batch).await == 0 {
                    return;
                }
            }
            Self::acknowledge(&mut items);
            self.commit(&mut items, &mut settled).await;
        }
    }

    async fn commit(&mut self, items: &mut Vec<Item>, settled: &mut Vec<Settling>) {
        let mut batch = Vec::with_capacity(items.len());
        for item in items.drain(..) {
            if self.is_outdated(&item) {
                self.give_back(item, None);
            } else {
                batch.push(item);
            }
        }
        if planted::has(Bug::SendBeforeSending) {
            batch.iter().for_each(|item| self.send_too_early(item));
        }
        // A turn that runs alone must not take others down with it.
        let alone = batch.iter().any(|item| item.solo);
        let settlements: Vec<Write> = settled.iter().map(|(write, _)| write.clone()).collect();
        if alone || !self.write_all(&mut batch, &settlements).await {
            self.write_each(batch, &settlements).await;
        } else {
            self.release(batch);
        }
        if !settled.is_empty() {
            planted::reach(Point::Settled);
        }
        settled.clear();
    }

    /// A mistake that tests plant: the platform knows before the disk does.
    fn acknowledge(items: &mut [Item]) {
        if planted::has(Bug::AckBeforeCommit) {
            let arrivals = items.iter_mut().filter_map(|item| item.arrival.as_mut());
            for receipt in arrivals.filter_map(|arrival| arrival.receipt.take()) {
                let _ = receipt.send(Accepted::New);
            }
        }
    }

    fn is_outdated(&self, item: &Item) -> bool {
        self.epochs.get(&item.community()).is_some_and(|epoch| item.epoch < *epoch)
    }

    /// One transaction for all; `false` when the database refused it.
    async fn write_all(&self, batch: &mut [Item], settlements: &[Write]) -> bool {
        let mut writes = settlements.to_vec();
        writes.extend(batch.iter_mut().filter_map(|item| item.rows.take()).map(Write::Turn));
        let result = self.write(&writes).await;
        // The rows belong to their items again.
        let mut rows = writes.into_iter().filter_map(|write| match write {
            Write::Turn(rows) => Some(rows),
            Write::Deliver(_) | Write::Settle(_) | Write::Audit(_) => None,
        });
        let mut next = rows.next();
        for item in batch.iter_mut() {
            let is_next = next.as_ref().is_some_and(|rows| {
                item.arrival.as_ref().is_some_and(|arrival| arrival.event.id == rows.event.id)
            });
            if is_next {
                item.rows = next.take();
                next = rows.next();
            }
        }
        result.is_ok()
    }

    /// A transaction each, in order.
    async fn write_each(&mut self, batch: Vec<Item>, settlements: &[Write]) {
        if !settlements.is_empty()
            && let Err(error) = self.write(settlements).await
        {
            tracing::error!(%error, "outcomes of deliveries could not be written");
        }
        for mut item in batch {
            if self.is_outdated(&item) {
                self.give_back(item, None);
                continue;
            }
            let Some(rows) = item.rows.take() else {
                self.release(vec![item]);
                continue;
            };
            let writes = [Write::Turn(rows)];
            let result = self.write(&writes).await;
            let [write] = writes;
            if let Write::Turn(rows) = write {
                item.rows = Some(rows);
            }
            match result {
                Ok(()) => self.release(vec![item]),
                Err(error) => {
                    let is_repeat = matches!(error, StoreError::Repeat);
                    tracing::warn!(%error, is_repeat, "the database refused a turn");
                    let refused = Refused { reason: error.to_string(), is_repeat };
                    self.figures.refused.fetch_add(1, Ordering::Relaxed);
                    *self.epochs.entry(item.community()).or_insert(item.epoch) = item.epoch + 1;
                    self.give_back(item, Some(refused));
                }
            }
        }
    }

    /// Writes; waits as long as the disk fails.
    async fn write(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut wait_ms = BACKOFF_MS.0;
        let mut is_told = false;
        loop {
            planted::reach(Point::BeforeCommit);
            match self.store.commit(writes).await {
                Ok(()) => {
                    planted::reach(Point::AfterCommit);
                    let turns = writes.iter().filter(|w| matches!(w, Write::Turn(_))).count();
                    self.figures.commits.fetch_add(1, Ordering::Relaxed);
                    self.figures.turns.fetch_add(turns as u64, Ordering::Relaxed);
                    if is_told {
                        self.alarm(false, "the database can be written again: the bot goes on");
                    }
                    return Ok(());
                }
                Err(StoreError::Io(error)) => {
                    tracing::debug!(%error, wait_ms, "the database cannot write; trying again");
                    if !std::mem::replace(&mut is_told, true) {
                        let text = format!(
                            "the database cannot be written: {error}; nothing is accepted until it \
                             can, which is tried again and again (`qundao doctor` looks at the disk)"
                        );
                        self.alarm(true, &text);
                    }
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    wait_ms = (wait_ms * 2).min(BACKOFF_MS.1);
                }
                // Another process goes on from what was committed. This one must not, so that nothing
                // is told to anybody any more; the bot is stopping.
                Err(StoreError::InUse(error)) => {
                    tracing::error!(%error, "nothing is committed any more");
                    std::future::pending::<()>().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Once for a failure, however often is tried.
    fn alarm(&self, is_problem: bool, text: &str) {
        tell(&self.notices, &Notice { community: None, text: text.to_owned(), is_problem });
    }

    fn give_back(&self, item: Item, refused: Option<Refused>) {
        if self.lanes.send(Message::Bounced(Box::new(item), refused)).is_err() {
            tracing::debug!("the lanes have stopped");
        }
    }

    /// Committed: now the world may know.
    fn release(&self, batch: Vec<Item>) {
        let mut communities = Vec::with_capacity(batch.len());
        for mut item in batch {
            for notice in item.notices.drain(..) {
                tell(&self.notices, &notice);
            }
            let Some(arrival) = item.arrival.take() else { continue };
            communities.push(arrival.event.community);
            if self.watched.hear(&arrival.event.envelope) {
                self.outbox_due.moved.notify_one();
            }
            if let Some(rows) = item.rows.take() {
                self.note_timers(&rows);
                for wish in &rows.forgets {
                    let _ = self.lanes.send(Message::Erase(*wish, self.gauge.ticket()));
                }
                let is_tick = matches!(arrival.event.envelope.kind, EventKind::Tick(_));
                if !rows.decisions.is_empty() {
                    // Without one who listens they wait for the next look.
                    let _ = self.orders.send(self.gauge.ticket());
                }
                if !planted::has(Bug::SendBeforeSending) {
                    self.send(rows.deliveries, is_tick);
                }
            }
            if !item.is_spill && !arrival.is_repeat {
                self.report(arrival.event.clone(), std::mem::take(&mut item.lines));
            }
            if let Some(receipt) = arrival.receipt {
                let accepted = if arrival.is_repeat { Accepted::Duplicate } else { Accepted::New };
                // An adapter that has gone does not want to know.
                let _ = receipt.send(accepted);
                planted::reach(Point::Acked);
            }
            drop(arrival.ticket);
        }
        if self.lanes.send(Message::Committed(communities)).is_err() {
            tracing::debug!("the lanes have stopped");
        }
    }

    fn note_timers(&self, rows: &TurnRows) {
        let gone: &[TimerId] = &rows.timers_gone;
        for timer in rows.timers.iter().filter(|timer| !gone.contains(&timer.id)) {
            self.timers.add(timer.due, timer.id, timer.community);
        }
        for timer in gone {
            self.timers.remove(*timer);
        }
    }

    /// A mistake that tests plant: what is not committed goes out.
    fn send_too_early(&self, item: &Item) {
        let (Some(rows), Some(arrival)) = (&item.rows, &item.arrival) else { return };
        let is_tick = matches!(arrival.event.envelope.kind, EventKind::Tick(_));
        self.send(rows.deliveries.clone(), is_tick);
    }

    fn send(&self, deliveries: Vec<Delivery>, is_tick: bool) {
        for delivery in deliveries {
            let ticket = Some(self.gauge.ticket());
            let post = is_tick.then(|| self.gauge.post(delivery.event));
            if self.outbox.send(Outgoing::new(delivery, ticket, post)).is_err() {
                tracing::debug!("the outbox has stopped; the delivery waits in the database");
            }
        }
    }

    fn report(&self, event: Arc<Event>, lines: Vec<Line>) {
        let mut listeners = self.reports.lock().expect("listeners are only added and removed");
        if !listeners.is_empty() {
            let report = Arc::new(TurnReport { event, lines });
            listeners.retain(|listener| listener.send(report.clone()).is_ok());
        }
    }
}

/// Tells everybody who listens; those who have gone are forgotten.
pub fn tell(listeners: &Listeners<Notice>, notice: &Notice) {
    if notice.is_problem {
        tracing::warn!(community = ?notice.community, "{}", notice.text);
    } else {
        tracing::info!(community = ?notice.community, "{}", notice.text);
    }
    let mut listeners = listeners.lock().expect("listeners are only added and removed");
    listeners.retain(|listener| listener.send(notice.clone()).is_ok());
}
