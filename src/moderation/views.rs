//! A text as a matcher should see it: without the tricks that hide words from it.
//!
//! Two views, because each misses what the other catches: *as is* keeps separators, so that words
//! with spaces match; *joined* drops them, so that `加 微-信` reads `加微信`.

use unicode_normalization::UnicodeNormalization;

/// A normalised text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The text.
    pub text: String,
}

/// NFKC, lower case, nothing invisible.
pub fn as_is(text: &str) -> View {
    View { text: text.nfkc().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).collect() }
}

/// [`as_is`] without separators, punctuation and symbols.
pub fn joined(view: &View) -> View {
    View { text: view.text.chars().filter(|c| c.is_alphanumeric()).collect() }
}

/// Zero-width characters, controls, direction marks and variation selectors.
fn is_invisible(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\n' | '\t');
    control
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::{as_is, joined};

    #[test]
    fn sees_through_width_case_and_invisible_characters() {
        assert_eq!(as_is("\u{ff37}e\u{200b}C\u{fe0f}hat").text, "wechat");
        assert_eq!(joined(&as_is("加 微-信🧧V。X")).text, "加微信vx");
    }
}
