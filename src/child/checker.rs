//! Compiling aside, in a child that serves nothing else: a script that ends it, or does not come
//! back, is refused and costs nobody anything.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::host::Program;
use super::process::Aside;
use super::wire::{Down, Up};
use crate::script::protocol::{Manifest, ScriptError, ScriptLimits, Source};

/// Longest that one script may take, ms of processor time.
const CHECK_MS: u64 = 500;
/// Longest wait for an answer: a busy machine may need far more than [`CHECK_MS`].
const WAIT: Duration = Duration::from_secs(10);

/// The child for checks, there while several scripts are looked at.
pub(super) struct Checker {
    program: Program,
    limits: ScriptLimits,
    child: Mutex<Option<Aside>>,
}

impl Checker {
    /// A checker without a child yet.
    pub(super) fn new(program: Program, limits: &ScriptLimits) -> Self {
        let handler_ms = limits.handler_ms.max(CHECK_MS);
        let limits = ScriptLimits { handler_ms, ..limits.clone() };
        Self { program, limits, child: Mutex::default() }
    }

    /// Looks at one script.
    pub(super) fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        let mut slot = self.child();
        let started = match slot.take() {
            Some(child) => Ok(child),
            None => Aside::start(&self.program, &self.limits)
                .and_then(|mut child| child.hear::<Up>(WAIT).map(|_| child)),
        };
        let mut child = match started {
            Ok(child) => child,
            Err(error) => return Err(refused(source, &format!("no process for it: {error}"))),
        };
        let answer = child.say(&Down::Check(source)).and_then(|()| child.hear(WAIT));
        match answer {
            Ok(Up::Checked(found)) => {
                *slot = Some(child);
                found
            }
            Ok(Up::Stuck { after_ms, .. }) => {
                child.bury();
                Err(refused(source, &format!("it took longer than {after_ms} ms: make it simpler")))
            }
            Ok(_) | Err(_) => {
                let why = child.bury().map_or_else(String::new, |death| death.why);
                Err(refused(source, &format!("it {why}")))
            }
        }
    }

    /// Lets the child go; the next check starts another.
    pub(super) fn rest(&self) {
        self.child().take();
    }

    fn child(&self) -> MutexGuard<'_, Option<Aside>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(source: &Source, reason: &str) -> Vec<ScriptError> {
    vec![ScriptError {
        path: source.path.clone(),
        line: 0,
        column: 0,
        message: format!("this script could not be checked: {reason}"),
        limit: Some("script_check_ms".into()),
    }]
}
