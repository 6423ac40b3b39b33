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
        "Sends a red packet; the packet, `#{ id, sender, total, count, claimed, left, rest, mode, wish, life, opens_in, state, shares, best, commitment, seed, expires_at }`. Options: `wish` (text), `mode` (\"lucky\" or \"equal\"). Its limits are settings of the script: `expires`, `opens_after`, `max_total`, `max_shares`, `max_open`, `max_own`, `max_day`, `cooldown`, and of grabs `max_grabbed`, `grab_cooldown`, `own_grab`, `member_for`; its end wakes `on_timer(\"red_packet.expired\", …)`. Refuses `not_enough`, `total_range`, `count_range`, `too_little`, `too_many_open`, `too_many_own`, `packets_cap`, `cooldown`.",
    ),
    Row::host(
        "red_packet",
        "grab",
        &[par("member", Ty::Member), opt("id", Ty::Id)],
        Ty::Map,
        "Takes a share; without an id of the quoted packet, else of the oldest open one here that she has no share of. The share, `#{ amount, packet }`. Refuses `already`, `empty`, `expired`, `none_open`, `own`, `too_new`, `not_open`, `cooldown`, `grab_cap`, `elsewhere`.",
    ),
    Row::host(
        "red_packet",
        "refund",
        &[par("member", Ty::Member), opt("id", Ty::Id)],
        Ty::Map,
        "Gives what is left of a packet back to its sender before it expires, after a minute; the packet; without an id of the sender's latest. Refuses `not_yours`, `ended`, `too_soon`, `none_of_yours`.",
    ),
    Row::host(
        "red_packet",
        "get",
        &[par("id", Ty::Id)],
        Ty::Map,
        "A packet with its shares, `()` where there is none; without an id the quoted one, else the latest here.",
    ),
    Row::host(
        "red_packet",
        "verify",
        &[par("id", Ty::Id)],
        Ty::Map,
        "Cuts a packet that has ended anew from its seed and compares, `#{ id, is_right, mode, total, count, amounts, seed, commitment }`. Refuses `unknown_packet`, `still_open`.",
    ),
];
