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
        Ty::Int,
        "Gives points from the community; the new balance. The same `key` gives once only.",
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
        Ty::Int,
        "Takes points; the new balance. Refuses `not_enough`.",
    ),
    Row::host(
        "points",
        "transfer",
        &[
            par("from", Ty::Member),
            par("to", Ty::Member),
            par("amount", Ty::Int),
            par("reason", Ty::Text),
        ],
        Ty::Int,
        "Moves points from one member to another; the giver's new balance. Refuses `not_enough`.",
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
        "A member's last transfers, newest first, each `#{ at, amount, reason, balance }`; pages from 1.",
    ),
    Row::host(
        "points",
        "top",
        &[par("n", Ty::Int)],
        Ty::Array,
        "The members with the most points, each `#{ member, points }`; staff and bots not counted.",
    ),
    Row::host(
        "points",
        "rank",
        &[par("member", Ty::Member)],
        Ty::Any,
        "A member's place on that list from 1; `()` for who is not on it.",
    ),
];
