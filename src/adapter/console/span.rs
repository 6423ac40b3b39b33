//! Lengths of time as people type them, `10m` or `1d12h`, and back.

/// Units with their milliseconds, longest first so that writing picks the largest that fits.
const UNITS: &[(&[&str], i64)] = &[
    (&["w", "周"], 604_800_000),
    (&["d", "天"], 86_400_000),
    (&["h", "小时", "时"], 3_600_000),
    (&["m", "分钟", "分"], 60_000),
    (&["s", "秒"], 1000),
];

/// Reads `90s`, `1h30m`, `2天`; `None` for anything else, for nothing and for overflow.
pub fn parse_span(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total = 0i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (word, ms) = UNITS
            .iter()
            .flat_map(|(words, ms)| words.iter().map(move |word| (*word, *ms)))
            .filter(|(word, _)| rest.starts_with(word))
            .max_by_key(|(word, _)| word.len())?;
        total = total.checked_add(count.checked_mul(ms)?)?;
        rest = &rest[word.len()..];
    }
    Some(total)
}

/// Writes a length the way [`parse_span`] reads it; below a second it is `0s`.
pub fn show_span(ms: i64) -> String {
    let mut rest = ms.max(0);
    let mut text = String::new();
    // Weeks are read but not written: `7d` is what people say.
    for (words, unit) in &UNITS[1..] {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            text.push_str(&format!("{count}{}", words[0]));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// The same in Chinese, for what members see.
pub fn say_span(ms: i64) -> String {
    let mut rest = ms.max(0);
    let mut parts = Vec::new();
    for (words, unit) in &UNITS[1..] {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count} {}", words[1]));
        }
    }
    if parts.is_empty() { "0 秒".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let check = |text: &str, ms: Option<i64>| assert_eq!(parse_span(text), ms, "{text}");
        check("24h", Some(86_400_000));
        check("1d12h", Some(129_600_000));
        check("2小时", Some(7_200_000));
        check("10分钟", Some(600_000));
        check("", None);
        check("1", None);
        check("h", None);
        check("-1d", None);
        check("99999999999999999999d", None);
        check("9999999999999w", None);
        assert_eq!(show_span(600_000), "10m");
        assert_eq!(show_span(90_061_000), "1d1h1m1s");
        assert_eq!(say_span(600_000), "10 分钟");
    }
}
