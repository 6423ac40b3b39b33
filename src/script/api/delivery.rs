//! Messages of which nobody knows whether they arrived.

use super::{Row, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "delivery",
        "doubtful",
        &[],
        Ty::Array,
        "Messages of this community of which nobody knows whether they arrived, the latest first, at most 50: `#{ id, at, time, text }`.",
    ),
    Row::host(
        "delivery",
        "retry",
        &[par("member", Ty::Member), opt("id", Ty::Id)],
        Ty::Int,
        "Sends such a message again in an admin's name, or all without an `id`; how many. Where the platform can be asked, it is asked first. Refuses `role`, `no_delivery`.",
    ),
    Row::host(
        "delivery",
        "drop",
        &[par("member", Ty::Member), opt("id", Ty::Id)],
        Ty::Int,
        "Leaves such a message as it is, or all without an `id`; how many. Refuses `role`, `no_delivery`.",
    ),
];
