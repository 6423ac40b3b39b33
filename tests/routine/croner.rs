//! The same times as another library gives, wherever its meaning is ours.
//!
//! It is not where clocks change: a list of hours runs in both passes there, a step of minutes in a
//! gap is lost, and an interval is not told from an hour. Nor where a day field begins with a star
//! and restricts.

use chrono::{DateTime, Utc};
use qundao::routine::Cron;
use qundao::zone::Zone;

use super::drawn::{Drawn, ZONES, expressions};

/// One number for the hour and one for the minute: the case in which the other conforms.
fn is_plain(drawn: &Drawn) -> bool {
    drawn.wall && drawn.hours.count_ones() == 1 && drawn.minutes.count_ones() == 1
}

/// Both day fields mean what they mean for the other.
fn has_common_days(drawn: &Drawn) -> bool {
    let fields: Vec<&str> = drawn.text.split(' ').collect();
    let is_step = |field: &str| field.starts_with("*/");
    !is_step(fields[2]) && !is_step(fields[4])
}

#[test]
fn croner_agrees_where_its_meaning_is_ours() {
    let from = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let to = "2028-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let (mut slots, mut compared) = (0, 0);
    for name in ZONES {
        let zone: Zone = name.parse().unwrap();
        let is_steady = name == "Asia/Shanghai";
        for drawn in expressions(500) {
            let is_common = has_common_days(&drawn) && (is_steady || is_plain(&drawn));
            if !is_common || drawn.text == "* * * * *" {
                continue;
            }
            let theirs: Vec<i64> = drawn
                .text
                .parse::<croner::Cron>()
                .unwrap()
                .iter_after(from.with_timezone(&zone))
                .take_while(|at| *at < to)
                .map(|at| at.timestamp_millis())
                .collect();
            let ours: Vec<i64> = Cron::parse(&drawn.text)
                .unwrap()
                .slots(zone, from.timestamp_millis())
                .map(|slot| slot.at)
                .take_while(|at| *at < to.timestamp_millis())
                .collect();
            assert_eq!(ours, theirs, "`{}` in {name}", drawn.text);
            compared += 1;
            slots += ours.len();
        }
    }
    println!("{slots} slots of {compared} expressions");
    assert!(compared > 700 && slots > 100_000, "{compared} expressions, {slots} slots");
}
