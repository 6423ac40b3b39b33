//! Feeds that a strict parser refuses although everybody can see what they mean, put right.
//!
//! Old versions are read as the newest of their kind: they differ in what is left out.

/// The namespace of Atom 0.3, and of the one that the parser knows.
const ATOM_0_3: &str = "http://purl.org/atom/ns#";
const ATOM_1_0: &str = "http://www.w3.org/2005/Atom";

/// Longest entity, bytes.
const ENTITY_MAX: usize = 32;

/// The text put right; `None` where there is nothing to put right.
pub(super) fn repaired(text: &str) -> Option<String> {
    let mut better = escaped(text);
    better = as_version_2(&better).unwrap_or(better);
    if better.contains(ATOM_0_3) {
        better = better.replace(ATOM_0_3, ATOM_1_0);
        for (old, new) in [("issued", "published"), ("modified", "updated")] {
            better = better.replace(&format!("<{old}>"), &format!("<{new}>"));
            better = better.replace(&format!("</{old}>"), &format!("</{new}>"));
        }
    }
    (better != text).then_some(better)
}

/// `&` that begins no entity is an ampersand, except where everything is text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("<![CDATA[") {
        escape_into(&mut out, &rest[..at]);
        let end = rest[at..].find("]]>").map_or(rest.len(), |end| at + end);
        out.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    escape_into(&mut out, rest);
    out
}

fn escape_into(out: &mut String, text: &str) {
    for (at, part) in text.split('&').enumerate() {
        if at > 0 {
            out.push_str(if begins_entity(part) { "&" } else { "&amp;" });
        }
        out.push_str(part);
    }
}

fn begins_entity(rest: &str) -> bool {
    let end = rest.bytes().take(ENTITY_MAX).position(|byte| byte == b';').unwrap_or_default();
    let name = rest.get(..end).unwrap_or_default();
    let name = name.strip_prefix('#').unwrap_or(name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `<rss>` of any version, with or without a namespace of its own, as that of 2.0.
fn as_version_2(text: &str) -> Option<String> {
    let start = text.find("<rss")? + "<rss".len();
    let end = start + text[start..].find('>')?;
    let mut head = text[start..end].to_owned();
    for name in ["version", "xmlns"] {
        if let Some((from, to)) = attribute(&head, name) {
            head.replace_range(from..to, "");
        }
    }
    Some(format!("{} version=\"2.0\"{head}{}", &text[..start], &text[end..]))
}

/// Where an attribute stands, with its value.
fn attribute(head: &str, name: &str) -> Option<(usize, usize)> {
    let found = head.match_indices(name).find(|(at, _)| {
        let before = head[..*at].chars().next_back();
        let after = head[at + name.len()..].trim_start();
        before.is_some_and(char::is_whitespace) && after.starts_with('=')
    });
    let (at, _) = found?;
    let quote = head[at..].find(['"', '\''])? + at;
    let mark = head[quote..].chars().next()?;
    let close = head[quote + 1..].find(mark)? + quote + 1;
    Some((at, close + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ampersands_are_escaped_where_they_are_none() {
        let check = |text: &str, expected: &str| assert_eq!(escaped(text), expected);
        check("R&D & A&B;C", "R&amp;D &amp; A&B;C");
        check("&amp; &#20013; &#x4e2d; &nbsp;", "&amp; &#20013; &#x4e2d; &nbsp;");
        check("a&b<![CDATA[c&d]]>e&f", "a&amp;b<![CDATA[c&d]]>e&amp;f");
        check("&", "&amp;");
        check("<![CDATA[ &", "<![CDATA[ &");
        check("&早报;", "&amp;早报;");
    }

    #[test]
    fn heads_become_those_of_version_2() {
        let check = |text: &str, expected: &str| {
            assert_eq!(as_version_2(text).as_deref(), Some(expected));
        };
        check("<rss>", "<rss version=\"2.0\">");
        check("<rss version='0.94'>", "<rss version=\"2.0\" >");
        check("<rss xmlns:a=\"x\" xmlns=\"y\">", "<rss version=\"2.0\" xmlns:a=\"x\" >");
        assert_eq!(as_version_2("<rss"), None);
        assert_eq!(as_version_2("<feed>"), None);
    }
}
