//! What is committed goes out: one after the other for each destination, all destinations beside
//! each other, and every outcome is written down.
//!
//! A send and the record of its outcome happen in one spawned task that nothing cancels. What is
//! certain not to have arrived is tried again until it expires; what may have arrived follows its
//! policy; nothing is retried inside an adapter.

mod cards;
mod pace;
mod settle;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use crate::adapter::{Adapter, Outcome, Request, Seen, SendSafety};
use crate::bot::gauge::{Gauge, OpenPost, Ticket};
use crate::clock::{Clock, TimeMs};
use crate::commit::{Listeners, Settling};
use crate::effect::{Call, Delivery, DeliveryState, Destination};
use crate::planted::{self, Point};
use crate::report::Notice;
use crate::store::{Settlement, Store, Write};
use crate::turn::World;

use cards::Slots;
use pace::Pace;

/// A committed delivery.
#[derive(Debug)]
pub struct Outgoing {
    /// What.
    pub delivery: Delivery,
    /// Under way; `None` while it waits for its time.
    pub ticket: Option<Ticket>,
    /// The routine that it is a post of waits for it.
    pub post: Option<OpenPost>,
    /// It may have been sent before: the platform is asked first, where it can tell.
    pub in_doubt: bool,
}

/// Sends and retries of one destination.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Outgoing>,
    /// One is with the adapter.
    busy: bool,
    /// The first may not be sent before, Unix ms.
    not_before: TimeMs,
}

/// What comes back from a spawned send.
struct Sent {
    outgoing: Outgoing,
    heard: Heard,
}

/// What an adapter said.
enum Heard {
    /// Of a call that it made.
    Outcome(Outcome),
    /// Of a call that was in doubt.
    Seen(Seen),
}

/// The task that sends.
pub struct Outbox {
    clock: Arc<dyn Clock>,
    world: Arc<World>,
    adapters: HashMap<String, Arc<dyn Adapter>>,
    settlements: mpsc::UnboundedSender<Settling>,
    notices: Arc<Listeners<Notice>>,
    gauge: Arc<Gauge>,
    due: Arc<OutboxDue>,
    queues: HashMap<Destination, Queue>,
    slots: Slots,
    pace: Pace,
    sent: mpsc::UnboundedSender<Sent>,
}

/// When the outbox wants to go on; a virtual clock must be moved there.
#[derive(Debug, Default)]
pub struct OutboxDue {
    next: std::sync::Mutex<Option<TimeMs>>,
    parking: AtomicBool,
    /// The clock was moved.
    pub moved: tokio::sync::Notify,
    /// After [`Self::park`]: everything that waited is on its way to the database.
    pub is_parked: tokio::sync::Notify,
}

impl OutboxDue {
    /// When the next delivery that waits may go.
    pub fn next(&self) -> Option<TimeMs> {
        *self.next.lock().expect("nothing panics while it holds the time")
    }

    /// The bot stops: what no adapter has yet is left for the next start.
    pub fn park(&self) {
        self.parking.store(true, Ordering::SeqCst);
        self.moved.notify_one();
    }

    fn is_parking(&self) -> bool {
        self.parking.load(Ordering::SeqCst)
    }

    fn set(&self, at: Option<TimeMs>) {
        *self.next.lock().expect("nothing panics while it holds the time") = at;
    }
}

/// Everything that the outbox is made of.
pub struct OutboxParts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limits and platforms.
    pub world: Arc<World>,
    /// For messages of slots that memory does not hold.
    pub store: Arc<dyn Store>,
    /// Platforms by name.
    pub adapters: HashMap<String, Arc<dyn Adapter>>,
    /// Outcomes, to be written.
    pub settlements: mpsc::UnboundedSender<Settling>,
    /// Who hears of problems.
    pub notices: Arc<Listeners<Notice>>,
    /// What is under way.
    pub gauge: Arc<Gauge>,
    /// When it wants to go on.
    pub due: Arc<OutboxDue>,
}

/// First wait before a delivery is tried again, ms; doubled each time up to five minutes.
const RETRY_FIRST_MS: i64 = 1000;
const RETRY_MAX_MS: i64 = 300_000;

impl Outbox {
    /// Works until the bot stops.
    pub async fn run(parts: OutboxParts, mut outgoing: mpsc::UnboundedReceiver<Outgoing>) {
        let (sent, mut outcomes) = mpsc::unbounded_channel();
        let mut outbox = Self {
            clock: parts.clock,
            world: parts.world,
            adapters: parts.adapters,
            settlements: parts.settlements,
            notices: parts.notices,
            gauge: parts.gauge,
            due: parts.due,
            queues: HashMap::new(),
            slots: Slots::new(parts.store),
            pace: Pace::default(),
            sent,
        };
        let due = outbox.due.clone();
        loop {
            let wait = outbox.wait_ms();
            tokio::select! {
                next = outgoing.recv() => match next {
                    Some(next) => outbox.enqueue(next).await,
                    None => return,
                },
                Some(sent) = outcomes.recv() => outbox.settled(sent).await,
                () = due.moved.notified() => outbox.wake().await,
                () = sleep(wait) => outbox.wake().await,
            }
        }
    }

    /// How long until something that waits may go; only a clock that flows gets there by waiting.
    fn wait_ms(&self) -> Option<u64> {
        let wait = (self.publish_due()? - self.clock.now()).max(0);
        self.clock.flows().then_some(wait as u64)
    }

    /// Says when the next delivery that waits may go. Said before the last ticket is given back,
    /// so that whoever waits for nothing to be under way then knows how far to move the clock.
    fn publish_due(&self) -> Option<TimeMs> {
        let waiting = self.queues.values().filter(|queue| !queue.busy && !queue.waiting.is_empty());
        let next = waiting.map(|queue| queue.not_before).min();
        self.due.set(next);
        next
    }

    async fn enqueue(&mut self, outgoing: Outgoing) {
        if self.due.is_parking() {
            let state = parked(&outgoing);
            self.end(outgoing, state, None, None);
            return;
        }
        let to = outgoing.delivery.to.clone();
        let limit = self.world.limits().deliveries;
        let queue = self.queues.entry(to.clone()).or_default();
        if let Some(older) = cards::take_superseded(&mut queue.waiting, &outgoing.delivery) {
            self.end(older, DeliveryState::Skipped, Some("superseded".to_owned()), None);
        }
        let Some(queue) = self.queues.get_mut(&to) else { return };
        if queue.waiting.len() >= limit {
            let reason = Some("limit `deliveries` is reached".to_owned());
            self.end(outgoing, DeliveryState::Skipped, reason, None);
            return;
        }
        queue.waiting.push_back(outgoing);
        self.pump(&to).await;
    }

    /// Everything that had to wait is looked at again.
    async fn wake(&mut self) {
        if self.due.is_parking() {
            self.park();
            return;
        }
        let now = self.clock.now();
        let ready: Vec<Destination> = self
            .queues
            .iter()
            .filter(|(_, queue)| !queue.busy && queue.not_before <= now)
            .map(|(to, _)| to.clone())
            .collect();
        for to in ready {
            self.pump(&to).await;
        }
    }

    /// What waits goes back to the database as what it is, certainly not sent: a row that says
    /// `sending` would leave the next start in doubt, and one that is in doubt is to do so.
    fn park(&mut self) {
        let waiting: Vec<Outgoing> =
            self.queues.values_mut().flat_map(|queue| queue.waiting.drain(..)).collect();
        for mut outgoing in waiting {
            // So that the bot does not end before it is written.
            outgoing.ticket.get_or_insert_with(|| self.gauge.ticket());
            let state = parked(&outgoing);
            self.end(outgoing, state, None, None);
        }
        self.due.is_parked.notify_one();
    }

    /// Sends the first of a destination, if it may go.
    async fn pump(&mut self, to: &Destination) {
        if self.due.is_parking() {
            self.park();
            return;
        }
        let now = self.clock.now();
        loop {
            let Some(queue) = self.queues.get_mut(to) else { return };
            if queue.busy {
                return;
            }
            let Some(mut outgoing) = queue.waiting.pop_front() else {
                self.queues.remove(to);
                return;
            };
            if outgoing.delivery.expires_at <= now {
                self.end(outgoing, DeliveryState::Skipped, Some("expired".to_owned()), None);
                continue;
            }
            let allowed_at = queue.not_before.max(outgoing.delivery.not_before);
            let allowed_at = allowed_at.max(self.slots.allowed_at(&outgoing.delivery, &self.world));
            let allowed_at = allowed_at.max(self.pace.allowed_at(&outgoing.delivery, &self.world));
            if allowed_at > now {
                queue.not_before = allowed_at;
                queue.waiting.push_front(outgoing);
                // It waits for the clock, and so does all behind it: nothing is under way.
                let tickets: Vec<_> =
                    queue.waiting.iter_mut().map(|waiting| waiting.ticket.take()).collect();
                self.publish_due();
                drop(tickets);
                return;
            }
            queue.busy = true;
            outgoing.ticket.get_or_insert_with(|| self.gauge.ticket());
            self.send(outgoing).await;
            return;
        }
    }

    async fn send(&mut self, mut outgoing: Outgoing) {
        let Some(adapter) = self.adapters.get(outgoing.delivery.account.platform()).cloned() else {
            let reason = Some("the bot is not on that platform now".to_owned());
            let to = outgoing.delivery.to.clone();
            self.end(outgoing, DeliveryState::Failed, reason, None);
            if let Some(queue) = self.queues.get_mut(&to) {
                queue.busy = false;
            }
            return;
        };
        let capabilities = adapter.capabilities();
        let asks = outgoing.in_doubt && capabilities.send_safety == SendSafety::ReadBack;
        self.slots.prepare(&mut outgoing.delivery, capabilities.can("edit")).await;
        let (now, sent) = (self.clock.now(), self.sent.clone());
        if !asks {
            outgoing.delivery.attempts += 1;
            self.pace.note(&outgoing.delivery, &self.world, now);
        }
        let request = request(&outgoing.delivery);
        tokio::spawn(async move {
            let heard = if asks {
                Heard::Seen(adapter.read_back(&request).await)
            } else {
                planted::reach(Point::BeforeSend);
                Heard::Outcome(adapter.send(&request, now).await)
            };
            planted::reach(Point::AfterSend);
            // Nobody listens when the bot has stopped: the row says `sending`, as it should.
            let _ = sent.send(Sent { outgoing, heard });
        });
    }

    async fn settled(&mut self, sent: Sent) {
        let Sent { outgoing, heard } = sent;
        let to = outgoing.delivery.to.clone();
        if let Some(queue) = self.queues.get_mut(&to) {
            queue.busy = false;
        }
        match heard {
            Heard::Outcome(outcome) => self.settle(outgoing, outcome).await,
            Heard::Seen(seen) => self.seen(outgoing, seen).await,
        }
        self.pump(&to).await;
    }

    /// Puts a delivery back in front, to be tried later.
    fn again(&mut self, outgoing: Outgoing, after_ms: i64) {
        let now = self.clock.now();
        let queue = self.queues.entry(outgoing.delivery.to.clone()).or_default();
        queue.not_before = now + after_ms;
        queue.waiting.push_front(outgoing);
    }

    /// Writes down how a delivery ended.
    fn end(
        &self,
        outgoing: Outgoing,
        state: DeliveryState,
        reason: Option<String>,
        platform_id: Option<String>,
    ) {
        let settlement = Settlement {
            id: outgoing.delivery.id,
            state,
            reason,
            attempts: outgoing.delivery.attempts,
            platform_id,
        };
        if self.settlements.send((Write::Settle(settlement), outgoing.ticket)).is_err() {
            tracing::debug!("the committer has stopped; the delivery is looked at again next time");
        }
    }
}

/// How the next start finds what waited when the bot stopped.
fn parked(outgoing: &Outgoing) -> DeliveryState {
    if outgoing.in_doubt { DeliveryState::Sending } else { DeliveryState::Queued }
}

fn request(delivery: &Delivery) -> Request {
    Request {
        key: delivery.key.clone(),
        account: delivery.account.clone(),
        answers: delivery.answers.clone(),
        to: delivery.to.clone(),
        call: delivery.call.clone(),
        attempt: delivery.attempts,
        since: delivery.not_before,
    }
}

/// Exponential, without chance: one destination has one queue, so there is no herd.
fn backoff_ms(attempts: u32) -> i64 {
    (RETRY_FIRST_MS << attempts.saturating_sub(1).min(16)).min(RETRY_MAX_MS)
}

async fn sleep(ms: Option<u64>) {
    match ms {
        Some(ms) => tokio::time::sleep(std::time::Duration::from_millis(ms.min(30_000))).await,
        None => std::future::pending().await,
    }
}

/// Whether the call makes a message that others may refer to.
fn makes_message(call: &Call) -> bool {
    matches!(call, Call::Send { .. } | Call::Card { message: None, .. })
}
