//! The turn: the handling of one event, a unit of work. It commits whole or leaves no trace.
//!
//! A turn owns its community's state while it runs. Handlers act on that state through host
//! calls, each handler inside a savepoint; what must be written is collected as rows on the way.

mod audit;
mod calls;
mod campaigns;
mod checkin;
mod deliver;
mod delivery_calls;
mod effects;
mod expiry;
mod fans;
mod finish;
mod local;
mod log;
mod made;
mod news;
mod packets;
mod packet_view;
mod points;
mod reverse;
mod privacy;
mod removals;
mod routine_calls;
mod routines;
mod rules;
mod score;
mod state;
mod told;
mod world;

pub(crate) use delivery_calls::DOUBTFUL_MAX;
pub use expiry::LOTS_DUE;
pub use finish::{Finished, NO_ARCHIVE, event_row, forget_text};
pub use local::{LocalTime, LocalTimes};
pub use made::Made;
pub use packets::EXPIRED;
pub use routines::{LOOK, RoutineDue, is_in_step};
pub use world::{GroupPlace, LedgerNumbers, Numbers, Places, Platform, World};

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::TimeMs;
use crate::community::score::{CoreFan, Day, Facts, Mark, Reviewed};
use crate::community::{Checkin, Community, Member, Rules, StateKey};
use crate::dispatch::Plan;
use crate::effect::Delivery;
use crate::event::Event;
use crate::id::{PacketId, PersonId, TimerId, TransferId};
use crate::ledger::{Cause, LedgerUndo, Packet, PacketState, QuotaKey};
use crate::news::ItemId;
use crate::planted::{self, Bug};
use crate::refusal::Refusal;
use crate::report::{Line, Notice};
use crate::routine::Routine;
use crate::script::protocol::{HostCall, HostCalls, HostReply, Run};
use crate::store::{
    PacketRows, PersonRow, PointsEntry, RoutineRow, ScoreEntryRow, StoredTransfer, TimerRow,
};
use crate::value::Value;

/// Something that memory does not hold and that the lane fetches before it runs the turn again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// A page of a member's movements.
    PointsLog {
        /// Whose.
        person: PersonId,
        /// Skip so many.
        skip: i64,
        /// Take so many.
        take: i64,
    },
    /// What an evaluation of core fans needs, since a day.
    ScoreFacts {
        /// The first day.
        since: Day,
    },
    /// The latest lines of the log of a member's score.
    ScoreLog {
        /// Whose.
        person: PersonId,
        /// So many.
        take: i64,
    },
    /// A packet that ended long ago.
    Packet(i64),
    /// A transfer.
    Transfer(TransferId),
    /// The slot of a message that the bot sent in the group of the event.
    SlotOf(String),
    /// Messages of the community of which nobody knows whether they arrived.
    DoubtfulDeliveries,
    /// How much is kept of a person.
    Export(PersonId),
    /// The head of the audit log.
    AuditHead,
}

/// The answer to a [`Need`].
#[derive(Clone, Debug)]
pub enum Fetched {
    /// Movements.
    PointsLog(Vec<PointsEntry>),
    /// For an evaluation.
    ScoreFacts(Arc<Facts>),
    /// Lines of a score.
    ScoreLog(Vec<ScoreEntryRow>),
    /// The packet, if there is one.
    Packet(Option<PacketRows>),
    /// The transfer, if there is one.
    Transfer(Option<StoredTransfer>),
    /// The slot, if the message has one.
    SlotOf(Option<String>),
    /// Deliveries.
    Deliveries(Vec<Delivery>),
    /// Rows by table.
    Export(Vec<(String, i64)>),
    /// The head.
    AuditHead(crate::store::chain::Head),
}

/// Why a host call does not simply answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Refused.
    Refused(Refusal),
    /// The script is wrong.
    Wrong(String),
    /// Something must be fetched first.
    Need(Need),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// One change that a savepoint can take back.
#[derive(Debug)]
pub enum Undo {
    /// A change of the ledger.
    Ledger(LedgerUndo),
    /// Something that was counted against a cap.
    Quota(QuotaKey, i64),
    /// A budget that was made.
    Campaign(String),
    /// A packet that was added.
    PacketAdded(PacketId),
    /// A share that was taken, with the state before.
    ShareTaken(PacketId, PacketState),
    /// A packet's state before.
    PacketState(PacketId, PacketState),
    /// A check-in before, and the day's count.
    Checkin(PersonId, Option<Checkin>, (String, i64)),
    /// The rules before.
    Rules(Option<Rules>),
    /// An acceptance before.
    Ack(PersonId, Option<i64>),
    /// Something remembered before.
    State(StateKey, Option<Value>),
    /// News that was posted.
    Posted(ItemId),
    /// A routine made by command before.
    Routine(String, Option<RoutineRow>),
    /// Where a core fan stood before.
    CoreFan(PersonId, Option<CoreFan>),
    /// The evaluations before.
    Reviews(Vec<Reviewed>),
    /// The tags of a member before.
    Tags(PersonId, Vec<String>),
    /// A timer that was added.
    TimerAdded(TimerId),
    /// A timer that was removed.
    TimerRemoved(TimerRow),
}

/// The beginning of a handler: how much there was of everything.
#[derive(Clone, Copy, Debug)]
struct Save {
    run: usize,
    undo: usize,
    made: made::Mark,
    lines: usize,
}

/// The handling of one event.
pub struct Turn {
    /// What happened.
    pub event: Arc<Event>,
    /// The community's state, owned while the turn runs.
    pub community: Box<Community>,
    /// What every turn may use.
    pub world: Arc<World>,
    /// Handlers and settings in force when the turn began.
    pub plan: Arc<Plan>,
    /// The present.
    pub now: TimeMs,
    /// The same as a clock in the community's zone shows it.
    pub local: LocalTime,
    /// The handlers of the frame.
    pub runs: Vec<Run>,
    /// Rows to commit.
    pub made: Made,
    /// People seen for the first time; not taken back, because who spoke did speak.
    pub new_persons: Vec<PersonRow>,
    /// The routine whose time has come.
    pub routine: Option<Arc<Routine>>,
    /// What was fetched for this turn.
    pub fetched: HashMap<Need, Fetched>,
    /// What must be fetched before it runs again.
    pub need: Option<Need>,
    /// What the people who run the bot should know.
    pub notices: Vec<Notice>,
    /// What happened, by run; the core's own lines come first.
    pub lines: Vec<(Option<usize>, Line)>,
    /// Answers to host calls, for a replay.
    pub answers: Vec<HostReply>,
    /// What is to be sent.
    deliveries: Vec<Delivery>,
    undo: Vec<Undo>,
    save: Option<Save>,
    /// What the core itself did before any handler ran: never taken back.
    base: (usize, made::Mark),
    /// The run whose call is being answered.
    current: Option<usize>,
    ordinal: u32,
    /// The message of the event was taken away.
    is_deleted: bool,
    /// The message of the event counts in its author's score, as this one of her day.
    counted: Option<Mark>,
}

impl Turn {
    /// Begins a turn.
    pub fn new(
        event: Arc<Event>,
        mut community: Box<Community>,
        world: Arc<World>,
        plan: Arc<Plan>,
        now: TimeMs,
        local: LocalTime,
    ) -> Self {
        community.today = score::day_of(now, local.utc_offset_s);
        Self {
            event,
            community,
            world,
            plan,
            now,
            local,
            runs: Vec::new(),
            made: Made::default(),
            new_persons: Vec::new(),
            routine: None,
            fetched: HashMap::new(),
            need: None,
            notices: Vec::new(),
            lines: Vec::new(),
            answers: Vec::new(),
            deliveries: Vec::new(),
            undo: Vec::new(),
            save: None,
            base: (0, made::Mark::default()),
            current: None,
            ordinal: 0,
            is_deleted: false,
            counted: None,
        }
    }

    /// Ends the core's own part: handlers come next.
    pub fn end_base(&mut self) {
        self.base = (self.undo.len(), self.made.mark());
    }

    fn cause(&self) -> Cause {
        Cause { event: self.event.id, actor: self.event.person, at: self.now }
    }

    /// A number that is unique within the turn and the same when it runs again.
    fn next_ordinal(&mut self) -> u32 {
        self.ordinal += 1;
        self.ordinal
    }

    /// The script whose call is being answered, or the core.
    fn script(&self) -> &str {
        self.current.and_then(|run| self.runs.get(run)).map_or("core", |run| run.script.as_str())
    }

    /// A setting of the script whose call is being answered.
    fn setting(&self, name: &str) -> Option<&Value> {
        self.current.and_then(|run| self.runs.get(run)).and_then(|run| run.settings.get(name))
    }

    fn say_line(&mut self, line: Line) {
        self.lines.push((self.current, line));
    }

    fn member(&self, person: PersonId) -> Result<&Member, Stop> {
        self.community.members.get(&person).ok_or_else(|| Refusal::new("not_member").into())
    }

    fn name_of(&self, person: PersonId) -> String {
        self.community
            .members
            .get(&person)
            .map_or_else(|| format!("#{person}"), |member| member.shown().to_owned())
    }

    /// Does something whole, or leaves no trace of it: a script may catch a refusal and go on.
    fn atomically<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        let (undo, made, lines) = (self.undo.len(), self.made.mark(), self.lines.len());
        let result = act(self);
        if result.is_err() {
            self.rollback_to(undo, made);
            self.lines.truncate(lines);
        }
        result
    }

    fn rollback_to(&mut self, length: usize, mark: made::Mark) {
        while self.undo.len() > length {
            if let Some(change) = self.undo.pop() {
                self.take_back(change);
            }
        }
        self.made.truncate(mark);
    }

    fn take_back(&mut self, change: Undo) {
        let community = &mut self.community;
        match change {
            Undo::Ledger(change) => community.ledger.undo(change),
            Undo::Quota(key, amount) => community.quotas.uncount(key, amount),
            Undo::Campaign(name) => {
                community.campaigns.remove(&name);
            }
            Undo::PacketAdded(id) => {
                community.packets.remove(&id);
            }
            Undo::ShareTaken(id, state) => {
                if let Some(packet) = community.packets.get_mut(&id) {
                    untake(packet, state);
                }
            }
            Undo::PacketState(id, state) => {
                if let Some(packet) = community.packets.get_mut(&id) {
                    packet.state = state;
                }
            }
            Undo::Checkin(person, before, today) => {
                restore(&mut community.checkins, person, before);
                community.checkins_today = today;
            }
            Undo::Rules(before) => community.rules = before,
            Undo::Ack(person, before) => restore(&mut community.acks, person, before),
            Undo::State(key, Some(value)) => {
                community.state.insert(key, value);
            }
            Undo::State(key, None) => {
                community.state.remove(&key);
            }
            Undo::Routine(name, Some(row)) => {
                community.routines.insert(name, row);
            }
            Undo::Routine(name, None) => {
                community.routines.remove(&name);
            }
            Undo::Posted(id) => {
                community.posted.remove(&id);
            }
            Undo::CoreFan(person, before) => restore(&mut community.core_fans, person, before),
            Undo::Reviews(before) => community.reviews = before,
            Undo::Tags(person, before) => {
                if let Some(member) = community.members.get_mut(&person) {
                    member.tags = before;
                }
            }
            Undo::TimerAdded(id) => {
                community.timers.remove(&id);
            }
            Undo::TimerRemoved(timer) => {
                community.timers.insert(timer.id, timer);
            }
        }
    }
}

fn untake(packet: &mut Packet, state: PacketState) {
    packet.claimed = packet.claimed.saturating_sub(1);
    if let Some(share) = packet.shares.get_mut(packet.claimed) {
        share.taken = None;
    }
    packet.state = state;
}

fn restore<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

impl HostCalls for Turn {
    fn call(&mut self, call: HostCall) -> HostReply {
        if self.save.is_none_or(|save| save.run != call.run) {
            self.save = Some(Save {
                run: call.run,
                undo: self.undo.len(),
                made: self.made.mark(),
                lines: self.lines.len(),
            });
        }
        self.current = Some(call.run);
        let answer = self.atomically(|turn| calls::answer(turn, &call.name, &call.args));
        let reply = match answer {
            Ok(value) => HostReply::Ok(value),
            Err(Stop::Refused(refusal)) => HostReply::Refused(refusal),
            Err(Stop::Wrong(message)) => HostReply::Wrong(message),
            Err(Stop::Need(need)) => {
                self.need = Some(need);
                HostReply::Restart
            }
        };
        self.current = None;
        if reply != HostReply::Restart {
            self.answers.push(reply.clone());
        }
        reply
    }

    fn rollback(&mut self, run: usize) {
        if planted::has(Bug::SavepointOff) {
            return;
        }
        let Some(save) = self.save.take_if(|save| save.run == run) else { return };
        self.rollback_to(save.undo, save.made);
        self.lines.truncate(save.lines);
    }

    /// What was fetched stays.
    fn restart(&mut self) {
        let (undo, made) = self.base;
        self.rollback_to(undo, made);
        self.save = None;
        self.lines.retain(|(run, _)| run.is_none());
        self.answers.clear();
        self.ordinal = 0;
        self.need = None;
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
