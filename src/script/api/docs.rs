//! The table → `scripts/api.d.rhai`: the reference that lies beside the scripts.

use std::fmt::Write as _;

use super::{Kind, Needs, Place, Row, TABLE};

/// The text of scripts/api.d.rhai.
pub fn definitions() -> String {
    let mut out = String::from(
        "// Everything that a script can say. Made from the table in src/script/api; a test keeps\n\
         // it up to date. This file is read by people, not run.\n",
    );
    for chapter in &TABLE {
        write!(out, "\n// ── {} ──\n", chapter.title).ok();
        for row in chapter.rows {
            out.push('\n');
            describe(&mut out, row);
        }
    }
    out
}

/// One row with its documentation.
fn describe(out: &mut String, row: &Row) {
    writeln!(out, "/// {}", row.doc).ok();
    if let Some(place) = works(row.needs) {
        writeln!(out, "/// Works {place}.").ok();
    }
    out.push_str(&signature(row));
    out.push_str(";\n");
}

/// How a row is written in a script.
pub(in crate::script) fn signature(row: &Row) -> String {
    let mut out = String::from(if row.kind == Kind::Getter { "get " } else { "fn " });
    match row.place {
        Place::Global => {}
        Place::In(space) => write!(out, "{space}::").unwrap_or_default(),
        Place::On(ty) => write!(out, "{}.", ty.word()).unwrap_or_default(),
    }
    out.push_str(row.name);
    if row.kind == Kind::Function {
        let params: Vec<String> = row
            .params
            .iter()
            .map(|par| {
                let mark = if par.optional { "?" } else { "" };
                format!("{}{mark}: {}", par.name, par.ty.word())
            })
            .collect();
        write!(out, "({})", params.join(", ")).ok();
    }
    if row.returns != super::Ty::Unit {
        write!(out, " -> {}", row.returns.word()).ok();
    }
    out
}

/// Where a row works, in words.
fn works(needs: Needs) -> Option<&'static str> {
    match needs {
        Needs::TopLevel | Needs::Handler => None,
        Needs::Actor => Some("everywhere but in `on_timer`"),
        Needs::Message => Some(
            "in `command`, `on_message`, `on_keyword`, `on_regex`, `on_reaction` and `on_button`",
        ),
        Needs::Content => Some("in `command`, `on_message`, `on_keyword` and `on_regex`"),
        Needs::Emoji => Some("in `on_reaction`"),
        Needs::Value => Some("in `on_button`"),
        Needs::Request => Some("in `on_join_request`"),
        Needs::Timer => Some("in `on_timer`"),
    }
}
