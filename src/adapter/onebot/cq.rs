//! The text format of messages, with CQ codes in it, as segments.
//!
//! Only read, never written: what we send is segments, so that no text of a member can become a
//! code. The rules: <https://github.com/botuniverse/onebot-11/blob/master/message/string.md>.

use std::borrow::Cow;

use super::wire::{Data, Scalar, Segment};

/// What stands for the characters that would be read as codes in plain text.
const IN_TEXT: &[(&str, char)] = &[("&amp;", '&'), ("&#91;", '['), ("&#93;", ']')];
/// And within a code.
const IN_CODE: &[(&str, char)] = &[("&amp;", '&'), ("&#91;", '['), ("&#93;", ']'), ("&#44;", ',')];

/// Splits a text into segments. What only looks like a code stays text.
pub fn segments(text: &str) -> Vec<Segment<'_>> {
    let mut found = Vec::new();
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(start) = text[at..].find("[CQ:").map(|start| at + start) {
        let Some(end) = text[start..].find(']').map(|end| start + end) else { break };
        let inner = &text[start + "[CQ:".len()..end];
        let kind = inner.split(',').next().unwrap_or_default();
        if kind.is_empty() || kind.contains('[') {
            at = start + 1;
            continue;
        }
        push_text(&mut found, &text[plain_from..start]);
        found.push(code(inner));
        (plain_from, at) = (end + 1, end + 1);
    }
    push_text(&mut found, &text[plain_from..]);
    found
}

fn push_text<'a>(found: &mut Vec<Segment<'a>>, text: &'a str) {
    if text.is_empty() {
        return;
    }
    let data = Data { text: Scalar(Some(unescape(text, IN_TEXT))), ..Data::default() };
    found.push(Segment { kind: Scalar(Some(Cow::Borrowed("text"))), data: Some(data) });
}

/// `at,qq=10001` → its segment.
fn code(inner: &str) -> Segment<'_> {
    let mut parts = inner.split(',');
    let kind = parts.next().unwrap_or_default();
    let mut data = Data::default();
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = Scalar(Some(unescape(value, IN_CODE)));
        match name {
            "text" => data.text = value,
            "qq" => data.qq = value,
            "id" => data.id = value,
            "name" => data.name = value,
            "file" => data.file = value,
            "url" => data.url = value,
            "title" => data.title = value,
            "content" => data.content = value,
            "summary" => data.summary = value,
            "result" => data.result = value,
            "data" => data.data = value,
            _ => {}
        }
    }
    Segment { kind: Scalar(Some(Cow::Borrowed(kind))), data: Some(data) }
}

/// Puts the characters back, in one pass: what comes out is not looked at again.
fn unescape<'a>(text: &'a str, table: &[(&str, char)]) -> Cow<'a, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match table.iter().find(|(escape, _)| rest.starts_with(escape)) {
            Some((escape, character)) => {
                out.push(*character);
                rest = &rest[escape.len()..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let show = |segment: &Segment<'_>| {
            let data = segment.data.as_ref().expect("always there");
            let fields = [
                ("", &data.text),
                ("qq=", &data.qq),
                ("id=", &data.id),
                ("url=", &data.url),
                ("title=", &data.title),
            ];
            let fields: String = fields
                .iter()
                .filter_map(|(name, value)| value.get().map(|value| format!("<{name}{value}>")))
                .collect();
            format!("{}{fields}", segment.kind.as_str())
        };
        segments(text).iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_codes_and_puts_characters_back() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected, "{text}");
        check("早", "text<早>");
        check("", "");
        check("[CQ:at,qq=10001] 早", "at<qq=10001> text< 早>");
        check("[CQ:face,id=178]看[CQ:shake]", "face<id=178> text<看> shake");
        check("&#91;CQ:at,qq=all&#93;", "text<[CQ:at,qq=all]>");
        check("&amp;#91;", "text<&#91;>");
        check("a &b; &#44;", "text<a &b; &#44;>");
        check(
            "[CQ:share,title=a=b&#44;c,url=http://a.cn/?x=1&amp;y=2]",
            "share<url=http://a.cn/?x=1&y=2><title=a=b,c>",
        );
    }

    #[test]
    fn what_only_looks_like_a_code_stays_text() {
        for text in ["[CQ:at,qq=1", "[CQ:]", "[CQ:,qq=1]", "[cq:at,qq=1]", "CQ:at]"] {
            assert_eq!(shown(text), format!("text<{text}>"));
        }
        assert_eq!(shown("[CQ:[CQ:at,qq=1]"), "text<[CQ:> at<qq=1>");
    }

    proptest::proptest! {
        #[test]
        fn what_was_escaped_comes_back_as_it_was(text in proptest::prelude::any::<String>()) {
            let escaped = text.replace('&', "&amp;").replace('[', "&#91;").replace(']', "&#93;");
            let found = segments(&escaped);
            let texts = found.iter().map(|it| it.data.as_ref().map_or("", |data| data.text.as_str()));
            proptest::prop_assert_eq!(texts.collect::<String>(), text);
            proptest::prop_assert!(found.len() <= 1);
        }
    }
}
