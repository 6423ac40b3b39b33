//! Times as people say them in a chat: `每天 8:30`, `工作日 08:30`, `周五 20:00`, `weekdays 8:30`, or the
//! five fields of a cron expression; and what stands behind them.

use super::cron::Cron;
use super::spec::day_minute;

/// Words for days, with the field that they mean.
const DAYS: [(&str, &str); 34] = [
    ("每天", "*"),
    ("每日", "*"),
    ("daily", "*"),
    ("everyday", "*"),
    ("工作日", "1-5"),
    ("weekdays", "1-5"),
    ("周末", "0,6"),
    ("weekends", "0,6"),
    ("周一", "1"),
    ("周二", "2"),
    ("周三", "3"),
    ("周四", "4"),
    ("周五", "5"),
    ("周六", "6"),
    ("周日", "0"),
    ("周天", "0"),
    ("星期一", "1"),
    ("星期二", "2"),
    ("星期三", "3"),
    ("星期四", "4"),
    ("星期五", "5"),
    ("星期六", "6"),
    ("星期日", "0"),
    ("星期天", "0"),
    ("mon", "1"),
    ("tue", "2"),
    ("wed", "3"),
    ("thu", "4"),
    ("fri", "5"),
    ("sat", "6"),
    ("sun", "0"),
    ("monday", "1"),
    ("friday", "5"),
    ("sunday", "0"),
];

/// Reads times at the beginning of a text; gives the expression and the rest. `None` where the text
/// does not begin with times, or has nothing behind them.
pub fn times(text: &str) -> Option<(Cron, &str)> {
    let text = text.trim();
    let (first, rest) = word(text)?;
    if let Some(minute) = day_minute(first).filter(|minute| *minute < 24 * 60) {
        return found(&format!("{} {} * * *", minute % 60, minute / 60), rest);
    }
    let plain = first.trim_start_matches('每').to_lowercase();
    let day = DAYS.iter().find(|(name, _)| *name == first || *name == plain);
    if let Some((_, day)) = day {
        let (clock, rest) = word(rest)?;
        let minute = day_minute(clock).filter(|minute| *minute < 24 * 60)?;
        return found(&format!("{} {} * * {day}", minute % 60, minute / 60), rest);
    }
    if first.starts_with('@') {
        return found(first, rest);
    }
    let mut rest = text;
    for _ in 0..5 {
        rest = word(rest)?.1;
    }
    let fields = text.strip_suffix(rest)?;
    found(fields, rest)
}

fn found<'a>(cron: &str, rest: &'a str) -> Option<(Cron, &'a str)> {
    let rest = rest.trim();
    (!rest.is_empty()).then_some((Cron::parse(cron).ok()?, rest))
}

/// The first word and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_what_follows() {
        let cases = [
            ("8:30 喝水啦", "30 8 * * *", "喝水啦"),
            ("每天 08：30  喝水啦 走走", "30 8 * * *", "喝水啦 走走"),
            ("工作日 9:00 早", "0 9 * * 1-5", "早"),
            ("每周五 20:00 分享之夜", "0 20 * * 5", "分享之夜"),
            ("星期天 20:00 周会", "0 20 * * 0", "周会"),
            ("weekdays 8:30 stand-up", "30 8 * * 1-5", "stand-up"),
            ("0 */2 * * * 动一动", "0 */2 * * *", "动一动"),
            ("@weekly 一周结束", "@weekly", "一周结束"),
        ];
        for (text, cron, rest) in cases {
            let (found, behind) = times(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((found.text(), behind), (cron, rest), "{text}");
        }
        for text in ["", "8:30", "每天 25:00 a", "喝水 8:30", "* * * 喝水", "24:00 a"] {
            assert!(times(text).is_none(), "{text}");
        }
    }
}
