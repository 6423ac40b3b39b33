//! Every quarter of an hour of two years is looked at, in ten zones, for five hundred expressions.
//!
//! The other enumerator knows nothing of ours: it walks through the moments as they pass, reads the
//! clock on the wall, and sees for itself where it jumps.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use qundao::routine::Cron;
use qundao::zone::Zone;

use super::drawn::{Drawn, ZONES, expressions};

const EXPRESSIONS: usize = 500;
/// Clocks of our days are put forward and back by whole quarters of an hour.
const QUARTER_MIN: i64 = 15;

/// A quarter of an hour, as the clock on the wall shows it.
struct Quarter {
    /// Minutes since 1970 in UTC.
    at: i64,
    local: NaiveDateTime,
    /// The wall has shown these times before.
    again: bool,
    /// Times that the wall has left out just before.
    missing: Option<(NaiveDateTime, NaiveDateTime)>,
}

fn quarters(zone: Zone, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Quarter> {
    let (mut all, mut at) = (Vec::new(), from);
    let mut highest = from.with_timezone(&zone).naive_local();
    let mut expected = highest;
    while at < to {
        let local = at.with_timezone(&zone).naive_local();
        let missing = (local > expected).then_some((expected, local));
        all.push(Quarter { at: at.timestamp() / 60, local, again: local < highest, missing });
        expected = local + TimeDelta::minutes(QUARTER_MIN);
        highest = highest.max(expected);
        at += TimeDelta::minutes(QUARTER_MIN);
    }
    all
}

fn fits(drawn: &Drawn, local: NaiveDateTime) -> bool {
    drawn.hours >> local.hour() & 1 == 1
        && drawn.has_day(local.month(), local.day(), local.weekday().num_days_from_sunday())
}

/// Moments in minutes since 1970, and whether the wall showed that time before.
fn moments(drawn: &Drawn, quarters: &[Quarter]) -> Vec<(i64, u8)> {
    let mut found = Vec::new();
    for quarter in quarters {
        if let Some((from, to)) = quarter.missing.filter(|_| drawn.wall)
            && is_due_between(drawn, from, to)
        {
            found.push((quarter.at, 0));
        }
        if !fits(drawn, quarter.local) || quarter.again && drawn.wall {
            continue;
        }
        for minute in 0..QUARTER_MIN {
            if drawn.minutes >> (i64::from(quarter.local.minute()) + minute) & 1 == 1 {
                found.push((quarter.at + minute, u8::from(quarter.again)));
            }
        }
    }
    found.dedup_by_key(|(at, _)| *at);
    found
}

fn is_due_between(drawn: &Drawn, from: NaiveDateTime, to: NaiveDateTime) -> bool {
    let minutes = (to - from).num_minutes();
    (0..minutes)
        .map(|minute| from + TimeDelta::minutes(minute))
        .any(|local| fits(drawn, local) && drawn.minutes >> local.minute() & 1 == 1)
}

#[test]
fn five_hundred_expressions_in_ten_zones_over_two_years() {
    let from = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let to = "2028-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let drawn = expressions(EXPRESSIONS);
    let check = |zones: &[&str]| -> usize {
        let mut slots = 0;
        for name in zones {
            let zone: Zone = name.parse().unwrap();
            let quarters = quarters(zone, from, to);
            for drawn in &drawn {
                // What happens every minute is compared about the changes alone.
                let is_dense = drawn.text == "* * * * *";
                let cron = Cron::parse(&drawn.text).unwrap();
                for part in parts(&quarters, is_dense) {
                    slots += compare(&cron, drawn, zone, part);
                }
            }
        }
        slots
    };
    let slots: usize = std::thread::scope(|scope| {
        let halves: Vec<_> =
            ZONES.chunks(5).map(|zones| scope.spawn(move || check(zones))).collect();
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    println!("{slots} slots of {} expressions in {} zones", drawn.len(), ZONES.len());
    assert!(slots > 1_000_000, "only {slots} slots were compared");
}

/// All of it, or the day about each change.
fn parts(quarters: &[Quarter], about_changes: bool) -> Vec<&[Quarter]> {
    if !about_changes {
        return vec![quarters];
    }
    let changes = (1..quarters.len()).filter(|at| {
        quarters[*at].missing.is_some() || quarters[*at].again && !quarters[*at - 1].again
    });
    changes.map(|at| &quarters[at.saturating_sub(48)..(at + 48).min(quarters.len())]).collect()
}

fn compare(cron: &Cron, drawn: &Drawn, zone: Zone, quarters: &[Quarter]) -> usize {
    let (Some(first), Some(last)) = (quarters.first(), quarters.last()) else { return 0 };
    let (from_ms, to_ms) = (first.at * 60_000 - 1, (last.at + QUARTER_MIN) * 60_000);
    let ours: Vec<(i64, u8)> = cron
        .slots(zone, from_ms)
        .take_while(|slot| slot.at < to_ms)
        .map(|slot| (slot.at / 60_000, slot.fold))
        .collect();
    let theirs = moments(drawn, quarters);
    if let Some(at) = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at))
    {
        let shown = |found: Option<&(i64, u8)>| {
            found.map(|(at, fold)| {
                let at = DateTime::<Utc>::from_timestamp(at * 60, 0).unwrap();
                format!("{} fold {fold}", at.with_timezone(&zone))
            })
        };
        panic!(
            "`{}` in {zone}: ours {:?}, by hand {:?}",
            drawn.text,
            shown(ours.get(at)),
            shown(theirs.get(at))
        );
    }
    ours.len()
}
