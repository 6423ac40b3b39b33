//! What is wrong with a script that parses: names, places, permissions.
//!
//! It does not promise type checking, because Rhai is dynamic: a chain is followed only where it
//! begins with the event of a handler.

mod calls;
mod chains;
mod lists;
mod literals;
mod names;
mod permission;
mod this;
mod toplevel;
mod walk;

use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{AST, Position};

use super::api::{self, Place, Shape};
use super::manifest::error_at;
use super::protocol::{Manifest, ParamKind, ScriptError, Source, Trigger};

pub(super) use lists::named as named_lists;
pub use lists::unknown_lists;
pub use names::nearest;
pub(super) use names::{function_names, is_space, unknown_space};

/// Lints one script. `complete` says that its whole top level was evaluated, so that what is not
/// in the manifest is not in the script.
pub(super) fn script(
    ast: &AST,
    manifest: &Manifest,
    complete: bool,
    source: &Source,
) -> Vec<ScriptError> {
    let mut lint = Lint::new(ast, manifest, complete, source);
    toplevel::check(&mut lint);
    names::check(&mut lint);
    walk::check(&mut lint);
    permission::check(&mut lint);
    lint.problems
}

/// Verbs that two scripts want; each clash is told once, at the second of the two.
pub fn clashes(manifests: &[Manifest]) -> Vec<ScriptError> {
    let mut owners: BTreeMap<&str, (&Manifest, usize)> = BTreeMap::new();
    let mut problems = Vec::new();
    for manifest in manifests {
        for handler in &manifest.handlers {
            let Trigger::Command(command) = &handler.trigger else { continue };
            for verb in std::iter::once(&command.verb).chain(&command.alias) {
                match owners.get(verb.as_str()) {
                    Some((owner, line)) if owner.name != manifest.name => problems.push(ScriptError {
                        path: manifest.path.clone(),
                        line: handler.line,
                        column: 1,
                        message: format!(
                            "the command `{verb}` belongs to {}:{line} already: choose another verb, or switch one of the two off in config.toml",
                            owner.path
                        ),
                        limit: None,
                    }),
                    Some(_) => {}
                    None => {
                        owners.insert(verb, (manifest, handler.line));
                    }
                }
            }
        }
    }
    problems
}

/// One script under the lint.
struct Lint<'a> {
    ast: &'a AST,
    manifest: &'a Manifest,
    complete: bool,
    path: &'a str,
    /// What each function is a handler of, by its name.
    handlers: BTreeMap<&'a str, Vec<&'a Trigger>>,
    /// The script's own functions, by name, with their numbers of parameters.
    functions: BTreeMap<String, Vec<usize>>,
    /// Their bodies.
    bodies: Rc<[Body]>,
    problems: Vec<ScriptError>,
}

/// One function of the script, anonymous ones among them.
struct Body {
    name: String,
    /// Its first parameter.
    event: String,
    /// Its statements, as a tree without anything else: Rhai shows the statements of a function
    /// in no other way.
    ast: AST,
    at: Position,
}

impl<'a> Lint<'a> {
    fn new(ast: &'a AST, manifest: &'a Manifest, complete: bool, source: &'a Source) -> Self {
        let mut handlers: BTreeMap<&str, Vec<&Trigger>> = BTreeMap::new();
        for handler in &manifest.handlers {
            handlers.entry(&handler.function).or_default().push(&handler.trigger);
        }
        let mut functions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for function in ast.iter_fn_def() {
            functions.entry(function.name.to_string()).or_default().push(function.params.len());
        }
        let bodies = ast.iter_fn_def().map(|function| Body {
            name: function.name.to_string(),
            event: function.params.first().map(ToString::to_string).unwrap_or_default(),
            ast: alone(ast, &function.name, function.params.len()),
            at: named(&source.text, &function.name).unwrap_or(function.body.start_position()),
        });
        Self {
            ast,
            manifest,
            complete,
            path: &source.path,
            handlers,
            functions,
            bodies: bodies.collect(),
            problems: Vec::new(),
        }
    }

    /// Notes a problem.
    fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(error_at(self.path, at, message.into()));
    }

    /// Handlers are told apart from functions by having a trigger. Triggers that give the same kind
    /// of event are one: what is wrong with the handler is the same for all of them.
    fn triggers(&self, function: &str) -> Vec<&'a Trigger> {
        let mut found: Vec<&Trigger> = Vec::new();
        for trigger in self.handlers.get(function).into_iter().flatten() {
            let same = |other: &&Trigger| {
                Shape::of(other) == Shape::of(trigger) && params(other) == params(trigger)
            };
            if !found.iter().any(same) {
                found.push(trigger);
            }
        }
        found
    }
}

/// Where a function's name stands: Rhai keeps only the place of its body.
fn named(text: &str, name: &str) -> Option<Position> {
    text.lines().enumerate().find_map(|(index, line)| {
        let after = line.trim_start().strip_prefix("fn ")?.trim_start();
        let rest = after.strip_prefix(name)?.trim_start();
        if !rest.starts_with('(') {
            return None;
        }
        let column = line.chars().count() - after.chars().count() + 1;
        Some(Position::new(u16::try_from(index + 1).ok()?, u16::try_from(column).ok()?))
    })
}

/// One function of a script without the rest. (`clone_functions_only_filtered` of Rhai 1.27.0 does
/// not filter when it copies into an empty module, so the copy is thinned out instead.)
fn alone(ast: &AST, name: &str, params: usize) -> AST {
    let mut copy = ast.clone_functions_only();
    copy.retain_functions(|_, _, own, count| own == name && count == params);
    copy
}

/// Parameters of a command with their types.
fn params(trigger: &Trigger) -> Vec<(&str, ParamKind)> {
    match trigger {
        Trigger::Command(command) => {
            command.params.iter().map(|param| (param.name.as_str(), param.kind)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a bare name is called like something of the API.
fn is_global(name: &str) -> bool {
    api::rows().any(|row| row.place == Place::Global && row.name == name)
}

/// The usual name of the event, for examples.
fn event_word(shape: Shape) -> &'static str {
    match shape {
        Shape::Command => "c",
        Shape::Timer => "t",
        _ => "m",
    }
}
