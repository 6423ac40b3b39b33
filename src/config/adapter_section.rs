//! `[adapters.NAME]`: read against the keys that the adapter itself declares.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::Secret;
use super::nearest::{did_you_mean, nearest};
use super::read::{Node, Reader, backticked};
use crate::adapter::{AdapterDefault, AdapterKey, AdapterKind, AdapterSpec};

/// `[adapters.NAME]`: the settings of one adapter, already checked against its keys.
#[derive(Clone, Debug, Default)]
pub struct AdapterConfig {
    /// Plain settings, as far as they were written.
    pub values: BTreeMap<String, toml::Value>,
    /// Secrets, after `${ENV}` and files; never printed.
    pub secrets: BTreeMap<String, Secret>,
    /// The keys of the adapter, for their defaults.
    pub keys: &'static [AdapterKey],
}

impl AdapterConfig {
    /// A text, or its default; `None` where it is absent and has none.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(value) => value.as_str(),
            None => match self.otherwise(name)? {
                AdapterDefault::Text(text) => Some(text),
                _ => None,
            },
        }
    }

    /// A whole number, or its default; `None` where it is absent and has none.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(value) => value.as_integer(),
            None => match self.otherwise(name)? {
                AdapterDefault::Int(number) => Some(number),
                _ => None,
            },
        }
    }

    /// True or false, or its default; without one false.
    pub fn flag(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(value) => value.as_bool().unwrap_or_default(),
            None => self.otherwise(name) == Some(AdapterDefault::Bool(true)),
        }
    }

    /// A secret; `None` where it is absent.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    fn otherwise(&self, name: &str) -> Option<AdapterDefault> {
        self.keys.iter().find(|key| key.name == name).map(|key| key.default)
    }
}

impl Reader<'_> {
    /// `[adapters]`; only what is enabled comes out.
    pub(super) fn adapters(&mut self, node: &Node<'_>) -> BTreeMap<String, AdapterConfig> {
        let mut adapters = BTreeMap::new();
        let specs = self.around.adapters;
        for (name, node) in self.table("/adapters", node).into_iter().flatten() {
            let word = name.get_ref().as_ref();
            let path = format!("/adapters/{word}");
            let Some(spec) = specs.iter().find(|spec| spec.name == word) else {
                let names: Vec<_> = specs.iter().map(|spec| spec.name).collect();
                let near = did_you_mean(nearest(word, names.iter().copied()));
                let problem = self
                    .error(path, name.span(), format!("unknown adapter{near}"))
                    .help(format!("this version has {}", backticked(&names)));
                self.note(problem);
                self.mask_texts(node);
                continue;
            };
            let Some(table) = self.table(&path, node) else { continue };
            if let Some(adapter) = self.adapter(&path, spec, table, node) {
                adapters.insert(word.to_owned(), adapter);
            }
        }
        adapters
    }

    fn adapter(
        &mut self,
        path: &str,
        spec: &AdapterSpec,
        table: &DeTable<'_>,
        head: &Node<'_>,
    ) -> Option<AdapterConfig> {
        let enabled = table
            .get("enabled")
            .is_none_or(|node| self.flag_value(&format!("{path}/enabled"), node) != Some(false));
        let mut adapter = AdapterConfig { keys: spec.keys, ..AdapterConfig::default() };
        let head_path = path;
        for (name, node) in table {
            let word = name.get_ref().as_ref();
            let path = format!("{path}/{word}");
            match spec.keys.iter().find(|key| key.name == word) {
                Some(key) => self.adapter_key(&path, key, node, enabled, &mut adapter),
                None if word == "enabled" => {}
                None => {
                    let names: Vec<_> =
                        spec.keys.iter().map(|key| key.name).chain(["enabled"]).collect();
                    self.unknown_key(head_path, word, name.span(), node, &names);
                    self.mask_texts(node);
                }
            }
        }
        for key in spec.keys {
            if enabled && key.default == AdapterDefault::Required && !table.contains_key(key.name) {
                let problem = self
                    .error(path, head.span(), format!("`{}` is missing", key.name))
                    .help(format!("add `{} = …` below: {}", key.name, key.about));
                self.note_missing(problem);
            }
        }
        enabled.then_some(adapter)
    }

    fn adapter_key(
        &mut self,
        path: &str,
        key: &AdapterKey,
        node: &Node<'_>,
        enabled: bool,
        adapter: &mut AdapterConfig,
    ) {
        let value = match key.kind {
            AdapterKind::Secret => {
                if let Some(secret) = self.secret(path, node, enabled) {
                    adapter.secrets.insert(key.name.to_owned(), secret);
                }
                return;
            }
            AdapterKind::Text => self.open_text(path, node, adapter.keys).map(toml::Value::String),
            AdapterKind::Int => self.int(path, i64::MIN, i64::MAX, node).map(toml::Value::Integer),
            AdapterKind::Bool => self.flag_value(path, node).map(toml::Value::Boolean),
        };
        if let Some(value) = value {
            adapter.values.insert(key.name.to_owned(), value);
        }
    }

    /// A text that is kept in the open, and so must not carry a secret within.
    fn open_text(&mut self, path: &str, node: &Node<'_>, keys: &[AdapterKey]) -> Option<String> {
        let text = self.text(path, "text", node)?;
        let secret = keys.iter().find(|key| key.kind == AdapterKind::Secret);
        if let Some(secret) = secret.filter(|_| carries_secret(&text)) {
            self.mask(node.span());
            let problem = self
                .error(path, node.span(), "this address carries a secret")
                .help(format!("write the address alone, and the secret as `{}`", secret.name));
            self.note(problem);
            return None;
        }
        Some(text)
    }

    /// True or false, or a problem.
    pub(super) fn flag_value(&mut self, path: &str, node: &Node<'_>) -> Option<bool> {
        let flag = node.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(
                path,
                "true or false",
                node,
                Some("write `true` or `false` without quotes".into()),
            );
        }
        flag
    }

    /// Hides every text below a place: what nobody knows may be a secret whose key was mistyped.
    pub(super) fn mask_texts(&mut self, node: &Node<'_>) {
        match node.get_ref() {
            DeValue::Table(table) => table.iter().for_each(|(_, node)| self.mask_texts(node)),
            DeValue::Array(items) => items.iter().for_each(|node| self.mask_texts(node)),
            DeValue::String(_) | DeValue::Integer(_) => self.mask(node.span()),
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }
}

/// Whether an address has a password or a token in it.
fn carries_secret(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let query = rest.split_once('?').map_or("", |(_, query)| query).to_lowercase();
    host.contains('@')
        || ["token=", "secret=", "password=", "key="].iter().any(|it| query.contains(it))
}
