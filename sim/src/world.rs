//! What outlives a process: the platforms, the truth about what happened, and the log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qundao::clock::{Clock as _, TimeMs};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use crate::clock::SimClock;
use crate::model::Model;
use crate::op::Plan;
use crate::platform::Platform;

/// What is wrong with a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which oracle says so.
    pub oracle: &'static str,
    /// What it saw.
    pub text: String,
}

impl Violation {
    /// A violation.
    pub fn new(oracle: &'static str, text: impl Into<String>) -> Self {
        Self { oracle, text: text.into() }
    }
}

/// What an oracle says.
pub type Verdict = Result<(), Violation>;

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events that platforms brought, repeats among them.
    pub offered: u64,
    /// Turns that were committed.
    pub turns: u64,
    /// Calls to platforms.
    pub calls: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Processes that began.
    pub starts: u64,
    /// Simulated time, ms.
    pub passed_ms: i64,
    /// Times of routines that were decided.
    pub slots: u64,
}

/// The part that changes.
pub struct State {
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// The truth.
    pub model: Model,
    /// What was found wrong first.
    pub violation: Option<Violation>,
    /// The process is as good as gone: it says nothing any more.
    pub is_dead: bool,
    /// The next commit ends the process: `Some(true)` after it was made.
    pub crash_at_commit: Option<bool>,
    /// Until when the disk is full.
    pub full_until: TimeMs,
    /// Commits so far, for their chance.
    pub commits: u64,
    /// Questions so far.
    pub reads: u64,
    /// How much happened.
    pub figures: Figures,
    hash: Sha256,
    log: Option<String>,
    line: String,
}

/// A world; everything that a process is given knows it.
pub struct World {
    /// What happens in it.
    pub plan: Plan,
    /// Its time.
    pub clock: Arc<SimClock>,
    /// No more faults.
    calm: std::sync::atomic::AtomicBool,
    /// The process is dead, or something is wrong.
    pub ended: Notify,
    state: Mutex<State>,
}

impl World {
    /// The world of a plan; with its log, where somebody wants to read it.
    pub fn new(plan: Plan, keeps_log: bool) -> Arc<Self> {
        let clock = Arc::new(SimClock::starting_at(plan.cast.begin));
        let platforms = (0..crate::cast::PLATFORMS.len()).map(Platform::new).collect();
        let state = State {
            platforms,
            model: Model::new(&plan),
            violation: None,
            is_dead: false,
            crash_at_commit: None,
            full_until: 0,
            commits: 0,
            reads: 0,
            figures: Figures::default(),
            hash: Sha256::new(),
            log: keeps_log.then(String::new),
            line: String::new(),
        };
        let calm = std::sync::atomic::AtomicBool::new(true);
        Arc::new(Self { plan, clock, calm, ended: Notify::new(), state: Mutex::new(state) })
    }

    /// The part that changes.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No faults happen by themselves.
    pub fn is_calm(&self) -> bool {
        self.calm.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// From now on they do, or do not.
    pub fn set_calm(&self, calm: bool) {
        self.calm.store(calm, std::sync::atomic::Ordering::SeqCst);
    }

    /// Writes a line of the log.
    pub fn log(&self, line: impl std::fmt::Display) {
        let (real, shown) = (self.clock.real(), self.clock.now());
        let (begin, skew) = (self.plan.cast.begin, shown - real);
        let mut state = self.state();
        let mut text = std::mem::take(&mut state.line);
        text.clear();
        let _ = write!(text, "{} ", real - begin);
        if skew != 0 {
            let _ = write!(text, "({skew:+}) ");
        }
        let _ = writeln!(text, "{line}");
        state.hash.update(text.as_bytes());
        if let Some(log) = &mut state.log {
            log.push_str(&text);
        }
        state.line = text;
    }

    /// Notes what an oracle says; a violation ends the world.
    pub fn judge(&self, verdict: Verdict) {
        if let Err(violation) = verdict {
            self.log(format_args!("VIOLATION {}: {}", violation.oracle, violation.text));
            let mut state = self.state();
            state.violation.get_or_insert(violation);
            drop(state);
            self.ended.notify_one();
        }
    }

    /// The process is gone.
    pub fn kill(&self) {
        self.state().is_dead = true;
        self.ended.notify_one();
    }

    /// The hash of the log, and the log where it was kept.
    pub fn take_log(&self) -> (String, Option<String>) {
        let mut state = self.state();
        let hash = std::mem::take(&mut state.hash).finalize();
        let hex = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        (hex, state.log.take())
    }
}

/// A map that is printed in its order.
pub type Sorted<K, V> = BTreeMap<K, V>;
