//! What an outcome means for a delivery: done, again, or over.

use super::{Outbox, Outgoing, backoff_ms, makes_message};
use crate::adapter::{Outcome, Seen, SendSafety};
use crate::commit::tell;
use crate::effect::{Call, Delivery, DeliveryState, Policy};
use crate::planted::{self, Bug};
use crate::report::Notice;
use crate::store::Write;

/// Wait before a platform that could not be asked is asked again, ms.
const ASK_AGAIN_MS: i64 = 1000;

impl Outbox {
    /// Acts on the outcome of one try.
    pub(super) async fn settle(&mut self, outgoing: Outgoing, outcome: Outcome) {
        match outcome {
            Outcome::Done { id, degraded } => {
                self.replace_older(&outgoing, id.as_deref()).await;
                self.slots.note(&outgoing.delivery, id.as_deref(), self.clock.now());
                let reason = (!degraded.is_empty()).then(|| {
                    let parts = degraded.iter().map(|d| format!("{} as {}", d.element, d.shown_as));
                    format!("shown differently: {}", parts.collect::<Vec<_>>().join(", "))
                });
                self.end(outgoing, DeliveryState::Sent, reason, id);
            }
            Outcome::NotSent { reason, retry_after } => {
                let retry_after = retry_after.filter(|_| !planted::has(Bug::EarlyRetry));
                let wait = retry_after.map_or(backoff_ms(outgoing.delivery.attempts), |after| {
                    i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2)
                });
                if retry_after.is_some() {
                    // Asked of the destination, whatever becomes of this delivery.
                    let not_before = self.clock.now() + wait;
                    let queue = self.queues.entry(outgoing.delivery.to.clone()).or_default();
                    queue.not_before = queue.not_before.max(not_before);
                }
                self.try_again(outgoing, wait, reason);
            }
            Outcome::Unknown { reason } => {
                let safety = self
                    .world
                    .platforms
                    .get(outgoing.delivery.account.platform())
                    .map_or(SendSafety::None, |platform| platform.capabilities.send_safety);
                let makes_message = makes_message(&outgoing.delivery.call);
                if safety == SendSafety::ReadBack && makes_message {
                    self.again(Outgoing { in_doubt: true, ..outgoing }, 0);
                } else if matches!(safety, SendSafety::Idempotent { .. }) || !makes_message {
                    let wait = backoff_ms(outgoing.delivery.attempts);
                    self.try_again(outgoing, wait, reason);
                } else {
                    self.in_doubt(outgoing, reason);
                }
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
                self.end(outgoing, DeliveryState::Failed, Some(reason), None);
            }
        }
    }

    /// Acts on what the platform tells of a call that was in doubt.
    pub(super) async fn seen(&mut self, outgoing: Outgoing, seen: Seen) {
        let known = Outgoing { in_doubt: false, ..outgoing };
        match seen {
            Seen::Yes(id) => self.settle(known, Outcome::Done { id, degraded: Vec::new() }).await,
            Seen::No if known.delivery.attempts == 0 => self.again(known, 0),
            Seen::No => {
                let wait = backoff_ms(known.delivery.attempts);
                self.try_again(known, wait, "it did not arrive".to_owned());
            }
            Seen::Later if self.clock.now() + ASK_AGAIN_MS < known.delivery.expires_at => {
                self.again(Outgoing { in_doubt: true, ..known }, ASK_AGAIN_MS);
            }
            Seen::Later | Seen::Unknown => {
                self.in_doubt(known, "the platform cannot tell whether it arrived".to_owned());
            }
        }
    }

    /// Nobody will ever know: the policy decides.
    fn in_doubt(&mut self, outgoing: Outgoing, reason: String) {
        if outgoing.delivery.policy == Policy::Retry || planted::has(Bug::RetryUnknown) {
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

    fn try_again(&mut self, outgoing: Outgoing, wait_ms: i64, reason: String) {
        let delivery = &outgoing.delivery;
        let limit = self.world.limits().delivery_attempts;
        if delivery.attempts >= limit {
            let sentence = format!("limit `delivery_attempts` ({limit}) is reached: {reason}");
            self.tell_owner(&outgoing, &sentence);
            self.end(outgoing, DeliveryState::Failed, Some(sentence), None);
        } else if self.clock.now() + wait_ms >= delivery.expires_at && !planted::has(Bug::ExpiryOff)
        {
            self.tell_owner(&outgoing, &format!("expired before it could be sent: {reason}"));
            self.end(outgoing, DeliveryState::Skipped, Some(format!("expired: {reason}")), None);
        } else {
            self.again(outgoing, wait_ms);
        }
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
            key: format!("{}-older", delivery.key),
            call: Call::Delete { message },
            attempts: 0,
            platform_id: None,
            ..delivery.clone()
        };
        // Written before its outcome can be, because both go the same way.
        let _ = self.settlements.send((Write::Deliver(Box::new(tidying.clone())), None));
        let ticket = Some(self.gauge.ticket());
        let outgoing = Outgoing { delivery: tidying, ticket, post: None, in_doubt: false };
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
