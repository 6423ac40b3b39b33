//! How a script ended, from what Rhai gives back.

use rhai::{Dynamic, EvalAltResult, Position};

use super::convert::text_of;
use super::diagnostic::shortened;
use super::lint::nearest;
use super::manifest::error_at;
use super::protocol::{RunEnd, ScriptError};
use super::session::End;
use super::types::RefusalRef;

/// How a handler ended.
pub(super) enum Ended {
    /// By itself, or as it must: effects, refusal or failure.
    Run(RunEnd),
    /// By `stop()`.
    Stop,
    /// The whole turn must run again.
    Restart,
}

/// Reads Rhai's result. `end` is why the session ended the script, if it did.
pub(super) fn ended(
    result: Result<Dynamic, Box<EvalAltResult>>,
    end: Option<End>,
    path: &str,
) -> Ended {
    let error = match result {
        // A limit that was hit just before the end, in a value that was still returned, counts.
        Ok(_) if end.is_none() => return Ended::Run(RunEnd::Ok),
        Ok(_) => Box::new(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE)),
        Err(error) => error,
    };
    match end {
        Some(End::Stop) => return Ended::Stop,
        Some(End::Restart) => return Ended::Restart,
        Some(End::Limit { .. }) | None => {}
    }
    if let EvalAltResult::ErrorRuntime(value, _) = error.unwrap_inner()
        && let Some(refusal) = value.read_lock::<RefusalRef>()
    {
        return Ended::Run(RunEnd::Refused((*refusal.0).clone()));
    }
    Ended::Run(RunEnd::Failed(failure(&error, end, path)))
}

/// An error in words, with its innermost place.
pub(super) fn failure(error: &EvalAltResult, end: Option<End>, path: &str) -> ScriptError {
    let inner = error.unwrap_inner();
    let at = if inner.position().is_none() { error.position() } else { inner.position() };
    let (message, limit) = match end {
        Some(End::Limit { name, message }) => (message, Some(name)),
        Some(End::Stop | End::Restart) | None => words(inner),
    };
    ScriptError { limit, ..error_at(path, at, message) }
}

/// What Rhai means, as a sentence, and the name of the limit if it was one.
fn words(error: &EvalAltResult) -> (String, Option<String>) {
    match limit(error) {
        Some((name, message)) => (message.to_owned(), Some(name.to_owned())),
        None => (mistake(error), None),
    }
}

/// Limits that Rhai holds itself.
fn limit(error: &EvalAltResult) -> Option<(&'static str, &'static str)> {
    use EvalAltResult as E;
    Some(match error {
        E::ErrorStackOverflow(_) => {
            ("call_depth", "functions call each other too deeply: use a loop")
        }
        E::ErrorTooManyOperations(_) => {
            ("operations", "this handler took too many operations: do less at once")
        }
        E::ErrorTooManyVariables(_) => {
            ("variables", "too many variables at once: keep them in an array or map")
        }
        E::ErrorTerminated(..) => ("operations", "this handler was ended: do less at once"),
        E::ErrorDataTooLarge(what, _) if what.contains("tring") => {
            ("string_bytes", "this text became too long: keep it shorter")
        }
        E::ErrorDataTooLarge(..) => {
            ("entries", "this array or map became too large: keep fewer entries")
        }
        _ => return None,
    })
}

/// Mistakes of the script.
fn mistake(error: &EvalAltResult) -> String {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(value, _) => thrown(value),
        E::ErrorFunctionNotFound(signature, _) => not_found(signature),
        E::ErrorVariableNotFound(name, _) => format!("`{name}` is not defined here"),
        E::ErrorPropertyNotFound(name, _) => format!("there is no `{name}` on this value"),
        E::ErrorIndexNotFound(index, _) => {
            format!("there is no entry `{index}`: check with `contains` first")
        }
        E::ErrorArrayBounds(0, index, _) => {
            format!("there is no entry {index}: the array is empty")
        }
        E::ErrorArrayBounds(len, index, _) => {
            format!("there is no entry {index}: the array has {len}, counted from 0")
        }
        E::ErrorArithmetic(text, _) => format!("this cannot be calculated: {}", lower(text)),
        E::ErrorMismatchDataType(expected, got, _)
        | E::ErrorMismatchOutputType(expected, got, _) => format!("expected {expected}, got {got}"),
        other => lower(&bare(other)),
    }
}

/// What `throw` gave.
fn thrown(value: &Dynamic) -> String {
    text_of(value).unwrap_or_else(|| shortened(&format_args!("the script threw {value}")))
}

/// `foo (i64, &str)` → a sentence.
fn not_found(signature: &str) -> String {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
    let types = types.trim_end_matches(')');
    if let Some(property) = name.strip_prefix("get$") {
        return format!("a {types} has no `{property}`");
    }
    if types.is_empty() {
        let hint = nearest(name, super::lint::function_names().iter().map(String::as_str))
            .filter(|near| *near != name)
            .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
        return format!("there is no function `{name}` without arguments{hint}");
    }
    format!("`{name}` does not work on ({types})")
}

/// Rhai's text without its place.
fn bare(error: &EvalAltResult) -> String {
    let text = error.to_string();
    text.split(" (line ").next().unwrap_or(&text).to_owned()
}

/// Our sentences go on after a path, so they begin small.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
