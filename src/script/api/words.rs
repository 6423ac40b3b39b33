//! Word lists of scripts/words/.

use super::{Row, Ty, par};

pub(super) static ROWS: &[Row] = &[Row::host(
    "words",
    "hits",
    &[par("message", Ty::Message), par("list", Ty::Text)],
    Ty::Array,
    "The words of a list (scripts/words/LIST.txt) that occur in a message or text; empty where none does.",
)];
