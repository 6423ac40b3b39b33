//! One expected line against one line that happened.

use super::nearest;

/// What `[…]` looks like: anything, within a line.
pub const ANYTHING: &str = "[…]";

/// First words of expectations.
const WORDS: &[&str] = &[
    ">", "dm", "card", "points", "refuse", "delete", "react", "pin", "warn", "mute", "unmute",
    "kick", "ban", "tag", "untag", "skip", "shadow", "error", "score",
];

/// Words that a member's name follows.
const OF_MEMBER: &[&str] =
    &["dm", "points", "warn", "mute", "unmute", "kick", "ban", "tag", "untag", "score"];

/// Whether what happened is what was expected: equal but for `[…]`.
pub fn fits(expected: &str, happened: &str) -> bool {
    let (mut expected, mut happened) = (expected.split('\n'), happened.split('\n'));
    loop {
        match (expected.next(), happened.next()) {
            (None, None) => return true,
            (Some(pattern), Some(line)) if line_fits(pattern.trim_end(), line.trim_end()) => {}
            _ => return false,
        }
    }
}

fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        // The earliest place leaves the most for what follows.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether a line that happened may go unwritten: scores are checked only where written.
pub fn may_go_unwritten(happened: &str) -> bool {
    happened.starts_with("score ")
}

/// Checks that a line can be expected at all.
///
/// # Errors
/// What is wrong, with the next step.
pub fn check(text: &str, names: &[String], groups: &[String]) -> Result<(), String> {
    let mut line = text;
    if let Some(inner) = line.strip_prefix('[').filter(|_| !line.starts_with(ANYTHING)) {
        let Some((group, rest)) = inner.split_once("] ") else {
            return Err("write `[group] > text` for what is said in another group".into());
        };
        if !groups.iter().any(|known| known == group) {
            return Err(format!("there is no group `{group}`; add it to the head"));
        }
        line = rest;
    }
    if let Some(rest) = line.strip_prefix("shadow ") {
        let Some((_, inner)) = rest.split_once(": ") else {
            return Err("write `shadow RULE: what it would do`".into());
        };
        return check(inner, names, groups);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    if !WORDS.contains(&word) {
        let near = nearest(word, WORDS.iter().copied()).unwrap_or(">");
        return Err(format!("`{word}` is nothing that the bot does; did you mean `{near} …`?"));
    }
    if OF_MEMBER.contains(&word) && !begins_with_name(rest, names) {
        let name = rest.split(' ').next().unwrap_or_default();
        let near = nearest(name, names.iter().map(String::as_str));
        let hint =
            near.map_or_else(String::new, |near| format!("did you mean `{near}`? Otherwise "));
        return Err(format!(
            "`{name}` is nobody here; {hint}add `[member.\"{name}\"]` to the head"
        ));
    }
    Ok(())
}

fn begins_with_name(rest: &str, names: &[String]) -> bool {
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    rest.starts_with(ANYTHING)
        || names.iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(is_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_stays_within_its_line() {
        let check = |pattern: &str, line: &str, expected: bool| {
            assert_eq!(fits(pattern, line), expected, "{pattern} / {line}");
        };
        check("> 早", "> 早", true);
        check("> 早", "> 早 ", true);
        check("> 早", "> 早上", false);
        check("points 小红 +[…]", "points 小红 +34", true);
        check("points 小红 +[…]", "points 小红 -34", false);
        check("card […] 已领 […]/3", "card 🧧 已领 1/3", true);
        check("> a[…]b[…]c", "> axbxbxc", true);
        check("> ab[…]b", "> ab", false);
        check("> […]", "> 一\n二", false);
        check("> […]\n[…]", "> 一\n二", true);
        check("> 等…", "> 等一下", false);
    }

    #[test]
    fn says_what_cannot_be_expected() {
        let names = ["小红".to_owned(), "Ann Lee".to_owned()];
        let groups = ["群岛".to_owned(), "二群".to_owned()];
        let error = |line: &str| check(line, &names, &groups).expect_err(line);
        assert_eq!(
            error("point 小红 +1"),
            "`point` is nothing that the bot does; did you mean `points …`?"
        );
        assert_eq!(
            error("points 小洪 +1"),
            "`小洪` is nobody here; did you mean `小红`? Otherwise add `[member.\"小洪\"]` to the head"
        );
        assert_eq!(error("[三群] > 早"), "there is no group `三群`; add it to the head");
        assert_eq!(error("shadow no-ads"), "write `shadow RULE: what it would do`");
        for line in
            ["> 早", "[二群] card x", "shadow a: [二群] > x", "points […] +1", "tag Ann Lee vip"]
        {
            assert_eq!(check(line, &names, &groups), Ok(()), "{line}");
        }
    }
}
