//! The top level registers and does nothing else, so that help, lint and permission tables come
//! from the file alone.

use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::super::api::{self, Needs, Place};
use super::Lint;

pub(super) fn check(lint: &mut Lint) {
    let ast = lint.ast;
    for statement in ast.statements() {
        statement_kind(lint, statement);
        let mut calls: Vec<(String, Position)> = Vec::new();
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
            calls.extend(path.last().and_then(api_call));
            true
        });
        for (name, at) in calls {
            lint.problem(
                at,
                format!("`{name}` cannot be called at the top level, which only registers: move it into a handler"),
            );
        }
    }
}

/// Statements that have no place at the top level.
fn statement_kind(lint: &mut Lint, statement: &Stmt) {
    if let Stmt::Var(parts, flags, at) = statement
        && flags.contains(ASTFlags::CONSTANT)
    {
        let name = parts.0.as_str();
        lint.problem(
            *at,
            format!("the constant `{name}` would not be visible in handlers: make it a setting, `setting(\"{}\", …)`, or define it inside", name.to_lowercase()),
        );
    }
}

/// The name of an API call that does not register, if the node is one.
fn api_call(node: &ASTNode) -> Option<(String, Position)> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at)) => {
            Some((acts(call)?, *at))
        }
        _ => None,
    }
}

fn acts(call: &FnCallExpr) -> Option<String> {
    let space = call.namespace.to_string();
    let found = api::rows().find(|row| {
        row.name == call.name.as_str()
            && row.needs != Needs::TopLevel
            && match row.place {
                Place::Global => space.is_empty(),
                Place::In(own) => own == space,
                Place::On(_) => false,
            }
    });
    // A button is a plain value.
    found.filter(|row| row.name != "button").map(api::Row::full_name)
}
