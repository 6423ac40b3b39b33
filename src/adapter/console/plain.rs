//! What may reach a terminal: text without control characters.
//!
//! Members choose their names and words, and rules choose theirs. An escape sequence among them
//! could move the cursor, rewrite what was shown or retitle the window; so nothing is printed that
//! has not passed here, and the colours are added after it.

/// The text with line breaks and nothing else that a terminal would obey.
///
/// Control characters become nothing (a tab a space), and so do the marks that reverse the
/// direction of the rest of the line.
pub fn plain(text: &str) -> String {
    let unified = text.replace("\r\n", "\n");
    unified.chars().filter_map(shown).collect()
}

/// [`plain`] on one line: line breaks become spaces.
pub fn plain_line(text: &str) -> String {
    plain(text).replace('\n', " ")
}

fn shown(c: char) -> Option<char> {
    match c {
        '\n' => Some('\n'),
        '\t' => Some(' '),
        '\u{2028}' | '\u{2029}' => Some('\n'),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leaves_nothing_to_obey() {
        assert_eq!(plain("a\u{1b}[31mb\u{7}\u{9b}2Jc\td\r\ne"), "a[31mb2Jc d\ne");
        assert_eq!(plain("\u{202e}abc"), "abc");
        assert_eq!(plain_line("a\nb"), "a b");
        assert_eq!(plain("👨‍👩‍👧 好"), "👨‍👩‍👧 好");
    }

    proptest! {
        #[test]
        fn no_control_character_survives(text in any::<String>()) {
            prop_assert!(plain(&text).chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
