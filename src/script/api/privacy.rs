//! What is kept of people, for how long, and how it is taken back; the audit log's head.

use super::{Row, Ty};

pub(super) static ROWS: &[Row] = &[
    Row::host(
        "privacy",
        "days",
        &[],
        Ty::Map,
        "For how many days what is kept, `#{ messages, bodies, log, audit, keys }`.",
    ),
    Row::host(
        "privacy",
        "kept",
        &[],
        Ty::Map,
        "How much is kept of who does this, and of nobody else: rows by table, with `total`, `person` (her number) and `words` (messages whose text is kept).",
    ),
    Row::host(
        "privacy",
        "forget",
        &[],
        Ty::Unit,
        "Forgets who does this, and nobody else: accounts, names, words and scores go; her points stay behind under a number. Refuses `owner_stays` for who runs the bot.",
    ),
    Row::host(
        "privacy",
        "forget_words",
        &[],
        Ty::Unit,
        "Takes what was kept of the words that who does this wrote in this community.",
    ),
    Row::host(
        "privacy",
        "audit_head",
        &[],
        Ty::Map,
        "The head of the audit log, `#{ n, head }`; `head` is what `qundao audit verify --head` takes. For admins and the owner; refuses `role`.",
    ),
];
