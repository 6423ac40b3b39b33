//! Chains that begin with the event of a handler: `m.member.mute("10m")`.
//!
//! Types come from the table's rows and from the command's parameters; where a type is not known,
//! the chain is left alone.

use rhai::{Expr, FnCallExpr, Position};

use super::super::api::{self, Kind, Place, Row, Shape, Ty, out_of_place};
use super::super::protocol::{ParamKind, Trigger};
use super::calls::arity;
use super::names::nearest;
use super::walk::Around;
use super::{Lint, is_global, params};

/// Follows a chain from its beginning, once for each way in which the handler is registered.
pub(super) fn follow(lint: &mut Lint, head: &Expr, rest: &Expr, is_dot: bool, around: &Around) {
    let before = lint.problems.len();
    for trigger in &around.triggers {
        if let Some(ty) = head_type(head, around) {
            walk(lint, ty, rest, is_dot, trigger);
        }
        if lint.problems.len() > before {
            return;
        }
    }
}

/// The type of what a chain begins with.
fn head_type(head: &Expr, around: &Around) -> Option<Ty> {
    match head {
        Expr::Variable(name, ..) if name.1.as_str() == around.event => Some(Ty::Event),
        _ => None,
    }
}

fn walk(lint: &mut Lint, ty: Ty, rest: &Expr, is_dot: bool, trigger: &Trigger) {
    // `m["x"]` may be any parameter; what it gives is not known.
    if !is_dot {
        return;
    }
    let (step, next, next_is_dot) = match rest {
        Expr::Dot(chain, ..) => (&chain.lhs, Some(&chain.rhs), true),
        Expr::Index(chain, ..) => (&chain.lhs, Some(&chain.rhs), false),
        step => (step, None, true),
    };
    let found = match step {
        Expr::Property(property, at) => property_type(lint, ty, property.2.as_str(), *at, trigger),
        Expr::MethodCall(call, at) => method_type(lint, ty, call, *at, trigger),
        _ => None,
    };
    if let (Some(ty), Some(next)) = (found, next) {
        walk(lint, ty, next, next_is_dot, trigger);
    }
}

/// Types whose properties and verbs are all in the table.
fn is_ours(ty: Ty) -> bool {
    matches!(ty, Ty::Event | Ty::Member | Ty::Group)
}

/// What a maybe-type is where it is there.
fn present(ty: Ty) -> Ty {
    match ty {
        Ty::MaybeMember => Ty::Member,
        Ty::MaybeGroup => Ty::Group,
        ty => ty,
    }
}

fn property_type(
    lint: &mut Lint,
    ty: Ty,
    name: &str,
    at: Position,
    trigger: &Trigger,
) -> Option<Ty> {
    if !is_ours(ty) {
        return None;
    }
    let own = if ty == Ty::Event { params(trigger) } else { Vec::new() };
    if let Some((_, kind)) = own.iter().find(|(param, _)| *param == name) {
        return Some(match kind {
            ParamKind::User => Ty::Member,
            ParamKind::Group => Ty::Group,
            _ => Ty::Any,
        });
    }
    let shape = Shape::of(trigger);
    let rows = || api::rows().filter(|row| row.place == Place::On(ty));
    if let Some(row) = rows().find(|row| row.kind == Kind::Getter && row.name == name) {
        if !fits(row, shape) {
            lint.problem(at, out_of_place(row, shape));
            return None;
        }
        return Some(present(row.returns));
    }
    if rows().any(|row| row.name == name) {
        lint.problem(at, format!("`{name}` is a verb: call it, `{name}(…)`"));
        return None;
    }
    let names: Vec<&str> = rows()
        .filter(|row| row.kind == Kind::Getter && fits(row, shape))
        .map(|row| row.name)
        .chain(own.iter().map(|(name, _)| *name))
        .collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None => format!(": it has {}", names.join(", ")),
    };
    lint.problem(at, format!("{} has no `{name}`{hint}", owner(ty, shape)));
    None
}

fn method_type(
    lint: &mut Lint,
    ty: Ty,
    call: &FnCallExpr,
    at: Position,
    trigger: &Trigger,
) -> Option<Ty> {
    let name = call.name.as_str();
    if !is_ours(ty) {
        return None;
    }
    let shape = Shape::of(trigger);
    let rows = || api::rows().filter(|row| row.place == Place::On(ty));
    let own: Vec<&'static Row> =
        rows().filter(|row| row.kind == Kind::Function && row.name == name).collect();
    if let Some(row) = own.first() {
        if fits(row, shape) {
            arity(lint, &own, call.args.len(), at);
        } else {
            lint.problem(at, out_of_place(row, shape));
        }
        return None;
    }
    // A function of the script may be called on anything; `this` is the value.
    if lint.functions.contains_key(name) || matches!(name, "to_string" | "type_of") {
        return None;
    }
    if rows().any(|row| row.name == name) {
        lint.problem(at, format!("`{name}` is read, not called: write `.{name}` without `()`"));
        return None;
    }
    if is_global(name) || rows().all(|row| nearest(name, [row.name]).is_none()) && elsewhere(name) {
        // `method` in calls.rs says it for names that no value has.
        if elsewhere(name) {
            lint.problem(at, format!("{} has no verb `{name}`{}", owner(ty, shape), on_whom(name)));
        }
        return None;
    }
    let verbs = rows().filter(|row| row.kind == Kind::Function).map(|row| row.name);
    if let Some(near) = nearest(name, verbs)
        && (elsewhere(name) || api::builtin(name).is_some())
    {
        lint.problem(
            at,
            format!("{} has no verb `{name}`, did you mean `{near}`?", owner(ty, shape)),
        );
    }
    None
}

/// Whether another type has a verb of this name.
fn elsewhere(name: &str) -> bool {
    api::rows().any(|row| {
        matches!(row.place, Place::On(_)) && row.kind == Kind::Function && row.name == name
    })
}

/// Where that verb is.
fn on_whom(name: &str) -> String {
    let member = api::rows().any(|row| row.place == Place::On(Ty::Member) && row.name == name);
    if member {
        format!(": it belongs to a member, write `.member.{name}(…)`")
    } else {
        format!(": it belongs to the event, write `m.{name}(…)`")
    }
}

fn fits(row: &Row, shape: Shape) -> bool {
    row.place != Place::On(Ty::Event) || shape.offers(row.needs)
}

/// The owner of a property, in words.
fn owner(ty: Ty, shape: Shape) -> String {
    match ty {
        Ty::Event => format!("the event of `{}`", shape.word()),
        Ty::Member => "a member".to_owned(),
        _ => "a group".to_owned(),
    }
}
