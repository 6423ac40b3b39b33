//! Every sentence a member can read, in each language.
//!
//! A catalogue is a flat TOML file of keys and templates, built into the program. `{name}` takes
//! an argument; `{count|share|shares}` takes the first word where the argument is 1, else the
//! second. Chinese needs no plural, so its file does without.

mod template;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::value::ValueMap;

/// The language that has every key; others fall back to it.
const COMPLETE: &str = "zh";

/// The catalogues by locale.
static CATALOGUES: LazyLock<BTreeMap<&'static str, Catalogue>> = LazyLock::new(|| {
    [("zh", include_str!("zh.toml")), ("en", include_str!("en.toml"))]
        .into_iter()
        .map(|(locale, file)| (locale, parse(file)))
        .collect()
});

type Catalogue = BTreeMap<String, String>;

/// Reads a catalogue. The files are part of the program and a test reads them all, so a broken one
/// never leaves the workshop.
fn parse(file: &str) -> Catalogue {
    toml::from_str(file).expect("the catalogues are read by a test")
}

/// The template of a key: in this language, else in the complete one.
fn template(locale: &str, key: &str) -> Option<&'static str> {
    let own = CATALOGUES.get(locale).and_then(|catalogue| catalogue.get(key));
    let found = own.or_else(|| CATALOGUES.get(COMPLETE)?.get(key));
    found.map(String::as_str)
}

/// Every language that there is a catalogue of.
pub fn locales() -> impl Iterator<Item = &'static str> {
    CATALOGUES.keys().copied()
}

/// Whether the catalogue has this key.
pub fn exists(key: &str) -> bool {
    template(COMPLETE, key).is_some()
}

/// All keys.
pub fn keys() -> impl Iterator<Item = &'static str> {
    CATALOGUES.get(COMPLETE).into_iter().flat_map(|catalogue| catalogue.keys()).map(String::as_str)
}

/// The sentence of a key. A missing argument stays visible as its placeholder, and a missing key
/// as itself: wrong in a chat, but never silent and never a panic.
pub fn text(locale: &str, key: &str, args: &ValueMap) -> String {
    template(locale, key).map_or_else(|| key.to_owned(), |found| template::render(found, args))
}

/// A length of time in words, rounded up to a unit that fits it.
pub fn span(locale: &str, ms: i64) -> String {
    let seconds = ms.max(0).saturating_add(999) / 1000;
    let (unit, length) = match seconds {
        ..120 => ("time.seconds", 1),
        120..7200 if seconds % 3600 != 0 => ("time.minutes", 60),
        120..259_200 => ("time.hours", 3600),
        _ => ("time.days", 86_400),
    };
    let count = (seconds + length - 1) / length;
    text(locale, unit, &ValueMap::from([("count".to_owned(), count.into())]))
}

/// The sentence of a key; `None` where the key does not exist or an argument is missing.
pub fn complete(locale: &str, key: &str, args: &ValueMap) -> Option<String> {
    let found = template(locale, key)?;
    template::placeholders(found)
        .iter()
        .all(|name| args.contains_key(name))
        .then(|| template::render(found, args))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{CATALOGUES, complete, exists, span, template, text};
    use crate::value::{Value, ValueMap};

    #[test]
    fn all_locales_have_the_same_keys_and_placeholders() {
        let zh = &CATALOGUES["zh"];
        for (locale, catalogue) in CATALOGUES.iter() {
            let keys: BTreeSet<_> = catalogue.keys().collect();
            assert_eq!(keys, zh.keys().collect(), "{locale}");
            for (key, line) in catalogue {
                let own = template::placeholders(line);
                assert_eq!(own, template::placeholders(&zh[key]), "{locale} {key}");
            }
        }
    }

    /// Every `what("key")` of the files below a folder.
    fn quoted(folder: &str, ending: &str, what: &str, found: &mut BTreeSet<String>) {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == ending) {
                    let text = std::fs::read_to_string(&path).expect("readable");
                    let keys = text.split(what).skip(1).filter_map(|rest| rest.split_once('"'));
                    found.extend(keys.map(|(key, _)| key.to_owned()));
                }
            }
        }
    }

    #[test]
    fn the_shipped_scripts_and_the_domain_find_every_sentence() {
        let (mut keys, mut codes) = (BTreeSet::new(), BTreeSet::new());
        for folder in ["scripts", "rules"] {
            for what in ["text(\"", "text(if done.is_new { \"", "help: \""] {
                quoted(folder, "rhai", what, &mut keys);
            }
            quoted(folder, "rhai", "refuse(\"", &mut codes);
        }
        for what in ["Refusal::new(\"", "fn refuse(code: \""] {
            quoted("src/turn", "rs", what, &mut codes);
            quoted("src/ledger", "rs", what, &mut codes);
            quoted("src/dispatch", "rs", what, &mut codes);
            quoted("src/community", "rs", what, &mut codes);
        }
        assert!(keys.len() > 40 && codes.len() > 20, "{} {}", keys.len(), codes.len());
        keys.extend(codes.iter().map(|code| format!("refuse.{code}")));
        // `red_packet.state.` is completed with a state.
        keys.extend(["open", "exhausted", "refunded"].map(|s| format!("red_packet.state.{s}")));
        keys.extend(["member", "mod", "admin", "owner"].map(|role| format!("role.{role}")));
        // Names of other functions and of features end in a dot or hold none.
        keys.retain(|key| !key.ends_with('.') && key.contains('.'));
        let lost: Vec<_> = keys.iter().filter(|key| !exists(key)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn sentences_are_short_and_written_as_their_language_is() {
        // A time of day is written 8:30 in every language.
        let time = regex::Regex::new(r"\d:\d\d").unwrap();
        for (locale, catalogue) in CATALOGUES.iter() {
            for (key, line) in catalogue {
                assert!(line.split('\n').count() <= 6, "{locale} {key}: more than six lines");
                let chinese = line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
                assert!(!chinese || locale == &"zh", "{key}");
                let line = time.replace_all(line, "");
                let half = |c: char| ",:;!?()".contains(c);
                assert!(!(chinese && line.contains(half)), "{key}: half-width in {line}");
            }
        }
    }

    #[test]
    fn a_length_of_time_has_a_unit_that_fits() {
        let minutes = |count: i64| span("zh", count * 60_000);
        assert_eq!((span("zh", 57_001), minutes(1)), ("58 秒".to_owned(), "60 秒".to_owned()));
        assert_eq!((minutes(5), minutes(90)), ("5 分钟".to_owned(), "90 分钟".to_owned()));
        assert_eq!((minutes(60), minutes(24 * 60)), ("1 小时".to_owned(), "24 小时".to_owned()));
        assert_eq!((minutes(7 * 24 * 60), span("en", 3_600_000)), ("7 天".into(), "1 hour".into()));
    }

    #[test]
    fn fills_in_arguments() {
        let args = ValueMap::from([
            ("need".to_owned(), Value::Int(10)),
            ("have".to_owned(), Value::Int(3)),
        ]);
        assert_eq!(text("zh", "refuse.not_enough", &args), "积分不足：需要 10，现有 3");
        assert_eq!(text("xx", "refuse.not_enough", &args), "积分不足：需要 10，现有 3");
        assert_eq!(complete("zh", "refuse.not_enough", &ValueMap::new()), None);
        assert!(text("zh", "refuse.not_enough", &ValueMap::new()).contains("{need}"));
        assert_eq!(text("zh", "no.such", &args), "no.such");
        assert!(!exists("no.such"));
    }
}
