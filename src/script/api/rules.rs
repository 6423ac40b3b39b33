//! The rules of the group, in the sense of 群规, with who accepted which version.

use super::{Row, Ty, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "rules",
        "current",
        &[],
        Ty::Any,
        "The rules in force, `#{ text, version, at }`; `()` where there are none.",
    ),
    Row::host(
        "rules",
        "set",
        &[par("member", Ty::Member), par("text", Ty::Text)],
        Ty::Int,
        "Puts new rules in force, in a member's name; their version. Refuses `role`, `text_range`.",
    ),
    Row::host(
        "rules",
        "accept",
        &[par("member", Ty::Member)],
        Ty::Map,
        "Notes that a member accepts the rules in force, `#{ version, is_new }`. Refuses `no_rules`.",
    ),
    Row::host(
        "rules",
        "accepted",
        &[par("member", Ty::Member)],
        Ty::Bool,
        "Whether a member has accepted the rules in force.",
    ),
];
