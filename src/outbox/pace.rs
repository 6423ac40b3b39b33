//! How fast messages may follow each other: the rates that a platform enforces, or that keep an
//! account from standing out.
//!
//! One GCRA (<https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>) for each account and each
//! destination. Only messages count: an advertisement is taken away at once.

use std::collections::HashMap;

use crate::adapter::{Rate, RateScope};
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, Destination};
use crate::id::Ref;
use crate::turn::World;

/// Entries before those that no longer hold anything back are forgotten.
const REMEMBERED: usize = 10_000;

/// Over what a rate counts: the account, and the destination where it is one's own.
type Key = (usize, Ref, Option<Destination>);

/// Theoretical arrival times of the next messages, Unix ms.
#[derive(Default)]
pub(super) struct Pace {
    arrivals: HashMap<Key, TimeMs>,
}

impl Pace {
    /// When a delivery may go, as far as rates are concerned; 0 is at once.
    pub(super) fn allowed_at(&self, delivery: &Delivery, world: &World) -> TimeMs {
        let rates = rates(delivery, world);
        let allowed = rates.iter().enumerate().map(|(index, rate)| {
            let arrival = self.arrivals.get(&key(index, rate, delivery)).copied().unwrap_or(0);
            let (each_ms, burst_ms) = times(rate);
            arrival - (burst_ms - each_ms)
        });
        allowed.max().unwrap_or(0)
    }

    /// A delivery goes now.
    pub(super) fn note(&mut self, delivery: &Delivery, world: &World, now: TimeMs) {
        if self.arrivals.len() >= REMEMBERED {
            self.arrivals.retain(|_, arrival| *arrival > now);
        }
        for (index, rate) in rates(delivery, world).iter().enumerate() {
            let arrival = self.arrivals.entry(key(index, rate, delivery)).or_insert(now);
            *arrival = (*arrival).max(now) + times(rate).0;
        }
    }
}

/// The rates that a delivery must keep.
fn rates<'w>(delivery: &Delivery, world: &'w World) -> &'w [Rate] {
    match delivery.call {
        Call::Send { .. } | Call::Card { .. } => world
            .platforms
            .get(delivery.account.platform())
            .map_or(&[], |platform| &platform.capabilities.rates),
        _ => &[],
    }
}

fn key(index: usize, rate: &Rate, delivery: &Delivery) -> Key {
    let to = match rate.scope {
        RateScope::Account => None,
        RateScope::Destination => Some(delivery.to.clone()),
    };
    (index, delivery.account.clone(), to)
}

/// Milliseconds for one message, and for a whole burst.
fn times(rate: &Rate) -> (i64, i64) {
    let burst_ms = i64::try_from(rate.period.as_millis()).unwrap_or(i64::MAX / 4);
    (burst_ms / i64::from(rate.count.max(1)), burst_ms)
}
