//! The daily check-in.

use super::{Row, Ty, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "checkin",
        "mark",
        &[par("member", Ty::Member)],
        Ty::Map,
        "Marks today for a member, `#{ day, streak, ordinal }`: the local day, days in a row, which of the day she is. Refuses `already_checked_in`.",
    ),
    Row::host(
        "checkin",
        "status",
        &[par("member", Ty::Member)],
        Ty::Any,
        "A member's latest check-in, `#{ day, streak, today }`; `()` where there was none.",
    ),
];
