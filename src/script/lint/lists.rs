//! Word lists that a script names: what the host looks up before its handlers run.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::super::protocol::{ListName, ListUse, Manifest, ScriptError};
use super::nearest;
use crate::config::Resolved;
use crate::moderation::WordLists;

/// Lists named in calls of `words::` and `on_words`, written out or as a setting; each once, where
/// it is first named.
pub(in crate::script) fn named(ast: &AST) -> Vec<ListUse> {
    let mut lists: Vec<ListUse> = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        let call = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                Some((call, *at))
            }
            _ => None,
        };
        if let Some((name, at)) = call.and_then(|(call, at)| list(call, at))
            && lists.iter().all(|known| known.name != name)
        {
            let (line, column) = (at.line().unwrap_or(0), at.position().unwrap_or(0));
            lists.push(ListUse { name, line, column });
        }
        true
    });
    lists
}

/// The list that a call names, and where.
fn list(call: &FnCallExpr, at: Position) -> Option<(ListName, Position)> {
    let place = match (call.namespace.to_string().as_str(), call.name.as_str()) {
        ("words", _) => 1,
        ("", "on_words") => 0,
        _ => return None,
    };
    match call.args.get(place)? {
        Expr::StringConstant(name, own) => {
            Some((ListName::Is(name.as_str().into()), if own.is_none() { at } else { *own }))
        }
        Expr::FnCall(cfg, own) if cfg.name == "cfg" => match cfg.args.first() {
            Some(Expr::StringConstant(name, _)) => {
                Some((ListName::Setting(name.to_string()), *own))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Lists that scripts name, with these settings, and nobody has written.
pub fn unknown_lists(
    manifests: &[Manifest],
    resolved: &Resolved,
    lists: &WordLists,
) -> Vec<ScriptError> {
    let mut problems = Vec::new();
    for manifest in manifests {
        for used in &manifest.lists {
            let values = resolved.everything_about(&manifest.name);
            let names = values.filter_map(|effective| used.name.resolve(&effective.settings));
            let unknown: BTreeSet<_> = names.filter(|name| !lists.contains(name)).collect();
            problems.extend(unknown.iter().map(|name| unknown_list(manifest, used, name, lists)));
        }
    }
    problems
}

fn unknown_list(manifest: &Manifest, used: &ListUse, name: &str, lists: &WordLists) -> ScriptError {
    let hint = nearest(name, lists.names()).map_or_else(
        || format!("write scripts/words/{name}.txt, one word a line"),
        |near| format!("did you mean `{near}`?"),
    );
    let by = match &used.name {
        ListName::Is(_) => String::new(),
        ListName::Setting(setting) => format!(", which the setting `{setting}` names"),
    };
    ScriptError {
        path: manifest.path.clone(),
        line: used.line,
        column: used.column,
        message: format!("there is no word list `{name}`{by}: {hint}"),
        limit: None,
    }
}
