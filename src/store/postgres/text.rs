//! Texts as PostgreSQL can keep them: it has no character U+0000, which members may well send.

/// What stands for it.
const INSTEAD: &str = "\u{fffd}";

/// A text without U+0000.
pub(super) fn kept(text: String) -> String {
    if text.contains('\0') { text.replace('\0', INSTEAD) } else { text }
}

/// JSON whose texts are without U+0000, which stands there as `\u0000`.
pub(super) fn kept_json(json: String) -> String {
    if !json.contains("\\u0000") {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let is_null = rest[at..].starts_with("\\u0000");
        let length = if is_null { 6 } else { 2 };
        // An escape is of ASCII, and JSON never ends within one.
        let escape = rest.get(at..at + length).unwrap_or(&rest[at..]);
        out.push_str(if is_null { INSTEAD } else { escape });
        rest = &rest[at + escape.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{kept, kept_json};

    #[test]
    fn null_is_replaced_and_nothing_else() {
        assert_eq!(kept("a\0b".to_owned()), "a\u{fffd}b");
        assert_eq!(kept("a\\u0000b".to_owned()), "a\\u0000b");
        for text in ["a\0b", "\\\0", "\\u0000", "\"\\\\u0000\0\"", "红包\0", "\u{1}\n\\"] {
            let json = kept_json(serde_json::to_string(text).expect("JSON"));
            let back: String = serde_json::from_str(&json).expect("still JSON");
            assert_eq!(back, text.replace('\0', "\u{fffd}"), "{json}");
        }
    }
}
