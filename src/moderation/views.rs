//! A text as a matcher should see it: without the tricks that hide words from it.
//!
//! Two views, because each misses what the other catches: *as is* keeps separators, so that words
//! with spaces match; *joined* drops them, so that `加 微-信` reads `加微信`.

use unicode_normalization::UnicodeNormalization;

/// Both views of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// As is.
    pub as_is: String,
    /// Joined, where that is another text.
    pub joined: Option<String>,
}

impl Views {
    /// The views of a text.
    pub fn of(text: &str) -> Self {
        let as_is = as_is(text);
        let has_separators = as_is.chars().any(|c| !c.is_alphanumeric());
        let joined = has_separators.then(|| joined(&as_is));
        Self { as_is, joined }
    }

    /// The joined view.
    pub fn joined(&self) -> &str {
        self.joined.as_deref().unwrap_or(&self.as_is)
    }
}

/// NFKC, lower case, nothing invisible.
pub fn as_is(text: &str) -> String {
    simple(text).unwrap_or_else(|| thorough(text))
}

/// The same for what most chats consist of, at a tenth of the cost: `None` where a character could
/// need more than a look at itself.
fn simple(text: &str) -> Option<String> {
    let mut view = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => view.push(c),
            _ if c.is_ascii_control() => {}
            _ if c.is_ascii() => view.push(c.to_ascii_lowercase()),
            // Ideographs, kana that combine with nothing, brackets, quotation marks, pictures.
            '\u{4e00}'..='\u{9fff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{3001}'..='\u{3003}'
            | '\u{3008}'..='\u{3011}'
            | '\u{3041}'..='\u{3096}'
            | '\u{30a1}'..='\u{30fa}'
            | '\u{2014}'
            | '\u{2018}'..='\u{2019}'
            | '\u{201c}'..='\u{201d}'
            | '\u{1f300}'..='\u{1f64f}' => view.push(c),
            // Full-width forms of what is visible in ASCII.
            '\u{ff01}'..='\u{ff5e}' => {
                let plain = u8::try_from(u32::from(c) - 0xfee0).ok()?;
                view.push(char::from(plain.to_ascii_lowercase()));
            }
            _ => return None,
        }
    }
    Some(view)
}

fn thorough(text: &str) -> String {
    text.nfkc().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).collect()
}

/// A view as is without separators, punctuation and symbols.
pub fn joined(as_is: &str) -> String {
    as_is.chars().filter(|c| c.is_alphanumeric()).collect()
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
    use proptest::prelude::*;

    use super::{Views, as_is, joined, simple, thorough};

    #[test]
    fn sees_through_width_case_and_invisible_characters() {
        assert_eq!(as_is("\u{ff37}e\u{200b}C\u{fe0f}hat"), "wechat");
        assert_eq!(joined(&as_is("加 微-信🧧V。X")), "加微信vx");
    }

    #[test]
    fn a_text_without_separators_has_one_view() {
        assert_eq!(Views::of("加微信").joined, None);
        assert_eq!(Views::of("加微信！").joined(), "加微信");
    }

    #[test]
    fn the_short_way_and_the_long_way_agree_on_every_character() {
        let mut short = 0;
        for c in '\0'..=char::MAX {
            let text = format!("微{c}x{c}");
            if let Some(view) = simple(&text) {
                assert_eq!(view, thorough(&text), "{:04x}", u32::from(c));
                short += 1;
            }
        }
        assert!(short > 25_000, "{short}");
    }

    proptest! {
        #[test]
        fn they_agree_on_texts(text in "[ -~，。！？Ａ-ｚ一-龥ぁ-ゖァ-ヺ“”🌀-🙏]{0,40}") {
            prop_assert_eq!(simple(&text), Some(thorough(&text)));
        }
    }
}
