//! A command that punishes must say who may use it.

use std::collections::BTreeSet;

use rhai::{ASTNode, Expr, FnPtr, Position, Stmt};

use super::super::api::PUNISHING;
use super::super::protocol::Trigger;
use super::Lint;
use crate::value::Role;

pub(super) fn check(lint: &mut Lint) {
    for handler in &lint.manifest.handlers {
        let Trigger::Command(command) = &handler.trigger else { continue };
        if command.role >= Role::Mod {
            continue;
        }
        if let Some((verb, at)) = punishes(lint, &handler.function, &mut BTreeSet::new()) {
            lint.problem(
                at,
                format!(
                    "missing permission: the command `{}` may {verb} and anybody may use it; add `role: \"mod\"` to its options",
                    command.verb
                ),
            );
        }
    }
}

/// The first punishing verb that a function can reach through the script's own functions.
fn punishes(lint: &Lint, name: &str, seen: &mut BTreeSet<String>) -> Option<(String, Position)> {
    if !seen.insert(name.to_owned()) {
        return None;
    }
    let mut found = None;
    let mut called: Vec<String> = Vec::new();
    for body in lint.bodies.iter().filter(|body| body.name == name) {
        body.ast.walk(&mut |path: &[ASTNode]| {
            let call = match path.last() {
                Some(
                    ASTNode::Expr(Expr::MethodCall(call, at) | Expr::FnCall(call, at))
                    | ASTNode::Stmt(Stmt::FnCall(call, at)),
                ) => (call.name.as_str(), *at),
                // A function handed on, to `for_each` for example, is taken for called.
                Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => {
                    let pointer = value.clone().try_cast::<FnPtr>();
                    called.extend(pointer.map(|pointer| pointer.fn_name().to_owned()));
                    return true;
                }
                _ => return true,
            };
            if PUNISHING.contains(&call.0) {
                found.get_or_insert((call.0.to_owned(), call.1));
            } else {
                called.push(call.0.to_owned());
            }
            true
        });
    }
    found.or_else(|| called.iter().find_map(|name| punishes(lint, name, seen)))
}
