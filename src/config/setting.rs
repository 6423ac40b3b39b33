//! A value that was written against the default that a script declares.

use crate::value::Value;

/// TOML's data as a script's.
pub(super) fn plain(value: &toml::Value) -> Value {
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
pub(super) fn fit(value: Value, default: &Value) -> Option<Value> {
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

/// What a setting takes, as a sentence goes on after "wants".
pub(super) fn wants(default: &Value) -> String {
    match default {
        Value::List(items) if !items.is_empty() => {
            format!("a list in which each entry is {}", article(items[0].type_name()))
        }
        other => article(other.type_name()).to_owned(),
    }
}

/// The type for people who know no types.
pub(super) fn article(type_name: &'static str) -> &'static str {
    match type_name {
        "bool" => "true or false",
        "int" => "a whole number",
        "float" => "a number",
        "array" => "a list",
        "map" => "a table",
        other => other,
    }
}

/// A default for people.
pub(super) fn shown(value: &Value) -> String {
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
