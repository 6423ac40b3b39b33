//! Runs frames on one thread: its engine, its compiled scripts, one handler after the other.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rhai::{AST, CallFnOptions, Dynamic, Engine, Scope};

use crate::id::{EventId, ScriptName};

use super::api::Shape;
use super::check;
use super::engine;
use super::limits;
use super::outcome::{Ended, ended};
use super::protocol::{
    Answer, Bundle, Done, Frame, HostCalls, ListUse, Manifest, RunEnd, RunOutcome, ScriptError,
    ScriptLimits, Source, Trigger, Work,
};
use super::session::{Running, Session, Stage};
use super::types::EventRef;

/// Hears when handlers begin and end.
pub(crate) trait Observer {
    /// A run of a turn begins.
    fn began(&self, turn: EventId, run: usize);

    /// The run has ended.
    fn ended(&self);
}

/// Everything that a script thread owns.
pub(crate) struct Runner {
    engine: Engine,
    session: Rc<Session>,
    compiled: HashMap<(ScriptName, String), Rc<Compiled>>,
    newest: u64,
    observer: Option<Box<dyn Observer>>,
}

/// A script, ready to run; or why it is not.
type Compiled = Result<Ready, ScriptError>;

struct Ready {
    path: String,
    ast: AST,
    handlers: Vec<Entry>,
    lists: Rc<[ListUse]>,
}

/// A handler, ready to run.
struct Entry {
    function: String,
    shape: Shape,
    params: Rc<[String]>,
}

/// What came of one handler, and the host back again.
struct Ran {
    host: Box<dyn HostCalls>,
    outcome: RunOutcome,
    restart: bool,
}

impl Runner {
    /// A runner with nothing compiled.
    pub fn new(limits: ScriptLimits) -> Self {
        let session = Session::new(limits);
        let engine = engine::build(&session);
        Self { engine, session, compiled: HashMap::new(), newest: 0, observer: None }
    }

    /// Lets somebody hear when handlers begin and end.
    pub fn watch(&mut self, observer: Box<dyn Observer>) {
        self.observer = Some(observer);
    }

    /// Compiles, registers and lints a script.
    pub fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        check::check(&self.engine, &self.session, source)
    }

    /// Runs a frame's handlers in order.
    pub fn run(&mut self, work: Work, bundle: Option<&Arc<Bundle>>) -> Done {
        let Work { frame, mut host } = work;
        self.forget_old(bundle);
        let frame = Rc::new(frame);
        let mut answer = Answer { turn: frame.turn, outcomes: Vec::new(), restart: false };
        let mut spent: BTreeMap<&ScriptName, Duration> = BTreeMap::new();
        for (index, run) in frame.runs.iter().enumerate() {
            if let Some(error) = &run.spared {
                let ran = failed(host, (**error).clone());
                host = ran.host;
                answer.outcomes.push(ran.outcome);
                continue;
            }
            if let Some(observer) = &self.observer {
                observer.began(frame.turn, index);
            }
            let source = bundle.and_then(|bundle| bundle.sources.get(&run.script));
            let compiled = match source {
                Some(source) => self.compile(source),
                None => Rc::new(Err(gone(&run.script, frame.bundle))),
            };
            let spent = spent.entry(&run.script).or_default();
            let ran = if *spent > limits::of_an_event(&self.session.limits) {
                failed(host, exhausted(&compiled, *spent))
            } else {
                self.run_one(&frame, index, &compiled, host)
            };
            host = ran.host;
            if let Some(observer) = &self.observer {
                observer.ended();
            }
            *spent += Duration::from_micros(ran.outcome.micros);
            if ran.restart {
                answer.outcomes.clear();
                answer.restart = true;
                break;
            }
            // A rule in shadow changes nothing, so its `stop()` must not silence the others.
            let ends = ran.outcome.stop && !run.shadow;
            answer.outcomes.push(ran.outcome);
            if ends {
                break;
            }
        }
        Done { answer, host }
    }

    /// The compiled script, from the cache where its text has not changed.
    fn compile(&mut self, source: &Source) -> Rc<Compiled> {
        let key = (source.name.clone(), source.revision.clone());
        if let Some(found) = self.compiled.get(&key) {
            return Rc::clone(found);
        }
        let made = Rc::new(self.make(source));
        self.compiled.insert(key, Rc::clone(&made));
        made
    }

    fn make(&self, source: &Source) -> Compiled {
        let result =
            catch_unwind(AssertUnwindSafe(|| check::compile(&self.engine, &self.session, source)));
        let (ast, registry) = match result {
            Ok(Ok(compiled)) => compiled,
            Ok(Err(problems)) => {
                return Err(problems.into_iter().next().unwrap_or_else(|| gone(&source.name, 0)));
            }
            Err(panic) => return Err(panicked(&*panic, &source.path)),
        };
        let lists = registry.manifest.lists.into();
        let handlers = registry.manifest.handlers.into_iter();
        let handlers = handlers
            .map(|handler| Entry {
                shape: Shape::of(&handler.trigger),
                params: params(&handler.trigger),
                function: handler.function,
            })
            .collect();
        Ok(Ready { path: source.path.clone(), ast, handlers, lists })
    }

    /// Runs one handler as a savepoint.
    fn run_one(
        &self,
        frame: &Rc<Frame>,
        index: usize,
        compiled: &Compiled,
        host: Box<dyn HostCalls>,
    ) -> Ran {
        let run = frame.runs.get(index);
        let ready = compiled.as_ref().map_err(Clone::clone);
        let entry = ready.and_then(|ready| {
            let handler = run.map_or(0, |run| usize::from(run.handler));
            let entry = ready.handlers.get(handler);
            entry.map(|entry| (ready, entry)).ok_or_else(|| no_handler(&ready.path, handler))
        });
        let (ready, entry) = match entry {
            Ok(found) => found,
            Err(error) => return failed(host, error),
        };
        self.begin(frame, index, Rc::clone(&ready.lists), host);
        let event = EventRef {
            frame: Rc::clone(frame),
            run: index,
            params: Rc::clone(&entry.params),
            shape: entry.shape,
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.engine.call_fn_with_options::<Dynamic>(
                CallFnOptions::new().eval_ast(false),
                &mut Scope::new(),
                &ready.ast,
                &entry.function,
                (event,),
            )
        }));
        let end = self.session.take_end();
        let ended = match result {
            Ok(result) => ended(result, end, &ready.path),
            Err(panic) => Ended::Run(RunEnd::Failed(panicked(&*panic, &ready.path))),
        };
        self.settle(ended, index, run.is_some_and(|run| run.shadow))
    }

    fn begin(&self, frame: &Rc<Frame>, run: usize, lists: Rc<[ListUse]>, host: Box<dyn HostCalls>) {
        let seed = frame.seed ^ (run as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.session.begin(Stage::Running(Box::new(Running {
            frame: Rc::clone(frame),
            run,
            rng: ChaCha8Rng::seed_from_u64(seed),
            effects: Vec::new(),
            counts: BTreeMap::new(),
            host,
            host_calls: 0,
            printed: Vec::new(),
            print_left: self.session.limits.print_bytes,
            lists,
        })));
    }

    /// Keeps or drops what the handler did.
    fn settle(&self, ended: Ended, index: usize, shadow: bool) -> Ran {
        let micros = u64::try_from(self.session.meter.elapsed().as_micros()).unwrap_or(u64::MAX);
        let Stage::Running(mut running) = self.session.finish() else {
            // The stage is set in `begin` and taken here only; nothing in between can change it.
            unreachable!("a handler ended that never began");
        };
        let (end, stop, restart) = match ended {
            Ended::Run(end) => (end, false, false),
            Ended::Stop => (RunEnd::Ok, true, false),
            Ended::Restart => (RunEnd::Ok, false, true),
        };
        let kept = end == RunEnd::Ok && !restart;
        if running.host_calls > 0 && !restart && (!kept || shadow) {
            running.host.rollback(index);
        }
        let effects = if kept { running.effects } else { Vec::new() };
        let outcome = RunOutcome {
            end,
            effects,
            stop,
            printed: running.printed,
            operations: self.session.meter.operations(),
            micros,
        };
        Ran { host: running.host, outcome, restart }
    }

    /// Drops compiled scripts of bundles before the previous one.
    fn forget_old(&mut self, bundle: Option<&Arc<Bundle>>) {
        let Some(bundle) = bundle else { return };
        if bundle.number <= self.newest {
            return;
        }
        self.newest = bundle.number;
        // What the previous bundle needs besides is compiled again; that is rare and cheap.
        self.compiled.retain(|(name, revision), _| {
            bundle.sources.get(name).is_some_and(|source| source.revision == *revision)
        });
    }
}

/// Names of a command's parameters.
fn params(trigger: &Trigger) -> Rc<[String]> {
    match trigger {
        Trigger::Command(command) => {
            command.params.iter().map(|param| param.name.clone()).collect()
        }
        _ => Rc::new([]),
    }
}

fn failed(host: Box<dyn HostCalls>, error: ScriptError) -> Ran {
    let outcome = RunOutcome {
        end: RunEnd::Failed(error),
        effects: Vec::new(),
        stop: false,
        printed: Vec::new(),
        operations: 0,
        micros: 0,
    };
    Ran { host, outcome, restart: false }
}

fn without_place(path: &str, message: String) -> ScriptError {
    ScriptError { path: path.to_owned(), line: 0, column: 0, message, limit: None }
}

/// A script may register many handlers for one event, each within its own limit.
fn exhausted(compiled: &Compiled, spent: Duration) -> ScriptError {
    let path = match compiled {
        Ok(ready) => &ready.path,
        Err(error) => &error.path,
    };
    let message = format!(
        "the handlers of this script that heard the same event took {} ms before this one: do less, or do it in one handler",
        spent.as_millis()
    );
    ScriptError { limit: Some("handler_ms".into()), ..without_place(path, message) }
}

fn gone(script: &ScriptName, bundle: u64) -> ScriptError {
    without_place(
        script.as_str(),
        format!("`{script}` is not among the scripts of bundle {bundle}"),
    )
}

fn no_handler(path: &str, handler: usize) -> ScriptError {
    without_place(path, format!("this version of the script has no handler {handler}"))
}

fn panicked(panic: &(dyn Any + Send), path: &str) -> ScriptError {
    let reason = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    // Short texts of Rhai panic where everything else would end the process.
    if reason.starts_with("Cannot allocate memory") {
        let message = "this handler wanted more memory than the process may have".to_owned();
        return ScriptError {
            limit: Some("script_memory_mib".into()),
            ..without_place(path, message)
        };
    }
    without_place(
        path,
        format!("the bot itself failed here, which is its mistake and not the script's: {reason}"),
    )
}
