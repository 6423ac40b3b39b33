//! What an outcome means for a delivery: done, again, or over.

use super::{Outbox, Outgoing, backoff_ms, makes_message};
use crate::adapter::{Outcome, SendSafety};
use crate::commit::tell;
use crate::effect::{Call, Delivery, DeliveryState, Policy};
use crate::report::Notice;
use crate::store::Write;

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
                let wait = retry_after.map_or(backoff_ms(outgoing.delivery.attempts), |after| {
                    i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2)
                });
                self.try_again(outgoing, wait, reason);
            }
            Outcome::Unknown { reason } => {
                let safety = self
                    .world
                    .platforms
                    .get(outgoing.delivery.account.platform())
                    .map_or(SendSafety::None, |platform| platform.capabilities.send_safety);
                let is_safe = matches!(safety, SendSafety::Idempotent { .. })
                    || !makes_message(&outgoing.delivery.call);
                if is_safe || outgoing.delivery.policy == Policy::Retry {
                    let wait = backoff_ms(outgoing.delivery.attempts);
                    self.try_again(outgoing, wait, reason);
                } else {
                    self.tell_owner(&outgoing, &format!("may or may not have arrived: {reason}"));
                    self.end(outgoing, DeliveryState::Unknown, Some(reason), None);
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

    fn try_again(&mut self, outgoing: Outgoing, wait_ms: i64, reason: String) {
        let delivery = &outgoing.delivery;
        let limit = self.world.limits().delivery_attempts;
        if delivery.attempts >= limit {
            let sentence = format!("limit `delivery_attempts` ({limit}) is reached: {reason}");
            self.tell_owner(&outgoing, &sentence);
            self.end(outgoing, DeliveryState::Failed, Some(sentence), None);
        } else if self.clock.now() + wait_ms >= delivery.expires_at {
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
        let outgoing = Outgoing { delivery: tidying, ticket: Some(self.gauge.ticket()) };
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
