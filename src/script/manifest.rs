//! What a top level said, collected while it is evaluated; problems are kept, not thrown, so that
//! one look at a script shows all of them.

use std::collections::BTreeMap;

use rhai::{AST, Position};

use crate::value::Value;

use super::api::{Call, Shape};
use super::diagnostic::shortened;
use super::fault::{Fault, Outcome};
use super::pattern;
use super::protocol::{Handler, Manifest, ScriptError, Setting, Source, Trigger};

/// Handlers of one script. Its functions are counted by Rhai, but a loop can register one function
/// any number of times.
const MAX_HANDLERS: usize = 128;

/// Settings of one script.
const MAX_SETTINGS: usize = 64;

/// Places of all regular expressions of one script, see [`pattern::places`]: so many take a
/// quarter of a second on the longest messages.
const MAX_PLACES: usize = 2000;

/// Problems that are told of one script at once; nobody mends more before the next look.
pub(super) const MAX_PROBLEMS: usize = 50;

/// The collector of one script.
pub(super) struct Registry {
    /// What was collected.
    pub manifest: Manifest,
    /// What was wrong.
    pub problems: Vec<ScriptError>,
    /// Numbers of parameters of the script's functions.
    arities: BTreeMap<String, Vec<usize>>,
    /// Bytes of the words and patterns that were registered.
    bytes: usize,
    /// Places of the regular expressions that were registered.
    places: usize,
}

impl Registry {
    /// An empty collector.
    pub fn new(source: &Source, ast: &AST) -> Self {
        let mut arities: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for function in ast.iter_fn_def() {
            arities.entry(function.name.to_string()).or_default().push(function.params.len());
        }
        let manifest = Manifest {
            name: source.name.clone(),
            is_rule: source.is_rule,
            path: source.path.clone(),
            revision: source.revision.clone(),
            about: about(&source.text),
            settings: Vec::new(),
            handlers: Vec::new(),
            lists: super::lint::named_lists(ast),
        };
        Self { manifest, problems: Vec::new(), arities, bytes: 0, places: 0 }
    }

    /// Notes a problem of this call.
    pub fn problem(&mut self, call: &Call, message: impl Into<String>) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let problem = error_at(&self.manifest.path, call.at, message.into());
        self.problems.push(problem);
    }

    /// Registers the handler that stands at this argument.
    pub fn add(&mut self, call: &Call, index: usize, trigger: Trigger) -> Outcome<()> {
        self.check_room(call, &trigger)?;
        let function = call.handler(index)?.fn_name().to_owned();
        let arities = self.arities.get(&function).map(Vec::as_slice).unwrap_or_default();
        if !arities.contains(&1) {
            let example = example(Shape::of(&trigger));
            let found = match arities.first() {
                Some(0) => "this one takes none",
                Some(_) => "this one takes several",
                None => "this is no function of the script",
            };
            self.problem(
                call,
                format!(
                    "a handler takes exactly one parameter, the event; {found}: write `{example}`"
                ),
            );
        }
        if let Trigger::Command(command) = &trigger {
            let verbs: Vec<String> =
                std::iter::once(&command.verb).chain(&command.alias).cloned().collect();
            self.check_verbs(call, &verbs);
        }
        let line = call.at.line().unwrap_or(0);
        self.manifest.handlers.push(Handler { function, line, trigger });
        Ok(())
    }

    /// Whether one more handler may be registered, and its words with it.
    fn check_room(&mut self, call: &Call, trigger: &Trigger) -> Outcome<()> {
        if self.manifest.handlers.len() >= MAX_HANDLERS {
            return Fault::limit(
                "handlers",
                format!("a script registers at most {MAX_HANDLERS} handlers: split it into two"),
            );
        }
        self.bytes += bytes_of(trigger);
        let limit = call.session.limits.source_bytes;
        if self.bytes > limit {
            return Fault::limit(
                "source_bytes",
                format!(
                    "the words and patterns of this script have more than {limit} bytes together: put them into scripts/words/"
                ),
            );
        }
        if let Trigger::Regex(text) = trigger {
            self.places = self.places.saturating_add(pattern::places(text));
        }
        if self.places > MAX_PLACES {
            return Fault::limit(
                "regex",
                format!(
                    "the regular expressions of this script are too large together ({} places, at most {MAX_PLACES}): write smaller numbers in `{{…}}`, or use on_keyword",
                    self.places
                ),
            );
        }
        Ok(())
    }

    /// Declares a setting.
    pub fn setting(&mut self, call: &Call, name: String, default: Value) -> Outcome<()> {
        if self.manifest.settings.len() >= MAX_SETTINGS {
            return Fault::limit(
                "settings",
                format!("a script declares at most {MAX_SETTINGS} settings: split it into two"),
            );
        }
        if let Some(first) = self.manifest.settings.iter().find(|setting| setting.name == name) {
            let line = first.line;
            self.problem(
                call,
                format!(
                    "the setting `{name}` is declared on line {line} already: remove one of the two"
                ),
            );
            return Ok(());
        }
        let reserved = matches!(name.as_str(), "enabled" | "mode");
        if reserved
            || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            || name.is_empty()
        {
            let reason = if reserved {
                "every script has that key in config.toml already"
            } else {
                "use lower-case Latin letters, digits and `_`, because it is a key in config.toml"
            };
            self.problem(call, format!("`{name}` cannot name a setting: {reason}"));
            return Ok(());
        }
        let line = call.at.line().unwrap_or(0);
        self.manifest.settings.push(Setting { name, default, line });
        Ok(())
    }

    /// Every verb and alias of a script is there once.
    fn check_verbs(&mut self, call: &Call, verbs: &[String]) {
        for (index, verb) in verbs.iter().enumerate() {
            if verbs.iter().take(index).any(|other| other == verb) {
                self.problem(call, format!("`{verb}` is both verb and alias of this command, or an alias twice: remove one"));
            }
            if let Some(line) = self.taken(verb) {
                self.problem(call, format!("the command `{verb}` is registered on line {line} already: choose another verb"));
            }
        }
    }

    /// Line of the handler that has this verb.
    fn taken(&self, verb: &str) -> Option<usize> {
        let found = self.manifest.handlers.iter().find(|handler| match &handler.trigger {
            Trigger::Command(command) => {
                command.verb == verb || command.alias.iter().any(|alias| alias == verb)
            }
            _ => false,
        });
        found.map(|handler| handler.line)
    }
}

/// Bytes of the words and patterns of a trigger.
fn bytes_of(trigger: &Trigger) -> usize {
    let sum = |words: &[String]| words.iter().map(String::len).sum();
    match trigger {
        Trigger::Keyword(words) | Trigger::Reaction(words) => sum(words),
        Trigger::Regex(text) | Trigger::Timer(text) => text.len(),
        Trigger::Command(command) => {
            let params: usize = command.params.iter().map(|param| param.name.len()).sum();
            command.verb.len() + sum(&command.alias) + params + command.help.len()
        }
        _ => 0,
    }
}

/// An error at a place.
pub(super) fn error_at(path: &str, at: Position, message: String) -> ScriptError {
    ScriptError {
        path: path.to_owned(),
        line: at.line().unwrap_or(0),
        column: at.position().unwrap_or(0),
        message: shortened(&message),
        limit: None,
    }
}

/// How a handler of this shape is usually written.
fn example(shape: Shape) -> &'static str {
    match shape {
        Shape::Command => "|c| { … }",
        Shape::Timer => "|t| { … }",
        Shape::Join | Shape::JoinRequest => "|j| { … }",
        Shape::Message | Shape::Reaction | Shape::Button | Shape::Leave => "|m| { … }",
    }
}

/// The `//!` lines at the head of a script.
fn about(text: &str) -> String {
    let lines = text.lines().map(str::trim).skip_while(|line| line.is_empty());
    let head = lines.map_while(|line| line.strip_prefix("//!"));
    head.map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
}
