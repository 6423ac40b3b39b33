//! The grammar of command patterns: `红包 <total:int> <count:int> [wish:text]`.
//!
//! Only the pattern is read here; matching it against what a member typed is the dispatcher's
//! part.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use rhai::is_valid_identifier;

use super::protocol::{Param, ParamKind};

/// Largest form of one compiled regular expression, bytes; `\w{40}` takes half of it.
const REGEX_BYTES: usize = 4 * 1024 * 1024;

/// Names that a parameter may not take, because they already mean something on every event.
const TAKEN: [&str; 3] = ["member", "group", "at"];

/// The words of the types, in the order in which they are documented.
const KINDS: [(&str, ParamKind); 8] = [
    ("int", ParamKind::Int),
    ("number", ParamKind::Number),
    ("text", ParamKind::Text),
    ("word", ParamKind::Word),
    ("user", ParamKind::User),
    ("group", ParamKind::Group),
    ("duration", ParamKind::Duration),
    ("date", ParamKind::Date),
];

/// Reads a pattern into its verb and parameters.
///
/// # Errors
/// One sentence that says what is wrong and how it is written.
pub fn parse(pattern: &str) -> Result<(String, Vec<Param>), String> {
    let mut words = pattern.split_whitespace();
    let verb =
        words.next().ok_or("the pattern is empty: begin it with the verb, `红包 <total:int>`")?;
    if verb.starts_with(['<', '[']) {
        return Err(format!(
            "a pattern begins with its verb, not with a parameter: `红包 {pattern}`"
        ));
    }
    check_verb(verb)?;
    let mut params: Vec<Param> = Vec::new();
    for word in words {
        let param = parameter(word)?;
        if let Some(last) = params.last() {
            if last.kind == ParamKind::Text {
                return Err(format!(
                    "`{}:text` takes the rest of the line, so it must come last: move `{word}` before it",
                    last.name
                ));
            }
            if !last.required && param.required {
                return Err(format!(
                    "`{word}` is required but follows the optional `[{}]`: put required parameters first",
                    last.name
                ));
            }
        }
        if params.iter().any(|other| other.name == param.name) {
            return Err(format!("the parameter `{}` is there twice: rename one", param.name));
        }
        params.push(param);
    }
    Ok((verb.to_owned(), params))
}

/// Compiles the pattern of `on_regex`, in the lint as in the dispatcher.
///
/// # Errors
/// What the compiler says; also for a pattern that is short but becomes huge.
pub fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build()
}

/// How many places of a text a pattern can be at, at once: the time that one character may take.
///
/// Rust's `regex` takes time linear in the text, but times this; and it runs on every message,
/// where nothing can end it.
pub fn places(pattern: &str) -> usize {
    regex_syntax::parse(pattern).map_or(0, |parsed| places_of(&parsed))
}

fn places_of(part: &Hir) -> usize {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Repetition(repeated) => {
            let times = repeated.max.unwrap_or(repeated.min.saturating_add(1)).max(1);
            places_of(&repeated.sub).saturating_mul(usize::try_from(times).unwrap_or(usize::MAX))
        }
        HirKind::Capture(group) => places_of(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(places_of).fold(0, usize::saturating_add)
        }
    }
}

/// Checks the form of a verb or alias.
///
/// # Errors
/// One sentence that says what is wrong.
pub fn check_verb(verb: &str) -> Result<(), String> {
    if verb.is_empty() || verb.chars().any(char::is_whitespace) {
        return Err(format!("`{verb}` cannot be a verb: a verb is one word without spaces"));
    }
    if verb.starts_with('/') {
        return Err(format!(
            "leave out the `/`: `{}` is found with and without it",
            verb.trim_start_matches('/')
        ));
    }
    if verb.contains(['<', '>', '[', ']']) {
        return Err(format!("put a space between the verb and its parameters in `{verb}`"));
    }
    Ok(())
}

/// Reads `<name:type>` or `[name:type]`.
fn parameter(word: &str) -> Result<Param, String> {
    let (inner, required) = if let Some(inner) = strip(word, '<', '>') {
        (inner, true)
    } else if let Some(inner) = strip(word, '[', ']') {
        (inner, false)
    } else {
        return Err(format!(
            "`{word}` is not a parameter: write `<{word}:int>` if it is required, `[{word}:text]` if not"
        ));
    };
    let (name, kind) = inner
        .split_once(':')
        .ok_or_else(|| format!("`{word}` has no type: write for example `<{inner}:int>`"))?;
    if !is_valid_identifier(name) || !name.is_ascii() {
        return Err(format!(
            "`{name}` cannot name a parameter: use a Latin name such as `total`, it is read as `c.total`"
        ));
    }
    if TAKEN.contains(&name) {
        return Err(format!(
            "`{name}` already means something on every event: choose another name, such as `target`"
        ));
    }
    let known = KINDS.iter().find(|(word, _)| *word == kind);
    let Some((_, kind)) = known else {
        let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
        let hint = super::lint::nearest(kind, words.iter().copied()).map_or_else(
            || format!("types are {}", words.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(format!("`{kind}` is not a type of parameter: {hint}"));
    };
    Ok(Param { name: name.to_owned(), kind: *kind, required })
}

/// What stands between two brackets.
fn strip(word: &str, open: char, close: char) -> Option<&str> {
    word.strip_prefix(open)?.strip_suffix(close)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::script::protocol::ParamKind;

    #[test]
    fn reads_the_pattern_of_the_red_packet() {
        let (verb, params) = parse("红包 <total:int> <count:int> [wish:text]").expect("pattern");
        assert_eq!(verb, "红包");
        let names: Vec<_> = params.iter().map(|p| (p.name.as_str(), p.kind, p.required)).collect();
        assert_eq!(
            names,
            [
                ("total", ParamKind::Int, true),
                ("count", ParamKind::Int, true),
                ("wish", ParamKind::Text, false)
            ]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (pattern, part) in [
            ("", "is empty"),
            ("<a:int>", "begins with its verb"),
            ("v a", "write `<a:int>`"),
            ("v <a>", "has no type"),
            ("v <a:itn>", "did you mean `int`"),
            ("v [a:int] <b:int>", "required parameters first"),
            ("v <a:text> <b:int>", "must come last"),
            ("v <a:int> <a:int>", "is there twice"),
            ("v <数:int>", "Latin name"),
            ("v <member:user>", "already means something"),
            ("/v", "leave out the `/`"),
        ] {
            let error = parse(pattern).expect_err(pattern);
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }
}
