//! Finds what looks like a secret in a text that may not even be TOML.
//!
//! Places of parsed values are known exactly; this is for lines that could not be parsed, and for
//! keys that only look like a secret's.

use std::ops::Range;

use crate::adapter::{AdapterKind, AdapterSpec};

/// Words that make a key a secret, whatever section it stands in.
const WORDS: &[&str] =
    &["token", "secret", "passw", "api_key", "apikey", "access_key", "credential", "private_key"];

/// Values of keys that look like secrets; and where the file is `broken`, everything that adapters
/// are told, since a slip may have turned a secret into anything.
pub(super) fn suspects(text: &str, adapters: &[AdapterSpec], broken: bool) -> Vec<Range<usize>> {
    let keys = adapters.iter().flat_map(|spec| spec.keys);
    let declared: Vec<&str> =
        keys.filter(|key| key.kind == AdapterKind::Secret).map(|key| key.name).collect();
    let mut masks = Vec::new();
    let mut in_adapters = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_end();
        let is_head = !line.contains('=') && (line.starts_with('[') || trimmed.ends_with(']'));
        if is_head || line.contains("adapters") {
            in_adapters = line.contains("adapters");
        }
        // A setting that was commented out may hang on to the head.
        if in_adapters && let Some(end) = trimmed.find(']').filter(|_| trimmed.starts_with('[')) {
            masks.push(start + end + 1..start + trimmed.len());
        }
        let all = (broken && in_adapters && !is_head).then(|| after_word(trimmed));
        let from = all.or_else(|| value_of_secret(trimmed, &declared));
        masks.extend(from.map(|from| start + from..start + trimmed.len()));
        start += line.len();
    }
    masks.retain(|mask| {
        !mask.is_empty() && !is_pointer(text[mask.clone()].trim_start_matches([' ', '=']))
    });
    masks
}

/// Where a line goes on after `name =`; its start where it is nothing of that kind.
fn after_word(line: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let indent = line.len() - line.trim_start_matches([' ', '\t', '[']).len();
    let word = line[indent..].find(|c| !is_word(c)).unwrap_or_default();
    let rest = line[indent + word..].trim_start();
    if word == 0 || !rest.starts_with('=') {
        return 0;
    }
    line.len() - rest.trim_start_matches(['=', ' ']).len()
}

/// Where the value of a secret's key begins.
fn value_of_secret(line: &str, declared: &[&str]) -> Option<usize> {
    line.match_indices('=').find_map(|(at, _)| {
        let key = last_key(&line[..at]);
        let is_secret =
            declared.contains(&key.as_str()) || WORDS.iter().any(|word| key.contains(word));
        let value = line[at + 1..].trim_start();
        (is_secret && !value.is_empty() && !is_pointer(value)).then(|| line.len() - value.len())
    })
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
            let found = suspects(text, &[], false);
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
    fn hides_all_that_adapters_are_told_in_a_broken_file() {
        let text = "[adapters.onebot]\ntokn = \"hunter2\nurl = 1\n";
        let found = suspects(text, &[], true);
        assert_eq!(
            found.into_iter().map(|span| &text[span]).collect::<Vec<_>>(),
            ["\"hunter2", "1"]
        );
    }
}
