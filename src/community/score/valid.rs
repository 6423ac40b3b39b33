//! What counts as a message: enough words of her own, once emoji, mentions and addresses are gone.

use crate::event::Element;

/// Ideographs and syllables that make a message.
const SIGNS: usize = 4;
/// Words that make one, where words have spaces between them.
const WORDS: usize = 2;
/// Characters that are looked at.
const LOOKED_AT: usize = 512;
/// Bigrams that are kept of a message, the smallest by their hash. The likeness is exact for
/// messages that have no more, an estimate for longer ones.
const KEPT: usize = 24;

/// What a message is recognised by: bigrams of what it says, hashed to 16 bits. Two that differ
/// look alike once in 65,536 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Sorted, no two the same.
    hashes: [u16; KEPT],
    len: u8,
}

impl Sketch {
    /// Likeness of two messages: the Jaccard index of their bigrams, in percent.
    pub fn likeness(&self, other: &Self) -> usize {
        let (one, two) = (self.hashes(), other.hashes());
        // Of two samples, only the smallest of both together are a sample of the union.
        let sample = if one.len() == KEPT || two.len() == KEPT { KEPT } else { 2 * KEPT };
        let (mut i, mut j, mut both, mut all) = (0, 0, 0, 0);
        while all < sample && (i < one.len() || j < two.len()) {
            let (a, b) = (one.get(i), two.get(j));
            let takes_one = b.is_none_or(|b| a.is_some_and(|a| a <= b));
            let takes_two = a.is_none_or(|a| b.is_some_and(|b| b <= a));
            i += usize::from(takes_one);
            j += usize::from(takes_two);
            both += usize::from(takes_one && takes_two);
            all += 1;
        }
        (both * 100).checked_div(all).unwrap_or(100)
    }

    fn hashes(&self) -> &[u16] {
        &self.hashes[..usize::from(self.len)]
    }
}

/// The sketch of a message that counts; `None` where it says too little.
pub fn sketch(elements: &[Element]) -> Option<Sketch> {
    let mut reader = Reader::default();
    for element in elements {
        match element {
            Element::Text(text) | Element::Code(text) => reader.read(text),
            Element::Link { title: Some(title), url } if title != url => reader.read(title),
            Element::Break => reader.end_word(),
            Element::Link { .. }
            | Element::Mention { .. }
            | Element::MentionAll
            | Element::Image { .. }
            | Element::File { .. }
            | Element::Emoji(_)
            | Element::Button { .. } => reader.end_word(),
        }
    }
    reader.end()
}

/// Reads letters and signs and lets the rest go by.
#[derive(Default)]
struct Reader {
    signs: usize,
    words: usize,
    is_in_word: bool,
    seen: usize,
    before: Option<char>,
    bigrams: Vec<u16>,
}

impl Reader {
    fn read(&mut self, text: &str) {
        self.end_word();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if self.seen >= LOOKED_AT {
                return;
            }
            let skipped = if self.is_in_word { 0 } else { skipped(rest) };
            if skipped > 0 {
                rest = &rest[skipped..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            self.seen += 1;
            self.take(c);
        }
        self.end_word();
    }

    fn take(&mut self, c: char) {
        if is_sign(c) {
            self.signs += 1;
            self.is_in_word = false;
        } else if c.is_alphanumeric() {
            self.words += usize::from(!self.is_in_word);
            self.is_in_word = true;
        } else {
            self.end_word();
            return;
        }
        let c = if c.is_ascii() { c.to_ascii_lowercase() } else { c };
        if let Some(before) = self.before.replace(c) {
            self.bigrams.push(hash(before, c));
        }
    }

    fn end_word(&mut self) {
        self.is_in_word = false;
    }

    fn end(mut self) -> Option<Sketch> {
        if self.signs < SIGNS && self.words < WORDS {
            return None;
        }
        self.bigrams.sort_unstable();
        self.bigrams.dedup();
        self.bigrams.truncate(KEPT);
        let mut sketch = Sketch { hashes: [0; KEPT], len: self.bigrams.len() as u8 };
        sketch.hashes[..self.bigrams.len()].copy_from_slice(&self.bigrams);
        Some(sketch)
    }
}

/// Bytes of an address or a mention at the start of a text.
fn skipped(text: &str) -> usize {
    let bytes = text.as_bytes();
    let begins = |word: &str| {
        bytes.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    };
    let ends = match bytes[0] {
        b'h' | b'H' if begins("http://") || begins("https://") => |c: char| !c.is_ascii_graphic(),
        b'w' | b'W' if begins("www.") => |c: char| !c.is_ascii_graphic(),
        b'@' => char::is_whitespace,
        _ => return 0,
    };
    text.find(ends).unwrap_or(text.len())
}

/// A character that is a word or a syllable by itself.
fn is_sign(c: char) -> bool {
    matches!(c,
        '\u{3041}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// Multiplicative hashing (Knuth); the upper bits are the good ones.
fn hash(one: char, two: char) -> u16 {
    let both = u64::from(u32::from(one)) << 32 | u64::from(u32::from(two));
    (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::id::Ref;

    fn of(text: &str) -> Option<Sketch> {
        sketch(&[Element::Text(text.to_owned())])
    }

    #[test]
    fn four_signs_or_two_words() {
        for text in ["大家早上好", "今天吃什么", "good morning", "ok 好的 thanks", "どこですか"]
        {
            assert!(of(text).is_some(), "{text}");
        }
        for text in [
            "",
            "早",
            "哈哈哈",
            "ok",
            "👍👍👍👍👍",
            "❤️🧧🎉!!!",
            "https://example.com/a/b/c?d=e",
            "看 https://example.com/一二三四",
            "www.example.com",
            "@小红 @老王 早",
            "。。。。。。。",
        ] {
            // The address ends where ASCII ends, so that text without a space is read.
            let wanted = text.contains("一二三四");
            assert_eq!(of(text).is_some(), wanted, "{text}");
        }
        let mention =
            Element::Mention { id: Ref::new("a", "b"), name: "很长的名字".to_owned() };
        assert_eq!(sketch(&[mention, Element::Text("早".to_owned())]), None);
    }

    #[test]
    fn likeness_is_that_of_the_bigrams() {
        let (one, two) = (of("今天天气真不错").unwrap(), of("今天天气真糟糕").unwrap());
        assert_eq!(one.likeness(&one), 100);
        assert_eq!(one.likeness(&two), 4 * 100 / 8);
        assert!(of(&"今天天气真不错我们去公园".repeat(40)).is_some());
    }

    fn exact(one: &str, two: &str) -> f64 {
        let bigrams = |text: &str| {
            let signs: Vec<char> = text.chars().collect();
            signs.windows(2).map(|pair| (pair[0], pair[1])).collect::<BTreeSet<_>>()
        };
        let (one, two) = (bigrams(one), bigrams(two));
        one.intersection(&two).count() as f64 / one.union(&two).count().max(1) as f64
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*") {
            of(&text);
        }

        #[test]
        fn it_is_the_jaccard_index(one in "[一-丐]{4,20}", two in "[一-丐]{4,20}") {
            let got = of(&one).unwrap().likeness(&of(&two).unwrap()) as f64 / 100.0;
            // Hashes may collide, hundredths are cut off.
            prop_assert!((got - exact(&one, &two)).abs() < 0.08, "{got}");
        }
    }
}
