//! Dates as feeds write them, which is in every way but the standard one.
//!
//! A date without a zone is read as Beijing time: feeds of the mainland leave it out as a habit,
//! and nobody else does so as often.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeZone as _, Utc};

/// Longest date, bytes.
const DATE_MAX: usize = 64;
/// Seconds that Beijing is ahead of UTC.
const BEIJING_S: i32 = 8 * 3600;

/// Zones by name, in the sense of RFC 2822, and those of East Asia.
const ZONES: [(&str, &str); 14] = [
    (" GMT", " +0000"),
    (" UTC", " +0000"),
    (" UT", " +0000"),
    (" Z", " +0000"),
    (" EST", " -0500"),
    (" EDT", " -0400"),
    (" CDT", " -0500"),
    (" MST", " -0700"),
    (" MDT", " -0600"),
    (" PST", " -0800"),
    (" PDT", " -0700"),
    (" HKT", " +0800"),
    (" JST", " +0900"),
    (" KST", " +0900"),
];

const ZONED: [&str; 8] = [
    "%d %B %Y %H:%M:%S %z",
    "%d %B %Y %H:%M %z",
    "%d %B %y %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M %z",
    "%Y-%m-%d %H:%M%z",
    "%B %d %H:%M:%S %z %Y",
];

const LOCAL: [&str; 7] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%d %B %Y %H:%M:%S",
    "%d %B %Y %H:%M",
    "%B %d %Y %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%B %d %H:%M:%S %Y",
];

const DAYS: [&str; 4] = ["%Y-%m-%d", "%d %B %Y", "%B %d %Y", "%Y%m%d"];

/// The moment that a date means.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if text.len() > DATE_MAX {
        return None;
    }
    let standard =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    if let Ok(found) = standard {
        return Some(found.to_utc());
    }
    let text = tidied(text);
    if let Some(found) = ZONED.iter().find_map(|form| DateTime::parse_from_str(&text, form).ok()) {
        return Some(found.to_utc());
    }
    if let Some(found) = moment(&text) {
        return Some(found);
    }
    let local = LOCAL.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    let day = || DAYS.iter().find_map(|form| NaiveDate::parse_from_str(&text, form).ok());
    let local = local.or_else(|| day()?.and_hms_opt(0, 0, 0))?;
    FixedOffset::east_opt(BEIJING_S)?.from_local_datetime(&local).single().map(|at| at.to_utc())
}

/// Seconds or milliseconds since 1970.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let number: i64 = text.parse().ok()?;
    match text.len() {
        10 => DateTime::from_timestamp(number, 0),
        13 => DateTime::from_timestamp_millis(number),
        _ => None,
    }
}

/// Without the day of the week, with one kind of separator, zones as numbers.
fn tidied(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_after_digit = out.ends_with(|c: char| c.is_ascii_digit());
        match c {
            '年' | '月' | '/' => out.push('-'),
            'T' if is_after_digit => out.push(' '),
            '日' | ',' | '，' | '\u{3000}' => out.push(' '),
            '：' | '时' | '分' => out.push(':'),
            '秒' => {}
            other => out.push(other),
        }
    }
    let words: Vec<&str> = out.trim_end_matches(':').split_whitespace().collect();
    let words = match words.split_first() {
        Some((first, rest)) if is_week_day(first) => rest,
        _ => &words[..],
    };
    // Midnight as the end of its day; the day is left as it is, as others read it.
    let mut out = words.join(" ").replace(" 24:", " 00:");
    for (name, offset) in ZONES {
        if let Some(head) = out.strip_suffix(name) {
            out = format!("{head}{offset}");
            break;
        }
    }
    out
}

fn is_week_day(word: &str) -> bool {
    const DAYS: [&str; 9] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "星期", "周"];
    let word = word.trim_end_matches('.').to_lowercase();
    DAYS.iter().any(|day| word.starts_with(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = read(text).map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        assert_eq!(found.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn every_way_to_write_a_date() {
        let moment = "2026-11-25T00:30:00Z";
        for text in [
            "Wed, 25 Nov 2026 08:30:00 +0800",
            "Wed, 25 Nov 2026 00:30:00 GMT",
            "wed, 25 nov 2026 00:30:00 UTC",
            "25 Nov 2026 00:30:00 Z",
            "25 November 2026 08:30 +0800",
            "Tuesday, 25 Nov 2026 00:30:00 GMT",
            "Thu, 25 Nov 2026 00:30:00 GMT",
            "2026-11-25T08:30:00+08:00",
            "2026-11-25T08:30:00+0800",
            "2026-11-25 08:30:00 +0800",
            "2026-11-25T00:30:00.000Z",
            "2026-11-25 00:30:00 UTC",
            "2026-11-25 08:30:00",
            "2026-11-25T08:30:00",
            "2026-11-25 08:30",
            "2026/11/25 08:30:00",
            "2026年11月25日 08:30",
            "2026年11月25日 08时30分00秒",
            "2026-11-25 09:30:00 JST",
            "20261125083000",
            "1795566600",
            "1795566600000",
            "Tue, 24 Nov 2026 16:30:00 PST",
            "Nov 25, 2026 08:30:00",
            "Wed Nov 25 08:30:00 +0800 2026",
            "星期三, 25 Nov 2026 08:30:00 +0800",
        ] {
            check(text, moment);
        }
        check("2026-11-25", "2026-11-24T16:00:00Z");
        check("25 Nov 2026", "2026-11-24T16:00:00Z");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "yesterday", "2026-13-45", "昨天", "25:99", "0", "-1", &"9".repeat(100)]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
