//! Places that refuse the bot: asked again with growing waits, or when something happens there,
//! never hammered.
//!
//! A place is a group, a person, or a whole account. What goes there waits or is left out, by its
//! policy; whoever runs the bot hears of it once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::adapter::Barred;
use crate::clock::TimeMs;
use crate::effect::{Delivery, Destination};
use crate::event::{Envelope, EventKind};
use crate::id::Ref;

/// First wait before a place that refused is asked again, ms; doubled each time.
const PROBE_FIRST_MS: i64 = 60_000;
/// Longest wait, ms.
const PROBE_MAX_MS: i64 = 3_600_000;
/// First and longest wait before an account that was offline is tried again, ms; that it is back is
/// told sooner by most platforms.
const OFFLINE_FIRST_MS: i64 = 1000;
const OFFLINE_MAX_MS: i64 = 30_000;
/// Refusals of one account after which it makes no call for a while; Discord blocks an address after
/// 10,000.
const REFUSALS_MAX: usize = 100;
/// Over how long they count, ms.
const REFUSALS_MS: i64 = 600_000;
/// Places before those whose time has come are forgotten.
const PLACES_MAX: usize = 10_000;

/// Somewhere that can refuse.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A group, or a person.
    There(Destination),
    /// Everything that an account sends.
    Account(Ref),
}

impl Place {
    fn of(delivery: &Delivery) -> [Self; 2] {
        [Self::There(delivery.to.clone()), Self::Account(delivery.account.clone())]
    }
}

/// A place that refuses.
#[derive(Clone, Debug)]
struct Parked {
    why: Barred,
    refused_at: TimeMs,
    wait_ms: i64,
    /// Nothing goes there before, Unix ms; then one delivery finds out.
    until: TimeMs,
}

/// What a refusal means for who runs the bot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// It refuses for the first time.
    Refuses,
    /// The account has been refused so often that it makes no more calls for a while.
    Breaker,
    /// Known already.
    None,
}

/// All places that refuse.
#[derive(Default)]
pub(super) struct Parking {
    places: HashMap<Place, Parked>,
    refusals: HashMap<Ref, VecDeque<TimeMs>>,
    /// Accounts that were refused too often, and until when they make no call.
    breakers: HashMap<Ref, TimeMs>,
    /// Calls of each account that have no outcome yet.
    calls: HashMap<Ref, usize>,
}

impl Parking {
    /// The clock was put back.
    pub(super) fn put_back(&mut self, by_ms: i64) {
        for parked in self.places.values_mut() {
            parked.refused_at -= by_ms;
            parked.until -= by_ms;
        }
        self.refusals.values_mut().flatten().for_each(|at| *at -= by_ms);
        self.breakers.values_mut().for_each(|until| *until -= by_ms);
    }

    /// Why a delivery waits and until when; `None` where nothing refuses.
    pub(super) fn held(&self, delivery: &Delivery) -> Option<(Barred, TimeMs)> {
        if self.places.is_empty() && self.breakers.is_empty() {
            return None;
        }
        let parked = Place::of(delivery).into_iter().filter_map(|place| self.places.get(&place));
        let held = parked.map(|parked| (parked.why, parked.until));
        let breaker = self.breakers.get(&delivery.account).map(|until| (Barred::Forbidden, *until));
        held.chain(breaker).max_by_key(|(_, until)| *until)
    }

    /// A delivery goes all the same, to find out: no other does until it is back.
    pub(super) fn probes(&mut self, delivery: &Delivery, now: TimeMs) {
        if self.places.is_empty() {
            return;
        }
        for place in Place::of(delivery) {
            if let Some(parked) = self.places.get_mut(&place) {
                parked.until = now + parked.wait_ms;
            }
        }
    }

    /// So many calls of an account are under way that all of them together could be refused too
    /// often.
    pub(super) fn is_full(&mut self, account: &Ref, now: TimeMs) -> bool {
        let calls = self.calls.get(account).copied().unwrap_or_default();
        let refusals = self.refusals.get_mut(account).map_or(0, |refusals| {
            refusals.retain(|at| *at > now - REFUSALS_MS);
            refusals.len()
        });
        calls > 0 && calls + refusals >= REFUSALS_MAX
    }

    /// A call begins.
    pub(super) fn begins(&mut self, account: &Ref) {
        *self.calls.entry(account.clone()).or_default() += 1;
    }

    /// A call has an outcome.
    pub(super) fn ends(&mut self, account: &Ref) {
        if let Some(calls) = self.calls.get_mut(account) {
            *calls = calls.saturating_sub(1);
        }
    }

    /// A place refused.
    pub(super) fn refused(&mut self, delivery: &Delivery, why: Barred, now: TimeMs) -> Alarm {
        let [there, account] = Place::of(delivery);
        let place = if why.is_whole_account() { account } else { there };
        if self.places.len() >= PLACES_MAX {
            self.places.retain(|_, parked| parked.until > now);
        }
        let before = self.places.get(&place).filter(|parked| parked.why != Barred::Offline);
        let before = before.map(|parked| parked.wait_ms);
        let wait_ms = before.map_or(PROBE_FIRST_MS, |wait| (wait * 2).min(PROBE_MAX_MS));
        let parked = Parked { why, refused_at: now, wait_ms, until: now + wait_ms };
        self.places.insert(place, parked);
        if self.count(&delivery.account, now) {
            return Alarm::Breaker;
        }
        if before.is_none() { Alarm::Refuses } else { Alarm::None }
    }

    /// An account cannot make calls: it is tried again soon, and none of it counts as a refusal.
    pub(super) fn offline(&mut self, delivery: &Delivery, now: TimeMs) {
        let [_, place] = Place::of(delivery);
        let why = Barred::Offline;
        let wait_ms = match self.places.get(&place) {
            // It refuses for a reason of its own, and waits long enough.
            Some(parked) if parked.why != why => return,
            // This call was on its way beside the one that found out: one absence, one wait.
            Some(parked) if now < parked.refused_at + parked.wait_ms => return,
            Some(parked) => (parked.wait_ms * 2).min(OFFLINE_MAX_MS),
            None => OFFLINE_FIRST_MS,
        };
        self.places.insert(place, Parked { why, refused_at: now, wait_ms, until: now + wait_ms });
    }

    /// Counts a refusal of an account; `true` when it was one too many.
    fn count(&mut self, account: &Ref, now: TimeMs) -> bool {
        let refusals = self.refusals.entry(account.clone()).or_default();
        refusals.retain(|at| *at > now - REFUSALS_MS);
        refusals.push_back(now);
        let Some(first) = refusals.front().copied().filter(|_| refusals.len() >= REFUSALS_MAX)
        else {
            return false;
        };
        self.breakers.insert(account.clone(), first + REFUSALS_MS).is_none_or(|until| until <= now)
    }

    /// A delivery arrived: what refused does so no more. Whether anything did.
    pub(super) fn accepted(&mut self, delivery: &Delivery) -> bool {
        if self.places.is_empty() {
            return false;
        }
        // A breaker holds for its time, whoever else is content.
        let [there, account] = Place::of(delivery).map(|place| self.places.remove(&place));
        there.is_some() || account.is_some()
    }

    /// The platform said something to a call of this account, whatever it was. Whether it had been
    /// offline.
    pub(super) fn came_back(&mut self, account: &Ref) -> bool {
        if self.places.is_empty() {
            return false;
        }
        let place = Place::Account(account.clone());
        let was_offline =
            self.places.get(&place).is_some_and(|parked| parked.why == Barred::Offline);
        if was_offline {
            self.places.remove(&place);
        }
        was_offline
    }

    /// Something happened in a place: it is asked soon, or now where the bot was let in again.
    pub(super) fn heard(&mut self, place: &Place, is_let_in: bool, now: TimeMs) {
        if let Some(parked) = self.places.get_mut(place) {
            let soon = parked.refused_at + PROBE_FIRST_MS;
            parked.until = parked.until.min(if is_let_in { now } else { soon.max(now) });
        }
    }

    /// The places, for who hears events.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }
}

/// Places that refuse, shared with who hears events: what happens there may mean that they do so no
/// more.
#[derive(Debug, Default)]
pub struct Watched {
    /// So that a message costs nothing while there is none.
    count: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    places: HashSet<Place>,
    heard: Vec<(Place, bool)>,
}

impl Watched {
    /// An event was committed; whether the outbox should look.
    pub fn hear(&self, envelope: &Envelope) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 || matches!(envelope.kind, EventKind::Tick(_)) {
            return false;
        }
        let mut inner = self.inner();
        let is_let_in = is_let_in(envelope);
        let group = envelope.group.as_ref().map(|group| Destination::Group(group.id.clone()));
        let actor = envelope.actor.as_ref().map(|actor| Destination::Direct(actor.id.clone()));
        let there = group.or(actor).map(|there| (Place::There(there), is_let_in));
        let is_online = matches!(envelope.kind, EventKind::Online(true));
        let platform = envelope.account.platform();
        // One account may stand in for another.
        let is_its = |place: &&Place| matches!(place, Place::Account(account) if account.platform() == platform);
        let accounts: Vec<Place> = match is_online {
            true => inner.places.iter().filter(is_its).cloned().collect(),
            false => Vec::new(),
        };
        let accounts = accounts.into_iter().map(|account| (account, true));
        let before = inner.heard.len();
        for (place, is_let_in) in there.into_iter().chain(accounts) {
            if inner.places.contains(&place) {
                inner.heard.push((place, is_let_in));
            }
        }
        inner.heard.len() > before
    }

    pub(super) fn watch<'a>(&self, places: impl Iterator<Item = &'a Place>) {
        let mut inner = self.inner();
        inner.places = places.cloned().collect();
        self.count.store(inner.places.len(), Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> Vec<(Place, bool)> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.inner().heard)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bot itself was let in, may speak again, or has other rights now.
fn is_let_in(envelope: &Envelope) -> bool {
    let is_own = envelope.actor.as_ref().is_some_and(|actor| actor.id == envelope.account);
    let is_change =
        matches!(envelope.kind, EventKind::Silenced { until: None, .. } | EventKind::Updated);
    let is_new = matches!(envelope.kind, EventKind::BotJoined { .. } | EventKind::Befriended);
    is_new || is_change && is_own
}
