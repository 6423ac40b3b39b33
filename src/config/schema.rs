//! The JSON schema of config.toml, for editors: completion, hover texts, red lines.
//!
//! Made from the table of keys and the table of adapters; config.schema.json is its copy on disk.

use serde_json::{Map, Value, json};

use super::keys::{self, EFFECT_WORDS, KeyDoc, KeyValue, Kind, LOCALES};
use crate::adapter::{ADAPTERS, AdapterDefault, AdapterKey, AdapterKind, AdapterSpec};
use crate::routine::spec::shown_minute;
use crate::zone::Zone;

/// The schema, draft 7, which is what editors of TOML know.
pub fn schema() -> Value {
    let mut sections = Map::new();
    for (doc, default) in keys::all() {
        let section = sections.entry(doc.section).or_insert_with(|| object(Map::new(), &[]));
        section["properties"][doc.name] = property(&doc, default.as_ref());
        if doc.required {
            let known = section["required"].as_array().cloned().unwrap_or_default();
            section["required"] = known.into_iter().chain([json!(doc.name)]).collect();
        }
    }
    let scripts = scripts();
    if let Some(mut community) = sections.remove("community") {
        community["properties"]["features"] = scripts.clone();
        community["properties"]["rules"] = scripts.clone();
        sections.insert("community".into(), json!({ "type": "array", "items": community }));
    }
    if let Some(slot) = sections.remove("posting.slot") {
        sections["posting"]["properties"]["slot"] = json!({ "type": "array", "items": slot });
    }
    if let Some(routine) = sections.remove("routine") {
        sections.insert("routine".into(), json!({ "type": "array", "items": routine }));
    }
    let adapters = ADAPTERS.iter().map(|spec| (spec.name.to_owned(), adapter(spec))).collect();
    sections.insert("adapters".into(), object(adapters, &[]));
    sections.insert("features".into(), scripts.clone());
    sections.insert("rules".into(), scripts);
    let mut whole = object(sections, &[]);
    whole["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    whole["title"] = json!("config.toml of Qundao");
    whole["definitions"] = json!({ "timezone": { "type": "string", "enum": zones() } });
    whole
}

fn zones() -> Vec<&'static str> {
    Zone::names().collect()
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn property(doc: &KeyDoc, default: Option<&KeyValue>) -> Value {
    let mut property = kind(doc.kind);
    property["description"] = json!(doc.about);
    let default = match default {
        Some(KeyValue::Text(text)) => json!(text),
        Some(KeyValue::Url(url)) => json!(url.to_string()),
        Some(KeyValue::Int(number)) => json!(number),
        Some(KeyValue::Zone(zone)) => json!(zone.name()),
        Some(KeyValue::Path(path)) => json!(path),
        Some(KeyValue::Clock(minute)) => json!(shown_minute(*minute)),
        Some(KeyValue::Words(words)) => json!(words),
        Some(KeyValue::Refs(refs)) => json!(refs),
        Some(KeyValue::Counts(counts)) => json!(counts),
        None => return property,
    };
    // A reference to a definition takes no siblings in draft 7, hence the wrapping in `kind`.
    property["default"] = default;
    property
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Clock => json!({ "type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Words => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Text | Kind::Folder | Kind::LogFilter | Kind::Cron => {
            json!({ "type": "string", "minLength": 1 })
        }
        Kind::Name => json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
        Kind::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Zone => json!({ "allOf": [{ "$ref": "#/definitions/timezone" }] }),
        Kind::Locale => json!({ "type": "string", "enum": LOCALES }),
        Kind::StoreUrl => {
            json!({ "type": "string", "pattern": "^(sqlite:.+|postgres(ql)?://.+|file:.+|\\$\\{[A-Za-z0-9_]+\\})$" })
        }
        Kind::Refs => {
            let item = json!({ "type": "string", "pattern": "^[^:]+:.+" });
            json!({ "type": "array", "items": item, "uniqueItems": true })
        }
        Kind::Counts { max } => {
            let count = || json!({ "type": "integer", "minimum": 0, "maximum": max });
            object(EFFECT_WORDS.iter().map(|word| ((*word).to_owned(), count())).collect(), &[])
        }
    }
}

/// Features and rules: their settings are the scripts' own, so that anything may stand there.
fn scripts() -> Value {
    json!({
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {
                "enabled": {
                    "type": "boolean", "default": true, "description": "Whether the script runs.",
                },
                "mode": {
                    "type": "string", "enum": ["live", "shadow", "off"], "default": "live",
                    "description": "live: its effects happen; shadow: they are only recorded; off: it does not run.",
                },
            },
        },
    })
}

fn adapter(spec: &AdapterSpec) -> Value {
    let mut properties: Map<String, Value> =
        spec.keys.iter().map(|key| (key.name.to_owned(), adapter_key(key))).collect();
    let enabled = json!({
        "type": "boolean", "default": true, "description": "Whether the bot connects to it.",
    });
    properties.insert("enabled".into(), enabled);
    let required = |key: &&AdapterKey| key.default == AdapterDefault::Required;
    let required: Vec<_> = spec.keys.iter().filter(required).map(|key| key.name).collect();
    let mut object = object(properties, &required);
    object["description"] = json!(spec.about);
    object
}

fn adapter_key(key: &AdapterKey) -> Value {
    let mut property = match key.kind {
        AdapterKind::Text => json!({ "type": "string" }),
        AdapterKind::Int => json!({ "type": "integer" }),
        AdapterKind::Bool => json!({ "type": "boolean" }),
        AdapterKind::Secret => {
            json!({ "type": "string", "pattern": "^(\\$\\{[A-Za-z0-9_]+\\}|file:.+)$" })
        }
    };
    property["description"] = json!(key.about);
    match key.default {
        AdapterDefault::Required | AdapterDefault::Absent => {}
        AdapterDefault::Text(text) => property["default"] = json!(text),
        AdapterDefault::Int(number) => property["default"] = json!(number),
        AdapterDefault::Bool(flag) => property["default"] = json!(flag),
    }
    property
}
