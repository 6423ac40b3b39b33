//! Points: the community's ledger.

use super::{Row, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "points",
        "balance",
        &[par("member", Ty::Member)],
        Ty::Int,
        "Points that a member can spend.",
    ),
    Row::host(
        "points",
        "grant",
        &[
            par("member", Ty::Member),
            par("amount", Ty::Int),
            par("reason", Ty::Text),
            opt("key", Ty::Text),
        ],
        Ty::Bool,
        "Gives points from the community. The same `key` gives once only: `false` where it did before.",
    ),
    Row::host(
        "points",
        "spend",
        &[
            par("member", Ty::Member),
            par("amount", Ty::Int),
            par("reason", Ty::Text),
            opt("key", Ty::Text),
        ],
        Ty::Bool,
        "Takes points; `false` where the same `key` did before. Refuses `not_enough`.",
    ),
    Row::host(
        "points",
        "transfer",
        &[
            par("from", Ty::Member),
            par("to", Ty::Member),
            par("amount", Ty::Int),
            par("reason", Ty::Text),
            opt("key", Ty::Text),
        ],
        Ty::Bool,
        "Moves points from one member to another; `false` where the same `key` did before. Refuses `not_enough`.",
    ),
    Row::host(
        "points",
        "hold",
        &[par("member", Ty::Member), par("amount", Ty::Int), par("reason", Ty::Text)],
        Ty::Int,
        "Sets points aside until `settle` or `release`; the id of the hold. Refuses `not_enough`.",
    ),
    Row::host("points", "release", &[par("id", Ty::Int)], Ty::Unit, "Gives held points back."),
    Row::host("points", "settle", &[par("id", Ty::Int)], Ty::Unit, "Spends held points."),
    Row::host(
        "points",
        "log",
        &[par("member", Ty::Member), opt("page", Ty::Int)],
        Ty::Array,
        "A member's last transfers, newest first, five a page, each `#{ at, delta, reason, code, by }`; pages from 1.",
    ),
    Row::host(
        "points",
        "top",
        &[par("n", Ty::Int)],
        Ty::Array,
        "The members with the most points, each `#{ rank, member, points }`; staff, bots and who left are not counted.",
    ),
    Row::host(
        "points",
        "rank",
        &[par("member", Ty::Member)],
        Ty::Any,
        "A member's place on that list, `#{ rank, points }`; `()` for who is not on it.",
    ),
];
