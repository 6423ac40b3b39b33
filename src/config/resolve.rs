//! What is in force: the configuration joined with what the scripts declare.
//!
//! Layers, from below: the default of the script, `[features.X]` or `[rules.X]`, and the same
//! table of the community. A community that overrides nothing shares the layer below.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::nearest::{did_you_mean, nearest};
use super::read::backticked;
use super::setting::{article, fit, plain, shown, wants};
use super::{Config, Diagnostic, Diagnostics, Mode, ScriptConfig, ScriptTables, Spanned};
use crate::id::ScriptName;
use crate::routine::Times;
use crate::script::protocol::{Manifest, Setting, Trigger};
use crate::script::times_of_script;
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

    /// What holds for a script anywhere.
    pub fn everything_about(&self, script: &ScriptName) -> impl Iterator<Item = &Effective> {
        let layers = std::iter::once(&self.everywhere).chain(self.communities.values());
        layers.filter_map(move |layer| layer.get(script).map(AsRef::as_ref))
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
                && let Some(value) = self.value(&path, manifest, setting, written)
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
        manifest: &Manifest,
        setting: &Setting,
        written: &Spanned<toml::Value>,
    ) -> Option<Value> {
        self.times(path, manifest, &setting.name, written)?;
        let value = plain(&written.value);
        let got = value.type_name();
        let fitted = fit(value, &setting.default);
        if fitted.is_none() {
            let Setting { name, default, line } = setting;
            let message = format!("`{name}` wants {}, got {}", wants(default), article(got));
            let message = match (default, got) {
                (Value::List(_), "array") => {
                    format!("`{name}` wants {} and nothing else", wants(default))
                }
                _ => message,
            };
            let help = format!("its default, in line {line} of the script, is {}", shown(default));
            self.problem(path, written.span.clone(), message, help);
        }
        fitted
    }

    /// A setting that holds the times of a routine can be read as such.
    fn times(
        &mut self,
        path: &str,
        manifest: &Manifest,
        name: &str,
        written: &Spanned<toml::Value>,
    ) -> Option<()> {
        let is_times = manifest.handlers.iter().any(|handler| match &handler.trigger {
            Trigger::Every(spec) => spec.times == Times::Setting(name.to_owned()),
            _ => false,
        });
        if let Some(text) = written.value.as_str().filter(|_| is_times)
            && let Err(reason) = times_of_script(text)
        {
            let help = "`30 8 * * 1-5` is half past eight from Monday to Friday".to_owned();
            self.problem(path, written.span.clone(), reason, help);
            return None;
        }
        Some(())
    }

    fn problem(&mut self, path: &str, span: Range<usize>, message: String, help: String) {
        let text = self.config.source.as_str();
        self.problems.push(Diagnostic::error(text, path, span, message).help(help));
    }
}

fn section(is_rule: bool) -> &'static str {
    if is_rule { "rules" } else { "features" }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn manifest(name: &str, is_rule: bool, settings: &[(&str, Value)]) -> Manifest {
        let setting = |(line, (name, default)): (usize, &(&str, Value))| Setting {
            name: (*name).to_owned(),
            default: default.clone(),
            line: line + 3,
        };
        Manifest {
            name: ScriptName::new(name),
            is_rule,
            path: format!("{name}.rhai"),
            revision: String::new(),
            about: String::new(),
            settings: settings.iter().enumerate().map(setting).collect(),
            handlers: Vec::new(),
            lists: Vec::new(),
        }
    }

    fn manifests() -> Vec<Manifest> {
        let words = Value::List(vec!["a".into()]);
        vec![
            manifest("checkin", false, &[("points", 5.into()), ("max_bonus", 10.into())]),
            manifest("help", false, &[]),
            manifest("no-ads", true, &[("ratio", Value::Float(0.5)), ("words", words)]),
        ]
    }

    fn pairs(pairs: &[(&str, i64)]) -> ValueMap {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::Int(*value))).collect()
    }

    fn resolved(text: &str) -> Result<Resolved, Diagnostics> {
        let config = crate::config::parse(text, Path::new("config.toml"), &|_| None)
            .unwrap_or_else(|found| panic!("{found}"));
        resolve(&config, &manifests())
    }

    #[test]
    fn layers_settings() {
        let resolved = resolved(
            r#"
            [features.checkin]
            points = 7
            mode = "shadow"
            [rules.no-ads]
            ratio = 1
            words = ["x", "y"]
            [[community]]
            id = "readers"
            groups = ["console:a"]
            [community.features.checkin]
            max_bonus = 99
            [community.rules.no-ads]
            enabled = false
            [[community]]
            id = "walkers"
            groups = ["console:b"]
            "#,
        )
        .unwrap();
        let of = |community, script| {
            resolved.effective(community, &ScriptName::new(script)).expect("the script exists")
        };
        let top = of(None, "checkin");
        assert_eq!(*top.settings, pairs(&[("points", 7), ("max_bonus", 10)]));
        assert_eq!((top.enabled, top.mode), (true, Mode::Shadow));
        let readers = of(Some("readers"), "checkin");
        assert_eq!(*readers.settings, pairs(&[("points", 7), ("max_bonus", 99)]));
        assert_eq!(readers.mode, Mode::Shadow);
        assert!(!of(Some("readers"), "no-ads").runs() && of(None, "no-ads").runs());
        assert_eq!(of(None, "no-ads").settings["ratio"], Value::Float(1.0));
        assert!(Arc::ptr_eq(&top, &of(Some("walkers"), "checkin")));
        assert!(Arc::ptr_eq(&of(Some("nowhere"), "help"), &of(None, "help")));
        assert!(of(None, "help").runs());
        assert_eq!(resolved.effective(None, &ScriptName::new("gone")), None);
    }

    #[test]
    fn says_what_no_script_knows() {
        let text = r#"
[features.chekin]
enabled = false

[features.checkin]
point = 6
max_bonus = "10"

[features.no-ads]
mode = "off"

[rules.no-ads]
words = ["x", 3]
lits = "ads"

[[community]]
id = "readers"
groups = ["console:a"]
features.help.colour = "red"
"#;
        let found = resolved(text).unwrap_err();
        insta::assert_snapshot!(crate::config::render(&found, text, false));
    }
}
