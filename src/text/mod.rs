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

    use super::{CATALOGUES, complete, exists, template, text};
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
