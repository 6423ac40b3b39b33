//! Keys of `[posting]`, `[[posting.slot]]` and `[[routine]]`.

use super::sections::doc;
use super::{Applies, Key, KeyDoc, KeyValue, Kind};
use crate::config::RoutineConfig;
use crate::routine::{Posting, PostingSlot};

/// A key whose field has the type of one kind of value.
macro_rules! key {
    ($section:literal, $name:literal, $kind:expr, $value:ident, $field:ident, $about:literal) => {
        Key {
            doc: doc($section, $name, $kind, Applies::Live, $about),
            get: |of| Some(KeyValue::$value(of.$field.clone())),
            set: |of, value| {
                if let KeyValue::$value(value) = value {
                    of.$field = value;
                }
            },
        }
    };
}

/// The same for a key without which the section is wrong.
macro_rules! needed {
    ($section:literal, $name:literal, $kind:expr, $value:ident, $field:ident, $about:literal) => {
        Key {
            doc: KeyDoc { required: true, ..doc($section, $name, $kind, Applies::Live, $about) },
            get: |of| Some(KeyValue::$value(of.$field.clone())).filter(is_written),
            set: |of, value| {
                if let KeyValue::$value(value) = value {
                    of.$field = value;
                }
            },
        }
    };
}

/// Whether a value is anything but the one that stands for none.
fn is_written(value: &KeyValue) -> bool {
    match value {
        KeyValue::Text(text) => !text.is_empty(),
        KeyValue::Words(words) => !words.is_empty(),
        KeyValue::Clock(minute) => *minute > 0,
        KeyValue::Int(_)
        | KeyValue::Url(_)
        | KeyValue::Zone(_)
        | KeyValue::Path(_)
        | KeyValue::Refs(_)
        | KeyValue::Counts(_) => true,
    }
}

/// The same for a key that may be absent.
macro_rules! maybe {
    ($section:literal, $name:literal, $kind:expr, $value:ident, $field:ident, $about:literal) => {
        Key {
            doc: doc($section, $name, $kind, Applies::Live, $about),
            get: |of| of.$field.clone().map(KeyValue::$value),
            set: |of, value| {
                if let KeyValue::$value(value) = value {
                    of.$field = Some(value);
                }
            },
        }
    };
}

/// `[posting]`
pub static POSTING: &[Key<Posting>] = &[
    key!(
        "posting",
        "profile",
        Kind::OneOf(&["quiet", "normal", "busy"]),
        Text,
        profile,
        "Posts a day that nobody asked for: quiet 2, normal 4, busy 5."
    ),
    key!(
        "posting",
        "quiet_from",
        Kind::Clock,
        Clock,
        quiet_from,
        "Silence begins, on the clock of the community."
    ),
    key!("posting", "quiet_to", Kind::Clock, Clock, quiet_to, "Silence ends."),
];

/// `[[posting.slot]]`
pub static SLOT: &[Key<PostingSlot>] = &[
    needed!("posting.slot", "name", Kind::Name, Text, name, "Its name."),
    needed!(
        "posting.slot",
        "from",
        Kind::Clock,
        Clock,
        from,
        "Its kinds are posted from this time on"
    ),
    needed!("posting.slot", "to", Kind::Clock, Clock, to, "and before this one."),
    needed!("posting.slot", "kinds", Kind::Words, Words, kinds, "Kinds of posts that keep to it."),
];

/// `[[routine]]`
pub static ROUTINE: &[Key<RoutineConfig>] = &[
    needed!("routine", "id", Kind::Name, Text, id, "Its short name here and in the database."),
    needed!(
        "routine",
        "cron",
        Kind::Cron,
        Text,
        cron,
        "When: minute, hour, day of the month, month, day of the week, as in crontab."
    ),
    needed!("routine", "text", Kind::Text, Text, text, "What it says."),
    key!(
        "routine",
        "communities",
        Kind::Words,
        Words,
        communities,
        "Communities by id; without it all."
    ),
    key!("routine", "groups", Kind::Refs, Refs, groups, "Groups; without it all of the community."),
    key!(
        "routine",
        "missed",
        Kind::OneOf(&["once", "skip", "all"]),
        Text,
        missed,
        "What becomes of times that passed while the bot was away."
    ),
    maybe!(
        "routine",
        "not_after",
        Kind::Clock,
        Clock,
        not_after,
        "It does not run later in the day than this."
    ),
    maybe!(
        "routine",
        "kind",
        Kind::Name,
        Text,
        kind,
        "A kind of [posting], whose hours and budget it keeps."
    ),
    key!(
        "routine",
        "priority",
        Kind::Int { min: 0, max: 9 },
        Int,
        priority,
        "Who goes first where the budget is short, 0 to 9."
    ),
];
