//! One serial lane a community: its events one after the other, beside all other communities.
//!
//! A lane owns its community's state and lends it to one turn at a time. It does not wait for
//! the disk: the next turn builds on the state that the last one left, commits follow in order,
//! and nothing leaves the house before its commit. If a commit is refused, the lane forgets its
//! state, loads what the database has, and runs the lost turns again one by one.

mod ahead;
mod begin;
mod erase;
mod fetch;
mod held;
mod notices;
mod recover;
mod spill;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::adapter::Receipt;
use crate::bot::gauge::{Gauge, Ticket};
use crate::clock::{Clock, TimeMs};
use crate::commit::{Item, Refused};
use crate::community::Community;
use crate::config::Config;
use crate::dispatch::{Dispatch, Plan, Registry};
use crate::event::Event;
use crate::id::{CommunityId, TimerId};
use crate::intake::pressure::Pressure;
use crate::planted::{self, Point};
use crate::script::protocol::{Answer, Done, ScriptHost, Work};
use crate::store::{CommunityRow, EventRow, ForgetRow, GroupRow, Store, StoreError};
use crate::turn::{Fetched, LocalTimes, Need, Turn, World};
use crate::value::Value;
use ahead::Ahead;
use erase::Erasures;

/// An accepted event on its way into a lane.
pub struct Arrival {
    /// What happened.
    pub event: Arc<Event>,
    /// Its community, if this is the first that is heard of it.
    pub new_community: Option<CommunityRow>,
    /// Its group, likewise.
    pub new_group: Option<GroupRow>,
    /// Who waits to hear of its commit.
    pub receipt: Option<Receipt>,
    /// It came before: nothing is done, but the receipt waits its turn.
    pub is_repeat: bool,
    /// How often its commit was refused.
    pub attempts: u32,
    /// Under way.
    pub ticket: Option<Ticket>,
    /// Its room in the mailboxes.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What the lanes hear.
pub enum Message {
    /// Events came in.
    Arrived(Vec<Arrival>),
    /// A timer is due.
    Due(CommunityId, TimerId, TimeMs, Ticket),
    /// Routines of a quiet community may have changed.
    Look(CommunityId, Ticket),
    /// A community was loaded.
    Loaded(CommunityId, recover::Loaded),
    /// What a turn needed was fetched.
    Fetched(Box<Waiting>, Result<Fetched, StoreError>),
    /// Events that had been set aside in the database.
    Unspilled(CommunityId, Result<Vec<EventRow>, StoreError>),
    /// Turns of these communities were committed.
    Committed(Vec<CommunityId>),
    /// A turn was refused by the database, or followed one that was.
    Bounced(Box<Item>, Option<Refused>),
    /// Other scripts or settings are in force.
    Reload(Arc<Registry>, Arc<Config>),
    /// Events wait in these communities since the last process.
    Resume(Vec<CommunityId>),
    /// Somebody is to be forgotten.
    Erase(ForgetRow, Ticket),
    /// The database has forgotten somebody, or could not.
    Erased(ForgetRow, Result<(), StoreError>),
    /// The database knows more than memory does about this community.
    Forget(CommunityId),
    /// The bot stops: what has not begun is set aside in the database.
    SetAside,
}

/// A turn that waits for something to be fetched.
pub struct Waiting {
    turn: Box<Turn>,
    need: Need,
    in_turn: InTurn,
}

/// What the lane keeps of a running turn.
struct InTurn {
    arrival: Arrival,
    dispatch: Dispatch,
    /// What a timer brought.
    data: Value,
}

/// Where a lane stands.
enum Phase {
    /// Its state is not in memory.
    Cold,
    /// Being loaded.
    Loading,
    /// Idle, with its state.
    Ready(Box<Community>),
    /// Lent to a turn whose handlers run.
    Running(Box<InTurn>),
    /// A turn waits until what was decided before it is on the disk, to ask the database.
    Flushing(Box<Waiting>),
    /// A turn waits for the database.
    Fetching,
}

struct Lane {
    key: String,
    plan: Arc<Plan>,
    phase: Phase,
    queue: VecDeque<Arrival>,
    /// Items that the committer has.
    uncommitted: usize,
    /// Grows with each refused commit; older items come back.
    epoch: u32,
    /// Items that came back, to be run again.
    bounced: Vec<(Arrival, Option<Refused>)>,
    /// The same of those that were only to be set aside: they go back there, behind what waits.
    bounced_spills: Vec<Arrival>,
    /// The state is wrong and must be loaded again.
    recovering: bool,
    /// Keys of transfers that the database has although the ledger did not know.
    doubtful: Vec<String>,
    /// So many events are run one by one, each committed before the next.
    solo: usize,
    /// Later events are in the database, so that new ones must go there too.
    spilled: bool,
    unspilling: bool,
    spilled_meanwhile: bool,
    /// Under way as long as events of this lane wait in the database.
    spill_ticket: Option<Ticket>,
    /// Rows of places that no committed item has carried yet.
    new_community: Option<CommunityRow>,
    new_groups: Vec<GroupRow>,
    last_used: TimeMs,
    /// The present of the latest turn.
    turned_at: TimeMs,
}

/// All lanes.
pub struct Lanes {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What every turn may use.
    pub world: Arc<World>,
    /// For loading and fetching.
    pub store: Arc<dyn Store>,
    /// Where scripts run.
    pub host: Arc<dyn ScriptHost>,
    /// Where finished turns go.
    pub commits: mpsc::UnboundedSender<Item>,
    /// Where the lanes hear from, for tasks that answer later.
    pub back: mpsc::UnboundedSender<Message>,
    /// What is under way.
    pub gauge: Arc<Gauge>,
    /// Plans by community.
    pub registry: Arc<Registry>,
    /// The configuration in force.
    pub config: Arc<Config>,
    lanes: HashMap<CommunityId, Lane>,
    work: Vec<Work>,
    done: mpsc::UnboundedSender<Done>,
    setting_aside: bool,
    pressure: Pressure,
    local_times: LocalTimes,
    erasures: Erasures,
    ahead: Ahead,
}

/// Messages that are looked at together.
const BATCH: usize = 512;

impl Lanes {
    /// Lanes without communities; returns where finished frames come back.
    #[expect(clippy::too_many_arguments, reason = "called once, by the bot's wiring")]
    pub fn new(
        clock: Arc<dyn Clock>,
        world: Arc<World>,
        store: Arc<dyn Store>,
        host: Arc<dyn ScriptHost>,
        commits: mpsc::UnboundedSender<Item>,
        back: mpsc::UnboundedSender<Message>,
        gauge: Arc<Gauge>,
        registry: Arc<Registry>,
        config: Arc<Config>,
        pressure: Pressure,
    ) -> (Self, mpsc::UnboundedReceiver<Done>) {
        let (done, finished) = mpsc::unbounded_channel();
        let lanes = Self {
            clock,
            world,
            store,
            host,
            commits,
            back,
            gauge,
            registry,
            config,
            lanes: HashMap::new(),
            work: Vec::new(),
            done,
            setting_aside: false,
            pressure,
            local_times: LocalTimes::default(),
            erasures: Erasures::default(),
            ahead: Ahead::default(),
        };
        (lanes, finished)
    }

    /// Works until the bot stops.
    pub async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Message>,
        mut finished: mpsc::UnboundedReceiver<Done>,
    ) {
        let mut messages = Vec::with_capacity(BATCH);
        let mut answers = Vec::with_capacity(BATCH);
        loop {
            // Answers first, because they are few and free their lanes; what came to the other
            // queue meanwhile travels along, so that neither waits for the other to be empty.
            tokio::select! {
                biased;
                count = finished.recv_many(&mut answers, BATCH) => if count == 0 { return },
                count = inbox.recv_many(&mut messages, BATCH) => if count == 0 { return },
            }
            while messages.len() < BATCH
                && let Ok(next) = inbox.try_recv()
            {
                messages.push(next);
            }
            self.feel_pressure();
            for message in messages.drain(..) {
                self.hear(message);
            }
            for done in answers.drain(..) {
                self.answered(done);
            }
            if self.erasures.is_holding() {
                self.go_on_erasing();
            }
            if !self.work.is_empty() {
                let batch = std::mem::take(&mut self.work);
                self.host.submit(batch, self.done.clone());
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Arrived(arrivals) => self.arrived(arrivals),
            Message::Due(id, timer, due, ticket) => self.due(id, timer, due, ticket),
            Message::Look(id, ticket) => self.look(id, ticket),
            Message::Loaded(id, loaded) => self.loaded(id, loaded),
            Message::Fetched(waiting, result) => self.fetched(*waiting, result),
            Message::Unspilled(id, result) => self.unspilled(id, result),
            Message::Committed(communities) => self.committed(communities),
            Message::Bounced(item, refused) => self.bounced(*item, refused),
            Message::Reload(registry, config) => self.reload(registry, config),
            Message::Resume(communities) => self.resume(communities),
            Message::Forget(id) => self.forget(id),
            Message::Erase(wish, ticket) => self.erase(wish, ticket),
            Message::Erased(wish, result) => self.erased(wish, result),
            Message::SetAside => self.set_aside(),
        }
    }

    fn arrived(&mut self, arrivals: Vec<Arrival>) {
        let mut touched = Vec::with_capacity(arrivals.len());
        for mut arrival in arrivals {
            let id = arrival.event.community;
            if let Some((person, newcomer)) = self.world.renumbered(arrival.event.person) {
                arrival.renumber(person, newcomer);
            }
            let limit = self.config.limits.mailbox;
            let aside = self.setting_aside;
            let lane = self.lane(id);
            if let Some(row) = arrival.new_community.take() {
                lane.new_community = Some(row);
            }
            lane.new_groups.extend(arrival.new_group.take());
            // A repeat waits behind what it repeats, wherever that is: its receipt must not come first.
            let is_full = lane.spilled || lane.queue.len() >= limit;
            if aside && arrival.is_repeat {
                // Dropped without an answer, so that the platform asks again.
                continue;
            }
            if aside || is_full && !arrival.is_repeat {
                self.spill(id, arrival);
            } else {
                lane.queue.push_back(arrival);
                touched.push(id);
            }
        }
        for id in touched {
            self.step(id);
        }
    }

    /// The lane of a community, made where there is none.
    fn lane(&mut self, id: CommunityId) -> &mut Lane {
        let now = self.clock.now();
        if !self.lanes.contains_key(&id) {
            self.evict(now);
            let key = {
                let places = self.world.places.read().expect("places are only replaced whole");
                places.keys.get(&id).cloned().unwrap_or_default()
            };
            let plan = self.registry.plan(&key);
            self.lanes.insert(id, Lane::new(key, plan));
        }
        let lane = self.lanes.get_mut(&id).expect("was just made sure of");
        lane.last_used = now;
        lane
    }

    /// Lets a lane go on as far as it can.
    fn step(&mut self, id: CommunityId) {
        let is_holding = self.erasures.is_holding();
        while let Some(lane) = self.lanes.get_mut(&id) {
            match &lane.phase {
                Phase::Cold if is_holding && !lane.recovering => return,
                Phase::Cold if lane.uncommitted == 0 && lane.has_work() => {
                    lane.phase = Phase::Loading;
                    let doubtful = std::mem::take(&mut lane.doubtful);
                    self.load(id, doubtful);
                    return;
                }
                Phase::Ready(_) if lane.recovering => {
                    lane.phase = Phase::Cold;
                    if !self.take_bounced(id) {
                        return;
                    }
                }
                Phase::Ready(_) if lane.solo > 0 && lane.uncommitted > 0 => return,
                Phase::Ready(_) if is_holding || self.ahead.is_out(lane.queue.front()) => return,
                Phase::Ready(_) => {
                    if lane.queue.is_empty() {
                        self.unspill(id);
                        return;
                    }
                    self.begin(id);
                }
                Phase::Cold if lane.recovering => {
                    if !self.take_bounced(id) {
                        return;
                    }
                }
                Phase::Flushing(_) if lane.uncommitted == 0 => {
                    self.fetch(id);
                    return;
                }
                Phase::Cold
                | Phase::Loading
                | Phase::Running(_)
                | Phase::Flushing(_)
                | Phase::Fetching => return,
            }
        }
    }

    /// Handlers of a frame have run.
    fn answered(&mut self, done: Done) {
        let turn = match done.host.into_any().downcast::<Turn>() {
            Ok(turn) => turn,
            Err(other) => return self.answered_ahead(other, done.answer),
        };
        let id = turn.event.community;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Phase::Running(in_turn) = std::mem::replace(&mut lane.phase, Phase::Cold) else {
            tracing::error!(community = %id, "an answer came to a lane that asked for none");
            return;
        };
        if lane.recovering {
            // The turn stood on a state that was refused meanwhile.
            lane.queue.push_front(in_turn.arrival);
            lane.solo += 1;
            self.step(id);
        } else if done.answer.restart {
            self.wait_for(id, turn, *in_turn);
        } else {
            self.finish(id, turn, *in_turn, Some(done.answer));
            self.step(id);
        }
    }

    /// Hands a turn to the committer and takes the state back.
    fn finish(
        &mut self,
        id: CommunityId,
        turn: Box<Turn>,
        in_turn: InTurn,
        answer: Option<Answer>,
    ) {
        let finished = turn.finish(&in_turn.dispatch, answer);
        planted::reach(Point::Turned);
        let InTurn { arrival, .. } = in_turn;
        let mut rows = finished.rows;
        crate::turn::forget_text(&mut rows.event, &self.config.privacy);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.phase = Phase::Ready(finished.community);
        let item = Item {
            rows: Some(rows),
            lines: finished.lines,
            notices: finished.notices,
            ..Item::of(arrival, lane.epoch, lane.solo > 0)
        };
        self.hand_over(id, item);
    }

    fn hand_over(&mut self, id: CommunityId, mut item: Item) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if let Some(rows) = &mut item.rows {
            rows.community = lane.new_community.take();
            rows.groups = std::mem::take(&mut lane.new_groups);
        }
        lane.uncommitted += 1;
        lane.solo = lane.solo.saturating_sub(1);
        if self.commits.send(item).is_err() {
            tracing::debug!("the committer has stopped");
        }
    }

    fn committed(&mut self, communities: Vec<CommunityId>) {
        for id in communities {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.uncommitted = lane.uncommitted.saturating_sub(1);
                self.step(id);
            }
        }
    }
}
