//! Finds what looks like a secret in a text that may not even be TOML.
//!
//! Places of parsed values are known exactly; this is for lines that could not be parsed, and for
//! keys that only look like a secret's.

use std::ops::Range;

use crate::adapter::{AdapterKind, AdapterSpec};

/// Words that make a key a secret, whatever section it stands in.
const WORDS: &[&str] =
    &["token", "secret", "passw", "api_key", "apikey", "access_key", "credential", "private_key"];

/// Values of keys that look like secrets, and whole values on `broken` lines of adapters.
pub(super) fn suspects(
    text: &str,
    adapters: &[AdapterSpec],
    broken: &[usize],
) -> Vec<Range<usize>> {
    let declared: Vec<&str> = adapters
        .iter()
        .flat_map(|spec| spec.keys)
        .filter(|key| key.kind == AdapterKind::Secret)
        .map(|key| key.name)
        .collect();
    let mut masks = Vec::new();
    let mut in_adapters = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        if line.trim_start().starts_with('[') {
            in_adapters = line.contains("adapters");
        }
        let is_broken = broken.iter().any(|at| (start..=start + line.len()).contains(at));
        for (at, _) in line.match_indices('=') {
            let key = last_key(&line[..at]);
            let suspect = declared.contains(&key.as_str())
                || WORDS.iter().any(|word| key.contains(word))
                || (in_adapters && is_broken);
            let value = line[at + 1..].trim();
            if suspect && !value.is_empty() && !is_pointer(value) {
                let from =
                    start + at + 1 + (line[at + 1..].len() - line[at + 1..].trim_start().len());
                masks.push(from..end);
            }
        }
        start += line.len();
    }
    masks
}

/// The last part of the key that ends here.
fn last_key(before: &str) -> String {
    let ends = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-');
    let quotes = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let key = before.trim_end_matches(quotes);
    key.rsplit(ends).next().unwrap_or_default().to_lowercase()
}

/// Whether the value only says where a secret is kept.
fn is_pointer(value: &str) -> bool {
    let closed = |rest: &str, end: &str| {
        rest.split_once(end).is_some_and(|(_, after)| {
            let after = after.trim();
            after.is_empty() || after.starts_with(['#', '}', ','])
        })
    };
    value.strip_prefix("\"${").is_some_and(|rest| closed(rest, "}\""))
        || value.strip_prefix("\"file:").is_some_and(|rest| closed(rest, "\""))
        || matches!(value, "true" | "false")
}

#[cfg(test)]
mod tests {
    use super::suspects;

    #[test]
    fn hides_what_looks_like_a_secret() {
        let check = |text: &str, hidden: &[&str]| {
            let found = suspects(text, &[], &[]);
            let found: Vec<_> = found.into_iter().map(|span| &text[span]).collect();
            assert_eq!(found, hidden, "{text}");
        };
        check("token = \"hunter2", &["\"hunter2"]);
        check("\"bot-token\" = 'hunter2' # mine\n", &["'hunter2' # mine"]);
        check("x = { password = \"hunter2\" }\n", &["\"hunter2\" }"]);
        check("token = \"${TOKEN}\" # fine\n", &[]);
        check("token = \"file:t\"\n", &[]);
        check("name = \"token\"\n", &[]);
    }

    #[test]
    fn hides_broken_lines_of_adapters() {
        let text = "[adapters.onebot]\ntokn = \"hunter2\nurl = 1\n";
        let found = suspects(text, &[], &[33]);
        assert_eq!(found.into_iter().map(|span| &text[span]).collect::<Vec<_>>(), ["\"hunter2"]);
    }
}
