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
            opt("key", Ty::Any),
        ],
        Ty::Bool,
        "Gives points. The same `key` gives once only: `false` where it did before; for another amount it is a mistake. In its place `#{ key, expires, campaign }`: `expires` is how long they last, such as \"90d\", to the end of that day; `campaign` the budget that they come from, else the community issues them. Refuses `minted_cap`, `earned_cap`, and `not_enough` where the budget is spent.",
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
        "reverse",
        &[par("id", Ty::Id), par("reason", Ty::Text)],
        Ty::Map,
        "Takes a transfer back by a new one, `#{ id, amount, names }`; by admins only, once, and only what is still there. Refuses `role`, `no_reason`, `unknown_transfer`, `corrected`, `not_reversible`, `spent`.",
    ),
    Row::host(
        "points",
        "fund",
        &[par("campaign", Ty::Text), par("amount", Ty::Int), par("reason", Ty::Text)],
        Ty::Int,
        "Adds to a budget, which is made where there is none of that name; what it holds now. By admins only.",
    ),
    Row::host("points", "campaigns", &[], Ty::Array, "The budgets, each `#{ name, total, left }`."),
    Row::host(
        "points",
        "expiring",
        &[par("member", Ty::Member), par("within", Ty::Duration)],
        Ty::Int,
        "How many of a member's points expire within a time.",
    ),
    Row::host(
        "points",
        "log",
        &[par("member", Ty::Member), opt("page", Ty::Int)],
        Ty::Array,
        "A member's last transfers, newest first, five a page, each `#{ id, at, delta, reason, code, by, other, packet, corrects, held }`; what is set aside is `held`, so that they sum to the balance; pages from 1.",
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
