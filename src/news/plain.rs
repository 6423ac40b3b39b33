//! What a feed says in HTML, as one short line of plain text that cannot misbehave.
//!
//! Feeds escape their titles once, twice or not at all. Characters that are not seen, or that turn
//! the direction of what follows, are left out: a title stands in our message.

use unicode_normalization::UnicodeNormalization as _;

/// Passes over entities: what was escaped twice is read twice, and no more.
const PASSES: usize = 2;
/// Longest entity, bytes, `&` and `;` not counted.
const ENTITY_MAX: usize = 10;
/// What is looked at of one text, bytes: a title is a few hundred.
const LOOKED_AT_MAX: usize = 16 * 1024;

/// At most so many characters of plain text.
pub fn plain(html: &str, most: usize) -> String {
    let mut text = cut_bytes(html, LOOKED_AT_MAX).to_owned();
    for _ in 0..PASSES {
        text = entities(&without_tags(&text));
    }
    let seen: String = text.nfc().filter(|c| is_shown(*c)).collect();
    let line = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&line, most)
}

/// The first characters; `…` stands for the rest.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn cut_bytes(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// White space stays, to be made one space.
fn is_shown(c: char) -> bool {
    let is_control = c.is_control() && !c.is_whitespace();
    let is_hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fffe}' | '\u{ffff}');
    !is_control && !is_hidden
}

/// Leaves out tags and comments; `a < b` is no tag.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let is_tag = from[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
        let end = if from.starts_with("<!--") { "-->" } else { ">" };
        match from.find(end).filter(|_| is_tag) {
            Some(close) => {
                // Words on both sides of a tag are two words where they are blocks of text.
                if breaks(&from[1..close]) {
                    out.push(' ');
                }
                rest = &from[close + end.len()..];
            }
            None => {
                out.push('<');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn breaks(tag: &str) -> bool {
    let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next();
    let name = name.unwrap_or_default().to_ascii_lowercase();
    ["br", "p", "div", "li", "tr", "td", "h1", "h2", "h3", "hr"].contains(&name.as_str())
}

fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let name = cut_bytes(&from[1..], ENTITY_MAX + 1).split_once(';').map(|(name, _)| name);
        match name.and_then(|name| Some((name, entity(name)?))) {
            Some((name, character)) => {
                out.push(character);
                rest = &from[name.len() + 2..];
            }
            None => {
                out.push('&');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The entities that titles have (<https://html.spec.whatwg.org/multipage/named-characters.html>).
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = match hex {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return code.ok().and_then(char::from_u32);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
        "hellip" => '…',
        "mdash" => '—',
        "ndash" => '–',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "middot" => '·',
        "bull" => '•',
        "times" => '×',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "deg" => '°',
        "yen" => '¥',
        "euro" => '€',
        "eacute" => 'é',
        "uuml" => 'ü',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &str) {
        assert_eq!(plain(html, 200), expected, "{html:?}");
    }

    #[test]
    fn html_becomes_one_line() {
        check("<b>早报</b>：今天", "早报：今天");
        check("&lt;i&gt;斜体&lt;/i&gt;", "斜体");
        check("AT&amp;amp;T &#x4e2d;&#25991;", "AT&T 中文");
        check("1 < 2 && 3 > 2", "1 < 2 && 3 > 2");
        check("一行<br/>又一行\n\t第三行", "一行 又一行 第三行");
        check("<!-- <b> --->好", "好");
        check("<script", "<script");
        check("&nosuch; &#xd800; &#99999999999;", "&nosuch; &#xd800; &#99999999999;");
        check("  ", "");
    }

    #[test]
    fn what_is_not_seen_is_left_out() {
        check("早\u{200b}报\u{202e}txt\u{2066}x\u{feff}", "早报txtx");
        check("a\u{0}b\u{7}c\u{1b}[31m", "abc[31m");
        check("&#x202e;gpj.exe", "gpj.exe");
        check("e\u{301}te\u{301}", "été");
    }

    #[test]
    fn it_is_cut_by_characters() {
        assert_eq!(plain("一二三四五六", 4), "一二三…");
        assert_eq!(plain("一二三四", 4), "一二三四");
        assert_eq!(plain(&"字".repeat(100_000), 200).chars().count(), 200);
    }
}
