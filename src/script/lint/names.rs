//! Names: the nearest right one, namespaces, and names that a script may not take.

use super::super::api::{self, LATER_SPACES, Place};
use super::Lint;

/// Longest name that anybody mistypes; the distance of two texts takes their lengths multiplied.
const NAME_CHARS: usize = 64;

/// The name that was probably meant: near enough that a slip of the finger explains it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().take(NAME_CHARS + 1).count();
    if length > NAME_CHARS {
        return None;
    }
    let allowed = match length {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let found = known
        .into_iter()
        .filter(|candidate| candidate.len() <= 4 * NAME_CHARS)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed && *distance < length.max(2))
        .min_by_key(|(distance, candidate)| (*distance, candidate.len().abs_diff(name.len())));
    found.map(|(_, candidate)| candidate)
}

/// Names of namespaces.
pub(in crate::script) fn spaces() -> Vec<&'static str> {
    let mut spaces: Vec<&str> = api::rows()
        .filter_map(|row| match row.place {
            Place::In(space) => Some(space),
            Place::Global | Place::On(_) => None,
        })
        .collect();
    spaces.dedup();
    spaces
}

/// Whether this is a namespace.
pub(in crate::script) fn is_space(name: &str) -> bool {
    spaces().contains(&name)
}

/// The sentence for a namespace that does not exist.
pub(in crate::script) fn unknown_space(name: &str) -> String {
    if LATER_SPACES.contains(&name) {
        return format!("`{name}::` comes with a later version of Qundao: leave it out for now");
    }
    match nearest(name, spaces()) {
        Some(near) => format!("there is no namespace `{name}`, did you mean `{near}`?"),
        None => format!("there is no namespace `{name}`: there are {}", spaces().join(", ")),
    }
}

/// Bare names that can be called: the API's and Rhai's.
pub(in crate::script) fn function_names() -> Vec<String> {
    let global = api::rows().filter(|row| row.place == Place::Global).map(|row| row.name);
    global.chain(api::builtin_names()).map(str::to_owned).collect()
}

/// A script function may not have a name of the API, whatever its number of parameters: Rhai would
/// call it instead without a word.
pub(super) fn check(lint: &mut Lint) {
    for body in lint.bodies.clone().iter() {
        let (name, at) = (body.name.as_str(), body.at);
        if name.starts_with("anon$") {
            continue;
        }
        let taken = api::rows().any(|row| {
            row.name == name
                && row.kind == api::Kind::Function
                && !matches!(row.place, Place::In(_))
        });
        if taken || api::LATER_FUNCTIONS.contains(&name) {
            lint.problem(
                at,
                format!("the function `{name}` has a name of Qundao's own: rename it, `my_{name}`"),
            );
        } else if is_space(name) || LATER_SPACES.contains(&name) {
            lint.problem(
                at,
                format!(
                    "the function `{name}` has the name of a namespace: rename it, `my_{name}`"
                ),
            );
        } else if api::builtin(name).is_some() {
            lint.problem(at, format!("the function `{name}` has a name of the language itself: rename it, `my_{name}`"));
        }
    }
}
