//! Cuts a feed short before a parser builds all of it: of a hundred thousand entries the first few
//! hundred are wanted, and the others would take a hundred times their size in memory.

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::fetch::Failure;
use super::parse::ENTRIES_MAX;

/// Elements within elements; feeds have about ten.
const DEPTH_MAX: usize = 128;

/// The feed with its first entries.
///
/// # Errors
/// It is nested too deeply, or is JSON of another kind.
pub(super) fn cut(text: String) -> Result<String, Failure> {
    if text.trim_start().starts_with('{') { cut_json(&text) } else { cut_xml(text) }
}

/// What is wanted of a JSON Feed (<https://www.jsonfeed.org/version/1.1/>).
#[derive(Deserialize, Serialize)]
struct JsonFeed<'t> {
    #[serde(borrow)]
    version: &'t RawValue,
    title: &'t RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_page_url: Option<&'t RawValue>,
    items: First<'t>,
}

/// The first entries of a list.
#[derive(Serialize)]
struct First<'t>(Vec<&'t RawValue>);

impl<'de: 't, 't> Deserialize<'de> for First<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taking;
        impl<'de> Visitor<'de> for Taking {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut first = Vec::new();
                while first.len() < ENTRIES_MAX {
                    match list.next_element()? {
                        Some(item) => first.push(item),
                        None => return Ok(first),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(first)
            }
        }
        deserializer.deserialize_seq(Taking).map(First)
    }
}

fn cut_json(text: &str) -> Result<String, Failure> {
    let no_feed = |error: serde_json::Error| Failure::new(format!("is no JSON Feed: {error}"));
    let feed: JsonFeed<'_> = serde_json::from_str(text).map_err(no_feed)?;
    serde_json::to_string(&feed).map_err(no_feed)
}

/// Ends where one entry too many begins, and closes what is open there.
fn cut_xml(mut text: String) -> Result<String, Failure> {
    let mut open: Vec<std::ops::Range<usize>> = Vec::new();
    let (mut at, mut entries) = (0, 0_usize);
    while let Some(found) = text[at..].find('<') {
        at += found;
        let rest = &text[at..];
        let end = |mark: &str| rest.find(mark).map_or(text.len(), |to| at + to + mark.len());
        if rest.starts_with("<![CDATA[") {
            at = end("]]>");
            continue;
        }
        if rest.starts_with("<!--") {
            at = end("-->");
            continue;
        }
        let close = end(">");
        if rest.starts_with("</") {
            open.pop();
        } else if !rest.starts_with("<!") && !rest.starts_with("<?") {
            let name = name(rest);
            entries += usize::from(is_entry(name));
            if entries > ENTRIES_MAX {
                let ends: Vec<String> =
                    open.iter().rev().map(|name| format!("</{}>", &text[name.clone()])).collect();
                text.truncate(at);
                text.push_str(&ends.concat());
                return Ok(text);
            }
            if !text[..close].ends_with("/>") {
                open.push(at + 1..at + 1 + name.len());
            }
        }
        if open.len() > DEPTH_MAX {
            return Err(Failure::new(format!("is nested deeper than {DEPTH_MAX} elements")));
        }
        at = close;
    }
    Ok(text)
}

/// The name of the tag that begins here.
fn name(tag: &str) -> &str {
    let end = |c: char| c.is_whitespace() || "/>".contains(c);
    tag[1..].split(end).next().unwrap_or_default()
}

/// `<item>` or `<entry>`, in any namespace.
fn is_entry(name: &str) -> bool {
    let local = name.rsplit(':').next().unwrap_or(name);
    local == "item" || local == "entry"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entries_stay_whole() {
        let feed = |count: usize, rest: &str| {
            let items: String = (0..count).map(|n| format!("<item a='/'>{n}<b/></item>")).collect();
            format!("<?xml?><!-- <item> --><rss><channel><t><![CDATA[<item>]]></t>{items}{rest}")
        };
        let end = "</channel></rss>";
        let short = feed(ENTRIES_MAX, end);
        assert_eq!(cut(short.clone()).expect("a feed"), short);
        assert_eq!(cut(feed(ENTRIES_MAX + 9, end)).expect("a feed"), short);
        assert_eq!(cut(feed(ENTRIES_MAX + 9, "")).expect("a feed"), short);
        for odd in ["", "<", "<>", "</", "</a></b>", "<a", "<![CDATA[", "<!--", "x"] {
            assert_eq!(cut(odd.to_owned()).expect("short"), odd);
        }
        assert!(cut("<a>".repeat(DEPTH_MAX)).is_ok());
        assert!(cut("<a>".repeat(DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn json_keeps_what_is_wanted() {
        let items = vec!["{\"id\":\"1\"}"; ENTRIES_MAX + 5].join(",");
        let text = format!("{{\"x\":[1],\"version\":\"v\",\"title\":\"t\",\"items\":[{items}]}}");
        let short = cut(text).expect("a feed");
        let items = vec!["{\"id\":\"1\"}"; ENTRIES_MAX].join(",");
        assert_eq!(short, format!("{{\"version\":\"v\",\"title\":\"t\",\"items\":[{items}]}}"));
        assert!(cut("{\"code\":401}".to_owned()).is_err());
    }
}
