//! What a script thread is doing at the moment: registering a script, or running a handler.
//!
//! Every API function registered in the thread's engine shares this one value; a runner swaps the
//! stage before it calls a script and takes it back afterwards.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;

use crate::effect::Effect;

use super::fault::{Fault, Outcome};
use super::limits::Meter;
use super::manifest::Registry;
use super::protocol::{Frame, HostCall, HostCalls, HostReply, ListUse, ScriptLimits};
use crate::value::Value;

/// State shared by an engine and its runner.
pub(super) struct Session {
    /// The limits in force.
    pub limits: ScriptLimits,
    /// Counts of the handler that runs.
    pub meter: Meter,
    stage: RefCell<Stage>,
    end: Cell<Option<End>>,
    ending: Cell<bool>,
}

/// What the thread is doing.
pub(super) enum Stage {
    /// Nothing.
    Idle,
    /// Evaluating a top level.
    Registering(Box<Registry>),
    /// Running a handler.
    Running(Box<Running>),
}

/// A handler on its way.
pub(super) struct Running {
    /// Its frame.
    pub frame: Rc<Frame>,
    /// Which run of the frame.
    pub run: usize,
    /// Chance, seeded for this run.
    pub rng: ChaCha8Rng,
    /// What it asked for so far.
    pub effects: Vec<Effect>,
    /// How many effects of each kind.
    pub counts: BTreeMap<&'static str, usize>,
    /// Who answers its host calls.
    pub host: Box<dyn HostCalls>,
    /// How many it made.
    pub host_calls: usize,
    /// What it printed.
    pub printed: Vec<String>,
    /// Bytes that it may still print.
    pub print_left: usize,
    /// Word lists that its script names.
    pub lists: Rc<[ListUse]>,
}

/// Why a handler was ended from outside its own code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It called `stop()`.
    Stop,
    /// The host wants the whole turn again.
    Restart,
    /// A limit was hit.
    Limit {
        /// Its name.
        name: String,
        /// What to do.
        message: String,
    },
}

impl Session {
    /// An idle session.
    pub fn new(limits: ScriptLimits) -> Rc<Self> {
        Rc::new(Self {
            limits,
            meter: Meter::new(),
            stage: RefCell::new(Stage::Idle),
            end: Cell::new(None),
            ending: Cell::new(false),
        })
    }

    /// Begins a stage: counts from zero.
    pub fn begin(&self, stage: Stage) {
        self.meter.start();
        self.end.set(None);
        self.ending.set(false);
        *self.stage.borrow_mut() = stage;
    }

    /// Ends the stage and gives it back.
    pub fn finish(&self) -> Stage {
        self.stage.replace(Stage::Idle)
    }

    /// Notes why the script is being ended; the first reason stays.
    pub fn end_with(&self, end: End) {
        self.ending.set(true);
        let first = self.end.take().unwrap_or(end);
        self.end.set(Some(first));
    }

    /// Whether the script has been told to end. Rhai wraps what a callback of `map` or `sort` throws
    /// so that `try` can catch it, even a termination; the next operation ends such a script.
    pub fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Why the script was ended, if it was.
    pub fn take_end(&self) -> Option<End> {
        self.end.take()
    }

    /// Works on the registry, while a top level is being evaluated.
    pub fn registering<T>(&self, work: impl FnOnce(&mut Registry) -> T) -> Option<T> {
        match &mut *self.stage.borrow_mut() {
            Stage::Registering(registry) => Some(work(registry)),
            Stage::Idle | Stage::Running(_) => None,
        }
    }

    /// Whether the script that runs names this word list, so that the host has looked it up.
    pub fn names_list(&self, list: &str) -> bool {
        match &*self.stage.borrow() {
            Stage::Running(running) => {
                let settings = running.frame.runs.get(running.run).map(|run| &run.settings);
                let is_it = |name: Arc<str>| *name == *list;
                settings.is_some_and(|settings| {
                    running.lists.iter().any(|used| used.name.resolve(settings).is_some_and(is_it))
                })
            }
            Stage::Idle | Stage::Registering(_) => false,
        }
    }

    /// Works on the handler that runs.
    pub fn running<T>(&self, work: impl FnOnce(&mut Running) -> Outcome<T>) -> Outcome<T> {
        match &mut *self.stage.borrow_mut() {
            Stage::Running(running) => work(running),
            Stage::Idle | Stage::Registering(_) => {
                Fault::wrong("this works in handlers only: move it into one")
            }
        }
    }

    /// Buffers an effect, unless there are too many of its kind.
    pub fn effect(&self, effect: Effect) -> Outcome<()> {
        let word = effect.word();
        let limit = self.limits.effects_by_kind.get(word).copied().unwrap_or(self.limits.effects);
        self.running(|running| {
            let count = running.counts.entry(word).or_insert(0);
            *count += 1;
            if *count > limit {
                return Fault::limit(
                    format!("effects.{word}"),
                    format!("one handler may ask for `{word}` at most {limit} times: put it into one message, or spread it over after()"),
                );
            }
            running.effects.push(effect);
            Ok(())
        })
    }

    /// Asks the host.
    pub fn host_call(&self, name: String, args: Vec<Value>) -> Outcome<Value> {
        let limit = self.limits.host_calls;
        self.running(|running| {
            running.host_calls += 1;
            if running.host_calls > limit {
                return Fault::limit(
                    "host_calls",
                    format!("one handler may ask the host at most {limit} times (points::, state::, …): ask less often"),
                );
            }
            let asked = Instant::now();
            let reply = running.host.call(HostCall { run: running.run, name, args });
            self.meter.waited(asked.elapsed());
            match reply {
                HostReply::Ok(value) => Ok(value),
                HostReply::Refused(refusal) => Err(Fault::Refused(refusal)),
                HostReply::Wrong(message) => Fault::wrong(message),
                HostReply::Restart => Err(Fault::End(End::Restart)),
            }
        })
    }

    /// Keeps what was printed, as far as there is room; top levels print nothing.
    pub fn print(&self, text: &str) {
        let Stage::Running(running) = &mut *self.stage.borrow_mut() else { return };
        if running.print_left == 0 {
            return;
        }
        let mut end = text.len().min(running.print_left);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        running.printed.push(text.get(..end).unwrap_or_default().to_owned());
        // An empty line costs a byte too, or a loop could keep any number of them.
        running.print_left = running.print_left.saturating_sub(end.max(1));
    }
}
