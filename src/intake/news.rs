//! What happens to the bot's own accounts, as the people who run it should hear it.

use crate::event::{Envelope, EventKind};
use crate::report::Notice;

/// The notice that an event is worth, if any.
pub(super) fn of(envelope: &Envelope) -> Option<Notice> {
    let account = &envelope.account;
    let place = envelope.group.as_ref().map_or("nowhere", |group| group.id.as_str());
    let is_own = envelope.actor.as_ref().is_some_and(|actor| actor.id == *account);
    let (text, is_problem) = match &envelope.kind {
        EventKind::Online(true) => (format!("`{account}` is online"), false),
        EventKind::Online(false) => (
            format!("`{account}` is offline: nothing is heard or sent there until it is back"),
            true,
        ),
        EventKind::BotJoined { .. } => (format!("`{account}` is in `{place}` now"), false),
        EventKind::BotLeft { by: None } => (format!("`{account}` has left `{place}`"), true),
        EventKind::BotLeft { by: Some(by) } => {
            (format!("`{account}` was removed from `{place}` by `{by}`"), true)
        }
        EventKind::Silenced { until: Some(_), .. } if is_own => {
            (format!("`{account}` may not speak in `{place}`: what is sent there will fail"), true)
        }
        EventKind::Silenced { until: None, .. } if is_own => {
            (format!("`{account}` may speak in `{place}` again"), false)
        }
        _ => return None,
    };
    Some(Notice { community: None, text, is_problem })
}
