//! What an outcome means for a delivery: done, again, or over.

use std::time::Duration;

use super::chunks::Chunk;
use super::parking::Alarm;
use super::queue::HOLD_UP_MS;
use super::{BROKEN_MAX, Outbox, Outgoing, backoff_ms, makes_message};
use crate::adapter::{Barred, Degradation, Outcome, Seen, SendSafety};
use crate::commit::tell;
use crate::effect::{Call, Delivery, DeliveryState, Destination, Policy};
use crate::planted::{self, Bug};
use crate::report::Notice;
use crate::store::Write;

/// Wait before a platform that could not be asked is asked again, ms.
const ASK_AGAIN_MS: i64 = 1000;

impl Outbox {
    /// Acts on the outcome of one try.
    pub(super) async fn settle(&mut self, outgoing: Outgoing, outcome: Outcome) {
        match outcome {
            Outcome::Done { id, degraded } => self.done(outgoing, id, &degraded).await,
            Outcome::NotSent { reason, retry_after } => {
                match retry_after.filter(|_| !planted::has(Bug::EarlyRetry)) {
                    Some(after) => self.hold(outgoing, after, reason),
                    None => {
                        let wait = backoff_ms(outgoing.delivery.attempts);
                        self.try_again(outgoing, wait, reason);
                    }
                }
            }
            Outcome::Offline { reason } => self.offline(outgoing, &reason),
            Outcome::Unknown { reason } => self.unknown(outgoing, reason),
            Outcome::Unrepeatable { reason } => {
                self.tell_owner(&outgoing, &format!("may or may not have arrived: {reason}"));
                self.end(outgoing, DeliveryState::Unknown, Some(reason), None);
            }
            Outcome::Permanent { reason } => {
                let is_edit = matches!(outgoing.delivery.call, Call::Card { message: Some(_), .. });
                if is_edit {
                    // The message to edit is gone: the card is shown anew, and edited from then on.
                    self.slots.forget(&outgoing.delivery);
                    self.again(outgoing, 0);
                    return;
                }
                self.tell_owner(&outgoing, &format!("was refused: {reason}"));
                self.fail(outgoing, reason);
            }
            Outcome::Closed { why, reason } => self.closed(outgoing, why, &reason),
        }
    }

    async fn done(&mut self, outgoing: Outgoing, id: Option<String>, degraded: &[Degradation]) {
        self.replace_older(&outgoing, id.as_deref()).await;
        self.slots.note(&outgoing.delivery, id.as_deref(), self.clock.now());
        let mut reasons = Vec::new();
        if !degraded.is_empty() {
            let parts = degraded.iter().map(|d| format!("{} as {}", d.element, d.shown_as));
            reasons.push(format!("shown differently: {}", parts.collect::<Vec<_>>().join(", ")));
        }
        if outgoing.was_aside {
            reasons.push("reordered: sent after what followed it".to_owned());
        }
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        if self.parking.accepted(&outgoing.delivery) {
            self.reopen(&outgoing).await;
        }
        self.end(outgoing, DeliveryState::Sent, reason, id);
    }

    /// Nobody knows whether it arrived. Where a repeat is recognised, or does no harm, it is made;
    /// where the platform can be asked, it is; else the policy decides.
    fn unknown(&mut self, outgoing: Outgoing, reason: String) {
        let since = outgoing.in_doubt.unwrap_or(outgoing.tried_at);
        let doubtful = Outgoing { in_doubt: Some(since), has_asked: false, ..outgoing };
        let wait = backoff_ms(doubtful.delivery.attempts);
        let makes_message = makes_message(&doubtful.delivery.call);
        match self.safety(&doubtful.delivery) {
            SendSafety::ReadBack if makes_message => self.again(doubtful, 0),
            // Once its window has closed, the next look asks instead.
            SendSafety::Idempotent { .. } => self.try_again(doubtful, wait, reason),
            SendSafety::ReadBack | SendSafety::None if !makes_message => {
                self.try_again(doubtful, wait, reason);
            }
            SendSafety::ReadBack | SendSafety::None => self.doubt(doubtful, reason),
        }
    }

    fn safety(&self, delivery: &Delivery) -> SendSafety {
        let platform = self.world.platforms.get(delivery.account.platform());
        platform.map_or(SendSafety::None, |platform| platform.capabilities.send_safety)
    }

    /// Acts on what the platform tells of a call that was in doubt.
    pub(super) async fn seen(&mut self, outgoing: Outgoing, seen: Seen) {
        match seen {
            Seen::Yes(id) => self.done(outgoing, id, &[]).await,
            Seen::No => {
                let certain = Outgoing { in_doubt: None, ..outgoing };
                if certain.delivery.attempts == 0 {
                    self.again(certain, 0);
                } else {
                    let wait = backoff_ms(certain.delivery.attempts);
                    self.try_again(certain, wait, "it did not arrive".to_owned());
                }
            }
            // Until it expires, when nobody needs to know any more.
            Seen::Later if self.clock.now() < outgoing.delivery.expires_at => {
                let left_ms = outgoing.delivery.expires_at - self.clock.now();
                self.again(outgoing, ASK_AGAIN_MS.min(left_ms));
            }
            Seen::Later | Seen::Unknown => {
                let asked = Outgoing { has_asked: true, ..outgoing };
                self.doubt(asked, "the platform cannot tell whether it arrived".to_owned());
            }
        }
    }

    /// Nobody will ever know: who runs the bot has decided, or the policy does.
    fn doubt(&mut self, outgoing: Outgoing, reason: String) {
        if outgoing.is_ordered {
            self.again(Outgoing { is_ordered: false, ..outgoing }, 0);
        } else if outgoing.delivery.policy == Policy::Retry || planted::has(Bug::RetryUnknown) {
            // What only an earlier process may have tried has been no burden yet, and a queue of
            // such deliveries would cost a wait for each.
            let is_first = outgoing.delivery.attempts == 0;
            let wait = if is_first { 0 } else { backoff_ms(outgoing.delivery.attempts) };
            self.try_again(outgoing, wait, reason);
        } else {
            self.tell_owner(&outgoing, &format!("may or may not have arrived: {reason}"));
            self.end(outgoing, DeliveryState::Unknown, Some(reason), None);
        }
    }

    /// The place refuses, whatever is sent there.
    fn closed(&mut self, outgoing: Outgoing, why: Barred, reason: &str) {
        match self.parking.refused(&outgoing.delivery, why, self.clock.now()) {
            Alarm::Refuses => {
                let place =
                    if why.is_whole_account() { "the whole platform" } else { "that place" };
                let what = format!(
                    "was refused ({}): {reason}; {place} is left alone and asked again from time \
                     to time",
                    why.word()
                );
                self.tell_owner(&outgoing, &what);
            }
            Alarm::Breaker => {
                let account = &outgoing.delivery.account;
                self.tell_owner(&outgoing, &format!("was refused, and so was much before it: `{account}` makes no call for up to ten minutes; see `qundao deliveries --state failed`"));
            }
            Alarm::None => {}
        }
        self.watched.watch(self.parking.places());
        self.fail(outgoing, format!("{}: {reason}", why.word()));
    }

    /// Nothing was asked of the platform, so this was no try: it waits in its place for the account,
    /// as everything else does that the account is to send.
    fn offline(&mut self, mut outgoing: Outgoing, reason: &str) {
        tracing::debug!(delivery = outgoing.delivery.id.0, reason, "the account is offline");
        outgoing.delivery.attempts = outgoing.delivery.attempts.saturating_sub(1);
        self.parking.offline(&outgoing.delivery, self.clock.now());
        self.watched.watch(self.parking.places());
        let queue = self.queues.entry(outgoing.delivery.to.clone()).or_default();
        queue.waiting.push_front(outgoing);
    }

    /// A place that refused takes messages again: all that waits for it, or its account, may go.
    async fn reopen(&mut self, outgoing: &Outgoing) {
        let delivery = &outgoing.delivery;
        let text = format!("`{}` takes messages again", delivery.to.reference());
        let notice = Notice { community: Some(delivery.community), text, is_problem: false };
        tell(&self.notices, &notice);
        self.pump_others(&delivery.to).await;
    }

    /// All that waits elsewhere may go.
    pub(super) async fn pump_others(&mut self, than: &Destination) {
        self.watched.watch(self.parking.places());
        let others: Vec<_> = self.queues.keys().filter(|to| *to != than).cloned().collect();
        for to in others {
            self.pump(&to).await;
        }
    }

    /// The platform asks to wait: nothing goes there before, and the order holds.
    fn hold(&mut self, outgoing: Outgoing, after: Duration, reason: String) {
        // A part of a millisecond too early is too early.
        let wait = i64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX / 2);
        let to = outgoing.delivery.to.clone();
        // Asked of the destination, whatever becomes of this delivery.
        let not_before = self.clock.now() + wait;
        let queue = self.queues.entry(to.clone()).or_default();
        queue.not_before = queue.not_before.max(not_before);
        if let Some(outgoing) = self.may_go_on(outgoing, wait, reason) {
            self.queues.entry(to).or_default().waiting.push_front(outgoing);
        }
    }

    fn try_again(&mut self, outgoing: Outgoing, wait_ms: i64, reason: String) {
        if let Some(outgoing) = self.may_go_on(outgoing, wait_ms, reason) {
            self.again(outgoing, wait_ms);
        }
    }

    /// Ends what was tried too often or would come too late; gives back what may be tried again.
    fn may_go_on(&mut self, outgoing: Outgoing, wait_ms: i64, reason: String) -> Option<Outgoing> {
        let delivery = &outgoing.delivery;
        let limit = self.world.limits().delivery_attempts;
        let is_late = self.clock.now() + wait_ms >= delivery.expires_at;
        if delivery.attempts >= limit {
            let sentence = format!("limit `delivery_attempts` ({limit}) is reached: {reason}");
            self.tell_owner(&outgoing, &sentence);
            self.fail(outgoing, sentence);
        } else if is_late && !planted::has(Bug::ExpiryOff) {
            self.tell_owner(&outgoing, &format!("expired before it could be sent: {reason}"));
            let is_certain = outgoing.in_doubt.is_none();
            let state = if is_certain { DeliveryState::Skipped } else { DeliveryState::Unknown };
            self.end(outgoing, state, Some(format!("expired: {reason}")), None);
        } else {
            return Some(outgoing);
        }
        None
    }

    /// It was not made, unless an earlier try was. What follows it goes once that is written: a start
    /// that knows nothing of it would send it then, after what followed.
    fn fail(&mut self, mut outgoing: Outgoing, reason: String) {
        let is_certain = outgoing.in_doubt.is_none();
        let state = if is_certain { DeliveryState::Failed } else { DeliveryState::Unknown };
        let to = outgoing.delivery.to.clone();
        let ended = outgoing.ticket.get_or_insert_with(|| self.gauge.ticket()).given_back();
        self.end(outgoing, state, Some(reason), None);
        let Some(queue) = self.queues.get_mut(&to) else { return };
        queue.busy = true;
        let written = self.written.clone();
        tokio::spawn(async move {
            // Where nobody writes any more, nothing goes out either.
            if ended.await.is_ok() {
                let _ = written.send(to);
            }
        });
    }

    /// What ended badly is written: the next may go.
    pub(super) async fn go_on(&mut self, to: Destination) {
        self.look_at_clock();
        if let Some(queue) = self.queues.get_mut(&to) {
            queue.busy = false;
        }
        self.pump(&to).await;
    }

    /// Puts a delivery back in front, to be tried later; beside the queue, where it would hold up
    /// what stands behind it for too long.
    pub(super) fn again(&mut self, mut outgoing: Outgoing, after_ms: i64) {
        let now = self.clock.now();
        let due = now + after_ms;
        let is_too_long = due > *outgoing.holds_since.get_or_insert(now) + HOLD_UP_MS;
        if is_too_long && !std::mem::replace(&mut outgoing.was_aside, true) {
            self.tell_owner(&outgoing, "has failed for a minute; what follows goes before it");
        }
        let queue = self.queues.entry(outgoing.delivery.to.clone()).or_default();
        if is_too_long {
            queue.set_aside(outgoing, due);
        } else {
            queue.not_before = queue.not_before.max(due);
            queue.waiting.push_front(outgoing);
        }
    }

    /// Why a part of a message is not sent: one before it was not.
    pub(super) fn broken_before(&self, delivery: &Delivery) -> Option<String> {
        let chunk = Chunk::of(&delivery.key)?;
        self.broken.get(chunk.chain).cloned()
    }

    /// The parts of a message that are not sent because this one was not, each with the reason.
    pub(super) fn tail(
        &mut self,
        delivery: &Delivery,
        state: DeliveryState,
        reason: Option<&str>,
    ) -> Vec<(Outgoing, String)> {
        let Some(chunk) = Chunk::of(&delivery.key) else { return Vec::new() };
        if !chunk.has_more() {
            self.broken.remove(chunk.chain);
            return Vec::new();
        }
        match state {
            DeliveryState::Failed | DeliveryState::Unknown | DeliveryState::Skipped => {}
            DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Sent => {
                return Vec::new();
            }
        }
        let (n, count) = (chunk.n, chunk.count);
        let why = reason.unwrap_or("no reason given");
        let why = format!("part {n} of {count} did not go well ({}): {why}", state.as_str());
        let queue = self.queues.get_mut(&delivery.to);
        let tail = queue.map_or_else(Vec::new, |queue| queue.take_tail(chunk.chain));
        if n + tail.len() < count {
            // The others are still on their way here.
            if self.broken.len() >= BROKEN_MAX {
                self.broken.clear();
            }
            self.broken.insert(chunk.chain.to_owned(), why.clone());
        }
        tail.into_iter().map(|part| (part, why.clone())).collect()
    }

    /// The earlier message of the same slot goes, once the new one stands.
    async fn replace_older(&mut self, outgoing: &Outgoing, newer: Option<&str>) {
        let delivery = &outgoing.delivery;
        let Call::Send { slot: Some(slot), .. } = &delivery.call else { return };
        let older = self.slots.message(&delivery.to, slot).await;
        let Some(message) = older.filter(|older| Some(older.as_str()) != newer) else { return };
        let can_delete = self
            .world
            .platforms
            .get(delivery.account.platform())
            .is_some_and(|platform| platform.capabilities.can("delete"));
        if !can_delete {
            return;
        }
        let tidying = Delivery {
            id: self.world.numbers.delivery(),
            key: format!("{}-older", delivery.key.replace('~', "-")),
            call: Call::Delete { message },
            attempts: 0,
            platform_id: None,
            ..delivery.clone()
        };
        // Written before its outcome can be, because both go the same way.
        let _ = self.settlements.send((Write::Deliver(Box::new(tidying.clone())), None));
        let outgoing = Outgoing::new(tidying, Some(self.gauge.ticket()), None);
        let queue = self.queues.entry(outgoing.delivery.to.clone()).or_default();
        queue.waiting.push_front(outgoing);
    }

    fn tell_owner(&self, outgoing: &Outgoing, what: &str) {
        let delivery = &outgoing.delivery;
        let text = format!("{} to `{}` {what}", delivery.call.word(), delivery.to.reference());
        let notice = Notice { community: Some(delivery.community), text, is_problem: true };
        tell(&self.notices, &notice);
    }
}
