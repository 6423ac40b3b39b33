//! Words of events as the numbers that the database keeps; the tables `event_kind` and
//! `event_state` say the same to people.

use crate::store::EventState;

/// Kinds by code.
pub(super) const KINDS: [&str; 19] = [
    "message",
    "edited",
    "deleted",
    "reaction",
    "button",
    "joined",
    "left",
    "updated",
    "join_request",
    "silenced",
    "bot_joined",
    "bot_left",
    "uploaded",
    "poked",
    "honored",
    "befriended",
    "online",
    "gap",
    "tick",
];

/// The code of a kind.
pub(super) fn kind(word: &str) -> i32 {
    let found = KINDS.iter().position(|kind| *kind == word);
    found.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1)
}

/// The code of a state.
pub(super) fn state(state: EventState) -> i32 {
    match state {
        EventState::Done => 0,
        EventState::Waiting => 1,
        EventState::Quarantined => 2,
    }
}
