//! Walks a parsed document, section by section, and collects every problem on the way.
//!
//! A wrong value leaves the default in its place and a problem in the list; reading never stops.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Key};
use super::mask::suspects;
use super::{Config, Diagnostic, Surroundings};

/// A value with its place, as `toml` gives it.
pub(super) type Node<'t> = Spanned<DeValue<'t>>;

/// The state of reading one file.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) around: Surroundings<'a>,
    /// Where relative paths start: the folder of the file.
    pub(super) base: PathBuf,
    /// Something is missing only where the file could be read to its end.
    missing: Vec<Diagnostic>,
    /// The text is no TOML.
    pub(super) broken: bool,
    problems: Vec<Diagnostic>,
    masks: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, path: &Path, around: Surroundings<'a>) -> Self {
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        Self {
            text,
            around,
            base,
            missing: Vec::new(),
            broken: false,
            problems: Vec::new(),
            masks: Vec::new(),
        }
    }

    /// What was found, and what nobody may see.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Range<usize>>) {
        self.masks.extend(suspects(self.text, self.around.adapters, self.broken));
        self.problems.append(&mut self.missing);
        (self.problems, self.masks)
    }

    /// Notes a problem.
    pub(super) fn note(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Notes that something is not there.
    pub(super) fn note_missing(&mut self, problem: Diagnostic) {
        self.missing.push(problem);
    }

    /// Forgets what was found from `end` on, and everything that seemed to be missing.
    pub(super) fn trust_until(&mut self, end: usize) {
        self.problems.retain(|problem| problem.span.start < end);
        self.missing.clear();
    }

    /// An error at a place.
    pub(super) fn error(
        &self,
        path: impl Into<String>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(self.text, path, span, message)
    }

    /// Hides a place in every picture.
    pub(super) fn mask(&mut self, span: Range<usize>) {
        self.masks.push(span);
    }

    /// Reads the whole file.
    pub(super) fn document(&mut self, root: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (name, node) in root {
            match name.get_ref().as_ref() {
                "bot" => self.section("bot", node, keys::BOT, &mut config.bot),
                "store" => self.section("store", node, keys::STORE, &mut config.store),
                "news" => self.section("news", node, keys::NEWS, &mut config.news),
                "privacy" => self.section("privacy", node, keys::PRIVACY, &mut config.privacy),
                "limits" => self.section("limits", node, keys::LIMITS, &mut config.limits),
                "roles" => config.roles = self.roles(node),
                "adapters" => config.adapters = self.adapters(node),
                "features" => config.scripts.features = self.scripts("/features", node),
                "rules" => config.scripts.rules = self.scripts("/rules", node),
                "posting" => config.posting = self.posting(node),
                "routine" => config.routines = self.routines(node),
                "community" => config.communities = self.communities(node),
                other => self.unknown_section(other, name.span(), node),
            }
        }
        for folder in [&mut config.bot.scripts, &mut config.bot.rules, &mut config.bot.data] {
            *folder = self.base.join(&*folder);
        }
        config.posting.note(&config.communities);
        self.routines_have_places(&config, root.get("routine"));
        self.connections(&config, root);
        config
    }

    /// Reads one section by its keys.
    pub(super) fn section<T>(&mut self, name: &str, node: &Node<'_>, keys: &[Key<T>], of: &mut T) {
        let path = format!("/{name}");
        if let Some(table) = self.table(&path, node) {
            self.keys(&path, table, keys, &[], of);
        }
    }

    /// Reads the keys of a table; `apart` names sub-tables that somebody else reads.
    pub(super) fn keys<T>(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        keys: &[Key<T>],
        apart: &[&str],
        of: &mut T,
    ) {
        for (name, node) in table {
            let word = name.get_ref().as_ref();
            if let Some(key) = keys.iter().find(|key| key.doc.name == word) {
                if let Some(value) = self.value(&format!("{path}/{word}"), key.doc.kind, node) {
                    (key.set)(of, value);
                }
            } else if !apart.contains(&word) {
                let names: Vec<_> =
                    keys.iter().map(|key| key.doc.name).chain(apart.iter().copied()).collect();
                self.unknown_key(path, word, name.span(), node, &names);
            }
        }
    }

    /// A table, or a problem.
    pub(super) fn table<'n, 't>(
        &mut self,
        path: &str,
        node: &'n Node<'t>,
    ) -> Option<&'n DeTable<'t>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            let head = path.trim_start_matches('/').replace('/', ".");
            let got = type_word(node.get_ref());
            let problem = self
                .error(path, node.span(), format!("wants a section, got {got}"))
                .help(format!("write `[{head}]` on a line of its own and its keys below"));
            self.note(problem);
        }
        table
    }
}

/// Names in backticks with commas.
pub(super) fn backticked(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The kind of a value, for people.
pub(super) fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A whole number, unless it is beyond 64 bits.
pub(super) fn whole(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
