//! Names written as texts: settings, keys of the catalogue, timers.

use rhai::{Expr, FnCallExpr, Position};

use super::super::api;
use super::super::protocol::Trigger;
use super::Lint;
use super::names::nearest;

pub(super) fn check(lint: &mut Lint, call: &FnCallExpr, at: Position) {
    if !call.namespace.to_string().is_empty() {
        return;
    }
    match call.name.as_str() {
        "cfg" => setting(lint, call, at),
        "text" => key(lint, call, at),
        "after" => timer(lint, call, at),
        _ => {}
    }
}

/// The argument at this place, if it is written out.
fn literal(call: &FnCallExpr, index: usize) -> Option<&str> {
    match call.args.get(index) {
        Some(Expr::StringConstant(text, _)) => Some(text),
        _ => None,
    }
}

fn setting(lint: &mut Lint, call: &FnCallExpr, at: Position) {
    let Some(name) = literal(call, 0) else { return };
    let declared = &lint.manifest.settings;
    if !lint.complete || declared.iter().any(|setting| setting.name == name) {
        return;
    }
    let hint = nearest(name, declared.iter().map(|setting| setting.name.as_str())).map_or_else(
        || format!("declare it with `setting(\"{name}\", …)` at the top"),
        |near| format!("did you mean `{near}`?"),
    );
    lint.problem(at, format!("there is no setting `{name}`: {hint}"));
}

fn key(lint: &mut Lint, call: &FnCallExpr, at: Position) {
    let Some(key) = literal(call, 0) else { return };
    if !crate::text::exists(key) {
        lint.problem(at, api::unknown_key(key));
    }
}

fn timer(lint: &mut Lint, call: &FnCallExpr, at: Position) {
    if let Some(delay) = literal(call, 0)
        && super::super::duration::parse(delay).is_none()
    {
        lint.problem(
            at,
            format!("\"{delay}\" is not a duration: write for example \"10m\" or \"2小时\""),
        );
    }
    let Some(name) = literal(call, 1) else { return };
    let names: Vec<&str> = lint
        .manifest
        .handlers
        .iter()
        .filter_map(|handler| match &handler.trigger {
            Trigger::Timer(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if !lint.complete || names.contains(&name) {
        return;
    }
    let hint = nearest(name, names).map_or_else(
        || format!("add `on_timer(\"{name}\", |t| {{ … }})`"),
        |near| format!("did you mean `{near}`?"),
    );
    lint.problem(at, format!("no `on_timer` of this script handles `{name}`: {hint}"));
}
