//! CQ strings, written from the standard for the simulator alone
//! (<https://github.com/botuniverse/onebot-11/blob/master/message/string.md>).

use serde_json::{Map, Value, json};

/// Segments as a string.
pub fn write(segments: &[Value]) -> String {
    let mut out = String::new();
    for segment in segments {
        let kind = segment["type"].as_str().unwrap_or_default();
        if kind == "text" {
            out.push_str(&escape(segment["data"]["text"].as_str().unwrap_or_default()));
            continue;
        }
        out.push_str(&format!("[CQ:{kind}"));
        for (key, value) in segment["data"].as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            out.push_str(&format!(",{key}={}", escape(&value).replace(',', "&#44;")));
        }
        out.push(']');
    }
    out
}

/// A string as segments.
pub fn read(text: &str) -> Vec<Value> {
    let code = regex::Regex::new(r"\[CQ:([^,\[\]]+)((?:,[^,\[\]]*)*)\]").unwrap();
    let mut segments = Vec::new();
    let mut at = 0;
    for found in code.captures_iter(text) {
        let whole = found.get(0).unwrap();
        push_text(&mut segments, &text[at..whole.start()]);
        let data: Map<String, Value> = found[2]
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), json!(unescape(value))))
            .collect();
        segments.push(json!({ "type": &found[1], "data": data }));
        at = whole.end();
    }
    push_text(&mut segments, &text[at..]);
    segments
}

fn push_text(segments: &mut Vec<Value>, text: &str) {
    if !text.is_empty() {
        segments.push(json!({ "type": "text", "data": { "text": unescape(text) } }));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('[', "&#91;").replace(']', "&#93;")
}

fn unescape(text: &str) -> String {
    text.replace("&#44;", ",").replace("&#91;", "[").replace("&#93;", "]").replace("&amp;", "&")
}
