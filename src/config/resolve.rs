//! What is in force: the configuration joined with what the scripts declare.
//!
//! Layers, from below: the default of the script, `[features.X]` or `[rules.X]`, and the same
//! table of the community. A community that overrides nothing shares the layer below.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::nearest::{did_you_mean, nearest};
use super::read::backticked;
use super::{Config, Diagnostic, Diagnostics, Mode, ScriptConfig, ScriptTables, Spanned};
use crate::id::ScriptName;
use crate::script::protocol::{Manifest, Setting};
use crate::value::{Value, ValueMap};

/// What holds for one script in one community.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// On or off.
    pub enabled: bool,
    /// Live, shadow or off.
    pub mode: Mode,
    /// Every declared setting with its value.
    pub settings: Arc<ValueMap>,
}

impl Effective {
    /// Whether its handlers run at all.
    pub fn runs(&self) -> bool {
        self.enabled && self.mode != Mode::Off
    }
}

type Layer = HashMap<ScriptName, Arc<Effective>>;

/// What holds for every script in every community.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    everywhere: Layer,
    communities: HashMap<String, Layer>,
}

impl Resolved {
    /// What holds for a script in a community; `None` is a group that config.toml does not list.
    /// `None` comes back where there is no such script.
    pub fn effective(
        &self,
        community: Option<&str>,
        script: &ScriptName,
    ) -> Option<Arc<Effective>> {
        let own = community.and_then(|id| self.communities.get(id)?.get(script));
        own.or_else(|| self.everywhere.get(script)).cloned()
    }
}

/// Checks every `[features.X]` and `[rules.X]` against the scripts and layers their settings.
///
/// # Errors
/// Every name that no script has and every value of the wrong type, at once.
pub fn resolve(config: &Config, manifests: &[Manifest]) -> Result<Resolved, Diagnostics> {
    let mut joint = Joint { config, manifests, problems: Vec::new() };
    let default = |it: &Manifest| (it.name.clone(), Arc::new(by_default(it)));
    let mut everywhere: Layer = manifests.iter().map(default).collect();
    let top = joint.layer("", &config.scripts, &everywhere);
    everywhere.extend(top);
    let mut communities = HashMap::new();
    for community in &config.communities {
        let path = format!("/community/{}", community.id);
        communities
            .insert(community.id.clone(), joint.layer(&path, &community.scripts, &everywhere));
    }
    if joint.problems.is_empty() {
        return Ok(Resolved { everywhere, communities });
    }
    Err(Diagnostics::new(config.path.clone(), config.source.clone(), joint.problems))
}

fn by_default(manifest: &Manifest) -> Effective {
    let pair = |setting: &Setting| (setting.name.clone(), setting.default.clone());
    let settings: ValueMap = manifest.settings.iter().map(pair).collect();
    Effective { enabled: true, mode: Mode::Live, settings: Arc::new(settings) }
}

/// The joining of one configuration with one set of scripts.
struct Joint<'a> {
    config: &'a Config,
    manifests: &'a [Manifest],
    problems: Vec<Diagnostic>,
}

impl<'a> Joint<'a> {
    /// The scripts that one level of tables changes.
    fn layer(&mut self, path: &str, tables: &ScriptTables, below: &Layer) -> Layer {
        let mut layer = Layer::new();
        for (is_rule, scripts) in [(false, &tables.features), (true, &tables.rules)] {
            for (name, script) in scripts {
                let path = format!("{path}/{}/{name}", section(is_rule));
                let Some(manifest) = self.manifest(&path, is_rule, name, script) else { continue };
                let Some(base) = below.get(&manifest.name) else { continue };
                let over = self.over(&path, manifest, script, base);
                layer.insert(manifest.name.clone(), Arc::new(over));
            }
        }
        layer
    }

    /// The script that a section is about.
    fn manifest(
        &mut self,
        path: &str,
        is_rule: bool,
        name: &str,
        script: &ScriptConfig,
    ) -> Option<&'a Manifest> {
        let found = self.manifests.iter().find(|manifest| manifest.name.as_str() == name);
        if let Some(manifest) = found.filter(|manifest| manifest.is_rule == is_rule) {
            return Some(manifest);
        }
        let kind = |is_rule| if is_rule { "rule" } else { "feature" };
        let (message, help) = if found.is_some() {
            (
                format!("`{name}` is a {}, not a {}", kind(!is_rule), kind(is_rule)),
                format!("write `{}.{name}` in the head of this section", section(!is_rule)),
            )
        } else {
            let same = self.manifests.iter().filter(|manifest| manifest.is_rule == is_rule);
            let near = nearest(name, same.map(|manifest| manifest.name.as_str()));
            (
                format!("there is no {} `{name}`{}", kind(is_rule), did_you_mean(near)),
                format!("a {} is a file `{name}.rhai` in its folder", kind(is_rule)),
            )
        };
        self.problem(path, script.span.clone(), message, help);
        None
    }

    /// One script's section over what holds below it.
    fn over(
        &mut self,
        path: &str,
        manifest: &Manifest,
        script: &ScriptConfig,
        base: &Effective,
    ) -> Effective {
        let mut settings = Arc::clone(&base.settings);
        for (name, written) in &script.settings {
            let path = format!("{path}/{name}");
            if let Some(setting) = self.setting(&path, manifest, name, written)
                && let Some(value) = self.value(&path, setting, written)
            {
                Arc::make_mut(&mut settings).insert(name.clone(), value);
            }
        }
        Effective {
            enabled: script.enabled.unwrap_or(base.enabled),
            mode: script.mode.unwrap_or(base.mode),
            settings,
        }
    }

    fn setting<'m>(
        &mut self,
        path: &str,
        manifest: &'m Manifest,
        name: &str,
        written: &Spanned<toml::Value>,
    ) -> Option<&'m Setting> {
        let found = manifest.settings.iter().find(|setting| setting.name == name);
        if found.is_none() {
            let names: Vec<&str> = manifest.settings.iter().map(|it| it.name.as_str()).collect();
            let near =
                did_you_mean(nearest(name, names.iter().copied().chain(["enabled", "mode"])));
            let message = format!("`{}` has no setting `{name}`{near}", manifest.name);
            let help = if names.is_empty() {
                "it declares no settings; `enabled` and `mode` are all it takes".to_owned()
            } else {
                format!("its settings are {}", backticked(&names))
            };
            self.problem(path, written.key_span.clone(), message, help);
        }
        found
    }

    fn value(
        &mut self,
        path: &str,
        setting: &Setting,
        written: &Spanned<toml::Value>,
    ) -> Option<Value> {
        let value = plain(&written.value);
        let got = value.type_name();
        let fitted = fit(value, &setting.default);
        if fitted.is_none() {
            let Setting { name, default, line } = setting;
            let message = format!("`{name}` wants {}, got {}", wants(default), article(got));
            let help = format!("its default, in line {line} of the script, is {}", shown(default));
            self.problem(path, written.span.clone(), message, help);
        }
        fitted
    }

    fn problem(&mut self, path: &str, span: Range<usize>, message: String, help: String) {
        let text = self.config.source.as_str();
        self.problems.push(Diagnostic::error(text, path, span, message).help(help));
    }
}

fn section(is_rule: bool) -> &'static str {
    if is_rule { "rules" } else { "features" }
}

/// TOML's data as a script's.
fn plain(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::Text(text.clone()),
        toml::Value::Integer(number) => Value::Int(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(flag) => Value::Bool(*flag),
        toml::Value::Datetime(date) => Value::Text(date.to_string()),
        toml::Value::Array(items) => Value::List(items.iter().map(plain).collect()),
        toml::Value::Table(table) => {
            Value::Map(table.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
    }
}

/// The value as the type of the default; `None` where it does not fit. A default of `()` takes
/// anything, and so does an empty list.
fn fit(value: Value, default: &Value) -> Option<Value> {
    match (value, default) {
        #[expect(clippy::cast_precision_loss, reason = "a ratio of 2^53 is no ratio")]
        (Value::Int(number), Value::Float(_)) => Some(Value::Float(number as f64)),
        (Value::List(items), Value::List(defaults)) => match defaults.first() {
            Some(first) => items.into_iter().map(|item| fit(item, first)).collect::<Option<_>>(),
            None => Some(items),
        }
        .map(Value::List),
        (value, Value::Unit) => Some(value),
        (value, default) => (value.type_name() == default.type_name()).then_some(value),
    }
}

fn wants(default: &Value) -> String {
    match default {
        Value::List(items) if !items.is_empty() => {
            format!("a list of which each is {}", article(items[0].type_name()))
        }
        other => article(other.type_name()).to_owned(),
    }
}

/// The type for people who know no types.
fn article(type_name: &'static str) -> &'static str {
    match type_name {
        "bool" => "true or false",
        "int" => "a whole number",
        "float" => "a number",
        "array" => "a list",
        "map" => "a table",
        other => other,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Int(number) => format!("`{number}`"),
        Value::Float(number) => format!("`{number:?}`"),
        Value::Text(text) => format!("`{text:?}`"),
        Value::List(items) => {
            format!(
                "`[{}]`",
                items.iter().map(|it| shown(it).replace('`', "")).collect::<Vec<_>>().join(", ")
            )
        }
        other => article(other.type_name()).to_owned(),
    }
}
