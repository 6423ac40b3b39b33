//! `[features.NAME]` and `[rules.NAME]` as they were typed.
//!
//! Which settings a script has is the script's word, so that they stay untyped here, with their
//! places, until [`super::resolve`] meets the manifests.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::nearest::{did_you_mean, nearest};
use super::read::{Node, Reader, backticked, whole};

/// `[features.*]` and `[rules.*]` of one level (everywhere, or one community).
#[derive(Clone, Debug, Default)]
pub struct ScriptTables {
    /// `[features.NAME]`
    pub features: BTreeMap<String, ScriptConfig>,
    /// `[rules.NAME]`
    pub rules: BTreeMap<String, ScriptConfig>,
}

/// One `[features.NAME]` or `[rules.NAME]`.
#[derive(Clone, Debug, Default)]
pub struct ScriptConfig {
    /// On or off; absent means: as the level above, at the top on.
    pub enabled: Option<bool>,
    /// Live, shadow or off; absent means: as the level above, at the top live.
    pub mode: Option<Mode>,
    /// Everything else, to be checked against the script's `setting()`s.
    pub settings: BTreeMap<String, Spanned<toml::Value>>,
    /// Byte range of the section's head in config.toml.
    pub span: std::ops::Range<usize>,
}

/// A value with its byte range in config.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: std::ops::Range<usize>,
    /// Where its key stands.
    pub key_span: std::ops::Range<usize>,
}

/// Whether a script's effects happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    #[default]
    Live,
    /// They are recorded and reported, not performed.
    Shadow,
    /// It does not run.
    Off,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Live, Self::Shadow, Self::Off];

    /// The word in config.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

impl Reader<'_> {
    /// Every script's section below `/features` or `/rules`.
    pub(super) fn scripts(
        &mut self,
        path: &str,
        node: &Node<'_>,
    ) -> BTreeMap<String, ScriptConfig> {
        let mut scripts = BTreeMap::new();
        for (name, node) in self.table(path, node).into_iter().flatten() {
            let path = format!("{path}/{}", name.get_ref());
            if let Some(script) = self.script(&path, name.span(), node) {
                scripts.insert(name.get_ref().to_string(), script);
            }
        }
        scripts
    }

    fn script(
        &mut self,
        path: &str,
        span: std::ops::Range<usize>,
        node: &Node<'_>,
    ) -> Option<ScriptConfig> {
        let mut script = ScriptConfig { span, ..ScriptConfig::default() };
        for (name, node) in self.table(path, node)? {
            let path = format!("{path}/{}", name.get_ref());
            match name.get_ref().as_ref() {
                "enabled" => script.enabled = self.flag_value(&path, node),
                "mode" => script.mode = self.mode(&path, node),
                setting => {
                    if let Some(value) = self.plain(&path, node) {
                        let spanned = Spanned { value, span: node.span(), key_span: name.span() };
                        script.settings.insert(setting.to_owned(), spanned);
                    }
                }
            }
        }
        Some(script)
    }

    fn mode(&mut self, path: &str, node: &Node<'_>) -> Option<Mode> {
        let word = self.text(path, "a mode as text", node)?;
        let mode = Mode::parse(&word);
        if mode.is_none() {
            let words = Mode::ALL.map(Mode::as_str);
            let near = did_you_mean(nearest(&word, words));
            let problem = self
                .error(path, node.span(), format!("unknown mode `{word}`{near}"))
                .help(format!("the modes are {}", backticked(&words)));
            self.note(problem);
        }
        mode
    }

    /// A value as plain data; `None` for a number that is too large.
    fn plain(&mut self, path: &str, node: &Node<'_>) -> Option<toml::Value> {
        Some(match node.get_ref() {
            DeValue::String(text) => toml::Value::String(text.to_string()),
            DeValue::Integer(_) => match whole(node.get_ref()) {
                Some(number) => toml::Value::Integer(number),
                None => {
                    let problem = self.error(path, node.span(), "too large").help(format!(
                        "write a number from {} to {}",
                        i64::MIN,
                        i64::MAX
                    ));
                    self.note(problem);
                    return None;
                }
            },
            DeValue::Float(number) => toml::Value::Float(number.as_str().parse().ok()?),
            DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
            DeValue::Datetime(date) => toml::Value::Datetime(*date),
            DeValue::Array(items) => {
                toml::Value::Array(items.iter().filter_map(|item| self.plain(path, item)).collect())
            }
            DeValue::Table(table) => {
                let pairs = table.iter().filter_map(|(name, node)| {
                    let path = format!("{path}/{}", name.get_ref());
                    Some((name.get_ref().to_string(), self.plain(&path, node)?))
                });
                toml::Value::Table(pairs.collect())
            }
        })
    }
}
