//! Durations as people write them: `10m`, `2h30m`, `10分钟`.
//!
//! One parser for scripts, commands and configuration, so that a duration means the same wherever
//! it is typed.

/// Longest duration, ms: a hundred years, so that a present and a duration always have a sum.
pub const MAX_MS: i64 = 36_525 * 24 * 3_600_000;

/// Reads a duration; milliseconds. `None` when it is not one, is negative or longer than
/// [`MAX_MS`].
///
/// Parts may be joined (`1h30m`, `1小时30分`); a number without a unit is not a duration, because
/// nobody agrees on what it would mean.
pub fn parse(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: i64 = rest.get(..digits)?.parse().ok()?;
        let after = rest.get(digits..)?.trim_start();
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = unit_ms(after.get(..unit_len)?.trim())?;
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = after.get(unit_len..)?;
    }
    (total <= MAX_MS).then_some(total)
}

/// Milliseconds of one unit.
fn unit_ms(unit: &str) -> Option<i64> {
    const SECOND: i64 = 1000;
    Some(match unit {
        "ms" | "毫秒" => 1,
        "s" | "秒" | "秒钟" => SECOND,
        "m" | "min" | "分" | "分钟" => 60 * SECOND,
        "h" | "小时" | "时" | "个小时" => 3600 * SECOND,
        "d" | "天" | "日" => 86_400 * SECOND,
        "w" | "周" | "星期" => 7 * 86_400 * SECOND,
        _ => return None,
    })
}

/// Whole seconds a day.
const DAY_S: i64 = 86_400;

/// Writes a duration in its largest whole unit, `10m`; the way back from [`parse`].
pub fn format(ms: i64) -> String {
    let seconds = ms / 1000;
    for (length, unit) in [(7 * DAY_S, "w"), (DAY_S, "d"), (3600, "h"), (60, "m")] {
        if seconds >= length && seconds % length == 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    if ms % 1000 == 0 { format!("{seconds}s") } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn reads_latin_and_chinese_units() {
        for (text, ms) in [
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("30s", 30_000),
            ("250ms", 250),
            ("1w", 604_800_000),
            ("10分钟", 600_000),
            ("2 小时", 7_200_000),
            ("1小时30分", 5_400_000),
            ("1h30m", 5_400_000),
            ("3天", 259_200_000),
            ("1周", 604_800_000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in [
            "",
            "10",
            "m",
            "-5m",
            "10x",
            "9999999999999999999d",
            "99999999999999d",
            "5300w",
            "1h 2",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn writes_the_largest_whole_unit() {
        for (ms, text) in [(600_000, "10m"), (90_000, "90s"), (604_800_000, "1w"), (1, "1ms")] {
            assert_eq!(format(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
    }
}
