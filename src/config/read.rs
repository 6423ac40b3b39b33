//! Walks a parsed document, section by section, and collects every problem on the way.
//!
//! A wrong value leaves the default in its place and a problem in the list; reading never stops.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::keys::{self, Key, LATER, SECTIONS};
use super::mask::suspects;
use super::nearest::{did_you_mean, nearest};
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
    /// Where the text is no TOML.
    broken: Vec<usize>,
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
            broken: Vec::new(),
            problems: Vec::new(),
            masks: Vec::new(),
        }
    }

    /// What was found, and what nobody may see.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Range<usize>>) {
        self.masks.extend(suspects(self.text, self.around.adapters, &self.broken));
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

    /// Adds what the TOML parser found. What stands after the first broken place was guessed by
    /// the parser, so that problems found there would only confuse.
    pub(super) fn syntax(&mut self, errors: &[Error]) {
        let is_broken = |error: &&Error| error.message() != "duplicate key";
        if let Some(first) = errors.iter().filter(is_broken).map(|e| start(self.text, e)).min() {
            let line = self.text[..first].rfind('\n').map_or(0, |newline| newline + 1);
            self.problems.retain(|problem| problem.span.start < line);
            self.missing.clear();
        }
        self.broken = errors.iter().map(|error| start(self.text, error)).collect();
        for error in errors {
            let at = start(self.text, error);
            let span = at..error.span().map_or(at, |span| span.end).clamp(at, self.text.len());
            let problem = if is_broken(&error) {
                self.error("", span, format!("not TOML: {}", error.message()))
            } else {
                let name = self.text.get(span.clone()).unwrap_or_default();
                self.error("", span.clone(), format!("`{name}` stands here for the second time"))
                    .help("keep one of them")
            };
            self.problems.push(problem);
        }
    }

    /// Reads the whole file.
    pub(super) fn document(&mut self, root: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (name, node) in root {
            match name.get_ref().as_ref() {
                "bot" => self.section("bot", node, keys::BOT, &mut config.bot),
                "store" => self.section("store", node, keys::STORE, &mut config.store),
                "privacy" => self.section("privacy", node, keys::PRIVACY, &mut config.privacy),
                "limits" => self.section("limits", node, keys::LIMITS, &mut config.limits),
                "roles" => config.roles = self.roles(node),
                "adapters" => config.adapters = self.adapters(node),
                "features" => config.scripts.features = self.scripts("/features", node),
                "rules" => config.scripts.rules = self.scripts("/rules", node),
                "community" => config.communities = self.communities(node),
                other => self.unknown_section(other, name.span(), node),
            }
        }
        for folder in [&mut config.bot.scripts, &mut config.bot.rules, &mut config.bot.data] {
            *folder = self.base.join(&*folder);
        }
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
                let names = keys.iter().map(|key| key.doc.name).chain(apart.iter().copied());
                self.unknown_key(path, word, name.span(), nearest(word, names));
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

    fn unknown_key(&mut self, path: &str, name: &str, span: Range<usize>, near: Option<&str>) {
        let message = format!("unknown key{}", did_you_mean(near));
        let mut problem = self.error(format!("{path}/{name}"), span, message);
        if near.is_none() {
            problem.help = elsewhere(name);
        }
        self.note(problem);
    }

    fn unknown_section(&mut self, name: &str, span: Range<usize>, node: &Node<'_>) {
        let near = match name {
            "communities" | "group" | "groups" => Some("community"),
            other => nearest(other, SECTIONS.iter().copied()),
        };
        let is_table = node.get_ref().is_table() || node.get_ref().is_array();
        let what = if is_table { "section" } else { "key" };
        let mut problem =
            self.error(format!("/{name}"), span, format!("unknown {what}{}", did_you_mean(near)));
        if let Some((_, later)) = LATER.iter().find(|(section, _)| *section == name) {
            problem.message = format!("unknown section: {later} comes with a later version");
            problem.help = Some("remove the section for now".to_owned());
        } else if !is_table {
            problem.help = elsewhere(name);
        } else if near.is_none() {
            problem.help = Some(format!("the sections are {}", backticked(SECTIONS)));
        }
        self.note(problem);
    }
}

/// Where a key of this name would be right.
fn elsewhere(name: &str) -> Option<String> {
    let homes: Vec<_> = keys::homes(name)
        .into_iter()
        .map(
            |home| {
                if home == "community" { "`[[community]]`".into() } else { format!("`[{home}]`") }
            },
        )
        .collect();
    (!homes.is_empty()).then(|| format!("`{name}` belongs in {}", homes.join(" or ")))
}

/// Names in backticks with commas.
pub(super) fn backticked(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Where an error of the parser begins; at a character, and at the end at the latest.
fn start(text: &str, error: &Error) -> usize {
    let mut at = error.span().map_or(0, |span| span.start).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
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
