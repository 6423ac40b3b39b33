//! Rhai's values ↔ ours: what leaves a script is plain data.

use rhai::{Array, Dynamic, Map};

use crate::value::{Value, ValueMap};

use super::fault::{Fault, Outcome};
use super::types::{ButtonRef, EventRef, GroupRef, MemberRef};
use super::weight::Weight;

/// Deepest nesting that is taken out of a script.
const MAX_DEPTH: usize = 32;

/// Most text and most entries that are taken out of a script in one value: more than a script
/// could read back. Entries of a script may share one text; outside each has its own.
const MAX_BYTES: usize = 64 * 1024;
const MAX_ENTRIES: usize = 4096;

/// From a script.
pub(super) fn from_script(value: &Dynamic) -> Outcome<Value> {
    let weight = Weight::of(value);
    if weight.bytes > MAX_BYTES || weight.entries > MAX_ENTRIES {
        return Fault::wrong(format!(
            "this value is too large to be kept or passed on ({} bytes, {} entries; at most {MAX_BYTES} and {MAX_ENTRIES}): keep less",
            weight.bytes, weight.entries
        ));
    }
    convert(value, 0)
}

fn convert(value: &Dynamic, depth: usize) -> Outcome<Value> {
    if depth > MAX_DEPTH {
        return Fault::wrong(format!("this value is nested deeper than {MAX_DEPTH}: flatten it"));
    }
    if value.is_unit() {
        return Ok(Value::Unit);
    }
    if let Ok(value) = value.as_bool() {
        return Ok(Value::Bool(value));
    }
    if let Ok(value) = value.as_int() {
        return Ok(Value::Int(value));
    }
    if let Ok(value) = value.as_float() {
        if !value.is_finite() {
            return Fault::wrong(format!("{value} is no number that can be kept or passed on"));
        }
        return Ok(Value::Float(value));
    }
    if let Some(text) = text_of(value) {
        return Ok(Value::Text(text));
    }
    if let Ok(array) = value.as_array_ref() {
        return array
            .iter()
            .map(|item| convert(item, depth + 1))
            .collect::<Outcome<_>>()
            .map(Value::List);
    }
    if let Ok(map) = value.as_map_ref() {
        return map
            .iter()
            .map(|(key, item)| Ok((key.to_string(), convert(item, depth + 1)?)))
            .collect::<Outcome<ValueMap>>()
            .map(Value::Map);
    }
    if let Some(member) = value.read_lock::<MemberRef>() {
        return Ok(Value::Member(member.0.clone()));
    }
    if let Some(group) = value.read_lock::<GroupRef>() {
        return Ok(Value::map([("group", Value::Int(group.0.id.0))]));
    }
    Fault::wrong(format!(
        "a {} cannot be kept or passed on: use text, numbers, arrays, maps or members",
        type_name(value)
    ))
}

/// Into a script.
pub(super) fn into_script(value: Value) -> Dynamic {
    match value {
        Value::Unit => Dynamic::UNIT,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::Text(value) => value.into(),
        Value::List(items) => Dynamic::from(items.into_iter().map(into_script).collect::<Array>()),
        Value::Map(map) => into_map(map).into(),
        Value::Member(member) => Dynamic::from(MemberRef(member)),
    }
}

/// A map into a script.
pub(super) fn into_map(map: ValueMap) -> Map {
    map.into_iter().map(|(key, value)| (key.into(), into_script(value))).collect()
}

/// The text of a text or of a single character.
pub(super) fn text_of(value: &Dynamic) -> Option<String> {
    if let Ok(text) = value.as_immutable_string_ref() {
        return Some(text.to_string());
    }
    value.as_char().ok().map(String::from)
}

/// The kind of value, as messages name it.
pub(super) fn type_name(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "()"
    } else if value.is_bool() {
        "bool"
    } else if value.is_int() {
        "int"
    } else if value.is_float() {
        "float"
    } else if value.is_string() || value.is_char() {
        "text"
    } else if value.is_array() {
        "array"
    } else if value.is_map() {
        "map"
    } else if value.is_fnptr() {
        "function"
    } else if value.is::<MemberRef>() {
        "Member"
    } else if value.is::<GroupRef>() {
        "Group"
    } else if value.is::<EventRef>() {
        "event"
    } else if value.is::<ButtonRef>() {
        "Button"
    } else {
        "value of another kind"
    }
}
