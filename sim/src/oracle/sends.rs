//! O2, O4, O6, O7 and O9: what leaves the house, when, how often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use qundao::adapter::{RateScope, Request};
use qundao::clock::{Clock as _, TimeMs};
use qundao::effect::{Call, Delivery, DeliveryState, Policy};

use crate::cast::{ACKED, RESUME};
use crate::platform::{WINDOW_MS, makes_message, rates};
use crate::world::{Verdict, Violation, World};

/// A message that cannot be sent holds up the others of its destination for so long, ms.
const HOLD_UP_MS: i64 = 60_000;
/// Deliveries in doubt are not sent again once the platform has forgotten their nonce.
const KEEPS_WINDOW: bool = true;

/// A committed delivery.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number.
    pub id: i64,
    /// What.
    pub call: &'static str,
    /// When in doubt.
    pub policy: Policy,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it was decided.
    pub decided_at: TimeMs,
    /// Not after.
    pub expires_at: TimeMs,
}

/// All deliveries, and what the platforms saw of them.
#[derive(Default)]
pub struct Sends {
    /// By key.
    pub by_key: BTreeMap<String, Known>,
    /// Numbers of those that are queued.
    pub queued: BTreeSet<i64>,
    keys: BTreeMap<i64, String>,
    /// The latest first message of a destination.
    first: BTreeMap<String, i64>,
    /// A destination wants to be left alone until then.
    not_before: BTreeMap<String, TimeMs>,
    /// When messages were sent, by what a rate counts over.
    sent: BTreeMap<String, Vec<TimeMs>>,
}

impl Sends {
    /// A delivery was committed.
    pub fn add(&mut self, delivery: &Delivery, is_stale: bool) -> Verdict {
        let call = delivery.call.word();
        if is_stale && ["send", "card", "react", "pin"].contains(&call) {
            let text = format!("{} answers an event of long ago", delivery.key);
            return Err(Violation::new("O7 staleness", text));
        }
        let known = Known {
            id: delivery.id.0,
            call,
            policy: delivery.policy,
            state: delivery.state,
            decided_at: delivery.not_before,
            expires_at: delivery.expires_at,
        };
        self.keys.insert(delivery.id.0, delivery.key.clone());
        if delivery.state == DeliveryState::Queued {
            self.queued.insert(delivery.id.0);
        }
        if self.by_key.insert(delivery.key.clone(), known).is_some() {
            let text = format!("two deliveries have the key {}", delivery.key);
            return Err(Violation::new("O4 keys", text));
        }
        Ok(())
    }

    /// The outcome of a delivery was committed.
    pub fn settle(&mut self, id: i64, state: DeliveryState) -> Verdict {
        let key = self.keys.get(&id).cloned().unwrap_or_default();
        let Some(known) = self.by_key.get_mut(&key) else {
            return Err(Violation::new("O4 keys", format!("delivery {id} is unknown")));
        };
        if !is_open(known.state) && known.state != state {
            let text = format!("{key} was {} and is {}", known.state.as_str(), state.as_str());
            return Err(Violation::new("O4 ends", text));
        }
        known.state = state;
        if state == DeliveryState::Queued {
            self.queued.insert(id);
        } else {
            self.queued.remove(&id);
        }
        Ok(())
    }

    /// A process begins with no memory of rates; platforms are asked to forgive that.
    pub fn process_began(&mut self) {
        self.not_before.clear();
        self.sent.clear();
    }
}

/// It may still be sent.
pub fn is_open(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Queued | DeliveryState::Sending)
}

/// A call is about to be made.
pub fn before(world: &World, index: usize, request: &Request) -> Verdict {
    let (real, shown) = (world.clock.real(), world.clock.now());
    let key = &request.key;
    let to = request.to.reference().to_string();
    let has_jumps = world.plan.has_jumps();
    let mut state = world.state();
    let effect = state.platforms[index].effects.get(key).cloned().unwrap_or_default();
    let sends = &mut state.model.sends;
    // What tidies up after another may be done twice, and is committed beside it.
    if key.ends_with("-older") {
        return Ok(());
    }
    let Some(known) = sends.by_key.get(key).cloned() else {
        return Err(Violation::new("O4 commit first", format!("{key} is sent and not committed")));
    };
    if known.state != DeliveryState::Sending {
        let text = format!("{key} is sent while it stands as {}", known.state.as_str());
        return Err(Violation::new("O4 ends", text));
    }
    if shown >= known.expires_at {
        return Err(Violation::new("O6 expiry", format!("{key} is sent after its time")));
    }
    if makes_message(&request.call) && effect.tries > 0 {
        again(index, key, &known, &effect, real)?;
    }
    if has_jumps {
        return Ok(());
    }
    let wait = sends.not_before.get(&to).copied().unwrap_or_default() - real;
    if wait > 0 {
        return Err(Violation::new("O9 waits", format!("{key} is sent {wait} ms too early")));
    }
    if makes_message(&request.call) || matches!(request.call, Call::Card { .. }) {
        return rate(sends, index, &to, real);
    }
    Ok(())
}

/// O4: what was tried may be tried again only where it cannot show twice, or where its policy would
/// rather have it twice than not at all.
fn again(
    index: usize,
    key: &str,
    known: &Known,
    effect: &crate::platform::Effect,
    real: TimeMs,
) -> Verdict {
    let wrong = |text: &str| Err(Violation::new("O4 shown", format!("{key} is sent again {text}")));
    match index {
        ACKED if effect.shown > 0 => wrong("where the platform could be asked"),
        RESUME if KEEPS_WINDOW && effect.shown > 0 && real - effect.first_at >= WINDOW_MS => {
            wrong("after the platform has forgotten its nonce")
        }
        ACKED | RESUME => Ok(()),
        _ if effect.in_doubt && known.policy == Policy::Drop => wrong("against its policy"),
        _ => Ok(()),
    }
}

/// O9: no window has more messages than the platform takes.
fn rate(sends: &mut Sends, index: usize, to: &str, real: TimeMs) -> Verdict {
    for (at, rate) in rates(index).iter().enumerate() {
        let over = match rate.scope {
            RateScope::Account => format!("{index} {at}"),
            RateScope::Destination => format!("{index} {at} {to}"),
        };
        let period = rate.period.as_millis() as i64;
        let sent = sends.sent.entry(over.clone()).or_default();
        sent.retain(|then| real - then < period);
        sent.push(real);
        if sent.len() > rate.count as usize {
            let text = format!("{} messages in {period} ms over {over}", sent.len());
            return Err(Violation::new("O9 rates", text));
        }
    }
    Ok(())
}

/// A new message stands.
pub fn shown(world: &World, index: usize, request: &Request) -> Verdict {
    let Call::Send { slot: None, .. } = &request.call else { return Ok(()) };
    let to = format!("{:?}", request.to);
    let mut state = world.state();
    let is_first = state.platforms[index].effects.get(&request.key).is_some_and(|it| it.shown == 1);
    let Some(known) = state.model.sends.by_key.get(&request.key) else { return Ok(()) };
    let (id, waited_ms) = (known.id, world.clock.now() - known.decided_at);
    // What could not be sent for so long is set aside, and what stands behind it goes on.
    let is_set_aside = waited_ms >= HOLD_UP_MS || world.plan.has_jumps();
    let latest = state.model.sends.first.entry(to.clone()).or_default();
    if is_first && id < *latest && !is_set_aside {
        let text = format!("{} came to {to} after delivery {latest}", request.key);
        return Err(Violation::new("O2 order", text));
    }
    *latest = id.max(*latest);
    Ok(())
}

/// A platform asks for a wait.
pub fn turned_away(world: &World, _index: usize, request: &Request, wait: Duration) {
    let until = world.clock.real() + wait.as_millis() as i64;
    let to = request.to.reference().to_string();
    world.state().model.sends.not_before.insert(to, until);
}
