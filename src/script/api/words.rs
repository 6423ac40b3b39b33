//! Word lists of scripts/words/.
//!
//! The host looks the lists up that a script names, once for all scripts, and sends what it found
//! with the message; only other texts and computed names are asked for.

use rhai::{Array, Dynamic};

use super::super::fault::Outcome;
use super::super::types::EventRef;
use super::{Call, Place, Row, Run, Ty, par};

pub(super) static ROWS: &[Row] = &[
    row(
        "has",
        Ty::Bool,
        has,
        "Whether words of a list (scripts/words/LIST.txt) occur in a message or text.",
    ),
    row(
        "hits",
        Ty::Array,
        hits,
        "The words of a list (scripts/words/LIST.txt) that occur in a message or text; empty where none does.",
    ),
];

const fn row(
    name: &'static str,
    returns: Ty,
    answer: fn(&Call) -> Outcome<Dynamic>,
    doc: &'static str,
) -> Row {
    const PARAMS: &[super::Par] = &[par("message", Ty::Message), par("list", Ty::Text)];
    Row::new(Place::In("words"), name, PARAMS, Run::Pure(answer), doc).returns(returns)
}

fn has(call: &Call) -> Outcome<Dynamic> {
    match sent_along(call) {
        Some(words) => Ok((!words.is_empty()).into()),
        None => call.forward(),
    }
}

fn hits(call: &Call) -> Outcome<Dynamic> {
    match sent_along(call) {
        Some(words) => Ok(words.into_iter().map(Dynamic::from).collect::<Array>().into()),
        None => call.forward(),
    }
}

/// What the host has found out before.
fn sent_along(call: &Call) -> Option<Vec<String>> {
    let event = call.arg(0)?.read_lock::<EventRef>()?;
    let list = call.text(1);
    if !call.session.names_list(&list) {
        return None;
    }
    let found = event.frame.words.iter().find(|found| *found.list == *list);
    Some(found.map(|found| found.words.clone()).unwrap_or_default())
}
