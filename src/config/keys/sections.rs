//! Keys of every section but `[limits]`, which has a page of its own.

use std::collections::BTreeMap;

use super::{Applies, Key, KeyDoc, KeyValue, Kind};
use crate::config::{BotConfig, CommunityConfig, NewsConfig, PrivacyConfig, StoreConfig};
use crate::id::Ref;
use crate::value::Role;

/// A key whose field is a text.
macro_rules! text {
    ($section:literal, $field:ident, $kind:expr, $change:ident, $about:literal) => {
        Key {
            doc: doc($section, stringify!($field), $kind, Applies::$change, $about),
            get: |of| Some(KeyValue::Text(of.$field.clone())),
            set: |of, value| {
                if let KeyValue::Text(text) = value {
                    of.$field = text;
                }
            },
        }
    };
}

/// A key whose field is a folder.
macro_rules! folder {
    ($field:ident, $about:literal) => {
        Key {
            doc: doc("bot", stringify!($field), Kind::Folder, Applies::Restart, $about),
            get: |of| Some(KeyValue::Path(of.$field.clone())),
            set: |of, value| {
                if let KeyValue::Path(path) = value {
                    of.$field = path;
                }
            },
        }
    };
}

/// A key that gives one role to a list of people.
macro_rules! role {
    ($name:literal, $role:expr, $about:literal) => {
        Key {
            doc: doc("roles", $name, Kind::Refs, Applies::Live, $about),
            get: |of| {
                let held = of.iter().filter(|(_, role)| **role == $role);
                Some(KeyValue::Refs(held.map(|(who, _)| who.clone()).collect()))
            },
            set: |of, value| {
                if let KeyValue::Refs(people) = value {
                    of.extend(people.into_iter().map(|who| (who, $role)));
                }
            },
        }
    };
}

pub(super) const fn doc(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    change: Applies,
    about: &'static str,
) -> KeyDoc {
    KeyDoc { section, name, kind, about, change, required: false }
}

/// `[bot]`
pub static BOT: &[Key<BotConfig>] = &[
    text!("bot", locale, Kind::Locale, Live, "Language where a community names none: zh or en."),
    Key {
        doc: doc(
            "bot",
            "timezone",
            Kind::Zone,
            Applies::Live,
            "Time zone where a community names none, by its IANA name.",
        ),
        get: |of| Some(KeyValue::Zone(of.timezone)),
        set: |of, value| {
            if let KeyValue::Zone(zone) = value {
                of.timezone = zone;
            }
        },
    },
    folder!(scripts, "Folder of features; relative folders start at the one of this file."),
    folder!(rules, "Folder of rules."),
    folder!(data, "Folder of everything that the bot keeps."),
    text!(
        "bot",
        log,
        Kind::LogFilter,
        Restart,
        "Filter of the log, as in RUST_LOG: a level, or module=level with commas."
    ),
    Key {
        doc: doc(
            "bot",
            "stale_after_s",
            Kind::Int { min: 1, max: 86_400 },
            Applies::Live,
            "Events older than this are noted but not answered, s.",
        ),
        get: |of| Some(KeyValue::Int(of.stale_after_s)),
        set: |of, value| {
            if let KeyValue::Int(seconds) = value {
                of.stale_after_s = seconds;
            }
        },
    },
];

/// `[store]`
pub static STORE: &[Key<StoreConfig>] = &[
    Key {
        doc: doc(
            "store",
            "url",
            Kind::StoreUrl,
            Applies::Restart,
            "The database: sqlite:FILE in the data folder, sqlite::memory:, or postgres://USER@HOST/NAME.",
        ),
        get: |of| Some(KeyValue::Url(of.url.clone())),
        set: |of, value| {
            if let KeyValue::Url(url) = value {
                of.url = url;
            }
        },
    },
    Key {
        doc: doc(
            "store",
            "lease_s",
            Kind::Int { min: 2, max: 300 },
            Applies::Restart,
            "PostgreSQL: after so long without an answer another process may take over, s.",
        ),
        get: |of| Some(KeyValue::Int(of.lease_s)),
        set: |of, value| {
            if let KeyValue::Int(seconds) = value {
                of.lease_s = seconds;
            }
        },
    },
];

/// `[[community]]`
pub static COMMUNITY: &[Key<CommunityConfig>] = &[
    Key {
        doc: KeyDoc {
            required: true,
            ..doc(
                "community",
                "id",
                Kind::Name,
                Applies::Live,
                "Its short name here and in the database; never change it once in use.",
            )
        },
        get: |of| (!of.id.is_empty()).then(|| KeyValue::Text(of.id.clone())),
        set: |of, value| {
            if let KeyValue::Text(text) = value {
                of.id = text;
            }
        },
    },
    Key {
        doc: doc(
            "community",
            "name",
            Kind::Text,
            Applies::Live,
            "Its name for people; its id where absent.",
        ),
        get: |of| (!of.name.is_empty()).then(|| KeyValue::Text(of.name.clone())),
        set: |of, value| {
            if let KeyValue::Text(text) = value {
                of.name = text;
            }
        },
    },
    Key {
        doc: doc(
            "community",
            "groups",
            Kind::Refs,
            Applies::Live,
            "Its groups, each as platform:id; they share members, points, rules and schedule.",
        ),
        get: |of| Some(KeyValue::Refs(of.groups.clone())),
        set: |of, value| {
            if let KeyValue::Refs(groups) = value {
                of.groups = groups;
            }
        },
    },
    Key {
        doc: doc(
            "community",
            "timezone",
            Kind::Zone,
            Applies::Live,
            "Its time zone; that of [bot] where absent.",
        ),
        get: |of| of.timezone.map(KeyValue::Zone),
        set: |of, value| {
            if let KeyValue::Zone(zone) = value {
                of.timezone = Some(zone);
            }
        },
    },
    Key {
        doc: doc(
            "community",
            "locale",
            Kind::Locale,
            Applies::Live,
            "Its language; that of [bot] where absent.",
        ),
        get: |of| of.locale.clone().map(KeyValue::Text),
        set: |of, value| {
            if let KeyValue::Text(text) = value {
                of.locale = Some(text);
            }
        },
    },
    Key {
        doc: doc(
            "community",
            "posting",
            Kind::OneOf(&["quiet", "normal", "busy"]),
            Applies::Live,
            "How much is posted in it unasked; as in [posting] where absent.",
        ),
        get: |of| of.posting.clone().map(KeyValue::Text),
        set: |of, value| {
            if let KeyValue::Text(text) = value {
                of.posting = Some(text);
            }
        },
    },
];

/// `[roles]`
pub static ROLES: &[Key<BTreeMap<Ref, Role>>] = &[
    role!(
        "owner",
        Role::Owner,
        "People who may do everything and hear of problems, as platform:id."
    ),
    role!("admin", Role::Admin, "People who run every community."),
    role!("mod", Role::Mod, "People who keep order in every community."),
];

/// `[news]`
pub static NEWS: &[Key<NewsConfig>] = &[Key {
    doc: doc(
        "news",
        "every_min",
        Kind::Int { min: 5, max: 1440 },
        Applies::Live,
        "How often each source of news is asked, min; longer after failures.",
    ),
    get: |of| Some(KeyValue::Int(of.every_min)),
    set: |of, value| {
        if let KeyValue::Int(minutes) = value {
            of.every_min = minutes;
        }
    },
}];

/// A key of days.
macro_rules! days {
    ($name:literal, $field:ident, $min:literal, $about:literal) => {
        Key {
            doc: doc("privacy", $name, Kind::Int { min: $min, max: 3650 }, Applies::Live, $about),
            get: |of| Some(KeyValue::Int(of.$field.into())),
            set: |of, value| {
                if let KeyValue::Int(days) = value {
                    of.$field = days.try_into().unwrap_or(of.$field);
                }
            },
        }
    };
}

/// `[privacy]`
pub static PRIVACY: &[Key<PrivacyConfig>] = &[
    days!("archive_days", archive_days, 0, "Days that the text of messages is kept; 0 keeps none."),
    days!(
        "body_days",
        body_days,
        1,
        "Days that what a message led to, and what was sent, is kept in full."
    ),
    days!("audit_days", audit_days, 1, "Days that lines of the audit log keep names and reasons."),
    days!("log_days", log_days, 1, "Days of the log file."),
];
