//! Words of events as the numbers that the database keeps; the tables `event_kind` and
//! `event_state` say the same to people.

use crate::store::EventState;

/// Kinds by code.
const KINDS: [&str; 19] = [
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

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::KINDS;
    use crate::event::EventKind;

    /// Whoever adds a kind is led here, to give it a code and a row of the table.
    fn has_code(kind: &EventKind) -> bool {
        match kind {
            EventKind::Message { .. }
            | EventKind::Edited { .. }
            | EventKind::Deleted { .. }
            | EventKind::Reaction { .. }
            | EventKind::Button { .. }
            | EventKind::Joined { .. }
            | EventKind::Left { .. }
            | EventKind::Updated
            | EventKind::JoinRequest { .. }
            | EventKind::Silenced { .. }
            | EventKind::BotJoined { .. }
            | EventKind::BotLeft { .. }
            | EventKind::Uploaded { .. }
            | EventKind::Poked { .. }
            | EventKind::Honored { .. }
            | EventKind::Befriended
            | EventKind::Online(_)
            | EventKind::Gap { .. }
            | EventKind::Tick(_) => KINDS.contains(&kind.word()),
        }
    }

    #[tokio::test]
    async fn the_table_says_what_the_codes_mean() {
        let store = crate::store::sqlite::Sqlite::in_memory().await.expect("a database");
        let mut reader = store.reader().await;
        let rows = sqlx::query("SELECT word FROM event_kind ORDER BY code")
            .fetch_all(&mut *reader)
            .await
            .expect("the table");
        let words: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(words, KINDS);
        assert!(has_code(&EventKind::Updated));
        assert_eq!(super::kind("message"), 0);
        assert_eq!(super::kind("no such kind"), -1);
    }
}
