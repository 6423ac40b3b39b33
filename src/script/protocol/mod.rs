//! What the host and the script side say to each other, as plain data fit for a pipe.
//!
//! A [`Frame`] carries one event with all that its handlers usually read; while they run they may
//! make [`HostCall`]s, which the domain answers inside the turn; an [`Answer`] brings back the
//! effects. Whether the other side is a process or a thread, the types do not know.

mod limits;
mod manifest;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::adapter::BoxFuture;
use crate::clock::TimeMs;
use crate::effect::Effect;
use crate::event::{Element, Quote};
use crate::id::{CommunityId, EventId, GroupId, ScriptName};
use crate::moderation::Found;
use crate::refusal::Refusal;
use crate::value::{MemberView, Value, ValueMap};

pub use limits::ScriptLimits;
pub use manifest::{
    Bundle, Command, Handler, HandlerId, ListName, ListUse, Manifest, Param, ParamKind, Setting,
    Source, Trigger,
};

/// One event on its way to its handlers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Which turn.
    pub turn: EventId,
    /// Whose event it is: frames of one community run one after the other.
    pub community: CommunityId,
    /// Its turn has not begun, and may never ask for the answer.
    pub is_ahead: bool,
    /// Number of the bundle that the turn began with.
    pub bundle: u64,
    /// The present, Unix ms.
    pub now: TimeMs,
    /// The community's UTC offset at that moment in seconds, and its locale.
    pub utc_offset_s: i32,
    /// Language of `text()`: `zh` or `en`.
    pub locale: Arc<str>,
    /// Seed of `random` and `pick`.
    pub seed: u64,
    /// What happened.
    pub event: EventView,
    /// Words of lists that occur in the message, for the lists that its scripts name.
    pub words: Vec<Found>,
    /// The handlers, in their order: rules by file name, the command, other features.
    pub runs: Vec<Run>,
}

/// One handler of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which script.
    pub script: ScriptName,
    /// Which handler in it.
    pub handler: HandlerId,
    /// Parsed arguments of a command.
    pub args: ValueMap,
    /// The script's settings here, defaults filled in.
    pub settings: Arc<ValueMap>,
    /// Effects are noted, not performed.
    pub shadow: bool,
    /// It is not run and counts as failed with this: it ended the process several times.
    pub spared: Option<Box<ScriptError>>,
}

/// What handlers see of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// The member who did it; `None` for timers.
    pub member: Option<Arc<MemberView>>,
    /// The group.
    pub group: Option<GroupView>,
    /// When it happened, Unix ms.
    pub at: TimeMs,
    /// The platform's id of the message.
    pub message: Option<String>,
    /// Parts of the message.
    pub elements: Arc<[Element]>,
    /// What it answers.
    pub quote: Option<Quote>,
    /// Mentioned members.
    pub mentions: Vec<Arc<MemberView>>,
    /// Emoji of a reaction, value of a button, name of a timer.
    pub value: String,
    /// Data of a timer.
    pub data: Value,
}

/// A group, as scripts see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its number.
    pub id: GroupId,
    /// Its name.
    pub name: Arc<str>,
    /// Members of the community, bots not counted.
    pub members: i64,
}

/// A call that must be answered before the handler can go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostCall {
    /// Index of the run in its frame: the savepoint that the call belongs to.
    pub run: usize,
    /// `points::grant`.
    pub name: String,
    /// Arguments.
    pub args: Vec<Value>,
}

/// The answer to a host call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HostReply {
    /// Done.
    Ok(Value),
    /// Refused; the script may catch it.
    Refused(Refusal),
    /// A mistake of the script (wrong argument); may be caught, is reported to its owner.
    Wrong(String),
    /// The turn must stop here: what the call needs is not in memory. The host fetches it and
    /// runs the whole turn again. Not catchable.
    Restart,
}

/// What the handlers of a frame wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Which turn.
    pub turn: EventId,
    /// One for each run that was begun, in order. Runs after a `stop()` are missing.
    pub outcomes: Vec<RunOutcome>,
    /// A host call answered [`HostReply::Restart`].
    pub restart: bool,
}

/// What came of one handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// How it ended.
    pub end: RunEnd,
    /// What it asked for; empty unless it ended well.
    pub effects: Vec<Effect>,
    /// It called `stop()`.
    pub stop: bool,
    /// What it printed, bounded.
    pub printed: Vec<String>,
    /// Operations counted.
    pub operations: u64,
    /// Wall time, µs.
    pub micros: u64,
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunEnd {
    /// Well.
    Ok,
    /// The domain refused and the script did not catch it.
    Refused(Refusal),
    /// It failed.
    Failed(ScriptError),
}

/// A mistake in a script, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// Path of the script.
    pub path: String,
    /// Line from 1; 0 where unknown.
    pub line: usize,
    /// Column from 1; 0 where unknown.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
    /// The named limit that was hit, if that is what happened.
    pub limit: Option<String>,
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {}", self.path, self.message),
            (line, 0) => write!(f, "{}:{line}: {}", self.path, self.message),
            (line, column) => write!(f, "{}:{line}:{column}: {}", self.path, self.message),
        }
    }
}

/// The domain as the script side sees it: answers host calls inside one turn.
///
/// The same object travels to the script side with its frame and comes back with the answer, so
/// that nothing else can touch the community's state in between.
pub trait HostCalls: Send {
    /// Answers one call. The first call of a run opens its savepoint.
    fn call(&mut self, call: HostCall) -> HostReply;

    /// Undoes everything that the calls of this run changed.
    fn rollback(&mut self, run: usize);

    /// Undoes everything that any call changed: the frame runs again from its start.
    fn restart(&mut self);

    /// Gets the concrete turn back on the other side.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

/// One frame with the turn that answers its calls.
pub struct Work {
    /// The event.
    pub frame: Frame,
    /// Who answers.
    pub host: Box<dyn HostCalls>,
}

/// A finished frame.
pub struct Done {
    /// What the handlers wanted.
    pub answer: Answer,
    /// The turn, back again.
    pub host: Box<dyn HostCalls>,
}

/// Runs scripts somewhere: in a child, or for tests in this process.
pub trait ScriptHost: Send + Sync {
    /// Compiles one script aside, registers it and lints it. Nothing is put in force.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>>;

    /// Puts a bundle in force. Frames name the bundle that they want; the previous one stays
    /// until its frames are done.
    fn install(&self, bundle: Arc<Bundle>);

    /// Runs a batch; each finished frame goes to `done` as soon as it is. No order is promised, but
    /// frames of one community run one at a time: none can keep others waiting with many. Never
    /// blocks.
    fn submit(&self, batch: Vec<Work>, done: tokio::sync::mpsc::UnboundedSender<Done>);

    /// What scripts do to the processes that run them; given once, and only by hosts that have
    /// processes to lose.
    fn incidents(&self) -> Option<tokio::sync::mpsc::UnboundedReceiver<Incident>> {
        None
    }

    /// A host of the same kind that shares nothing with this one, to try things out; it lives in
    /// the runtime that asks for it.
    ///
    /// # Errors
    /// The system gives no thread or no process.
    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>>;
}

/// A script ended the process that ran it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The event that was being handled.
    pub event: EventId,
    /// Which script.
    pub script: ScriptName,
    /// In which version.
    pub revision: String,
    /// Its path.
    pub path: String,
    /// Which of its handlers.
    pub handler: HandlerId,
    /// What happened, as a sentence goes on after "it".
    pub why: String,
    /// How often it has done so lately.
    pub kills: usize,
    /// It must be taken out of force.
    pub is_condemned: bool,
}
