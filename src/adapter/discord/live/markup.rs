//! Text as Discord's Markdown, so that what a member wrote shows as it was typed and pings nobody
//! (<https://discord.com/developers/docs/reference#message-formatting>).
//!
//! Who is pinged is said apart from the text (`allowed_mentions`); this is about how it looks.

/// Marks that mean something within a line, wherever they stand.
const MARKS: &[char] = &['\\', '*', '_', '~', '`', '|', '[', ']', '<', '>', '@'];
/// Marks that mean something at the beginning of a line alone.
const LINE_MARKS: &[char] = &['#', '-', '+'];

/// Escapes a text. Addresses stay as they are, so that they can be followed.
pub fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = url_start(rest) {
        let (before, from) = rest.split_at(at);
        let length = from.find(|c: char| c.is_whitespace() || c == '<' || c == '>');
        let (url, after) = from.split_at(length.unwrap_or(from.len()));
        plain(before, out);
        out.push_str(url);
        rest = after;
    }
    plain(rest, out);
}

fn url_start(text: &str) -> Option<usize> {
    ["https://", "http://"].iter().filter_map(|scheme| text.find(scheme)).min()
}

fn plain(text: &str, out: &mut String) {
    let mut marks = text.chars().peekable();
    while let Some(mark) = marks.next() {
        let is_at_start = out.trim_end_matches([' ', '\t']).rsplit('\n').next() == Some("");
        let is_before_space = marks.peek().is_none_or(|next| next.is_whitespace());
        let needs = MARKS.contains(&mark)
            || is_at_start && LINE_MARKS.contains(&mark)
            // `1. ` begins a list.
            || mark == '.' && is_before_space && starts_with_number(out);
        if needs {
            out.push('\\');
        }
        out.push(mark);
    }
}

/// Whether the last line so far is a number and nothing else.
fn starts_with_number(out: &str) -> bool {
    let line = out.rsplit('\n').next().unwrap_or_default().trim_start();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// Code in a block; a fence within is broken up by a sign that has no width.
pub fn code(text: &str, out: &mut String) {
    let inert = text.replace("```", "`\u{200b}``");
    let fence = if inert.contains('\n') || inert.contains('`') { "```" } else { "`" };
    let newline = if fence.len() == 3 { "\n" } else { "" };
    *out += &format!("{fence}{newline}{inert}{newline}{fence}");
}

/// What a reader sees of an escaped text: the way back, for tests and for looking for our own.
#[cfg(test)]
fn unescape(text: &str) -> String {
    let mut seen = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {
                seen.push(*next);
                chars.next();
            }
            _ => seen.push(c),
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        escape(text, &mut out);
        out
    }

    #[test]
    fn marks_are_shown_and_not_obeyed() {
        assert_eq!(escaped("*a* _b_ `c`"), r"\*a\* \_b\_ \`c\`");
        assert_eq!(escaped("@everyone <@1> <#2>"), r"\@everyone \<\@1\> \<#2\>");
        assert_eq!(escaped("# a\n- b\n1. c\n2.5"), "\\# a\n\\- b\n1\\. c\n2.5");
        assert_eq!(escaped("3.5 元 - 4"), "3.5 元 - 4");
        assert_eq!(escaped("看 https://a.cn/x_y*z 吧*"), "看 https://a.cn/x_y*z 吧\\*");
    }

    #[test]
    fn code_stays_in_its_block() {
        let mut out = String::new();
        code("a ``` b\n@everyone", &mut out);
        assert_eq!(out.matches("```").count(), 2, "{out}");
    }

    proptest! {
        #[test]
        fn what_is_seen_is_what_was_written(text in "[a-z0-9 \\n\\\\*_~`|\\[\\]<>@:#.+-]{0,40}") {
            prop_assert_eq!(unescape(&escaped(&text)), text);
        }
    }
}
