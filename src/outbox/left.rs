//! What an earlier process left: deliveries that had not ended when it did.
//!
//! One that was being sent may have arrived: the platform recognises the repeat or can be asked, or
//! its policy says what to do, or a human decides.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Outgoing;
use super::chunks::Chunk;
use crate::adapter::SendSafety;
use crate::bot::gauge::Gauge;
use crate::clock::TimeMs;
use crate::commit::Settling;
use crate::effect::{Delivery, DeliveryState, Policy};
use crate::planted::{self, Bug};
use crate::store::{DeliveryQuery, Settlement, Store, StoreError, Write};
use crate::turn::World;

/// Takes up what is left, before anything new goes out.
///
/// # Errors
/// What the store says.
pub async fn take_up(
    store: &dyn Store,
    world: &World,
    gauge: &Arc<Gauge>,
    outbox: &mpsc::UnboundedSender<Outgoing>,
    settle: &mpsc::UnboundedSender<Settling>,
    now: TimeMs,
) -> Result<(), StoreError> {
    let left = store.open_deliveries().await?;
    mark_sending(store, &left).await?;
    let mut broken = broken_chains(store, &left).await?;
    for delivery in left {
        let chain = Chunk::of(&delivery.key).map(|chunk| chunk.chain.to_owned());
        let why = chain.as_ref().and_then(|chain| broken.get(chain)).cloned();
        let end =
            why.map(|why| (DeliveryState::Skipped, why)).or_else(|| over(&delivery, world, now));
        match end {
            Some((state, reason)) => {
                if let Some(chain) = chain {
                    let why = format!("an earlier part did not go well: {reason}");
                    broken.entry(chain).or_insert(why);
                }
                let settlement = Settlement {
                    id: delivery.id,
                    state,
                    reason: Some(reason),
                    attempts: delivery.attempts,
                    platform_id: None,
                };
                let _ = settle.send((Write::Settle(settlement), Some(gauge.ticket())));
            }
            None => {
                let since = may_have_arrived(&delivery).then_some(delivery.not_before);
                let is_ordered = is_order(&delivery);
                let post = Some(gauge.post(delivery.event));
                let mut outgoing = Outgoing::new(delivery, Some(gauge.ticket()), post);
                outgoing.in_doubt = since;
                outgoing.is_ordered = is_ordered;
                let _ = outbox.send(outgoing);
            }
        }
    }
    Ok(())
}

/// What was left for this start goes out now, and its rows must say so before it does.
async fn mark_sending(store: &dyn Store, left: &[Delivery]) -> Result<(), StoreError> {
    let queued = left.iter().filter(|delivery| delivery.state == DeliveryState::Queued);
    let writes: Vec<Write> = queued.map(sending).collect();
    if writes.is_empty() { Ok(()) } else { store.commit(&writes).await }
}

/// A delivery is under way.
pub(super) fn sending(delivery: &Delivery) -> Write {
    Write::Settle(Settlement {
        id: delivery.id,
        state: DeliveryState::Sending,
        reason: delivery.reason.clone(),
        attempts: delivery.attempts,
        platform_id: None,
    })
}

/// Somebody wants it sent in spite of the doubt; what waits for its time has no reason.
fn is_order(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Queued && delivery.reason.is_some()
}

fn may_have_arrived(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Sending || is_order(delivery)
}

/// How a delivery ended while nobody was there.
fn over(delivery: &Delivery, world: &World, now: TimeMs) -> Option<(DeliveryState, String)> {
    if delivery.expires_at <= now && !planted::has(Bug::ExpiryOff) {
        let reason = "expired while the bot was down".to_owned();
        // Nobody knows, and nobody needs it any more.
        let is_doubtful = may_have_arrived(delivery);
        let state = if is_doubtful { DeliveryState::Unknown } else { DeliveryState::Skipped };
        return Some((state, reason));
    }
    let is_repeatable = is_recognised(delivery, world)
        || delivery.policy == Policy::Retry
        || planted::has(Bug::RetryUnknown)
        || !super::makes_message(&delivery.call);
    let reason = "the bot stopped while it was being sent".to_owned();
    let was_sending = delivery.state == DeliveryState::Sending;
    (was_sending && !is_repeatable).then_some((DeliveryState::Unknown, reason))
}

/// Whether the platform recognises a repeat or can be asked. A name under which repeats are dropped
/// holds for the account that made the call: with another token it is a stranger's.
fn is_recognised(delivery: &Delivery, world: &World) -> bool {
    let platform = world.platforms.get(delivery.account.platform());
    platform.is_some_and(|platform| match platform.capabilities.send_safety {
        SendSafety::Idempotent { .. } => platform.account == delivery.account,
        SendSafety::ReadBack => true,
        SendSafety::None => false,
    })
}

/// Messages of which a part went wrong just before the end, and why the others are not sent.
async fn broken_chains(
    store: &dyn Store,
    left: &[Delivery],
) -> Result<HashMap<String, String>, StoreError> {
    let open: HashSet<&str> = left.iter().map(|delivery| delivery.key.as_str()).collect();
    let before = left.iter().filter_map(|delivery| Chunk::of(&delivery.key)?.before());
    let keys: Vec<String> = before.filter(|key| !open.contains(key.as_str())).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = store.find_deliveries(&DeliveryQuery::keys(keys)).await?;
    let bad = found.into_iter().filter(|before| before.state != DeliveryState::Sent);
    let chain = |before: Delivery| {
        let chunk = Chunk::of(&before.key)?;
        let why = format!("part {} of {} was not sent", chunk.n, chunk.count);
        Some((chunk.chain.to_owned(), why))
    };
    Ok(bad.filter_map(chain).collect())
}
