//! How an API function says no, and how that travels through Rhai.
//!
//! A refusal and a mistake are thrown values that a script can catch; a limit, `stop()` and a
//! restart are terminations that it cannot.

use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult, Position};

use crate::refusal::Refusal;

use super::session::{End, Session};
use super::types::RefusalRef;

/// Why an API function did not return.
#[derive(Debug)]
pub(super) enum Fault {
    /// The domain refused.
    Refused(Refusal),
    /// The script is wrong; may be caught.
    Wrong(String),
    /// Everything stops here, and no `try` helps.
    End(End),
}

/// What API functions give back.
pub(super) type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// A mistake of the script.
    pub fn wrong<T>(message: impl Into<String>) -> Outcome<T> {
        Err(Self::Wrong(message.into()))
    }

    /// A named limit was hit.
    pub fn limit<T>(name: impl Into<String>, message: impl Into<String>) -> Outcome<T> {
        Err(Self::End(End::Limit { name: name.into(), message: message.into() }))
    }

    /// Turns it into what Rhai throws.
    pub fn thrown(self, session: &Session, at: Position) -> Box<EvalAltResult> {
        match self {
            Self::Refused(refusal) => {
                let value = Dynamic::from(RefusalRef(Rc::new(refusal)));
                EvalAltResult::ErrorRuntime(value, at).into()
            }
            Self::Wrong(message) => EvalAltResult::ErrorRuntime(message.into(), at).into(),
            Self::End(end) => {
                session.end_with(end);
                EvalAltResult::ErrorTerminated(Dynamic::UNIT, at).into()
            }
        }
    }
}
