//! One value against the kind that its key wants.

use std::collections::BTreeMap;

use tracing_subscriber::EnvFilter;

use super::keys::{EFFECT_WORDS, KeyValue, Kind, LOCALES};
use super::nearest::{did_you_mean, nearest};
use super::read::{Node, Reader, backticked, type_word, whole};

impl Reader<'_> {
    /// Checks a value; `None` where a problem was noted.
    pub(super) fn value(&mut self, path: &str, kind: Kind, node: &Node<'_>) -> Option<KeyValue> {
        match kind {
            Kind::Int { min, max } => self.int(path, min, max, node).map(KeyValue::Int),
            Kind::Refs => Some(KeyValue::Refs(self.refs(path, node)?)),
            Kind::Counts { max } => Some(KeyValue::Counts(self.counts(path, max, node)?)),
            Kind::Text => self.full_text(path, kind, node).map(KeyValue::Text),
            Kind::Name => self.name(path, node).map(KeyValue::Text),
            Kind::Folder => self.full_text(path, kind, node).map(|it| KeyValue::Path(it.into())),
            Kind::Zone => self.zone(path, node).map(KeyValue::Zone),
            Kind::Locale => self.locale(path, node).map(KeyValue::Text),
            Kind::StoreUrl => self.store_url(path, node).map(KeyValue::Url),
            Kind::Clock => self.clock(path, node).map(KeyValue::Clock),
            Kind::Cron => self.cron(path, node).map(KeyValue::Text),
            Kind::OneOf(words) => self.one_of(path, words, node).map(KeyValue::Text),
            Kind::Words => self.words(path, node).map(KeyValue::Words),
            Kind::LogFilter => self.log_filter(path, node).map(KeyValue::Text),
        }
    }

    /// A text, or "`mailbox` wants a whole number, got text".
    pub(super) fn text(&mut self, path: &str, wants: &str, node: &Node<'_>) -> Option<String> {
        if let Some(text) = node.get_ref().as_str() {
            return Some(text.to_owned());
        }
        self.wrong_type(path, wants, node, None);
        None
    }

    pub(super) fn wrong_type(
        &mut self,
        path: &str,
        wants: &str,
        node: &Node<'_>,
        help: Option<String>,
    ) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let got = type_word(node.get_ref());
        let mut problem =
            self.error(path, node.span(), format!("`{name}` wants {wants}, got {got}"));
        problem.help = help;
        self.note(problem);
    }

    fn full_text(&mut self, path: &str, kind: Kind, node: &Node<'_>) -> Option<String> {
        let text = self.text(path, kind.wants(), node)?;
        if text.trim().is_empty() {
            let problem = self
                .error(path, node.span(), "must not be empty")
                .help("remove the line to have the default");
            self.note(problem);
            return None;
        }
        Some(text)
    }

    pub(super) fn name(&mut self, path: &str, node: &Node<'_>) -> Option<String> {
        let text = self.text(path, Kind::Name.wants(), node)?;
        let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        if !text.is_empty() && text.chars().count() <= 64 && text.chars().all(fits) {
            return Some(text);
        }
        let problem = self.error(path, node.span(), "not a short name").help(
            "use 1 to 64 letters, digits, `-` and `_`; `name` is for people and takes any text",
        );
        self.note(problem);
        None
    }

    pub(super) fn int(&mut self, path: &str, min: i64, max: i64, node: &Node<'_>) -> Option<i64> {
        if !node.get_ref().is_integer() {
            let text = node.get_ref().as_str().unwrap_or_default();
            let help =
                whole_from(path, text).map(|number| format!("write `{number}` without quotes"));
            self.wrong_type(path, Kind::Int { min, max }.wants(), node, help);
            return None;
        }
        let number = whole(node.get_ref());
        if let Some(number) = number.filter(|number| (min..=max).contains(number)) {
            return Some(number);
        }
        let side = if number.is_some_and(|number| number < min) { "small" } else { "large" };
        let written = self.text.get(node.span()).unwrap_or_default();
        let problem = self
            .error(path, node.span(), format!("`{written}` is too {side}"))
            .help(format!("write a number from {min} to {max}"));
        self.note(problem);
        None
    }

    fn counts(&mut self, path: &str, max: i64, node: &Node<'_>) -> Option<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for (name, node) in self.table(path, node)? {
            let word = name.get_ref().as_ref();
            let path = format!("{path}/{word}");
            if !EFFECT_WORDS.contains(&word) {
                let near = did_you_mean(nearest(word, EFFECT_WORDS.iter().copied()));
                let problem = self
                    .error(path, name.span(), format!("unknown effect{near}"))
                    .help(format!("the effects are {}", backticked(EFFECT_WORDS)));
                self.note(problem);
            } else if let Some(count) = self.int(&path, 0, max, node) {
                counts.insert(word.to_owned(), usize::try_from(count).unwrap_or(usize::MAX));
            }
        }
        Some(counts)
    }

    fn locale(&mut self, path: &str, node: &Node<'_>) -> Option<String> {
        let text = self.text(path, Kind::Locale.wants(), node)?;
        if LOCALES.contains(&text.as_str()) {
            return Some(text);
        }
        let near = match text.to_lowercase().as_str() {
            "cn" | "chinese" | "中文" => Some("zh"),
            "us" | "gb" | "english" => Some("en"),
            lower => LOCALES.iter().copied().find(|locale| lower.starts_with(locale)),
        };
        let problem = self
            .error(path, node.span(), format!("unknown language `{text}`{}", did_you_mean(near)))
            .help(format!("the languages are {}", backticked(LOCALES)));
        self.note(problem);
        None
    }

    fn log_filter(&mut self, path: &str, node: &Node<'_>) -> Option<String> {
        let text = self.full_text(path, Kind::LogFilter, node)?;
        let levels = ["trace", "debug", "info", "warn", "error", "off"];
        // A lone word that is no level would be taken for a module and silence everything.
        let lone = text.chars().all(|c| c.is_ascii_alphabetic());
        if EnvFilter::try_new(&text).is_ok() && (!lone || levels.contains(&text.as_str())) {
            return Some(text);
        }
        let near = did_you_mean(nearest(&text, levels));
        let problem = self
            .error(path, node.span(), format!("`{text}` is not a filter of the log{near}"))
            .help(format!("write a level ({}), or `info,qundao=debug`", levels.join(", ")));
        self.note(problem);
        None
    }
}

/// The number that somebody meant who wrote `"10"` or, for a key in seconds, `"10m"`.
fn whole_from(path: &str, text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: i64 = digits.parse().ok()?;
    let ms = match &text[digits.len()..] {
        "" => return Some(number),
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let total = number.checked_mul(ms)?;
    if path.ends_with("_ms") {
        return Some(total);
    }
    path.ends_with("_s").then_some(total / 1000)
}
