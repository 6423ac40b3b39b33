//! Routines that are made in the chat, and what is planned; those of a script are `every(…)`.

use super::{Row, Ty, par};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "routine",
        "add",
        &[par("member", Ty::Member), par("name", Ty::Text), par("times_and_text", Ty::Text)],
        Ty::Map,
        "Makes a routine in an admin's name, `#{ name, cron, next }`; `next` are its next five times. Times are `8:30`, `工作日 8:30`, `周五 20:00` or a cron expression, the text follows them. Refuses `role`, `no_times`, `too_often`, `too_many`, `text_range`.",
    ),
    Row::host(
        "routine",
        "remove",
        &[par("member", Ty::Member), par("name", Ty::Text)],
        Ty::Text,
        "Takes away a routine that was made in the chat. Refuses `role`, `no_routine`.",
    ),
    Row::host(
        "routine",
        "list",
        &[],
        Ty::Array,
        "Every routine of the community, the next one first: `#{ name, script, cron, next, made }`.",
    ),
    Row::host(
        "routine",
        "runs",
        &[],
        Ty::Array,
        "What was decided in the last two days, the latest first: `#{ name, time, state, late, reason }`.",
    ),
];
