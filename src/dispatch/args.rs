//! The text of a message as words with their places, and words as arguments.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::clock::TimeMs;
use crate::community::Community;
use crate::event::Element;
use crate::id::Ref;
use crate::script::duration;
use crate::script::protocol::ParamKind;
use crate::value::Value;

/// A message as one text, with the mentions in it.
#[derive(Debug, Default)]
pub struct Flat {
    /// The text; a mention reads `@name`.
    pub text: String,
    /// Byte ranges of mentions of others, and of whom.
    mentions: Vec<(usize, usize, Ref)>,
}

/// A word of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// In compatibility form, so that full-width letters and digits are plain.
    pub(super) text: String,
    /// Where it begins in [`Flat::text`].
    pub(super) start: usize,
    /// Whom it mentions.
    pub(super) mention: Option<Ref>,
}

/// Makes one text of the parts; mentions of the bot itself are left out.
pub fn flatten(elements: &[Element], bot: &Ref) -> Flat {
    let mut flat = Flat::default();
    for element in elements {
        match element {
            Element::Text(text) | Element::Code(text) | Element::Emoji(text) => {
                flat.text.push_str(text);
            }
            Element::Mention { id, .. } if id == bot => {}
            Element::Mention { id, name } => {
                let start = flat.text.len();
                flat.text.push('@');
                flat.text.push_str(name);
                flat.mentions.push((start, flat.text.len(), id.clone()));
            }
            Element::MentionAll => flat.text.push_str("@all"),
            Element::Link { url, .. } => flat.text.push_str(url),
            Element::Break => flat.text.push('\n'),
            Element::Image { .. } | Element::File { .. } | Element::Button { .. } => {}
        }
    }
    flat
}

impl Flat {
    /// The words, split at any white space (WeChat writes U+2005 after a name).
    pub(super) fn words(&self) -> impl Iterator<Item = Word> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.text.get(at..)?;
            let start = at + rest.len() - rest.trim_start().len();
            let (word, end) = self.word(start)?;
            at = end;
            Some(word)
        })
    }

    /// The word that begins here, and where it ends.
    fn word(&self, start: usize) -> Option<(Word, usize)> {
        if let Some((_, end, id)) = self.mentions.iter().find(|(begin, ..)| *begin == start) {
            let text = self.text.get(start..*end)?.to_owned();
            return Some((Word { text, start, mention: Some(id.clone()) }, *end));
        }
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let next_mention = self.mentions.iter().map(|(begin, ..)| *begin).find(|at| *at > start);
        let end = rest
            .find(char::is_whitespace)
            .map_or(self.text.len(), |length| start + length)
            .min(next_mention.unwrap_or(usize::MAX));
        let text = compatible(self.text.get(start..end)?);
        Some((Word { text, start, mention: None }, end))
    }
}

/// The compatibility form; what most people write is in it already.
fn compatible(text: &str) -> String {
    if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        return text.to_owned();
    }
    text.nfkc().collect()
}

/// Reads one argument; `None` when it does not fit.
pub(super) fn read(
    kind: ParamKind,
    word: &Word,
    community: &Community,
    now: TimeMs,
) -> Option<Value> {
    match kind {
        ParamKind::Int => whole_number(&word.text).map(Value::Int),
        ParamKind::Number => {
            let number: f64 = word.text.parse().ok()?;
            number.is_finite().then_some(Value::Float(number))
        }
        ParamKind::Word | ParamKind::Text => Some(word.text.as_str().into()),
        ParamKind::User => {
            let person = match &word.mention {
                Some(account) => community.member_by_ref(account).map(|(person, _)| person),
                None => community.member_by_name(&word.text),
            }?;
            community.view(person, now).map(Value::Member)
        }
        ParamKind::Group => Some(word.text.as_str().into()),
        ParamKind::Duration => duration::parse(&word.text).map(Value::Int),
        ParamKind::Date => chrono::NaiveDate::parse_from_str(&word.text, "%Y-%m-%d")
            .ok()
            .map(|date| date.to_string().into()),
    }
}

/// `^[1-9][0-9]{0,9}$`, or a Chinese number up to 99.
fn whole_number(text: &str) -> Option<i64> {
    let plain = text.len() <= 10
        && !text.starts_with('0')
        && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { chinese_number(text) }
}

/// 一 … 九十九.
fn chinese_number(text: &str) -> Option<i64> {
    let digit = |c: char| {
        "零一二三四五六七八九".chars().position(|d| d == c).map(|n| n as i64).or(match c {
            '两' => Some(2),
            _ => None,
        })
    };
    let (tens, ones) = match text.split_once('十') {
        None => (0, text),
        Some(("", ones)) => (1, ones),
        Some((tens, ones)) => {
            let mut tens = tens.chars();
            (tens.next().and_then(digit).filter(|_| tens.next().is_none())?, ones)
        }
    };
    let mut ones = ones.chars();
    let last = match (ones.next(), ones.next()) {
        (None, _) if text.contains('十') => 0,
        (Some(c), None) => digit(c)?,
        _ => return None,
    };
    Some(tens * 10 + last).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_usual_form_and_no_other() {
        for (text, number) in [("1", 1), ("1000000000", 1_000_000_000), ("三", 3), ("十", 10)] {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
        assert_eq!(whole_number("二十五"), Some(25));
        assert_eq!(whole_number("九十九"), Some(99));
        for text in ["0", "-5", "01", "1.5", "12345678901", "", "十百", "二三", "²", "1e3", "零"]
        {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }

    #[test]
    fn words_keep_their_places_and_mentions() {
        let bot = Ref::new("console", "bot");
        let elements = [
            Element::Mention { id: bot.clone(), name: "群岛".into() },
            Element::Text(" 加积分 ".into()),
            Element::Mention { id: Ref::new("console", "7"), name: "小 红".into() },
            Element::Text("\u{2005}５０ 帮忙\n搬家".into()),
        ];
        let flat = flatten(&elements, &bot);
        let words: Vec<Word> = flat.words().collect();
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["加积分", "@小 红", "50", "帮忙", "搬家"]);
        assert_eq!(words[1].mention, Some(Ref::new("console", "7")));
        assert_eq!(&flat.text[words[3].start..], "帮忙\n搬家");
    }
}
