//! The beginning of a turn: what the core does itself before any handler runs, and the frame
//! that carries the event to its handlers.

use std::sync::Arc;

use super::{Arrival, InTurn, Lanes, Phase};
use crate::bot::gauge::Ticket;
use crate::clock::TimeMs;
use crate::commit::Item;
use crate::community::{Community, Member};
use crate::config::Config;
use crate::dispatch::{Circumstances, Dispatch, OVERLOADED, ROUTINE_MARK, dispatch};
use crate::event::{Actor, Element, Envelope, Event, EventKind, KeyQuality, Tick};
use crate::id::{CommunityId, EventId, PersonId, Ref, ScriptName, TimerId};
use crate::script::protocol::{EventView, Frame, GroupView, Work};
use crate::store::PersonRow;
use crate::turn::{EXPIRED, LOOK, LOTS_DUE, RoutineDue, Turn, World};
use crate::value::Value;

impl Lanes {
    /// Begins the turn of the next event.
    pub(super) fn begin(&mut self, id: CommunityId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(mut arrival) = lane.queue.pop_front() else { return };
        let Phase::Ready(community) = std::mem::replace(&mut lane.phase, Phase::Cold) else {
            lane.queue.push_front(arrival);
            return;
        };
        if !complete_tick(&mut arrival, &community) || arrival.is_repeat {
            lane.phase = Phase::Ready(community);
            let item = Item::of(arrival, lane.epoch, lane.solo > 0);
            self.hand_over(id, item);
            return;
        }
        let event = arrival.event.clone();
        let (world, plan) = (self.world.clone(), lane.plan.clone());
        let (limits, lists) = (world.limits(), world.words());
        let ahead = self.take_ahead(&event, &plan, &lists, &community);
        let now = ahead.as_ref().map_or_else(|| self.clock.now(), |ahead| ahead.now);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.turned_at = now;
        }
        let local = self.local_times.at(plan.timezone, now);
        let mut turn = Box::new(Turn::new(event, community, world, plan, now, local));
        let gauge = self.gauge.clone();
        let data = base(&mut turn, &self.config, &|event| gauge.has_posts(event));
        turn.end_base();
        let around = Circumstances {
            lists: &lists,
            limits: &limits,
            now,
            is_overloaded: self.pressure.is_high(),
        };
        if let Some(ahead) = ahead {
            debug_assert!({
                let again = decide(&mut turn, around);
                (&again.runs, &again.words) == (&ahead.decided.runs, &ahead.decided.words)
            });
            self.follow(id, turn, arrival, ahead);
            return;
        }
        let mut decided = match data {
            Base::Nothing => Dispatch::default(),
            Base::Data(_) => decide(&mut turn, around),
        };
        if decided.refused.as_ref().is_some_and(|(refusal, _)| refusal.code == OVERLOADED) {
            self.pressure.note_left_undone();
        }
        turn.runs = std::mem::take(&mut decided.runs);
        let data = match data {
            Base::Data(data) => data,
            Base::Nothing => Value::Unit,
        };
        let in_turn = InTurn { arrival, dispatch: decided, data };
        if turn.runs.is_empty() {
            self.finish(id, turn, in_turn, None);
        } else {
            self.send_to_host(id, turn, in_turn);
        }
    }

    /// Hands a frame to the script host.
    pub(super) fn send_to_host(&mut self, id: CommunityId, turn: Box<Turn>, in_turn: InTurn) {
        let first = self.work.len();
        self.look_ahead(id, &turn);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let frame = frame(&turn, &in_turn);
        lane.phase = Phase::Running(Box::new(in_turn));
        self.work.insert(first, Work { frame, host: turn });
    }

    /// A timer is due: an event like any other.
    pub(super) fn due(&mut self, id: CommunityId, timer: TimerId, due: TimeMs, ticket: Ticket) {
        self.tick(id, (timer, String::new()), due, ticket);
    }

    /// Routines may have changed: an event that holds the timers of a quiet community against them.
    pub(super) fn look(&mut self, id: CommunityId, ticket: Ticket) {
        let now = self.clock.now();
        self.tick(id, (TimerId(0), LOOK.to_owned()), now, ticket);
    }

    fn tick(
        &mut self,
        id: CommunityId,
        (timer, name): (TimerId, String),
        due: TimeMs,
        ticket: Ticket,
    ) {
        let event_id = self.world.numbers.event();
        let account = Ref::new("core", "timer");
        let tick =
            Tick { timer, script: ScriptName::new(""), name: name.clone(), due, data: Value::Unit };
        let envelope = Envelope {
            account,
            // A timer's number may have been another's before a restart; its row is what keeps it
            // from firing twice.
            key: format!("{name}{timer}.{event_id}").into(),
            key_quality: KeyQuality::Stable,
            at: due,
            group: None,
            actor: None,
            kind: EventKind::Tick(tick),
            backfilled: false,
        };
        let event = Event {
            id: event_id,
            community: id,
            group: None,
            person: None,
            received_at: self.clock.now(),
            seed: self.world.event_seed(event_id),
            which: Vec::new(),
            // It may have run before the database was restored, so that nobody is told again.
            stale: due < self.world.restored_at,
            envelope: Arc::new(envelope),
        };
        let arrival = Arrival {
            event: Arc::new(event),
            new_community: None,
            new_group: None,
            receipt: None,
            is_repeat: false,
            attempts: 0,
            ticket: Some(ticket),
            permit: None,
        };
        self.lane(id).queue.push_back(arrival);
        self.step(id);
    }
}

fn decide(turn: &mut Turn, around: Circumstances<'_>) -> Dispatch {
    let (plan, event) = (turn.plan.clone(), turn.event.clone());
    dispatch(&plan, &mut turn.community, &event, around)
}

/// What the handlers get as data, or that there is nothing to handle.
enum Base {
    Nothing,
    Data(Value),
}

/// Fills in a timer's event from the timer itself; `false` when the timer is gone.
fn complete_tick(arrival: &mut Arrival, community: &Community) -> bool {
    let EventKind::Tick(tick) = &arrival.event.envelope.kind else { return true };
    if tick.name == LOOK {
        return true;
    }
    let Some(timer) = community.timers.get(&tick.timer) else { return false };
    let mut event = (*arrival.event).clone();
    let mut envelope = (*event.envelope).clone();
    envelope.kind = EventKind::Tick(Tick {
        timer: timer.id,
        script: ScriptName::new(&timer.script),
        name: timer.name.clone(),
        due: timer.due,
        data: serde_json::from_str(&timer.data).unwrap_or_default(),
    });
    event.group = timer.group;
    event.envelope = Arc::new(envelope);
    arrival.event = Arc::new(event);
    true
}

/// What every event of its kind does, whatever the scripts say.
fn base(turn: &mut Turn, config: &Config, has_posts: &dyn Fn(EventId) -> bool) -> Base {
    let event = turn.event.clone();
    if matches!(&event.envelope.kind, EventKind::Tick(tick) if tick.name == LOOK) {
        turn.community.routines_mark = 0;
    }
    turn.keep_routines();
    if let Some(person) = event.person {
        note_actor(turn, person, config);
    }
    match &event.envelope.kind {
        EventKind::Message { .. } => {
            let (now, day) = (turn.now, turn.local.day.clone());
            if let Some(member) = actor_mut(turn).filter(|member| !member.is_bot) {
                let has_grown = member.count_message(now, &day);
                turn.made.touched.extend(turn.event.person);
                if has_grown {
                    turn.made.members.extend(turn.event.person);
                }
            }
        }
        EventKind::Joined { .. } => {
            if let Some(member) = actor_mut(turn)
                && (member.left_at.is_some() || member.messages == 0)
            {
                let counted_before = member.counts();
                member.joined_at = event.envelope.at;
                member.left_at = None;
                event.person.into_iter().for_each(|person| note_size(turn, person, counted_before));
            }
        }
        EventKind::Left { .. } => {
            if let Some(member) = actor_mut(turn) {
                let counted_before = member.counts();
                member.left_at = Some(event.envelope.at);
                event.person.into_iter().for_each(|person| note_size(turn, person, counted_before));
            }
        }
        EventKind::Tick(tick) => {
            if !turn.consume_timer(tick.timer) {
                return Base::Nothing;
            }
            if tick.name.starts_with(ROUTINE_MARK) {
                return match turn.routine_due(tick, has_posts) {
                    RoutineDue::Nothing => Base::Nothing,
                    RoutineDue::Runs(data) => Base::Data(data),
                };
            }
            if tick.name == EXPIRED {
                return turn.expire_packet(&tick.data).map_or(Base::Nothing, Base::Data);
            }
            if tick.name == LOTS_DUE {
                turn.expire_lots();
                return Base::Nothing;
            }
            return Base::Data(tick.data.clone());
        }
        EventKind::Edited { .. }
        | EventKind::Deleted { .. }
        | EventKind::Reaction { .. }
        | EventKind::Button { .. }
        | EventKind::Updated
        | EventKind::JoinRequest { .. }
        | EventKind::Silenced { .. }
        | EventKind::BotJoined { .. }
        | EventKind::BotLeft { .. }
        | EventKind::Uploaded { .. }
        | EventKind::Poked { .. }
        | EventKind::Honored { .. }
        | EventKind::Befriended
        | EventKind::Online(_)
        | EventKind::Gap { .. } => {}
    }
    Base::Data(Value::Unit)
}

fn actor_mut(turn: &mut Turn) -> Option<&mut Member> {
    let person = turn.event.person?;
    turn.community.members.get_mut(&person)
}

/// Makes the actor a member, and keeps her names and role as the platform has them.
fn note_actor(turn: &mut Turn, person: PersonId, config: &Config) {
    let event = turn.event.clone();
    let Some(actor) = &event.envelope.actor else { return };
    let is_join_request = matches!(event.envelope.kind, EventKind::JoinRequest { .. });
    if is_join_request && !turn.community.members.contains_key(&person) {
        return;
    }
    let at = event.envelope.at.min(turn.now);
    let counted_before = turn.community.members.get(&person).is_some_and(Member::counts);
    let is_new = !turn.community.members.contains_key(&person);
    if is_new {
        turn.community.accounts.insert(actor.id.clone(), person);
        turn.community.members.insert(person, newcomer(actor, at));
        turn.new_persons.push(PersonRow { id: person, account: actor.id.clone(), at });
    }
    let given = config.roles.get(&actor.id).copied();
    let Some(member) = turn.community.members.get_mut(&person) else { return };
    let mut changed = is_new | take_names(member, actor);
    let before = member.role;
    let role = given.or(actor.role).unwrap_or(before);
    changed |= role != member.role || actor.is_bot != member.is_bot;
    (member.role, member.is_bot) = (role, actor.is_bot);
    let leaves = matches!(event.envelope.kind, EventKind::Left { .. });
    let joins = matches!(event.envelope.kind, EventKind::Joined { .. });
    if member.left_at.is_some() && !leaves && !joins && !is_join_request {
        // She speaks, so she is here: the join was missed.
        member.left_at = None;
        member.joined_at = at;
        changed = true;
    }
    if changed || leaves || joins {
        turn.made.members.push(person);
    }
    if role != before {
        turn.audit_role(person, before, role);
    }
    note_size(turn, person, counted_before);
}

/// Somebody who was never seen before.
pub(super) fn newcomer(actor: &Actor, at: TimeMs) -> Member {
    let name = if actor.name.is_empty() { actor.id.local() } else { &actor.name };
    Member::new(actor.id.clone(), name, at)
}

/// Keeps the count of members: to count them at every message would cost more than the message.
fn note_size(turn: &mut Turn, person: PersonId, counted_before: bool) {
    let counts = turn.community.members.get(&person).is_some_and(Member::counts);
    turn.community.size += i64::from(counts) - i64::from(counted_before);
}

/// Names as the platform has them now; one that it does not say stays. Whether anything changed.
pub(super) fn take_names(member: &mut Member, actor: &Actor) -> bool {
    let mut changed = false;
    if !actor.name.is_empty() && *member.name != *actor.name {
        member.name = actor.name.as_str().into();
        changed = true;
    }
    let nickname = actor.nickname.as_deref();
    let is_said = nickname.is_some() || !actor.name.is_empty();
    let nickname = nickname.filter(|nickname| !nickname.is_empty());
    if is_said && member.nickname.as_deref() != nickname {
        member.nickname = nickname.map(Into::into);
        changed = true;
    }
    changed
}

/// Everything that the handlers usually read.
fn frame(turn: &Turn, in_turn: &InTurn) -> Frame {
    let event = &turn.event;
    Frame {
        turn: event.id,
        community: event.community,
        is_ahead: false,
        bundle: turn.plan.bundle(),
        now: turn.now,
        utc_offset_s: turn.local.utc_offset_s,
        locale: turn.plan.locale.clone(),
        seed: event.seed,
        event: event_view(event, &turn.community, &turn.world, turn.now, in_turn.data.clone()),
        words: in_turn.dispatch.words.clone(),
        runs: turn.runs.clone(),
    }
}

fn empty_view() -> EventView {
    EventView {
        member: None,
        group: None,
        at: 0,
        message: None,
        elements: Arc::from([]),
        quote: None,
        mentions: Vec::new(),
        value: String::new(),
        data: Value::Unit,
    }
}

/// What handlers see of an event.
pub(super) fn event_view(
    event: &Event,
    community: &Community,
    world: &World,
    now: TimeMs,
    data: Value,
) -> EventView {
    let mut view = EventView {
        member: event.person.and_then(|person| community.view(person, now)),
        group: event.group.and_then(|id| world.group(id)).map(|place| GroupView {
            id: place.id,
            name: place.name,
            members: community.size,
        }),
        at: event.envelope.at,
        data,
        ..empty_view()
    };
    match &event.envelope.kind {
        EventKind::Message { id, elements, quote, .. } => {
            view.message = Some(id.clone());
            view.elements.clone_from(elements);
            view.quote.clone_from(quote);
            view.mentions = elements
                .iter()
                .filter_map(|element| match element {
                    Element::Mention { id, .. } => {
                        let (person, _) = community.member_by_ref(id)?;
                        community.view(person, now)
                    }
                    _ => None,
                })
                .collect();
        }
        EventKind::Edited { id, elements } => {
            view.message = Some(id.clone());
            view.elements.clone_from(elements);
        }
        EventKind::Deleted { id } => view.message = Some(id.clone()),
        EventKind::Reaction { message, emoji, .. } => {
            view.message = Some(message.clone());
            view.value.clone_from(emoji);
        }
        EventKind::Button { message, value } => {
            view.message = Some(message.clone());
            view.value.clone_from(value);
        }
        EventKind::Tick(tick) => view.value.clone_from(&tick.name),
        EventKind::JoinRequest { note, .. } => view.value.clone_from(note),
        EventKind::Joined { .. }
        | EventKind::Left { .. }
        | EventKind::Updated
        | EventKind::Silenced { .. }
        | EventKind::BotJoined { .. }
        | EventKind::BotLeft { .. }
        | EventKind::Uploaded { .. }
        | EventKind::Poked { .. }
        | EventKind::Honored { .. }
        | EventKind::Befriended
        | EventKind::Online(_)
        | EventKind::Gap { .. } => {}
    }
    view
}
