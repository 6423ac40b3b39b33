//! stub until merge
use crate::value::ValueMap;
/// Text.
pub fn text(_locale: &str, key: &str, _args: &ValueMap) -> String {
    key.to_owned()
}
