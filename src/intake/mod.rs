//! The door: repeats are dropped here, people and places get their numbers, old events are marked.
//!
//! Not in the adapters, because each would do it a little differently, and none could do it over
//! a restart.

mod direct;
mod news;
pub mod pressure;
mod recent;
pub mod space;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use crate::adapter::{Accepted, BoxFuture, Inbox, Receipt};
use crate::bot::gauge::{Gauge, Ticket};
use crate::clock::{Clock, TimeMs};
use crate::commit::{Listeners, tell};
use crate::config::Config;
use crate::dispatch::configured_key;
use crate::event::{Envelope, Event, EventKind, Place};
use crate::id::{CommunityId, GroupId, PersonId, Ref};
use crate::lane::{Arrival, Message};
use crate::planted::{self, Bug, Point};
use crate::report::Notice;
use crate::store::{CommunityRow, GroupRow, Store, StoreError};
use crate::turn::{GroupPlace, World};
use direct::Named;
use pressure::Pressure;
use recent::{Persons, Recent};
use space::Space;

/// Wait before the database is asked once more.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Events that are looked at together.
const BATCH: usize = 256;

/// An event as it was offered.
pub struct Offered {
    envelope: Envelope,
    receipt: Option<Receipt>,
    ticket: Ticket,
    permit: OwnedSemaphorePermit,
}

/// What adapters hold of the intake.
pub struct Door {
    queue: mpsc::UnboundedSender<Offered>,
    room: Arc<Semaphore>,
    space: Arc<Space>,
    /// Fair: who waits for room comes in in the order in which they began to wait.
    turn: Mutex<()>,
    capacity: usize,
    gauge: Arc<Gauge>,
}

impl Door {
    /// A door with room for so many events that are not committed yet.
    pub fn new(room: usize, gauge: Arc<Gauge>) -> (Self, mpsc::UnboundedReceiver<Offered>) {
        let (queue, offered) = mpsc::unbounded_channel();
        let capacity = room.max(1);
        let (room, space) = (Arc::new(Semaphore::new(capacity)), Arc::default());
        let turn = Mutex::default();
        (Self { queue, room, space, turn, capacity, gauge }, offered)
    }

    /// Whether there is room on the disk, which somebody else looks after.
    pub fn space(&self) -> Arc<Space> {
        self.space.clone()
    }

    /// A look at how full the mailboxes are.
    pub fn pressure(&self) -> Pressure {
        Pressure::new(self.room.clone(), self.capacity)
    }

    /// Nothing comes in any more; what waits outside is told so by a dropped receipt.
    pub fn close(&self) {
        self.room.close();
        self.space.open();
    }
}

impl Inbox for Door {
    fn offer(&self, envelope: Envelope, receipt: Option<Receipt>) -> BoxFuture<'_, ()> {
        let room = self.room.clone();
        Box::pin(async move {
            // Before the wait, so that a bot that stops cannot look away between the two.
            let ticket = self.gauge.ticket();
            let _turn = self.turn.lock().await;
            self.space.enough().await;
            let Ok(permit) = room.acquire_owned().await else { return };
            let offered = Offered { envelope, receipt, ticket, permit };
            // A closed queue means that the bot stops; the receipt is dropped with it.
            let _ = self.queue.send(offered);
        })
    }

    fn offer_all(&self, events: Vec<(Envelope, Option<Receipt>)>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut events = events.into_iter().peekable();
            while events.peek().is_some() {
                let some: Vec<_> = events.by_ref().take(self.capacity.min(BATCH)).collect();
                let tickets: Vec<_> = some.iter().map(|_| self.gauge.ticket()).collect();
                let _turn = self.turn.lock().await;
                self.space.enough().await;
                // As many places at once as there are events, so that their order holds.
                let count = u32::try_from(some.len()).unwrap_or(1);
                let Ok(mut room) = self.room.clone().acquire_many_owned(count).await else {
                    return;
                };
                for ((envelope, receipt), ticket) in some.into_iter().zip(tickets) {
                    let Some(permit) = room.split(1) else { return };
                    let _ = self.queue.send(Offered { envelope, receipt, ticket, permit });
                }
            }
        })
    }
}

/// The task behind the door.
pub struct Intake {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Numbers and places.
    pub world: Arc<World>,
    /// For keys and accounts that memory does not hold.
    pub store: Arc<dyn Store>,
    /// Where accepted events go.
    pub lanes: mpsc::UnboundedSender<Message>,
    /// Which group belongs to which configured community, and when an event is stale.
    pub config: Arc<std::sync::RwLock<Arc<Config>>>,
    /// Who hears what happened to the bot's own accounts.
    pub notices: Arc<Listeners<Notice>>,
    recent: Recent,
    persons: Persons,
}

/// A group and its community, new ones with their rows.
struct Where {
    community: CommunityId,
    group: Option<GroupId>,
    new: (Option<CommunityRow>, Option<GroupRow>),
    /// Names to ask about.
    which: Vec<String>,
}

impl Intake {
    /// An intake that remembers nothing yet.
    pub fn new(
        clock: Arc<dyn Clock>,
        world: Arc<World>,
        store: Arc<dyn Store>,
        lanes: mpsc::UnboundedSender<Message>,
        config: Arc<std::sync::RwLock<Arc<Config>>>,
        notices: Arc<Listeners<Notice>>,
    ) -> Self {
        let recent = Recent::new(clock.now());
        Self { clock, world, store, lanes, config, notices, recent, persons: Persons::default() }
    }

    /// Works until the door is closed.
    pub async fn run(mut self, mut offered: mpsc::UnboundedReceiver<Offered>) {
        let mut batch = Vec::with_capacity(BATCH);
        while offered.recv_many(&mut batch, BATCH).await > 0 {
            planted::reach(Point::Received);
            let repeats = self.repeats(&batch).await;
            self.learn_persons(&batch).await;
            let mut arrivals = Vec::with_capacity(batch.len());
            for (offered, is_repeat) in batch.drain(..).zip(repeats) {
                if let Some(arrival) = self.accept(offered, is_repeat).await {
                    arrivals.push(arrival);
                }
            }
            if self.lanes.send(Message::Arrived(arrivals)).is_err() {
                return;
            }
        }
    }

    /// Which events of the batch had come before.
    async fn repeats(&mut self, batch: &[Offered]) -> Vec<bool> {
        let mut repeats = vec![false; batch.len()];
        if planted::has(Bug::SkipDedupe) {
            return repeats;
        }
        let mut ask = Vec::new();
        for (index, offered) in batch.iter().enumerate() {
            let envelope = &offered.envelope;
            if !self.recent.insert(&envelope.account, &envelope.key, self.clock.now()) {
                repeats[index] = true;
            } else if envelope.at < self.recent.complete_since() {
                // It may have come before what memory holds.
                ask.push((index, (envelope.account.clone(), envelope.key.clone())));
            }
        }
        if !ask.is_empty() {
            let keys: Vec<_> = ask.iter().map(|(_, key)| key.clone()).collect();
            match self.store.known(&keys).await {
                Ok(known) => known.into_iter().for_each(|at| repeats[ask[at].0] = true),
                // The database's own constraint still stands between this and a double effect.
                Err(error) => tracing::warn!(%error, "could not look for repeats"),
            }
        }
        repeats
    }

    /// Looks up the persons of the batch that memory does not hold, in one question.
    async fn learn_persons(&mut self, batch: &[Offered]) {
        let unknown: BTreeSet<&Ref> = batch
            .iter()
            .filter_map(|offered| offered.envelope.actor.as_ref().map(|actor| &actor.id))
            .filter(|id| self.persons.get(id).is_none())
            .collect();
        if unknown.is_empty() {
            return;
        }
        let accounts: Vec<Ref> = unknown.into_iter().cloned().collect();
        // A number given in ignorance would make two persons of one.
        let found = insist("look up accounts", || self.store.persons(&accounts)).await;
        for (account, person) in accounts.into_iter().zip(found) {
            if let Some(person) = person {
                self.persons.insert(account, person);
            }
        }
    }

    async fn accept(&mut self, offered: Offered, is_repeat: bool) -> Option<Arrival> {
        let Offered { mut envelope, receipt, ticket, permit } = offered;
        if !is_repeat && let Some(notice) = news::of(&envelope) {
            tell(&self.notices, &notice);
        }
        let person = envelope.actor.as_ref().map(|actor| self.person(&actor.id));
        let Some(place) = self.locate(&mut envelope, person).await else {
            if let Some(receipt) = receipt {
                // Nobody hears it if the adapter has gone.
                let _ = receipt.send(Accepted::New);
            }
            return None;
        };
        let id = self.world.numbers.event();
        if planted::has(Bug::SkipDedupe) {
            envelope.key = format!("{}#{id}", envelope.key).into();
        }
        let now = self.clock.now();
        let event = Event {
            id,
            community: place.community,
            group: place.group,
            person,
            received_at: now,
            seed: self.world.event_seed(id),
            which: place.which,
            stale: self.is_stale(&envelope, now),
            envelope: Arc::new(envelope),
        };
        Some(Arrival {
            event: Arc::new(event),
            new_community: place.new.0,
            new_group: place.new.1,
            receipt,
            is_repeat,
            attempts: 0,
            ticket: Some(ticket),
            permit: Some(permit),
        })
    }

    fn person(&mut self, account: &Ref) -> PersonId {
        if let Some(known) = self.persons.get(account) {
            let Some((_, newcomer)) = self.world.renumbered(Some(known)) else { return known };
            self.persons.insert(account.clone(), newcomer);
            return newcomer;
        }
        let person = self.world.numbers.person();
        self.persons.insert(account.clone(), person);
        person
    }

    fn is_stale(&self, envelope: &Envelope, now: TimeMs) -> bool {
        if planted::has(Bug::StalenessOff) {
            return false;
        }
        let config = self.config.read().expect("the configuration is only replaced whole");
        let too_old = now - envelope.at > config.bot.stale_after_s * 1000
            || envelope.at < self.world.restored_at;
        (too_old || envelope.backfilled) && !matches!(envelope.kind, EventKind::Tick(_))
    }

    async fn locate(&mut self, envelope: &mut Envelope, person: Option<PersonId>) -> Option<Where> {
        if let Some(place) = &envelope.group {
            return Some(self.group(place));
        }
        // A direct message runs in the sender's community.
        let person = person?;
        let ask = || self.store.communities_of(person);
        let communities = insist("look up the communities of a person", ask).await;
        let named: Vec<Named> = communities.into_iter().map(|id| self.named(id)).collect();
        let (community, which) = direct::choose(envelope, &named)?;
        Some(Where { community, group: None, new: (None, None), which })
    }

    /// A community with the names that members know it by.
    fn named(&self, id: CommunityId) -> Named {
        let places = self.world.places.read().expect("places are only replaced whole");
        let config = self.config.read().expect("the configuration is only replaced whole");
        let key = places.keys.get(&id);
        let configured = config
            .communities
            .iter()
            .find(|c| key.is_some_and(|key| *key == configured_key(&c.id)));
        let mut groups: Vec<_> = places.by_id.values().filter(|g| g.community == id).collect();
        groups.sort_by_key(|group| group.id);
        let names = configured.map(|community| community.name.clone());
        let groups = groups.into_iter().map(|group| group.name.to_string());
        Named { id, names: names.into_iter().chain(groups).filter(|n| !n.is_empty()).collect() }
    }

    fn known_group(&self, reference: &Ref) -> Option<Where> {
        let places = self.world.places.read().expect("places are only replaced whole");
        let id = places.by_ref.get(reference)?;
        let community = places.by_id.get(id)?.community;
        Some(Where { community, group: Some(*id), new: (None, None), which: Vec::new() })
    }

    fn group(&mut self, place: &Place) -> Where {
        let (reference, name) = (&place.id, place.name.as_deref());
        if let Some(known) = self.known_group(reference) {
            return known;
        }
        let mut places = self.world.places.write().expect("places are only replaced whole");
        let config = self.config.read().expect("the configuration is only replaced whole").clone();
        // A group that is listed itself stands above its server.
        let listed = |id: &Ref| config.communities.iter().find(|c| c.groups.contains(id));
        let whole = place.community.as_ref();
        let configured = listed(reference).or_else(|| whole.and_then(listed));
        let key = match configured {
            Some(community) => configured_key(&community.id),
            None => whole.unwrap_or(reference).to_string(),
        };
        let (community, community_row) = match places.communities.get(&key) {
            Some(id) => (*id, None),
            None => {
                let id = self.world.numbers.community();
                places.add_community(id, &key);
                (id, Some(CommunityRow { id, key }))
            }
        };
        let id = self.world.numbers.group();
        let name = name.unwrap_or(reference.local());
        places.add_group(GroupPlace {
            id,
            community,
            reference: reference.clone(),
            name: name.into(),
        });
        let row = GroupRow { id, community, reference: reference.clone(), name: name.to_owned() };
        Where { community, group: Some(id), new: (community_row, Some(row)), which: Vec::new() }
    }
}

/// Asks until the database answers: what waits behind it fills the mailboxes, and the adapters wait.
async fn insist<'a, T>(
    what: &str,
    ask: impl Fn() -> BoxFuture<'a, Result<T, StoreError>> + Send,
) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::error!(%error, "could not {what}; asking again");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }
}
