//! The limits of a handler that Rhai does not hold by itself.
//!
//! Rhai's own operation count starts again inside native callbacks (`map`, `sort`), and index
//! assignment (`m[k] = v`) measures what is put in, but not what it is put into. So operations and
//! time are counted here, in `on_progress`, and what a handler keeps alive is measured every
//! [`WEIGH_EVERY`] accesses to variables: between two measurements it can add at most that many
//! values of legal size. Only the variables of the function that runs are in sight, so accesses
//! are counted for each depth of calls: a function that reads the same variable again and again
//! must not draw all measurements to itself.
//!
//! A function that works on `this` alone can grow it unseen until its time is over. What leaves a
//! script is therefore measured once more where it leaves: in `convert`, `containers`, `strings`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rhai::{Dynamic, Engine, EvalAltResult, Position, Scope};

use super::protocol::ScriptLimits;
use super::session::{End, Session};
use super::weight::Weight;

/// Operations between two looks at the clock; a look each time would cost half as much again. One
/// operation can copy a megabyte.
const CLOCK_EVERY: u64 = 16;

/// A handler may take this many times `handler_ms` by the clock on the wall, if it had the
/// processor for less than `handler_ms` of it: on a busy machine it is not the script that is slow.
const WALL_FACTOR: u32 = 4;

/// Accesses to variables at one depth of calls between two measurements of what is kept alive
/// there: few where there is little to measure, so that a measurement is never the larger part of
/// the work.
const WEIGH_EVERY: std::ops::RangeInclusive<u32> = 32..=128;

/// Entries whose measurement is worth waiting one more access for.
const ENTRIES_PER_ACCESS: usize = 8;

/// One handler's variables may hold this many times the entries of one array.
const ENTRIES_FACTOR: usize = 8;

/// One handler's variables may hold this many times the bytes of one text.
const BYTES_FACTOR: usize = 64;

/// Variables, functions and depth: fixed, because no honest script comes near.
const MAX_VARIABLES: usize = 128;
const MAX_FUNCTIONS: usize = 64;
const MAX_EXPR_DEPTH: usize = 64;

/// Counts of the handler that runs.
#[derive(Debug)]
pub(super) struct Meter {
    operations: Cell<u64>,
    /// By depth of calls, accesses to variables until the next measurement.
    until_weighed: RefCell<Vec<u32>>,
    started: Cell<Instant>,
    /// Processor time of this thread when the clock was first looked at.
    processor: Cell<Option<Duration>>,
}

impl Meter {
    /// A meter at zero.
    pub fn new() -> Self {
        Self {
            operations: Cell::new(0),
            until_weighed: RefCell::default(),
            started: Cell::new(Instant::now()),
            processor: Cell::new(None),
        }
    }

    /// Begins a handler.
    pub fn start(&self) {
        self.operations.set(0);
        self.until_weighed.borrow_mut().clear();
        self.started.set(Instant::now());
        self.processor.set(None);
    }

    /// Counts an access at this depth; whether it is time to measure.
    fn is_due(&self, depth: usize) -> bool {
        let mut counters = self.until_weighed.borrow_mut();
        if counters.len() <= depth {
            counters.resize(depth + 1, *WEIGH_EVERY.start());
        }
        let Some(left) = counters.get_mut(depth) else { return true };
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// Waits for the next measurement at this depth.
    fn weighed(&self, depth: usize, entries: usize) {
        let waits = u32::try_from(entries / ENTRIES_PER_ACCESS).unwrap_or(u32::MAX);
        let waits = waits.clamp(*WEIGH_EVERY.start(), *WEIGH_EVERY.end());
        if let Some(left) = self.until_weighed.borrow_mut().get_mut(depth) {
            *left = waits;
        }
    }

    /// Operations since [`Self::start`].
    pub fn operations(&self) -> u64 {
        self.operations.get()
    }

    /// Takes out of the time what the host needed for a reply.
    pub fn waited(&self, wait: Duration) {
        self.started.set(self.started.get() + wait);
    }

    /// Wall time since [`Self::start`], without waiting for the host.
    pub fn elapsed(&self) -> Duration {
        self.started.get().elapsed()
    }

    /// Whether the handler has had its time.
    fn is_over(&self, limit: Duration) -> bool {
        if self.processor.get().is_none() {
            self.processor.set(processor_time());
        }
        let wall = self.elapsed();
        if wall <= limit {
            return false;
        }
        let used = processor_time().zip(self.processor.get());
        let used = used.map_or(wall, |(now, first)| now.saturating_sub(first));
        used > limit || wall > limit * WALL_FACTOR
    }
}

/// What all handlers of one script may take together for one event, by the clock on the wall.
pub(super) fn of_an_event(limits: &ScriptLimits) -> Duration {
    Duration::from_millis(limits.handler_ms) * WALL_FACTOR
}

/// What this thread has had of a processor; `None` where the system does not tell.
fn processor_time() -> Option<Duration> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    {
        nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now().ok().map(Duration::from)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
    {
        None
    }
}

/// Longest that a handler may take by the clock on the wall.
pub(crate) fn wall_limit(limits: &ScriptLimits) -> Duration {
    Duration::from_millis(limits.handler_ms) * WALL_FACTOR
}

/// Sets Rhai's limits and adds ours.
pub(super) fn install(engine: &mut Engine, session: &Rc<Session>) {
    let limits = &session.limits;
    engine
        .set_max_call_levels(limits.call_depth)
        .set_max_string_size(limits.string_bytes)
        .set_max_array_size(limits.entries)
        .set_max_map_size(limits.entries)
        .set_max_variables(MAX_VARIABLES)
        .set_max_functions(MAX_FUNCTIONS)
        .set_max_modules(0)
        .set_max_expr_depths(MAX_EXPR_DEPTH, MAX_EXPR_DEPTH);
    let counted = Rc::clone(session);
    engine.on_progress(move |_| count(&counted));
    let weighed = Rc::clone(session);
    // Rhai marks `on_var` deprecated to say that it may change; the version is pinned by the lock.
    #[allow(deprecated)]
    engine.on_var(move |_, _, context| {
        let depth = context.call_level();
        if !weighed.meter.is_due(depth) {
            return Ok(None);
        }
        let entries = weigh(&weighed, context.scope(), context.this_ptr())?;
        weighed.meter.weighed(depth, entries);
        Ok(None)
    });
}

/// Counts one operation; `Some` ends the handler.
fn count(session: &Session) -> Option<Dynamic> {
    let meter = &session.meter;
    let operations = meter.operations.get() + 1;
    meter.operations.set(operations);
    if session.is_ending() {
        return Some(Dynamic::UNIT);
    }
    let limits = &session.limits;
    if operations > limits.operations {
        session.end_with(End::Limit {
            name: "operations".into(),
            message: format!(
                "this handler took more than {} operations: look for a loop that does not end",
                limits.operations
            ),
        });
        return Some(Dynamic::UNIT);
    }
    if operations.is_multiple_of(CLOCK_EVERY)
        && meter.is_over(Duration::from_millis(limits.handler_ms))
    {
        session.end_with(End::Limit {
            name: "handler_ms".into(),
            message: format!(
                "this handler ran longer than {} ms: do less at once, or spread it over after()",
                limits.handler_ms
            ),
        });
        return Some(Dynamic::UNIT);
    }
    None
}

/// Measures everything that the variables in sight keep alive; their entries.
fn weigh(
    session: &Session,
    scope: &Scope,
    this: Option<&Dynamic>,
) -> Result<usize, Box<EvalAltResult>> {
    let ScriptLimits { entries, string_bytes, .. } = session.limits;
    let mut weight = Weight::default();
    if let Some(value) = this {
        weight.add(value);
    }
    for (_, _, value) in scope.iter_raw() {
        weight.add(value);
    }
    let end = if weight.entries > entries * ENTRIES_FACTOR {
        End::Limit {
            name: "entries".into(),
            message: format!(
                "the variables of this handler hold more than {} entries together: keep less, or use state::",
                entries * ENTRIES_FACTOR
            ),
        }
    } else if weight.bytes > string_bytes * BYTES_FACTOR {
        End::Limit {
            name: "string_bytes".into(),
            message: format!(
                "the variables of this handler hold more than {} bytes of text together: keep less",
                string_bytes * BYTES_FACTOR
            ),
        }
    } else {
        return Ok(weight.entries);
    };
    session.end_with(end);
    Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into())
}
