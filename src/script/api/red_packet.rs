//! Red packets.

use super::{Row, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "red_packet",
        "send",
        &[
            par("member", Ty::Member),
            par("total", Ty::Int),
            par("count", Ty::Int),
            opt("options", Ty::Map),
        ],
        Ty::Map,
        "Sends a red packet; the packet. Options: `wish` (text). Refuses `not_enough`, `count_range`, `bad_amount`, `too_many_open`.",
    ),
    Row::host(
        "red_packet",
        "grab",
        &[par("member", Ty::Member), opt("id", Ty::Id)],
        Ty::Map,
        "Takes a share, of the newest open packet where no id is given; the share with its `packet`. Refuses `already`, `empty`, `expired`, `none_open`, `own`, `too_new`.",
    ),
    Row::host(
        "red_packet",
        "refund",
        &[par("member", Ty::Member), opt("id", Ty::Id)],
        Ty::Map,
        "Gives what is left of a packet back to its sender before it expires. Refuses `not_yours`, `empty`, `expired`, `none_open`.",
    ),
    Row::host("red_packet", "get", &[par("id", Ty::Id)], Ty::Map, "A packet with its shares."),
];
