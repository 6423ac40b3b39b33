//! Text that is not TOML at all, in words for people who do not know TOML.

use toml::de::Error;

use super::read::Reader;

impl Reader<'_> {
    /// Adds what the TOML parser found. What stands after the first broken place was guessed by
    /// the parser, so that problems found there would only confuse.
    pub(super) fn syntax(&mut self, errors: &[Error]) {
        let is_broken = |error: &&Error| error.message() != "duplicate key";
        if let Some(first) = errors.iter().filter(is_broken).map(|e| start(self.text, e)).min() {
            self.trust_until(self.text[..first].rfind('\n').map_or(0, |newline| newline + 1));
        }
        self.broken = !errors.is_empty();
        for error in errors {
            let at = start(self.text, error);
            // An open quote runs to the end of the file; its own line is enough to show.
            let line_end = self.text[at..].find('\n').map_or(self.text.len(), |length| at + length);
            let end = error.span().map_or(at, |span| span.end).clamp(at, line_end);
            let mut problem = if is_broken(&error) {
                self.error("", at..end, format!("not TOML: {}", error.message()))
            } else {
                let name = self.text.get(at..end).unwrap_or_default();
                self.error("", at..end, format!("`{name}` stands here for the second time"))
            };
            problem.help = next_step(error.message()).map(str::to_owned);
            self.note(problem);
        }
    }
}

/// What to do about the mistakes that people make most.
fn next_step(message: &str) -> Option<&'static str> {
    const STEPS: &[(&str, &str)] = &[
        ("duplicate key", "keep one of them, with everything that belongs to it"),
        ("string values must be quoted", "put the text between double quotes: `\"…\"`"),
        ("invalid basic string", "close the text with a double quote on the same line"),
        ("unclosed table", "close the head of the section: `[name]`"),
        ("unclosed array", "close the list with `]`"),
        ("unclosed inline table", "close the table with `}`"),
        ("invalid unquoted key", "put a name with other letters between quotes: `\"签到\" = …`"),
        ("key with no value", "write `name = value`"),
        ("missing value", "write a value after `=`"),
    ];
    STEPS.iter().find(|(start, _)| message.contains(start)).map(|(_, step)| *step)
}

/// Where an error of the parser begins; at a character, and at the end at the latest.
fn start(text: &str, error: &Error) -> usize {
    let mut at = error.span().map_or(0, |span| span.start).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
