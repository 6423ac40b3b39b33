//! Calls by name: unknown functions, wrong numbers of arguments, registration in handlers.

use rhai::{FnCallExpr, Position};

use super::super::api::{self, LATER_FUNCTIONS, Needs, Place, Row};
use super::names::{is_space, nearest, unknown_space};
use super::walk::Around;
use super::{Lint, event_word, is_global};

/// `name(…)` or `space::name(…)`.
pub(super) fn function(lint: &mut Lint, call: &FnCallExpr, at: Position, around: &Around) {
    if call.is_operator_call() {
        return;
    }
    let (name, count) = (call.name.as_str(), call.args.len());
    let space = call.namespace.to_string();
    if !space.is_empty() {
        return qualified(lint, &space, name, count, at);
    }
    let own: Vec<&'static Row> =
        api::rows().filter(|row| row.place == Place::Global && row.name == name).collect();
    if !own.is_empty() {
        if around.in_function && own.iter().all(|row| row.needs == Needs::TopLevel) {
            lint.problem(
                at,
                format!(
                    "`{name}` registers and works at the top level only: move it out of the handler"
                ),
            );
        } else {
            arity(lint, &own, count, at);
        }
        return;
    }
    if let Some(arities) = lint.functions.get(name) {
        if !arities.contains(&count) {
            let takes = counts(arities.iter().copied());
            lint.problem(
                at,
                format!("`{name}` takes {takes}, got {count}: see its `fn` in this script"),
            );
        }
        return;
    }
    if let Some((least, most)) = api::builtin(name) {
        if count < least || count > most {
            let takes = counts(least..=most);
            lint.problem(at, format!("`{name}` takes {takes}, got {count}"));
        }
        return;
    }
    let message = unknown(lint, name, count, around);
    lint.problem(at, message);
}

/// `space::name(…)`
fn qualified(lint: &mut Lint, space: &str, name: &str, count: usize, at: Position) {
    if !is_space(space) {
        // The place is that of the function; the namespace stands before it.
        let column = at.position().and_then(|column| column.checked_sub(space.chars().count() + 2));
        let place =
            at.line().zip(column.filter(|column| *column > 0)).and_then(|(line, column)| {
                Some(Position::new(u16::try_from(line).ok()?, u16::try_from(column).ok()?))
            });
        return lint.problem(place.unwrap_or(at), unknown_space(space));
    }
    let all = || api::rows().filter(|row| matches!(row.place, Place::In(own) if own == space));
    let own: Vec<&'static Row> = all().filter(|row| row.name == name).collect();
    if !own.is_empty() {
        return arity(lint, &own, count, at);
    }
    let names = || all().map(|row| row.name);
    let hint = nearest(name, names()).map_or_else(
        || format!(": there are {}", names().collect::<Vec<_>>().join(", ")),
        |near| format!(", did you mean `{space}::{near}`?"),
    );
    lint.problem(at, format!("there is no `{space}::{name}`{hint}"));
}

/// Whether one of the rows takes this many arguments.
pub(super) fn arity(lint: &mut Lint, rows: &[&'static Row], count: usize, at: Position) {
    if rows.iter().any(|row| row.least() <= count && count <= row.params.len()) {
        return;
    }
    let Some(row) = rows.first() else { return };
    let takes = counts(rows.iter().flat_map(|row| row.least()..=row.params.len()));
    let names: Vec<String> = rows
        .iter()
        .max_by_key(|row| row.params.len())
        .into_iter()
        .flat_map(|row| row.params)
        .map(|par| if par.optional { format!("[{}]", par.name) } else { par.name.to_owned() })
        .collect();
    let name = match row.place {
        Place::On(_) => row.name.to_owned(),
        _ => row.full_name(),
    };
    lint.problem(
        at,
        format!("`{name}` takes {takes}, got {count}: write `{name}({})`", names.join(", ")),
    );
}

/// `2 arguments`, `2 to 4 arguments`, `1 or 3 arguments`.
fn counts(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut numbers: Vec<usize> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let (first, last) =
        (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0));
    let plural = if last == 1 { "" } else { "s" };
    let range = if first == last {
        if last == 0 { "no".to_owned() } else { last.to_string() }
    } else if last - first == 1 {
        format!("{first} or {last}")
    } else {
        format!("{first} to {last}")
    };
    format!("{range} argument{plural}")
}

/// The sentence for a bare name that nobody knows.
fn unknown(lint: &Lint, name: &str, count: usize, around: &Around) -> String {
    if LATER_FUNCTIONS.contains(&name) {
        return format!("`{name}` comes with a later version of Qundao: leave it out for now");
    }
    if matches!(name, "sleep" | "exit" | "timestamp" | "parse_json" | "eval") {
        let next = match name {
            "sleep" => "use `after(delay, name)` and `on_timer`",
            "exit" => "use `return`, or `stop()` to end later handlers too",
            "timestamp" => "use `now()`",
            _ => "scripts take their data from the event and from state::",
        };
        return format!("there is no `{name}` here: {next}");
    }
    let verb = api::rows().find(|row| matches!(row.place, Place::On(_)) && row.name == name);
    if let Some(verb) = verb {
        let event = if around.event.is_empty() {
            around.shapes().first().map_or("m", |shape| event_word(*shape))
        } else {
            around.event
        };
        let receiver = match verb.place {
            Place::On(api::Ty::Member) => format!("{event}.member"),
            _ => event.to_owned(),
        };
        let parens = if verb.kind == api::Kind::Function { "(…)" } else { "" };
        return format!("`{name}` stands after a dot: write `{receiver}.{name}{parens}`");
    }
    let own = lint.functions.keys().map(String::as_str).filter(|own| !own.starts_with("anon$"));
    let globals = api::rows().filter(|row| row.place == Place::Global).map(|row| row.name);
    let mut names: Vec<&str> = globals.chain(api::builtin_names()).collect();
    names.extend(own);
    let hint = nearest(name, names);
    match hint {
        Some(near) => format!("there is no function `{name}`, did you mean `{near}`?"),
        None => format!(
            "there is no function `{name}` with {}: see api.d.rhai for what there is, or define it with `fn`",
            counts([count])
        ),
    }
}

/// `value.name(…)` where nothing is known of the value: the name must be one that some value has.
pub(super) fn method(lint: &mut Lint, call: &FnCallExpr, at: Position) {
    let (name, count) = (call.name.as_str(), call.args.len());
    let rows: Vec<&'static Row> =
        api::rows().filter(|row| matches!(row.place, Place::On(_)) && row.name == name).collect();
    let known =
        api::builtin(name).is_some() || lint.functions.contains_key(name) || !rows.is_empty();
    if known {
        return;
    }
    let names = api::rows()
        .filter(|row| matches!(row.place, Place::On(_)) && row.kind == api::Kind::Function)
        .map(|row| row.name)
        .chain(api::builtin_names());
    let message = if is_global(name) {
        format!("`{name}` does not stand after a dot: write `{name}(…)`")
    } else {
        let hint = nearest(name, names).map_or_else(
            || ": see api.d.rhai for what there is".to_owned(),
            |near| format!(", did you mean `{near}`?"),
        );
        format!("no value has `{name}` with {}{hint}", counts([count]))
    };
    lint.problem(at, message);
}
