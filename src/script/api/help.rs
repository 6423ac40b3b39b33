//! What the help command needs to know.

use super::{Row, Ty};

pub(super) static ROWS: &[Row] = &[Row::host(
    "help",
    "list",
    &[],
    Ty::Array,
    "The commands that the member may use here, each `#{ script, verb, usage, help, words }`.",
)];
