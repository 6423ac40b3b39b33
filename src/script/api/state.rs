//! What a script remembers, for a member, a group or the whole community.

use super::{Row, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "state",
        "get",
        &[par("scope", Ty::Scope), par("key", Ty::Text), opt("default", Ty::Any)],
        Ty::Any,
        "What was kept under a key; the default, or `()`, where nothing was.",
    ),
    Row::host(
        "state",
        "set",
        &[par("scope", Ty::Scope), par("key", Ty::Text), par("value", Ty::Any)],
        Ty::Unit,
        "Keeps a value; it belongs to this script alone.",
    ),
    Row::host(
        "state",
        "incr",
        &[par("scope", Ty::Scope), par("key", Ty::Text), opt("by", Ty::Int)],
        Ty::Int,
        "Adds to a number, 1 where nothing else is said; the new number.",
    ),
    Row::host(
        "state",
        "remove",
        &[par("scope", Ty::Scope), par("key", Ty::Text)],
        Ty::Unit,
        "Forgets a key.",
    ),
    Row::host(
        "state",
        "top",
        &[par("key", Ty::Text), par("n", Ty::Int)],
        Ty::Array,
        "The members with the highest numbers under a key, each `#{ member, value }`.",
    ),
];
