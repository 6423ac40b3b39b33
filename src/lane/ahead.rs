//! Frames that go ahead of their turns, so that talk does not queue for the way to the scripts.
//!
//! The process that runs scripts is a way off, and a community's turns follow each other. So when
//! the frame of a turn goes there, frames of the talk that waits behind it go along, made from the
//! state of that moment. A handler that asks its host for nothing is a function of its frame: when
//! the turn of such an event begins and would send the frame that went ahead, the answer is there
//! already. When the turn before has changed what the frame shows, or when the handler did ask,
//! the answer is dropped and the frame goes out as ever.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use super::begin::{event_view, newcomer, take_names};
use super::{Arrival, InTurn, Lanes};
use crate::clock::TimeMs;
use crate::community::Community;
use crate::config::Config;
use crate::dispatch::{Dispatch, Plan, dispatch_talk};
use crate::event::Event;
use crate::id::{CommunityId, EventId, PersonId, ScriptName};
use crate::moderation::WordLists;
use crate::script::protocol::{
    Answer, EventView, Frame, HandlerId, HostCall, HostCalls, HostReply, Run, Work,
};
use crate::turn::Turn;
use crate::value::Value;

/// Most frames that go along with one.
const TOGETHER_MAX: usize = 16;
/// A turn's present may lie so far back, ms; longer ago, its frame is made anew.
const PRESENT_MS: i64 = 1000;
/// What one frame in vain counts against each that was of use, and how much may come together
/// before frames of that handler stay where they are: one in nine may be in vain.
const IN_VAIN: u32 = 8;
const IN_VAIN_MAX: u32 = 64;

/// What is out ahead of its turn, and what is known of handlers.
#[derive(Default)]
pub(super) struct Ahead {
    frames: HashMap<EventId, Early>,
    /// Handlers that asked their host.
    asking: HashMap<(ScriptName, HandlerId), u32>,
}

/// A frame that went ahead, with what it was made of.
pub(super) struct Early {
    pub(super) now: TimeMs,
    pub(super) decided: Dispatch,
    event: Arc<Event>,
    plan: Arc<Plan>,
    lists: Arc<WordLists>,
    view: EventView,
    answer: Option<Answer>,
}

/// The host of a frame whose turn has not begun: it answers nothing.
struct Nobody {
    event: EventId,
    community: CommunityId,
    /// The run that asked.
    asked: Option<usize>,
}

impl HostCalls for Nobody {
    fn call(&mut self, call: HostCall) -> HostReply {
        self.asked = Some(call.run);
        HostReply::Restart
    }

    fn rollback(&mut self, _run: usize) {}

    fn restart(&mut self) {}

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Ahead {
    /// Whether the answer to this event's frame is still to come.
    pub(super) fn is_out(&self, next: Option<&Arrival>) -> bool {
        let early = next.and_then(|arrival| self.frames.get(&arrival.event.id));
        early.is_some_and(|early| early.answer.is_none())
    }

    /// Other scripts are in force: they may ask more, or less.
    pub(super) fn relearn(&mut self) {
        self.asking.clear();
    }

    fn pays(&self, runs: &[Run]) -> bool {
        let asks = |run: &Run| {
            let known = self.asking.get(&(run.script.clone(), run.handler));
            known.is_some_and(|asked| *asked >= IN_VAIN_MAX)
        };
        self.asking.is_empty() || !runs.iter().any(asks)
    }

    /// Keeps an answer, and learns from it.
    fn answered(&mut self, host: &Nobody, answer: Answer) {
        let Some(early) = self.frames.get_mut(&host.event) else { return };
        early.answer = Some(answer);
        let runs = &early.decided.runs;
        if let Some(run) = host.asked.and_then(|run| runs.get(run)) {
            *self.asking.entry((run.script.clone(), run.handler)).or_default() += IN_VAIN;
        } else if !self.asking.is_empty() {
            for run in runs {
                if let Some(asked) = self.asking.get_mut(&(run.script.clone(), run.handler)) {
                    *asked = asked.saturating_sub(1);
                }
            }
        }
    }
}

impl Lanes {
    /// Sends frames of the talk that waits behind this turn.
    pub(super) fn look_ahead(&mut self, id: CommunityId, turn: &Turn) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let is_usual = lane.solo == 0 && !lane.recovering && Arc::ptr_eq(&lane.plan, &turn.plan);
        let is_ending = self.setting_aside || self.erasures.is_holding();
        if lane.queue.is_empty() || !is_usual || is_ending {
            return;
        }
        let lists = self.world.words();
        let mut between = Between::default();
        for arrival in lane.queue.iter().take(TOGETHER_MAX).filter(|arrival| !arrival.is_repeat) {
            between.add(&arrival.event, &turn.community);
            if self.ahead.frames.contains_key(&arrival.event.id) {
                continue;
            }
            // Whatever comes behind something else has another present.
            let Some(early) = foresee(turn, &self.config, &lists, &arrival.event, &between) else {
                return;
            };
            if early.decided.runs.is_empty() || !self.ahead.pays(&early.decided.runs) {
                return;
            }
            let event = arrival.event.id;
            let host = Box::new(Nobody { event, community: id, asked: None });
            self.work.push(Work { frame: early.frame(turn), host });
            self.ahead.frames.insert(event, early);
        }
    }

    /// The answer to a frame whose turn has not begun.
    pub(super) fn answered_ahead(&mut self, host: Box<dyn Any + Send>, answer: Answer) {
        let Ok(host) = host.downcast::<Nobody>() else {
            tracing::error!("the script host returned something that is no host of ours");
            return;
        };
        self.ahead.answered(&host, answer);
        self.step(host.community);
    }

    /// The frame of this event that went ahead, if nothing that it was decided by has changed.
    pub(super) fn take_ahead(
        &mut self,
        event: &Arc<Event>,
        plan: &Arc<Plan>,
        lists: &Arc<WordLists>,
        community: &Community,
    ) -> Option<Early> {
        let early = self.ahead.frames.remove(&event.id)?;
        let lane = self.lanes.get(&event.community)?;
        let is_same = Arc::ptr_eq(event, &early.event)
            && Arc::ptr_eq(plan, &early.plan)
            && Arc::ptr_eq(lists, &early.lists)
            && community.breakers.is_empty();
        let is_present = early.now >= lane.turned_at
            && (self.clock.now() - early.now).abs() <= PRESENT_MS
            && early.answer.as_ref().is_some_and(|answer| !answer.restart);
        (is_same && is_present).then_some(early)
    }

    /// Goes on with an answer that is there already, if the frame would be the same.
    pub(super) fn follow(
        &mut self,
        id: CommunityId,
        mut turn: Box<Turn>,
        arrival: Arrival,
        early: Early,
    ) {
        let Early { mut decided, view, answer, .. } = early;
        turn.runs = std::mem::take(&mut decided.runs);
        let now = event_view(&turn.event, &turn.community, &turn.world, turn.now, Value::Unit);
        let in_turn = InTurn { arrival, dispatch: decided, data: Value::Unit };
        if now == view {
            self.finish(id, turn, in_turn, answer);
        } else {
            self.send_to_host(id, turn, in_turn);
        }
    }
}

/// What the messages that wait will have changed, none of which is counted yet: who wrote them, the
/// one that is looked at included, and how many of those were never seen before.
#[derive(Default)]
struct Between {
    authors: Vec<PersonId>,
    newcomers: i64,
}

impl Between {
    fn add(&mut self, event: &Event, community: &Community) {
        let Some(person) = event.person else { return };
        let is_new = !self.authors.contains(&person) && !community.members.contains_key(&person);
        let is_bot = event.envelope.actor.as_ref().is_some_and(|actor| actor.is_bot);
        self.newcomers += i64::from(is_new && !is_bot);
        self.authors.push(person);
    }

    fn by(&self, person: PersonId) -> usize {
        self.authors.iter().filter(|author| **author == person).count()
    }
}

/// The frame of a message that waits, as far as it can be foreseen from the state before it.
fn foresee(
    turn: &Turn,
    config: &Config,
    lists: &Arc<WordLists>,
    event: &Arc<Event>,
    between: &Between,
) -> Option<Early> {
    let (plan, community, now) = (&turn.plan, &turn.community, turn.now);
    let (person, actor) = (event.person?, event.envelope.actor.as_ref()?);
    let decided = dispatch_talk(plan, community, event, lists, now)?;
    let mut view = event_view(event, community, &turn.world, now, Value::Unit);
    if let Some(group) = &mut view.group {
        group.members += between.newcomers;
    }
    if let Some(member) = view.member.as_mut().and_then(Arc::get_mut) {
        member.messages += if member.is_bot { 0 } else { between.by(person) as i64 };
    } else {
        let mut member = newcomer(actor, event.envelope.at.min(now));
        take_names(&mut member, actor);
        let given = config.roles.get(&actor.id).copied();
        member.role = given.or(actor.role).unwrap_or(member.role);
        member.is_bot = actor.is_bot;
        for _ in 0..if actor.is_bot { 0 } else { between.by(person) } {
            member.count_message(now, &turn.local.day);
        }
        view.member = Some(Arc::new(member.view(person, 0, now, community.today)));
    }
    Some(Early {
        now,
        decided,
        event: event.clone(),
        plan: plan.clone(),
        lists: lists.clone(),
        view,
        answer: None,
    })
}

impl Early {
    fn frame(&self, turn: &Turn) -> Frame {
        Frame {
            turn: self.event.id,
            community: self.event.community,
            is_ahead: true,
            bundle: self.plan.bundle(),
            now: self.now,
            utc_offset_s: turn.local.utc_offset_s,
            locale: self.plan.locale.clone(),
            seed: self.event.seed,
            event: self.view.clone(),
            words: self.decided.words.clone(),
            runs: self.decided.runs.clone(),
        }
    }
}
