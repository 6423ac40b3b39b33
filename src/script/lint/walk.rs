//! One walk over every statement and expression, which hands each node to the lint it concerns.

use rhai::{AST, ASTNode, Expr, Stmt};

use super::super::api::Shape;
use super::super::protocol::Trigger;
use super::{Lint, calls, chains, literals, this};

/// What is known about the place of a node.
pub(super) struct Around<'a> {
    /// In a function or handler, as opposed to the top level.
    pub in_function: bool,
    /// Name of the handler's event, and what the handler is registered for. Empty triggers where
    /// it is not a handler or its event's name is taken again inside.
    pub event: &'a str,
    /// Triggers of the handler.
    pub triggers: Vec<&'a Trigger>,
}

impl Around<'_> {
    /// Shapes of the event, without repeats.
    pub fn shapes(&self) -> Vec<Shape> {
        let mut shapes: Vec<Shape> =
            self.triggers.iter().map(|trigger| Shape::of(trigger)).collect();
        shapes.dedup();
        shapes
    }
}

pub(super) fn check(lint: &mut Lint) {
    let ast: &AST = lint.ast;
    let top = Around { in_function: false, event: "", triggers: Vec::new() };
    visit(lint, &ast.clone_statements_only(), &top);
    for body in lint.bodies.clone().iter() {
        let mut triggers = lint.triggers(&body.name);
        if redefined(&body.ast, &body.event) {
            triggers.clear();
        }
        visit(lint, &body.ast, &Around { in_function: true, event: &body.event, triggers });
    }
}

fn visit(lint: &mut Lint, ast: &AST, around: &Around) {
    ast.walk(&mut |path: &[ASTNode]| {
        let parent = path.len().checked_sub(2).and_then(|index| path.get(index));
        match path.last() {
            Some(ASTNode::Expr(expr)) => expression(lint, expr, parent, around),
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => {
                calls::function(lint, call, *at, around);
                literals::check(lint, call, *at);
            }
            // Rhai's tree may grow other kinds of nodes; they hold no calls of their own.
            _ => {}
        }
        true
    });
}

fn expression(lint: &mut Lint, expr: &Expr, parent: Option<&ASTNode>, around: &Around) {
    match expr {
        Expr::FnCall(call, at) if !call.is_operator_call() => {
            calls::function(lint, call, *at, around);
            literals::check(lint, call, *at);
        }
        Expr::MethodCall(call, at) => calls::method(lint, call, *at),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) if !continues(expr, parent) => {
            this::check(lint, expr);
            chains::follow(lint, &chain.lhs, &chain.rhs, matches!(expr, Expr::Dot(..)), around);
        }
        _ => {}
    }
}

/// Chains nest to the right, so the rest of a chain is itself a chain: not a new one.
fn continues(expr: &Expr, parent: Option<&ASTNode>) -> bool {
    match parent {
        Some(ASTNode::Expr(Expr::Dot(chain, ..) | Expr::Index(chain, ..))) => {
            std::ptr::eq(&raw const chain.rhs, std::ptr::from_ref(expr))
                && matches!(
                    expr,
                    Expr::Dot(rest, ..) | Expr::Index(rest, ..)
                        if matches!(rest.lhs, Expr::Property(..) | Expr::MethodCall(..))
                )
        }
        _ => false,
    }
}

/// Whether a name is declared again in a body.
fn redefined(body: &AST, name: &str) -> bool {
    let mut found = false;
    body.walk(&mut |path: &[ASTNode]| {
        found |= match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(parts, ..))) => parts.0.as_str() == name,
            Some(ASTNode::Stmt(Stmt::For(parts, ..))) => parts.0.as_str() == name,
            Some(ASTNode::Stmt(Stmt::Assignment(parts))) => {
                matches!(&parts.1.lhs, Expr::Variable(variable, ..) if variable.1 == name)
            }
            _ => false,
        };
        !found
    });
    found
}
