//! Finding a person in what others wrote: her accounts and names, taken out of texts and JSON.
//!
//! Pure, and the same for every database. What is too short to be told from other words is not
//! looked for; a name of Latin letters or digits counts only where it stands by itself.

use serde_json::{Map, Value};

use crate::id::Ref;

/// What stands where she was named.
pub const GONE: &str = "…";

/// Fewest bytes of an account's number that is looked for outside of its reference.
const NUMBER_MIN: usize = 5;
/// Fewest characters of a name that is looked for: of Latin letters, and of any others.
const NAME_MIN: (usize, usize) = (3, 2);

/// Everything by which a person is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    words: Vec<String>,
}

impl Traces {
    /// Of these accounts and names.
    pub fn of<'a>(accounts: &[Ref], names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<String> = Vec::new();
        for account in accounts {
            words.push(account.as_str().to_owned());
            if account.local().len() >= NUMBER_MIN {
                words.push(account.local().to_owned());
            }
        }
        let is_telling = |name: &&str| {
            let least = if name.is_ascii() { NAME_MIN.0 } else { NAME_MIN.1 };
            name.chars().count() >= least
        };
        words.extend(names.into_iter().map(str::trim).filter(is_telling).map(str::to_owned));
        // The longer first: a name may contain another.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        Self { words }
    }

    /// What is looked for, the longest first.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether a text names her.
    pub fn are_in(&self, text: &str) -> bool {
        self.words.iter().any(|word| find(text, word, 0).is_some())
    }

    /// A text without her; `None` where it does not name her.
    pub fn out_of(&self, text: &str) -> Option<String> {
        let mut left: Option<String> = None;
        for word in &self.words {
            let from = left.as_deref().unwrap_or(text);
            if let Some(first) = find(from, word, 0) {
                left = Some(without(from, word, first));
            }
        }
        left
    }

    /// JSON without her; `None` where it does not name her. What is no JSON is a text.
    pub fn out_of_json(&self, text: &str) -> Option<String> {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return self.out_of(text) };
        self.clean(&mut value).then(|| value.to_string())
    }

    fn clean(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.out_of(text) {
                Some(left) => {
                    *text = left;
                    true
                }
                None => false,
            },
            Value::Number(number) => {
                let is_her = self.words.contains(&number.to_string());
                if is_her {
                    *value = Value::from(0);
                }
                is_her
            }
            Value::Array(items) => {
                items.iter_mut().fold(false, |changed, item| self.clean(item) | changed)
            }
            Value::Object(map) => self.clean_map(map),
            Value::Null | Value::Bool(_) => false,
        }
    }

    fn clean_map(&self, map: &mut Map<String, Value>) -> bool {
        let mut changed =
            map.values_mut().fold(false, |changed, value| self.clean(value) | changed);
        let named: Vec<String> = map.keys().filter(|key| self.are_in(key)).cloned().collect();
        for key in named {
            changed = true;
            map.remove(&key);
        }
        changed
    }
}

/// The first place of a word from `from` on at which it stands by itself.
fn find(text: &str, word: &str, from: usize) -> Option<usize> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let (first, last) = (word.chars().next()?, word.chars().next_back()?);
    text[from..].match_indices(word).map(|(at, _)| from + at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let begins = !is_word(first) || !before.is_some_and(is_word);
        begins && (!is_word(last) || !after.is_some_and(is_word))
    })
}

fn without(text: &str, word: &str, first: usize) -> String {
    let mut left = String::with_capacity(text.len());
    let (mut done, mut at) = (0, Some(first));
    while let Some(place) = at {
        left.push_str(&text[done..place]);
        left.push_str(GONE);
        done = place + word.len();
        at = find(text, word, done);
    }
    left.push_str(&text[done..]);
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces() -> Traces {
        Traces::of(&[Ref::new("onebot", 1_234_567), Ref::new("test", 12)], ["小红", "Tom", "z", ""])
    }

    #[test]
    fn she_is_taken_out_of_what_others_wrote() {
        let traces = traces();
        for (text, left) in [
            ("小红早上好，@小红", Some("…早上好，@…")),
            ("onebot:1234567 和 1234567", Some("… 和 …")),
            ("Tom 说，tomorrow Tommy", Some("… 说，tomorrow Tommy")),
            // Another number that contains hers, and a name too short to be told from a letter.
            ("91234567 12345678 z 12", None),
            ("test:12", Some("…")),
            ("test:123", None),
            ("大家好", None),
        ] {
            assert_eq!(traces.out_of(text).as_deref(), left, "{text}");
            assert_eq!(traces.are_in(text), left.is_some(), "{text}");
        }
    }

    #[test]
    fn json_stays_json() {
        let traces = traces();
        let json = r#"{"at":12345671234567,"who":1234567,"names":["小红","小李"],"小红":1,"x":{"r":"onebot:1234567"}}"#;
        let left = traces.out_of_json(json).unwrap();
        let value: Value = serde_json::from_str(&left).unwrap();
        assert_eq!(value["at"], 12_345_671_234_567_i64);
        assert_eq!((&value["who"], &value["names"][0]), (&Value::from(0), &Value::from("…")));
        assert_eq!(value["x"]["r"], "…");
        assert!(value.get("小红").is_none() && !left.contains("小红"));
        assert_eq!(traces.out_of_json(r#"{"n":1}"#), None);
        assert_eq!(traces.out_of_json("not json 小红").as_deref(), Some("not json …"));
    }

    #[test]
    fn she_may_be_anywhere_in_a_text() {
        let traces = traces();
        for before in ["", "早", " ", "Tom", "@"] {
            for after in ["", "好", " ", "。", "小红"] {
                let text = format!("{before}小红{after}");
                let left = traces.out_of(&text).unwrap();
                assert!(!left.contains("小红"), "{text} became {left}");
            }
        }
    }
}
