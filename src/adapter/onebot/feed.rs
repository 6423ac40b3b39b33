//! The order of one account's events: what another account serves is left to it, and what came
//! while messages of the same group were missing waits until they are fetched.
//!
//! Lives as long as one connection. When that ends, everything that waits is handed on as it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::history::{self, Fetched};
use super::hub::{self, Arrived, Hub, Item};
use super::outcome::Reply;
use super::serving::{Claim, Missed};
use super::tally::Dropped;
use super::wire::Scalar;
use super::{PLATFORM, SelfId};
use crate::adapter::{Accepted, BoxFuture, Inbox};
use crate::clock::TimeMs;
use crate::effect::Destination;
use crate::event::{Envelope, EventKind, KeyQuality};
use crate::id::Ref;

/// Longest wait of a group's events for those that were missed.
const FILL: Duration = Duration::from_secs(10);
/// Longest wait of a join for the name of who joined.
const NAME: Duration = Duration::from_secs(3);
/// Events of one group that wait; with more the wait ends.
const HELD_MAX: usize = 1000;
/// Groups whose history is asked for after a connection; the liveliest ones.
const FILLED_MAX: usize = 50;
/// Questions at the same time.
const QUESTIONS: usize = 4;

/// Events of a group that wait.
struct Held {
    /// Which wait: an answer that comes too late belongs to an earlier one.
    number: u64,
    items: Vec<Item>,
    /// What is fetched, and from when.
    missed: Option<Missed>,
    /// Answers that are waited for.
    questions: usize,
    until: Instant,
}

/// An answer to a question.
struct Answered {
    group: i64,
    /// The wait that it belongs to.
    number: u64,
    what: Answer,
}

/// What was answered.
enum Answer {
    /// Messages that were missed.
    History(Vec<Envelope>),
    /// The name of who joined.
    Name { key: Arc<str>, name: String, card: Option<String> },
}

/// The events of one connection, on their way to the inbox.
pub struct Feed {
    hub: Arc<Hub>,
    self_id: SelfId,
    inbox: Arc<dyn Inbox>,
    held: HashMap<i64, Held>,
    waits: u64,
    questions: FuturesUnordered<BoxFuture<'static, Answered>>,
    room: Arc<Semaphore>,
}

impl Feed {
    /// A feed without anything in it.
    pub fn new(hub: Arc<Hub>, self_id: SelfId, inbox: Arc<dyn Inbox>) -> Self {
        Self {
            hub,
            self_id,
            inbox,
            held: HashMap::new(),
            waits: 0,
            questions: FuturesUnordered::new(),
            room: Arc::new(Semaphore::new(QUESTIONS)),
        }
    }

    /// Hands events on until their sender is gone and nothing waits any more.
    pub async fn run(mut self, arrived: Arrived, mut events: mpsc::Receiver<Vec<Item>>) {
        if arrived.came_online {
            self.offer(vec![(self.hub.online(self.self_id, true), None)]).await;
        }
        for (at, (group, missed)) in arrived.missed.into_iter().enumerate() {
            self.miss(group, missed, at < FILLED_MAX);
        }
        self.release_ready().await;
        loop {
            let deadline = self.held.values().map(|held| held.until).min();
            tokio::select! {
                some = events.recv() => match some {
                    Some(items) => self.take(items).await,
                    None => break,
                },
                Some(answer) = self.questions.next() => {
                    // What came before it counts as heard.
                    while let Ok(items) = events.try_recv() {
                        self.take(items).await;
                    }
                    self.answered(answer);
                    self.release_ready().await;
                }
                () = until(deadline) => self.release_ready().await,
            }
        }
        let groups: Vec<i64> = self.held.keys().copied().collect();
        for group in groups {
            self.release(group).await;
        }
    }

    /// Takes what came together.
    async fn take(&mut self, items: Vec<Item>) {
        let mut ready = Vec::with_capacity(items.len());
        for (envelope, receipt) in items {
            let Some(group) = group_of(&envelope) else {
                ready.push((envelope, receipt));
                continue;
            };
            match self.hub.claim(group, self.self_id, &envelope) {
                Claim::Others => {
                    self.hub.tally.add(Dropped::ServedByAnother, "event");
                    if let Some(receipt) = receipt {
                        // It is in good hands; nobody hears it if the poster has gone.
                        let _ = receipt.send(Accepted::Duplicate);
                    }
                    continue;
                }
                Claim::Mine(Some(missed)) => self.miss(group, missed, true),
                Claim::Mine(None) => {}
            }
            if needs_name(&envelope) {
                self.ask_name(group, &envelope);
            }
            match self.held.get_mut(&group) {
                Some(held) => held.items.push((envelope, receipt)),
                None => ready.push((envelope, receipt)),
            }
        }
        self.offer(ready).await;
        self.release_ready().await;
    }

    /// Holds a group and asks for what was missed of it.
    fn miss(&mut self, group: i64, missed: Missed, ask: bool) {
        let held = self.hold(group, FILL);
        held.missed = Some(missed);
        if ask {
            held.questions += 1;
            let number = held.number;
            let (hub, self_id, room) = (self.hub.clone(), self.self_id, self.room.clone());
            self.questions.push(Box::pin(async move {
                let messages = fetch_missed(&hub, self_id, group, missed.from, &room).await;
                Answered { group, number, what: Answer::History(messages) }
            }));
        }
    }

    /// Holds a group until the name of who joined is known: a welcome is no good without it.
    fn ask_name(&mut self, group: i64, envelope: &Envelope) {
        let Some(caller) = self.hub.caller(self.self_id) else { return };
        let user = envelope.actor.as_ref().and_then(|actor| actor.id.local().parse::<i64>().ok());
        let (Some(user), key) = (user, envelope.key.clone()) else { return };
        let held = self.hold(group, NAME);
        held.questions += 1;
        let number = held.number;
        self.questions.push(Box::pin(async move {
            let params = json!({ "group_id": group, "user_id": user, "no_cache": true });
            let reply = caller.call("get_group_member_info", &params, NAME).await;
            let (name, card) = names(&reply);
            Answered { group, number, what: Answer::Name { key, name, card } }
        }));
    }

    fn hold(&mut self, group: i64, wait: Duration) -> &mut Held {
        let until = Instant::now() + wait;
        let number = self.waits + 1;
        let fresh = || Held { number, items: Vec::new(), missed: None, questions: 0, until };
        let held = self.held.entry(group).or_insert_with(fresh);
        self.waits = self.waits.max(held.number);
        held.until = held.until.max(until);
        held
    }

    fn answered(&mut self, Answered { group, number, what }: Answered) {
        let held = self.held.get_mut(&group).filter(|held| held.number == number);
        let Some(held) = held else { return };
        held.questions -= 1;
        match what {
            Answer::History(messages) => {
                let Some(missed) = held.missed.take() else { return };
                let fresh = self.hub.unheard(group, missed, messages);
                let filled = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
                let gap = gap(&self.hub, self.self_id, group, missed.from, filled);
                let before = fresh.into_iter().chain([gap]).map(|envelope| (envelope, None));
                held.items.splice(0..0, before);
            }
            Answer::Name { key, name, card } => {
                let joined = held.items.iter_mut().find(|(envelope, _)| envelope.key == key);
                if let Some(actor) = joined.and_then(|(envelope, _)| envelope.actor.as_mut()) {
                    (actor.name, actor.nickname) = (name, card);
                }
            }
        }
    }

    /// Hands on what need not wait any more.
    async fn release_ready(&mut self) {
        let now = Instant::now();
        let is_ready =
            |held: &Held| held.questions == 0 || held.until <= now || held.items.len() > HELD_MAX;
        let ready: Vec<i64> =
            self.held.iter().filter(|(_, held)| is_ready(held)).map(|(id, _)| *id).collect();
        for group in ready {
            self.release(group).await;
        }
    }

    async fn release(&mut self, group: i64) {
        let Some(mut held) = self.held.remove(&group) else { return };
        if let Some(missed) = held.missed {
            let gap = gap(&self.hub, self.self_id, group, missed.from, 0);
            held.items.insert(0, (gap, None));
        }
        self.offer(held.items).await;
    }

    async fn offer(&mut self, items: Vec<Item>) {
        // When the bot stops, who waits for a receipt hears that none comes.
        if !items.is_empty() && !self.hub.is_deaf() {
            self.inbox.offer_all(items).await;
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn group_of(envelope: &Envelope) -> Option<i64> {
    envelope.group.as_ref()?.id.local().parse().ok()
}

fn needs_name(envelope: &Envelope) -> bool {
    let is_nameless = envelope.actor.as_ref().is_some_and(|actor| actor.name.is_empty());
    is_nameless && matches!(envelope.kind, EventKind::Joined { .. })
}

fn gap(hub: &Hub, self_id: SelfId, group: i64, from: TimeMs, filled: u32) -> Envelope {
    let to = hub.clock.now();
    Envelope {
        account: hub::reference(self_id),
        key: format!("{}:gap:g{group}:{from}:{to}", to / 1000).into(),
        key_quality: KeyQuality::Derived,
        at: to,
        group: Some(super::decode::place(group, None)),
        actor: None,
        kind: EventKind::Gap { from, to, filled },
        backfilled: false,
    }
}

/// Messages of a group since it was heard for the last time, oldest first.
async fn fetch_missed(
    hub: &Hub,
    self_id: SelfId,
    group: i64,
    from: TimeMs,
    room: &Semaphore,
) -> Vec<Envelope> {
    let Ok(_room) = room.acquire().await else { return Vec::new() };
    let Ok(caller) = tokio::time::timeout(FILL, caller(hub, self_id)).await else {
        return Vec::new();
    };
    let place = Destination::Group(Ref::new(PLATFORM, group));
    match history::fetch(&caller, &place, FILL.min(hub.settings.timeout)).await {
        Fetched::Messages(data) => {
            let (mut others, _) = history::messages(&data, &hub.ear(self_id), hub.clock.now());
            // Whole seconds, and the clock of another machine.
            others.retain(|envelope| envelope.at + 2_000 >= from);
            others
        }
        Fetched::Absent => Vec::new(),
        Fetched::Failed(reason) => {
            tracing::debug!(group, reason, "OneBot: the history could not be fetched");
            Vec::new()
        }
    }
}

/// What calls an account; its calls may connect a moment after its events.
async fn caller(hub: &Hub, self_id: SelfId) -> super::caller::Caller {
    loop {
        let changed = hub.changed.notified();
        tokio::pin!(changed);
        // Before the look, so that nothing is missed between the two.
        changed.as_mut().enable();
        if let Some(caller) = hub.caller(self_id) {
            return caller;
        }
        changed.await;
    }
}

/// Nickname and card, as far as they are known.
fn names(reply: &Reply) -> (String, Option<String>) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Member<'a> {
        #[serde(borrow)]
        nickname: Scalar<'a>,
        #[serde(borrow)]
        card: Scalar<'a>,
    }
    let Reply::Answer(answer) = reply else { return Default::default() };
    let data = answer.data.as_deref().map_or("null", |data| data.get());
    let member: Option<Member<'_>> = serde_json::from_str(data).ok();
    let member = member.unwrap_or_default();
    (member.nickname.as_str().to_owned(), member.card.get().map(str::to_owned))
}
