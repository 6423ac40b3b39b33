//! The daily check-in.

use super::{Row, Ty, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "checkin",
        "mark",
        &[par("member", Ty::Member)],
        Ty::Map,
        "Marks today for a member; her streak and total. Refuses `already_checked_in`.",
    ),
    Row::host(
        "checkin",
        "status",
        &[par("member", Ty::Member)],
        Ty::Map,
        "A member's streak and total, and whether today is marked.",
    ),
];
