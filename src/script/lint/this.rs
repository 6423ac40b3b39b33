//! `this[…]`: what stands in the brackets is a variable or written out.
//!
//! What a handler keeps alive is measured when it reads a variable; a loop that works on `this`
//! alone reads none, and could grow it without measure. With this rule it has to read one for
//! every new key.

use rhai::{ASTFlags, Expr, Position};

use super::Lint;

/// Looks at a chain from its beginning.
pub(super) fn check(lint: &mut Lint, chain: &Expr) {
    let mut at = chain;
    let mut is_root = true;
    while let Expr::Index(parts, flags, place) | Expr::Dot(parts, flags, place) = at {
        if is_root && !matches!(parts.lhs, Expr::ThisPtr(..)) {
            return;
        }
        is_root = false;
        let goes_on = matches!(parts.rhs, Expr::Index(..) | Expr::Dot(..))
            && !flags.intersects(ASTFlags::BREAK);
        if matches!(at, Expr::Index(..)) {
            index(lint, if goes_on { first(&parts.rhs) } else { &parts.rhs }, *place);
        }
        if !goes_on {
            return;
        }
        at = &parts.rhs;
    }
}

/// What a rest of a chain begins with.
fn first(rest: &Expr) -> &Expr {
    match rest {
        Expr::Index(parts, ..) | Expr::Dot(parts, ..) => &parts.lhs,
        other => other,
    }
}

fn index(lint: &mut Lint, index: &Expr, at: Position) {
    let is_seen = matches!(
        index,
        Expr::Variable(..)
            | Expr::IntegerConstant(..)
            | Expr::StringConstant(..)
            | Expr::CharConstant(..)
    );
    if !is_seen {
        lint.problem(
            at,
            "what stands in `this[…]` is a variable or written out: write `let key = …; this[key]`",
        );
    }
}
