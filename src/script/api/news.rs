//! News of the feeds that a script's setting `feeds` names.

use super::{Row, Ty, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "news",
        "pick",
        &[par("count", Ty::Int)],
        Ty::Array,
        "The freshest items of the sources in this script's setting `feeds` that this community has not posted, at most `count` (1 to 20), each `#{ id, title, source, at, url }`. Nothing older than 48 hours, no page and no title twice. Sources are `https://…` or `file:…` below the folder of config.toml.",
    ),
    Row::host(
        "news",
        "mark",
        &[par("items", Ty::Array)],
        Ty::Array,
        "Marks items as posted in this community; gives those that had not been posted before. Post only what it gives: then nothing is posted twice.",
    ),
    Row::host(
        "news",
        "sources",
        &[],
        Ty::Array,
        "The sources of this script, each `#{ address, name, ok_at, error, items }`; `ok_at` is `()` where it never answered.",
    ),
    Row::host(
        "news",
        "editors",
        &[],
        Ty::Array,
        "The owner and the admins who are here, five at most: whom a preview goes to.",
    ),
];
