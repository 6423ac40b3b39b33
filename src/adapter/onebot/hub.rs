//! The accounts: who is connected how, which connection counts, whom a call goes to.
//!
//! The newest connection of an account wins, part by part (events, calls): an implementation that
//! comes back before its old socket is seen to be dead must not be heard twice, and must not be
//! refused either. Which one is newer was decided when it was made, because handshakes end in any
//! order. Everything is decided under one short lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::decode::{Ear, OwnMessage};
use super::serving::{Claim, Missed, Serving};
use super::settings::Settings;
use super::tally::Tally;
use super::{PLATFORM, SelfId};
use crate::adapter::{Receipt, Request};
use crate::clock::{Clock, TimeMs};
use crate::effect::{Call, Destination};
use crate::event::{Envelope, EventKind, KeyQuality};
use crate::id::Ref;

/// An account may be away for so long before anybody is told: reconnecting is not news.
const GRACE: Duration = Duration::from_secs(5);
/// Own messages that are remembered for each account.
const OWN_REMEMBERED: usize = 256;

/// An event with who waits for its commit.
pub type Item = (Envelope, Option<Receipt>);

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Events and calls.
    Both,
    /// Events alone.
    Events,
    /// Calls alone.
    Calls,
}

impl Carries {
    /// Events come over it.
    pub fn events(self) -> bool {
        matches!(self, Self::Both | Self::Events)
    }

    /// Calls go over it.
    pub fn calls(self) -> bool {
        matches!(self, Self::Both | Self::Calls)
    }
}

/// One connection's place in the hub.
#[derive(Debug)]
pub struct Seat {
    /// Whose.
    pub self_id: SelfId,
    number: u64,
    /// A newer connection has taken all that this one carried.
    pub superseded: CancellationToken,
}

/// What follows from a new connection.
#[derive(Debug, Default)]
pub struct Arrived {
    /// The account was away, and everybody knew.
    pub came_online: bool,
    /// Groups that it serves, with what may have been missed.
    pub missed: Vec<(i64, Missed)>,
}

struct Part<T> {
    number: u64,
    superseded: CancellationToken,
    what: T,
}

#[derive(Default)]
struct Account {
    events: Option<Part<mpsc::Sender<Vec<Item>>>>,
    calls: Option<Part<Caller>>,
    /// An HTTP interface, for when there is no socket.
    http: Option<Caller>,
    /// When it was heard for the last time, Unix ms.
    heard: TimeMs,
    /// What everybody was told.
    told: Option<bool>,
    away_since: Option<Instant>,
    own: VecDeque<OwnMessage>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<SelfId, Account>,
    own: Arc<[SelfId]>,
    serving: Serving,
}

/// Everything that connections share.
pub struct Hub {
    /// What config.toml says.
    pub settings: Settings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What was not handed on.
    pub tally: Tally,
    /// A connection came or went.
    pub changed: Notify,
    /// A connection went; for the one that tells who is away.
    pub departed: Notify,
    state: Mutex<State>,
    next: AtomicU64,
    deaf: AtomicBool,
}

impl Hub {
    /// A hub without connections.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let hub = Self {
            settings,
            clock,
            tally: Tally::default(),
            changed: Notify::new(),
            departed: Notify::new(),
            state: Mutex::default(),
            next: AtomicU64::new(1),
            deaf: AtomicBool::new(false),
        };
        for account in hub.settings.accounts.clone() {
            hub.account(&mut hub.state(), account);
        }
        hub
    }

    /// Takes a connection in, with the number that it got when it was made; older ones of the same
    /// account give way, and it gives way to newer ones. `None` when the account may not connect.
    pub fn attach(
        &self,
        number: u64,
        self_id: SelfId,
        feed: Option<mpsc::Sender<Vec<Item>>>,
        caller: Option<Caller>,
    ) -> Option<(Seat, Arrived)> {
        if !self.settings.admits(self_id) {
            return None;
        }
        let superseded = CancellationToken::new();
        let mut state = self.state();
        let mut arrived = Arrived::default();
        let account = self.account(&mut state, self_id);
        // This one too, where newer ones have all that it carries.
        let mut older = vec![(number, superseded.clone())];
        if let Some(what) = caller.filter(|_| is_newer(number, account.calls.as_ref())) {
            let part = Part { number, superseded: superseded.clone(), what };
            older.extend(account.calls.replace(part).map(|old| (old.number, old.superseded)));
        }
        if let Some(what) = feed.filter(|_| is_newer(number, account.events.as_ref())) {
            let part = Part { number, superseded: superseded.clone(), what };
            older.extend(account.events.replace(part).map(|old| (old.number, old.superseded)));
            account.away_since = None;
            arrived.came_online = account.told.replace(true) != Some(true);
            let heard = account.heard;
            account.heard = self.clock.now();
            if heard > 0 {
                arrived.missed = state.serving.resume(self_id, heard);
            }
        }
        let account = self.account(&mut state, self_id);
        for (number, superseded) in older {
            let has_part = account.events.as_ref().is_some_and(|part| part.number == number)
                || account.calls.as_ref().is_some_and(|part| part.number == number);
            if !has_part {
                superseded.cancel();
            }
        }
        drop(state);
        self.changed.notify_waiters();
        Some((Seat { self_id, number, superseded }, arrived))
    }

    /// A connection has ended: nothing comes or goes over it any more.
    pub fn leave(&self, seat: &Seat) {
        let mut state = self.state();
        let account = self.account(&mut state, seat.self_id);
        if account.calls.as_ref().is_some_and(|part| part.number == seat.number) {
            account.calls = None;
        }
        if account.events.as_ref().is_some_and(|part| part.number == seat.number) {
            account.events = None;
            account.away_since = Some(Instant::now());
        }
        drop(state);
        self.changed.notify_waiters();
        self.departed.notify_one();
    }

    /// All that came over an account's last connection is handed on: its groups are free.
    pub fn vacate(&self, self_id: SelfId) {
        let mut state = self.state();
        let account = self.account(&mut state, self_id);
        if account.events.is_none() {
            let heard = account.heard;
            state.serving.vacate(self_id, heard);
        }
    }

    /// The accounts of the section should be here by now; who is not is told of in a while.
    pub fn expect_accounts(&self) {
        let mut state = self.state();
        for account in state.accounts.values_mut().filter(|account| account.events.is_none()) {
            account.away_since.get_or_insert_with(Instant::now);
        }
    }

    /// An HTTP interface of an account, used where it has no socket.
    pub fn set_http(&self, self_id: SelfId, caller: Caller) {
        self.account(&mut self.state(), self_id).http = Some(caller);
        self.changed.notify_waiters();
    }

    /// Where the events of an account go, whatever brings them.
    pub fn feed(&self, self_id: SelfId) -> Option<mpsc::Sender<Vec<Item>>> {
        let state = self.state();
        Some(state.accounts.get(&self_id)?.events.as_ref()?.what.clone())
    }

    /// The account is connected in this way.
    pub fn has(&self, self_id: SelfId, carries: Carries) -> bool {
        let state = self.state();
        state.accounts.get(&self_id).is_some_and(|account| {
            carries.events() && account.events.is_some()
                || carries.calls() && account.calls.is_some()
        })
    }

    /// A frame of the account came.
    pub fn heard(&self, self_id: SelfId) {
        self.account(&mut self.state(), self_id).heard = self.clock.now();
    }

    /// Decides whether an account may hand on an event of a group, and remembers its message.
    pub fn claim(&self, group: i64, by: SelfId, envelope: &Envelope) -> Claim {
        let mut state = self.state();
        let claim = state.serving.claim(group, by);
        if let (Claim::Mine(_), EventKind::Message { id, .. }) = (claim, &envelope.kind) {
            state.serving.remember(group, id, envelope.at);
        }
        claim
    }

    /// Of messages out of the history, those that were not heard before.
    pub fn unheard(&self, group: i64, missed: Missed, messages: Vec<Envelope>) -> Vec<Envelope> {
        let mut state = self.state();
        let mut is_new = |envelope: &Envelope| {
            let EventKind::Message { id, .. } = &envelope.kind else { return false };
            let is_late = missed.after.is_none_or(|after| envelope.at > after);
            is_late && state.serving.remember(group, id, envelope.at)
        };
        messages.into_iter().filter(|envelope| is_new(envelope)).collect()
    }

    /// Tells that an account is online or not; nothing when that is no news.
    pub fn note_online(&self, self_id: SelfId, online: bool) -> Option<Envelope> {
        let was = self.account(&mut self.state(), self_id).told.replace(online);
        (was != Some(online)).then(|| self.online(self_id, online))
    }

    /// Accounts that have been away for long enough to tell, and when the next one will have.
    pub fn gone(&self) -> (Vec<Envelope>, Option<Instant>) {
        let mut state = self.state();
        let (now, mut gone, mut next) = (Instant::now(), Vec::new(), None::<Instant>);
        for (self_id, account) in &mut state.accounts {
            let Some(since) = account.away_since else { continue };
            if since + GRACE > now {
                next = Some(next.map_or(since + GRACE, |next| next.min(since + GRACE)));
                continue;
            }
            account.away_since = None;
            if account.told.replace(false) != Some(false) {
                gone.push(self.online(*self_id, false));
            }
        }
        (gone, next)
    }

    /// An event that says whether an account is online.
    pub fn online(&self, self_id: SelfId, online: bool) -> Envelope {
        let now = self.clock.now();
        Envelope {
            account: reference(self_id),
            key: format!("{}:online:{online}:{}", now / 1000, self.number()).into(),
            key_quality: KeyQuality::Derived,
            at: now,
            group: None,
            actor: None,
            kind: EventKind::Online(online),
            backfilled: false,
        }
    }

    /// Remembers what an account said.
    pub fn note_own(&self, self_id: SelfId, message: OwnMessage) {
        let mut state = self.state();
        let own = &mut self.account(&mut state, self_id).own;
        if own.len() >= OWN_REMEMBERED {
            own.pop_front();
        }
        own.push_back(message);
    }

    /// Looks through what an account said, the latest first.
    pub fn find_own(
        &self,
        self_id: SelfId,
        fits: impl Fn(&OwnMessage) -> bool,
    ) -> Option<OwnMessage> {
        let state = self.state();
        state.accounts.get(&self_id)?.own.iter().rev().find(|message| fits(message)).cloned()
    }

    /// What calls an account.
    pub fn caller(&self, self_id: SelfId) -> Option<Caller> {
        self.state().accounts.get(&self_id)?.caller()
    }

    /// Who makes a call: the account that is asked for; where it is away the one that serves the
    /// group, else any. What only the account itself can do waits for it.
    pub fn pick(&self, request: &Request) -> Option<(SelfId, Caller)> {
        let state = self.state();
        let asked = self_id_of(&request.account);
        let get = |self_id: SelfId| Some((self_id, state.accounts.get(&self_id)?.caller()?));
        if let Some(found) = asked.and_then(get) {
            return Some(found);
        }
        // Message ids and tokens of requests mean nothing to another account.
        if asked.is_some() && matches!(request.call, Call::Delete { .. } | Call::Admit { .. }) {
            return None;
        }
        let group = match &request.to {
            Destination::Group(group) => group.local().parse().ok(),
            Destination::Direct(_) => None,
        };
        let server = group.and_then(|group| state.serving.server(group));
        let online = state.accounts.iter().filter(|(_, account)| account.told == Some(true));
        let any = online.chain(&state.accounts).map(|(self_id, _)| *self_id);
        server.into_iter().chain(any).find_map(get)
    }

    /// Whether any account can be called.
    pub fn is_anybody_there(&self) -> bool {
        self.state().accounts.values().any(|account| account.caller().is_some())
    }

    /// Whether the implementation has told that the account is logged out.
    pub fn is_logged_out(&self, self_id: SelfId) -> bool {
        self.state().accounts.get(&self_id).is_some_and(|account| account.told == Some(false))
    }

    /// How the frames of an account are read.
    pub fn ear(&self, self_id: SelfId) -> Ear {
        let own = self.state().own.clone();
        Ear { self_id, account: reference(self_id), own }
    }

    /// From now on events are not handed on: the bot stops.
    pub fn become_deaf(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// Events are not handed on any more.
    pub fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::SeqCst)
    }

    fn account<'s>(&self, state: &'s mut State, self_id: SelfId) -> &'s mut Account {
        if !state.accounts.contains_key(&self_id) {
            state.own = state.accounts.keys().copied().chain([self_id]).collect();
        }
        state.accounts.entry(self_id).or_default()
    }

    /// The next number: a connection that is made later has a greater one.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in it can be half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_newer<T>(number: u64, than: Option<&Part<T>>) -> bool {
    than.is_none_or(|part| part.number < number)
}

impl Account {
    fn caller(&self) -> Option<Caller> {
        self.calls.as_ref().map(|part| part.what.clone()).or_else(|| self.http.clone())
    }
}

/// An account as events name it.
pub fn reference(self_id: SelfId) -> Ref {
    Ref::new(PLATFORM, self_id.0)
}

/// The account that a reference names.
pub fn self_id_of(account: &Ref) -> Option<SelfId> {
    account.local().parse().ok().map(SelfId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::onebot::calls::Calls;
    use crate::clock::SystemClock;
    use crate::config::AdapterConfig;

    #[test]
    fn a_connection_whose_handshake_ends_late_takes_nothing_from_a_newer_one() {
        let mut section = AdapterConfig::default();
        let listen = toml::Value::String("127.0.0.1:0".to_owned());
        section.values.insert("listen".to_owned(), listen);
        let settings = Settings::read(&section).expect("right");
        let hub = Hub::new(settings, SystemClock::with_offset(0));
        let (older, newer) = (hub.number(), hub.number());
        let attach = |number| {
            let (feed, _events) = mpsc::channel(1);
            let caller = Caller::socket(Calls::new().0);
            hub.attach(number, SelfId(1), Some(feed), Some(caller)).expect("admitted")
        };
        let (newer, _) = attach(newer);
        let (older, arrived) = attach(older);
        assert!(older.superseded.is_cancelled() && !newer.superseded.is_cancelled());
        assert!(!arrived.came_online);
        hub.leave(&older);
        assert!(hub.has(SelfId(1), Carries::Both));
        let (newest, _) = attach(hub.number());
        assert!(newer.superseded.is_cancelled() && !newest.superseded.is_cancelled());
    }
}
