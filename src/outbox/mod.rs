//! What is committed goes out: one after the other for each destination, all destinations beside
//! each other, and every outcome is written down.
//!
//! A send and the record of its outcome happen in one spawned task that nothing cancels. What is
//! certain not to have arrived is tried again until it expires; what may have arrived follows its
//! policy; nothing is retried inside an adapter. A delivery that fails holds up the others for a
//! minute at most, a place that refuses is left alone, and the parts of a long message go in order
//! or not at all.

mod back;
mod cards;
pub mod chunks;
mod due;
mod left;
mod orders;
mod outgoing;
mod pace;
mod parking;
mod queue;
mod settle;

pub use due::OutboxDue;
pub use left::take_up;
pub use orders::Orders;
pub use outgoing::Outgoing;
pub use parking::Watched;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::adapter::{Adapter, Barred, Outcome, Seen};
use crate::bot::gauge::Gauge;
use crate::clock::{Clock, TimeMs};
use crate::commit::{Listeners, Settling};
use crate::effect::{Call, Delivery, DeliveryState, Destination, Policy};
use crate::id::Ref;
use crate::planted::{self, Bug, Point};
use crate::report::Notice;
use crate::store::{Settlement, Store, Write};
use crate::turn::World;

use cards::Slots;
use outgoing::{makes_message, must_ask, parked, request};
use pace::Pace;
use parking::Parking;
use queue::Queue;

/// What comes back from a spawned send.
struct Sent {
    outgoing: Outgoing,
    heard: Heard,
    /// By how much the clock had been put back when it left.
    put_back_ms: i64,
}

/// What an adapter said.
enum Heard {
    /// Of a call that it made.
    Outcome(Outcome),
    /// Of a call that was in doubt.
    Seen(Seen),
}

/// Messages whose later parts are not sent, because an earlier one was not.
const BROKEN_MAX: usize = 10_000;

/// The task that sends.
pub struct Outbox {
    clock: Arc<dyn Clock>,
    world: Arc<World>,
    adapters: HashMap<String, Arc<dyn Adapter>>,
    settlements: mpsc::UnboundedSender<Settling>,
    notices: Arc<Listeners<Notice>>,
    gauge: Arc<Gauge>,
    due: Arc<OutboxDue>,
    watched: Arc<Watched>,
    queues: BTreeMap<Destination, Queue>,
    slots: Slots,
    pace: Pace,
    parking: Parking,
    /// Destinations that wait for a call of their account to end.
    stalled: VecDeque<Destination>,
    /// Why the later parts of messages are not sent, by message.
    broken: HashMap<String, String>,
    sent: mpsc::UnboundedSender<Sent>,
    /// Destinations where the end of what went wrong is written.
    written: mpsc::UnboundedSender<Destination>,
    /// What the clock showed when it was last looked at.
    looked_at: TimeMs,
    /// By how much it has been put back, in all.
    put_back_ms: i64,
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
    /// Places that refuse, for who hears events.
    pub watched: Arc<Watched>,
}

/// First wait before a delivery is tried again, ms; doubled each time up to five minutes.
const RETRY_FIRST_MS: i64 = 1000;
const RETRY_MAX_MS: i64 = 300_000;

impl Outbox {
    /// Works until the bot stops.
    pub async fn run(parts: OutboxParts, mut outgoing: mpsc::UnboundedReceiver<Outgoing>) {
        let (sent, mut outcomes) = mpsc::unbounded_channel();
        let (written, mut ends) = mpsc::unbounded_channel();
        let mut outbox = Self {
            looked_at: parts.clock.now(),
            put_back_ms: 0,
            clock: parts.clock,
            world: parts.world,
            adapters: parts.adapters,
            settlements: parts.settlements,
            notices: parts.notices,
            gauge: parts.gauge,
            due: parts.due,
            watched: parts.watched,
            queues: BTreeMap::new(),
            slots: Slots::new(parts.store),
            pace: Pace::default(),
            parking: Parking::default(),
            stalled: VecDeque::new(),
            broken: HashMap::new(),
            sent,
            written,
        };
        let due = outbox.due.clone();
        loop {
            let wait = outbox.wait_ms();
            // In this order, because only the last can come without end.
            tokio::select! {
                biased;
                Some(sent) = outcomes.recv() => outbox.settled(sent).await,
                Some(to) = ends.recv() => outbox.go_on(to).await,
                () = due.moved.notified() => outbox.wake().await,
                () = sleep(wait) => outbox.wake().await,
                next = outgoing.recv() => match next {
                    Some(next) => outbox.enqueue(next).await,
                    None => return,
                },
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
        let next = self.queues.values().filter_map(Queue::next).min();
        self.due.set(next);
        next
    }

    async fn enqueue(&mut self, mut outgoing: Outgoing) {
        self.look_at_clock();
        self.believe(&mut outgoing);
        if self.due.is_parking() {
            let state = parked(&outgoing);
            self.end(outgoing, state, None, None);
            return;
        }
        if let Some(reason) = self.broken_before(&outgoing.delivery) {
            self.end(outgoing, DeliveryState::Skipped, Some(reason), None);
            return;
        }
        let to = outgoing.delivery.to.clone();
        let limit = self.world.limits().deliveries;
        let queue = self.queues.entry(to.clone()).or_default();
        if let Some(older) = queue.take_superseded(&outgoing.delivery) {
            self.end(older, DeliveryState::Skipped, Some("superseded".to_owned()), None);
        }
        let Some(queue) = self.queues.get_mut(&to) else { return };
        if queue.len() >= limit {
            let reason = Some("limit `deliveries` is reached".to_owned());
            self.end(outgoing, DeliveryState::Skipped, reason, None);
            return;
        }
        queue.push(outgoing);
        self.pump(&to).await;
    }

    /// Everything that had to wait is looked at again.
    async fn wake(&mut self) {
        self.look_at_clock();
        if self.due.is_parking() {
            self.park();
            return;
        }
        let now = self.clock.now();
        self.queues.retain(|_, queue| !queue.is_over(now));
        let heard = self.watched.take();
        for (place, is_let_in) in &heard {
            self.parking.heard(place, *is_let_in, now);
        }
        let is_ready =
            |queue: &Queue| !heard.is_empty() || queue.next().is_some_and(|next| next <= now);
        let ready: Vec<Destination> = self
            .queues
            .iter()
            .filter(|(_, queue)| is_ready(queue))
            .map(|(to, _)| to.clone())
            .collect();
        for to in ready {
            self.pump(&to).await;
        }
    }

    /// What waits goes back to the database as what it is, certainly not sent: a row that says
    /// `sending` would leave the next start in doubt, and one in doubt is to do so.
    fn park(&mut self) {
        let waiting: Vec<Outgoing> = self.queues.values_mut().flat_map(Queue::take_all).collect();
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
            let was_stalled = std::mem::take(&mut queue.stalled);
            queue.recall(now);
            let not_before = queue.not_before;
            let Some(mut outgoing) = queue.waiting.pop_front() else {
                let tickets = queue.take_tickets();
                if queue.is_over(now) {
                    self.queues.remove(to);
                }
                self.publish_due();
                drop(tickets);
                return;
            };
            if let Some((state, reason)) = self.is_over(&outgoing, now) {
                self.end(outgoing, state, Some(reason), None);
                continue;
            }
            let allowed_at = self.allowed_at(&outgoing.delivery).max(not_before);
            if allowed_at > now {
                self.wait(to, outgoing, allowed_at);
                return;
            }
            let is_full = self.parking.is_full(&outgoing.delivery.account, now);
            if let Some(queue) = self.queues.get_mut(to) {
                if is_full {
                    queue.stalled = true;
                    queue.waiting.push_front(outgoing);
                    if !was_stalled {
                        self.stalled.push_back(to.clone());
                    }
                    return;
                }
                queue.busy = true;
            }
            outgoing.ticket.get_or_insert_with(|| self.gauge.ticket());
            self.send(outgoing).await;
            return;
        }
    }

    /// Why it is not sent any more.
    fn is_over(&self, outgoing: &Outgoing, now: TimeMs) -> Option<(DeliveryState, String)> {
        let delivery = &outgoing.delivery;
        let held = self.parking.held(delivery).filter(|(_, until)| *until > now);
        let parked = held.map(|(why, _)| format!("parked: {}", why.word()));
        if delivery.expires_at <= now && !planted::has(Bug::ExpiryOff) {
            if outgoing.in_doubt.is_some() {
                let reason = "expired before anybody knew whether it arrived".to_owned();
                return Some((DeliveryState::Unknown, reason));
            }
            let reason = parked.map_or("expired".to_owned(), |parked| format!("{parked}; expired"));
            return Some((DeliveryState::Skipped, reason));
        }
        if matches!(delivery.call, Call::Mute { until, .. } if until <= now) {
            return Some((DeliveryState::Skipped, "it would have ended by now".to_owned()));
        }
        // What is rather lost than doubled is not kept for a place that may never open again; an
        // account comes back.
        let is_refused = held.is_some_and(|(why, _)| why != Barred::Offline);
        let is_left_out = is_refused && delivery.policy == Policy::Drop && !outgoing.is_ordered;
        parked.filter(|_| is_left_out).map(|parked| (DeliveryState::Skipped, parked))
    }

    /// When a delivery may go, as far as anything but its queue is concerned.
    fn allowed_at(&self, delivery: &Delivery) -> TimeMs {
        let parked = self.parking.held(delivery).map_or(0, |(_, until)| until);
        delivery
            .not_before
            .max(self.slots.allowed_at(delivery, &self.world))
            .max(self.pace.allowed_at(delivery, &self.world))
            .max(parked)
    }

    /// It waits for the clock, and so does all behind it: nothing is under way.
    fn wait(&mut self, to: &Destination, outgoing: Outgoing, until: TimeMs) {
        let queue = self.queues.entry(to.clone()).or_default();
        // What expires meanwhile is not kept until then.
        queue.due = until.min(outgoing.delivery.expires_at);
        queue.waiting.push_front(outgoing);
        let tickets = queue.take_tickets();
        self.publish_due();
        drop(tickets);
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
        self.slots.prepare(&mut outgoing.delivery, capabilities.can("edit")).await;
        let (now, sent) = (self.clock.now(), self.sent.clone());
        let asks = must_ask(&outgoing, capabilities.send_safety, now);
        if !asks {
            outgoing.delivery.attempts += 1;
            outgoing.tried_at = now;
            // With this the order is carried out.
            outgoing.is_ordered = false;
            self.pace.note(&outgoing.delivery, &self.world, now);
            self.parking.probes(&outgoing.delivery, now);
        }
        self.parking.begins(&outgoing.delivery.account);
        let request = request(&outgoing.delivery);
        let put_back_ms = self.put_back_ms;
        tokio::spawn(async move {
            planted::reach(Point::BeforeSend);
            let heard = if asks {
                Heard::Seen(adapter.read_back(&request).await)
            } else {
                planted::reach(Point::BeforeSend);
                Heard::Outcome(adapter.send(&request, now).await)
            };
            planted::reach(Point::AfterSend);
            // Nobody listens when the bot has stopped: the row says `sending`, as it should.
            let _ = sent.send(Sent { outgoing, heard, put_back_ms });
        });
    }

    async fn settled(&mut self, sent: Sent) {
        let Sent { mut outgoing, heard, put_back_ms } = sent;
        self.look_at_clock();
        // It was not here when the others were put back.
        if put_back_ms < self.put_back_ms {
            outgoing.put_back(self.put_back_ms - put_back_ms);
        }
        let to = outgoing.delivery.to.clone();
        let account = outgoing.delivery.account.clone();
        self.parking.ends(&account);
        if let Some(queue) = self.queues.get_mut(&to) {
            queue.busy = false;
        }
        let is_there =
            !matches!(heard, Heard::Outcome(Outcome::Offline { .. }) | Heard::Seen(Seen::Later));
        let is_back = is_there && self.parking.came_back(&account);
        match heard {
            Heard::Outcome(outcome) => self.settle(outgoing, outcome).await,
            Heard::Seen(seen) => self.seen(outgoing, seen).await,
        }
        self.pump(&to).await;
        // Whoever has heard that it was offline hears from its adapter that it is back.
        if is_back {
            self.pump_others(&to).await;
        }
        self.resume(&account, self.clock.now()).await;
    }

    /// A call has ended, so there is room for another of its account.
    async fn resume(&mut self, account: &Ref, now: TimeMs) {
        for _ in 0..self.stalled.len() {
            if self.parking.is_full(account, now) {
                return;
            }
            let Some(to) = self.stalled.pop_front() else { return };
            if let Some(queue) = self.queues.get_mut(&to) {
                queue.stalled = false;
            }
            self.pump(&to).await;
        }
    }

    /// Writes down how a delivery ended.
    fn end(
        &mut self,
        outgoing: Outgoing,
        state: DeliveryState,
        reason: Option<String>,
        platform_id: Option<String>,
    ) {
        let tail = self.tail(&outgoing.delivery, state, reason.as_deref());
        self.write(outgoing, state, reason, platform_id);
        for (part, reason) in tail {
            self.write(part, DeliveryState::Skipped, Some(reason), None);
        }
    }

    fn write(
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
        // What waited for the clock holds none, and its end is under way until it is written.
        let ticket = outgoing.ticket.unwrap_or_else(|| self.gauge.ticket());
        if self.settlements.send((Write::Settle(settlement), Some(ticket))).is_err() {
            tracing::debug!("the committer has stopped; the delivery is looked at again next time");
        }
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
