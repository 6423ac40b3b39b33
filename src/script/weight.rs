//! How much a value keeps alive: what limits measure and what native functions would make of it.

use rhai::{Dynamic, FnPtr};

use super::types::{ButtonRef, RefusalRef};
use crate::value::Value;

/// Entries and bytes of text of all values that were added.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Entries of arrays and maps.
    pub entries: usize,
    /// Bytes of texts and of keys.
    pub bytes: usize,
}

impl Weight {
    /// Of one value.
    pub fn of(value: &Dynamic) -> Self {
        let mut weight = Self::default();
        weight.add(value);
        weight
    }

    /// Adds one value with all that is in it. How deep it goes is bounded by the size of what can
    /// be put into another value at once.
    pub fn add(&mut self, value: &Dynamic) {
        if let Ok(array) = value.as_array_ref() {
            self.entries += array.len();
            for item in array.iter() {
                self.add(item);
            }
        } else if let Ok(map) = value.as_map_ref() {
            self.entries += map.len();
            for (key, item) in map.iter() {
                self.bytes += key.len();
                self.add(item);
            }
        } else if let Ok(text) = value.as_immutable_string_ref() {
            self.bytes += text.len();
        } else if value.is_variant() {
            self.add_ours(value);
        } else if let Some(pointer) = value.read_lock::<FnPtr>() {
            self.bytes += pointer.fn_name().len();
        }
    }

    /// Adds a value of our own types that a script can fill.
    fn add_ours(&mut self, value: &Dynamic) {
        if let Some(button) = value.read_lock::<ButtonRef>() {
            self.bytes += button.label.len() + button.value.len();
        } else if let Some(refusal) = value.read_lock::<RefusalRef>() {
            self.bytes += refusal.0.code.len();
            for (key, item) in &refusal.0.data {
                self.bytes += key.len();
                self.add_data(item);
            }
        }
    }

    /// Adds plain data.
    fn add_data(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.bytes += text.len(),
            Value::List(items) => {
                self.entries += items.len();
                items.iter().for_each(|item| self.add_data(item));
            }
            Value::Map(map) => {
                self.entries += map.len();
                for (key, item) in map {
                    self.bytes += key.len();
                    self.add_data(item);
                }
            }
            _ => {}
        }
    }
}
