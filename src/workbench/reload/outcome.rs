//! What a reload came to, in one or two lines for the people who run the bot.

use crate::config::Change;
use crate::id::ScriptName;
use crate::report::Notice;
use crate::text::text;
use crate::value::{Value, ValueMap};

/// Changes that a notice names; the others are counted.
const NAMED: usize = 6;

/// What a reload came to.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// Keys of config.toml that are otherwise; those that wait for a restart say so.
    pub changes: Vec<Change>,
    /// Scripts that are new, changed or gone.
    pub scripts: Vec<ScriptName>,
    /// The word lists are otherwise.
    pub has_words: bool,
    /// Everything that is wrong; what it concerns stays as it was.
    pub problems: Vec<String>,
    /// Nothing was put in force.
    pub is_refused: bool,
}

impl Reloaded {
    /// Nothing was put in force.
    pub(super) fn refused(problems: Vec<String>) -> Self {
        Self { problems, is_refused: true, ..Self::default() }
    }

    /// Nothing is otherwise than before, and nothing is wrong.
    pub fn is_same(&self) -> bool {
        let has_changes = self.has_words || !self.changes.is_empty() || !self.scripts.is_empty();
        !has_changes && self.problems.is_empty()
    }

    /// For the people who run the bot.
    pub fn notice(&self, locale: &str) -> Notice {
        let mut lines = Vec::new();
        let said = |key: &str, name: &str, value: String| {
            text(locale, key, &ValueMap::from([(name.to_owned(), Value::from(value.as_str()))]))
        };
        let what = self.what(locale);
        if !what.is_empty() {
            lines.push(said("reload.done", "changes", what.join("; ")));
        } else if self.problems.is_empty() {
            lines.push(text(locale, "reload.same", &ValueMap::new()));
        }
        if !self.problems.is_empty() {
            let key = if self.is_refused { "reload.refused" } else { "reload.kept" };
            lines.push(said(key, "problems", self.problems.join("\n")));
        }
        let is_problem = !self.problems.is_empty();
        Notice { community: None, text: lines.join("\n"), is_problem }
    }

    /// What is otherwise than before.
    fn what(&self, locale: &str) -> Vec<String> {
        let restart = text(locale, "reload.restart", &ValueMap::new());
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "∅".to_owned());
        let change = |change: &Change| {
            let after = if change.restart { restart.as_str() } else { "" };
            format!("`{}: {} → {}`{after}", change.place(), shown(&change.old), shown(&change.new))
        };
        let mut what: Vec<String> = self.changes.iter().take(NAMED).map(change).collect();
        if self.changes.len() > NAMED {
            what.push(format!("+{}", self.changes.len() - NAMED));
        }
        if !self.scripts.is_empty() {
            let names: Vec<&str> = self.scripts.iter().map(ScriptName::as_str).collect();
            let names = Value::from(names.join(", ").as_str());
            what.push(text(
                locale,
                "reload.scripts",
                &ValueMap::from([("names".to_owned(), names)]),
            ));
        }
        if self.has_words {
            what.push(text(locale, "reload.words", &ValueMap::new()));
        }
        what
    }
}
