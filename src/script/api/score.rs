//! Activity scores and core fans.

use crate::community::score::{ADDED_A_DAY, Kind, POINT};
use crate::effect::Effect;

use super::super::fault::{Fault, Outcome};
use super::super::lint::nearest;
use super::{Call, Place, Row, Run, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    Row::new(
        Place::In("score"),
        "add",
        &[
            par("member", Ty::Member),
            par("points", Ty::Int),
            par("kind", Ty::Text),
            opt("reason", Ty::Text),
        ],
        Run::Effect(add),
        "Adds to a member's score: 1 to 50 points, 50 a day in all. Kinds: answer, proposal, host, poll, event, order, invite, other.",
    ),
    Row::host(
        "score",
        "explain",
        &[par("member", Ty::Member)],
        Ty::Map,
        "What a member's score is made of: `#{ points, level, next, today, is_core, score, enter, missing, gate, parts: [#{ part, count, wanted, value }], log: [#{ days_ago, kind, points, by, reason }] }`.",
    ),
    Row::host(
        "score",
        "report",
        &[],
        Ty::Map,
        "How the core fans stand: `#{ of_active: #{ part, whole, percent, low, high }, of_eligible, target, reached, alert, entered, left, moved: [#{ member, entered, score, why }], candidates: [#{ member, score, missing, gate, parts }] }`. Changes nothing.",
    ),
    Row::host(
        "score",
        "review",
        &[],
        Ty::Map,
        "The weekly evaluation: core fans enter and leave, with the tag 核心粉. Once a week (Monday first); again in the same week it only tells. What `report` gives, and `is_new`.",
    ),
];

fn add(call: &Call) -> Outcome<Effect> {
    let (points, word) = (call.int(1), call.text(2));
    let most = ADDED_A_DAY / POINT;
    if !(1..=most).contains(&points) {
        return Fault::wrong(format!("`score::add` adds 1 to {most} points, got {points}"));
    }
    let kinds = || Kind::ALL.into_iter().filter(|kind| kind.is_for_scripts());
    let Some(kind) = kinds().find(|kind| kind.as_str() == word) else {
        let words: Vec<&'static str> = kinds().map(Kind::as_str).collect();
        let hint = nearest(&word, words.iter().copied()).map_or_else(
            || format!("the kinds are {}", words.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Fault::wrong(format!("`score::add` knows no kind `{word}`: {hint}"));
    };
    Ok(Effect::Score { person: call.member(0)?.id, points, kind, reason: call.text(3) })
}
