//! Cron expressions with the meaning that crontab(5) gives them, on the `cron` crate.
//!
//! The crate has another dialect: six fields, Sunday is 1, a day must satisfy both day fields. So
//! the five fields are read here, field by field into the set of values that each allows, and handed
//! to the crate as plain lists; where either of two day fields is enough, as the union of two of its
//! schedules. It answers on a calendar without zones; what its answers mean in one is `zone`'s.
//!
//! Reference: crontab(5) of Debian's cron, <https://manpages.debian.org/bookworm/cron/crontab.5>.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};

/// Names of months and weekdays, in the order of their numbers.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Expressions that have a name.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A field, by its place in an expression.
struct Field {
    name: &'static str,
    from: u8,
    to: u8,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", from: 0, to: 59, names: &[] },
    Field { name: "hour", from: 0, to: 23, names: &[] },
    Field { name: "day of the month", from: 1, to: 31, names: &[] },
    Field { name: "month", from: 1, to: 12, names: &MONTHS },
    // 7 is Sunday as well.
    Field { name: "day of the week", from: 0, to: 7, names: &DAYS },
];

/// A set of values below 64.
type Set = u64;

/// When something happens, on a calendar without zones.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    /// One schedule, or two of which either is enough.
    parts: Vec<cron::Schedule>,
    minutes: Set,
    /// The hours are named, so that it happens at hours of the clock on the wall.
    is_wall_clock: bool,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it and how it is written instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let spelled = match text.strip_prefix('@') {
            None => text,
            Some(_) => NAMED
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text))
                .map(|(_, spelled)| *spelled)
                .ok_or_else(|| {
                    format!(
                        "`{text}` is no name of a schedule; there are @hourly @daily @weekly \
                         @monthly @yearly"
                    )
                })?,
        };
        let words: Vec<&str> = spelled.split_whitespace().collect();
        let fields: [&str; 5] = words.try_into().map_err(|words: Vec<&str>| count(&words))?;
        let mut sets = [0; 5];
        for ((set, field), word) in sets.iter_mut().zip(&FIELDS).zip(fields) {
            *set = field.set(word)?;
        }
        let [minutes, hours, days, months, mut weekdays] = sets;
        if weekdays & 1 << 7 != 0 {
            weekdays = (weekdays | 1) & !(1 << 7);
        }
        let all = ("*".to_owned(), "*".to_owned());
        let (day, weekday) = (list(days), named(weekdays));
        // Both are restricted: either is enough. One that begins with a star is not.
        let is_either = !fields[2].starts_with('*') && !fields[4].starts_with('*');
        let pairs =
            if is_either { vec![(day, all.1), (all.0, weekday)] } else { vec![(day, weekday)] };
        let mut parts = Vec::with_capacity(pairs.len());
        for (day, weekday) in pairs {
            let six =
                format!("0 {} {} {day} {} {weekday}", list(minutes), list(hours), list(months));
            let part =
                cron::Schedule::from_str(&six).map_err(|error| format!("`{text}`: {error}"))?;
            parts.push(part);
        }
        let is_wall_clock = !fields[1].contains(['*', '/']);
        let cron = Self { text: text.to_owned(), parts, minutes, is_wall_clock };
        if cron.after(NaiveDateTime::MIN.max(BEGINNING)).next().is_none() {
            return Err(format!("`{text}` never comes: no month has such a day"));
        }
        Ok(cron)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether its hours are those of a clock on the wall; otherwise it is an interval.
    pub fn is_wall_clock(&self) -> bool {
        self.is_wall_clock
    }

    /// Fewest minutes between two of its times.
    pub fn shortest_minutes(&self) -> u32 {
        let minutes: Vec<u32> = (0..60).filter(|at| self.minutes & 1 << at != 0).collect();
        let pairs = minutes.iter().zip(minutes.iter().cycle().skip(1));
        pairs.map(|(one, next)| (next + 59 - one) % 60 + 1).min().unwrap_or(60)
    }

    /// Its times after another, in order, on a calendar without zones.
    pub fn after(&self, local: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> + '_ {
        let from = DateTime::<Utc>::from_naive_utc_and_offset(local, Utc);
        let mut parts: Vec<_> =
            self.parts.iter().map(|part| part.after(&from).peekable()).collect();
        std::iter::from_fn(move || {
            let next = parts.iter_mut().filter_map(|part| part.peek().copied()).min()?;
            for part in &mut parts {
                part.next_if_eq(&next);
            }
            Some(next.naive_utc())
        })
    }

    /// Whether a time is one of its times.
    pub fn includes(&self, local: NaiveDateTime) -> bool {
        let before = local - chrono::TimeDelta::seconds(1);
        self.after(before).next() == Some(local)
    }
}

/// The crate knows years from 1970 on.
const BEGINNING: NaiveDateTime = DateTime::<Utc>::UNIX_EPOCH.naive_utc();

/// Why there are not five fields.
fn count(words: &[&str]) -> String {
    let found = words.len();
    let hint = if found == 6 {
        "; there is no field for seconds"
    } else {
        ", as in `30 8 * * *` for half past eight every day"
    };
    format!(
        "a schedule has five fields (minute, hour, day of the month, month, day of the week){hint}, \
         and this one has {found}"
    )
}

impl Field {
    /// The values that a field allows.
    fn set(&self, text: &str) -> Result<Set, String> {
        let mut set = 0;
        for item in text.split(',') {
            set |= self.item(item).ok_or_else(|| {
                format!(
                    "`{item}` is no {}: write a number from {} to {}, a range such as `{}-{}`, a \
                     step such as `*/2`, or several with commas",
                    self.name, self.from, self.to, self.from, self.to
                )
            })?;
        }
        Ok(set)
    }

    /// One of the items between commas.
    fn item(&self, text: &str) -> Option<Set> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, digits(step).filter(|step| *step > 0)?),
            None => (text, 1),
        };
        let (from, to) = if range == "*" {
            (self.from, self.to)
        } else if let Some((from, to)) = range.split_once('-') {
            (self.value(from)?, self.value(to)?)
        } else {
            let value = self.value(range)?;
            // A step needs a range to go over.
            (value, if text.contains('/') { self.to } else { value })
        };
        if from > to {
            return None;
        }
        Some((from..=to).step_by(usize::from(step)).fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u8> {
        let name = text.to_ascii_lowercase();
        let named = self.names.iter().position(|known| *known == name);
        let value = match named {
            Some(at) => u8::try_from(at).ok()? + self.from,
            None => digits(text)?,
        };
        (self.from..=self.to).contains(&value).then_some(value)
    }
}

/// A number of at most two digits, and nothing else.
fn digits(text: &str) -> Option<u8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// A set as the crate reads it.
fn list(set: Set) -> String {
    let values: Vec<String> =
        (0..64).filter(|at| set & 1 << at != 0).map(|at| at.to_string()).collect();
    values.join(",")
}

/// Weekdays by name, because the crate counts them otherwise.
fn named(set: Set) -> String {
    let days: Vec<&str> =
        DAYS.iter().enumerate().filter(|(at, _)| set & 1 << at != 0).map(|(_, day)| *day).collect();
    days.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(text).unwrap();
        let after = NaiveDateTime::parse_from_str(after, "%Y-%m-%d %H:%M").unwrap();
        cron.after(after).take(count).map(|at| at.format("%m-%d %H:%M").to_string()).collect()
    }

    #[test]
    fn weekdays_are_those_of_crontab() {
        // 2026-11-26 is a Thursday.
        let cases: [(&str, &[&str]); 6] = [
            ("0 9 * * 1-5", &["11-26 09:00", "11-27 09:00", "11-30 09:00"]),
            ("0 9 * * 0", &["11-29 09:00", "12-06 09:00"]),
            ("0 9 * * 7", &["11-29 09:00", "12-06 09:00"]),
            ("0 9 * * SUN,mon", &["11-29 09:00", "11-30 09:00"]),
            ("0 9 * * 5-7", &["11-27 09:00", "11-28 09:00", "11-29 09:00"]),
            ("0 9 13 * FRI", &["11-27 09:00", "12-04 09:00", "12-11 09:00", "12-13 09:00"]),
        ];
        for (text, expected) in cases {
            assert_eq!(first(text, "2026-11-26 08:00", expected.len()), expected, "{text}");
        }
    }

    #[test]
    fn a_day_field_that_begins_with_a_star_restricts_as_well() {
        // Odd days that are Mondays.
        let found = first("0 0 */2 * 1", "2026-11-26 00:00", 3);
        assert_eq!(found, ["12-07 00:00", "12-21 00:00", "01-11 00:00"]);
    }

    #[test]
    fn names_steps_and_lists() {
        assert_eq!(first("@weekly", "2026-11-26 08:00", 1), ["11-29 00:00"]);
        assert_eq!(
            first("5/20 8-10/2 * JAN *", "2026-11-26 08:00", 2),
            ["01-01 08:05", "01-01 08:25"]
        );
        assert_eq!(first("0 0 29 2 *", "2026-11-26 08:00", 1), ["02-29 00:00"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("* * * * * *", "no field for seconds"),
            ("8:30", "five fields"),
            ("60 8 * * *", "`60` is no minute"),
            ("0 8 * * 8", "`8` is no day of the week"),
            ("0 22-2 * * *", "`22-2` is no hour"),
            ("*/0 * * * *", "`*/0` is no minute"),
            ("0 0 31 2 *", "never comes"),
            ("0 0 ? * *", "`?` is no day of the month"),
            ("@reboot", "no name of a schedule"),
            ("０ 8 * * *", "is no minute"),
            ("", "five fields"),
        ];
        for (text, part) in cases {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn how_often_at_most() {
        for (text, minutes) in
            [("* * * * *", 1), ("*/5 * * * *", 5), ("0 8 * * *", 60), ("0,58 * * * *", 2)]
        {
            assert_eq!(Cron::parse(text).unwrap().shortest_minutes(), minutes, "{text}");
        }
    }
}
