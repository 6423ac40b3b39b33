//! A delivery on its way: what is known of it beside its row, and what an adapter is asked.

use crate::adapter::{Request, SendSafety};
use crate::bot::gauge::{OpenPost, Ticket};
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, DeliveryState};
use crate::planted::{self, Bug};

/// A committed delivery.
#[derive(Debug)]
pub struct Outgoing {
    /// What.
    pub delivery: Delivery,
    /// Under way; `None` while it waits for its time.
    pub ticket: Option<Ticket>,
    /// The routine that it is a post of waits for it.
    pub post: Option<OpenPost>,
    /// Since when it may have arrived: the first call of which nobody knows.
    pub in_doubt: Option<TimeMs>,
    /// The platform was asked, and nobody can tell.
    pub has_asked: bool,
    /// Somebody who runs the bot wants it sent in spite of the doubt.
    pub is_ordered: bool,
    /// When the latest call began.
    pub(super) tried_at: TimeMs,
    /// Since when it holds up what stands behind it.
    pub(super) holds_since: Option<TimeMs>,
    /// It was set aside, and others went before it.
    pub(super) was_aside: bool,
}

impl Outgoing {
    /// A delivery on its way.
    pub fn new(delivery: Delivery, ticket: Option<Ticket>, post: Option<OpenPost>) -> Self {
        Self {
            delivery,
            ticket,
            post,
            in_doubt: None,
            has_asked: false,
            is_ordered: false,
            tried_at: 0,
            holds_since: None,
            was_aside: false,
        }
    }
}

/// Whether the platform is asked before anything is sent: what is in doubt can be looked for, and a
/// repeat would not be recognised.
pub(super) fn must_ask(outgoing: &Outgoing, safety: SendSafety, now: TimeMs) -> bool {
    let Some(since) = outgoing.in_doubt.filter(|_| !outgoing.has_asked) else { return false };
    makes_message(&outgoing.delivery.call)
        && match safety {
            SendSafety::ReadBack => true,
            SendSafety::Idempotent { window } => {
                let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
                // One that began in the future was noted by a clock that was wrong: nobody knows when.
                !(0..window_ms).contains(&(now - since))
            }
            SendSafety::None => false,
        }
}

/// How the next start finds what waited when the bot stopped.
pub(super) fn parked(outgoing: &Outgoing) -> DeliveryState {
    if outgoing.in_doubt.is_some() { DeliveryState::Sending } else { DeliveryState::Queued }
}

pub(super) fn request(delivery: &Delivery) -> Request {
    let is_shared = planted::has(Bug::SharedNonce);
    Request {
        key: if is_shared { delivery.event.to_string() } else { delivery.key.clone() },
        account: delivery.account.clone(),
        answers: delivery.answers.clone(),
        to: delivery.to.clone(),
        call: delivery.call.clone(),
        attempt: delivery.attempts,
        since: delivery.not_before,
    }
}

/// Whether the call makes a message that others may refer to.
pub(super) fn makes_message(call: &Call) -> bool {
    matches!(call, Call::Send { .. } | Call::Card { message: None, .. })
}
