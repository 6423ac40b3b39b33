//! How fast messages may follow each other: the rates that a platform enforces, or that keep an
//! account from standing out.
//!
//! The times of the latest messages are kept for each account and each destination, so that no span
//! of a period, wherever it begins, holds more than the rate says. Only messages count: an
//! advertisement is taken away at once.

use std::collections::{HashMap, VecDeque};

use crate::adapter::{Rate, RateScope};
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, Destination};
use crate::id::Ref;
use crate::turn::World;

/// Entries before those that no longer hold anything back are forgotten.
const REMEMBERED: usize = 10_000;

/// Over what a rate counts: the account, and the destination where it is one's own.
type Key = (usize, Ref, Option<Destination>);

/// When the latest messages went, Unix ms; at most as many of each as its rate counts.
#[derive(Default)]
pub(super) struct Pace {
    latest: HashMap<Key, VecDeque<TimeMs>>,
}

impl Pace {
    /// When a delivery may go, as far as rates are concerned; 0 is at once.
    pub(super) fn allowed_at(&self, delivery: &Delivery, world: &World) -> TimeMs {
        let rates = rates(delivery, world);
        let allowed = rates.iter().enumerate().map(|(index, rate)| {
            let latest = self.latest.get(&key(index, rate, delivery));
            let first =
                latest.filter(|latest| latest.len() >= count(rate)).and_then(|it| it.front());
            first.map_or(0, |first| first + period_ms(rate))
        });
        allowed.max().unwrap_or(0)
    }

    /// The clock was put back.
    pub(super) fn put_back(&mut self, by_ms: i64) {
        self.latest.values_mut().flatten().for_each(|sent| *sent -= by_ms);
    }

    /// A delivery goes now.
    pub(super) fn note(&mut self, delivery: &Delivery, world: &World, now: TimeMs) {
        let rates = rates(delivery, world);
        if self.latest.len() >= REMEMBERED {
            let longest = rates.iter().map(period_ms).max().unwrap_or_default();
            self.latest.retain(|_, latest| latest.back().is_some_and(|last| last + longest > now));
        }
        for (index, rate) in rates.iter().enumerate() {
            let latest = self.latest.entry(key(index, rate, delivery)).or_default();
            while latest.len() >= count(rate) {
                latest.pop_front();
            }
            latest.push_back(now);
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

fn count(rate: &Rate) -> usize {
    usize::try_from(rate.count.max(1)).unwrap_or(usize::MAX)
}

fn period_ms(rate: &Rate) -> i64 {
    i64::try_from(rate.period.as_millis()).unwrap_or(i64::MAX / 4)
}
