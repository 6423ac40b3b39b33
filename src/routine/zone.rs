//! What a cron expression means in a time zone whose clocks are put forward and back.
//!
//! A routine with named hours follows the clock on the wall, and nobody wants its post twice or not
//! at all on the day of a change: a time that does not exist comes at the first moment that does, one
//! that comes twice counts the first time. An interval (`*` or a step in the hours) follows the time
//! that passes: what does not exist is left out, what comes twice happens twice. cron(8) does
//! likewise: <https://manpages.debian.org/bookworm/cron/cron.8>.

use chrono::{
    DateTime, Datelike as _, MappedLocalTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use crate::clock::TimeMs;
use crate::planted::{self, Bug};
use crate::zone::Zone;

/// Offsets from UTC lie between these.
const WEST: TimeDelta = TimeDelta::hours(13);
const EAST: TimeDelta = TimeDelta::hours(15);

/// One time at which a routine is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The moment, Unix ms.
    pub at: TimeMs,
    /// What the expression says: a time on the clock of the zone, which may not exist that day.
    pub local: NaiveDateTime,
    /// 1 for the second of two moments with that time, else 0.
    pub fold: u8,
}

impl Cron {
    /// The first slot after a moment. Slots at one moment are one slot.
    pub fn next(&self, zone: Zone, after: TimeMs) -> Option<Slot> {
        let from = DateTime::<Utc>::from_timestamp_millis(after)?;
        let local = from.with_timezone(&zone).naive_local();
        if self.is_wall_clock() && !planted::has(Bug::FoldIgnored) {
            self.after(local)
                .filter_map(|time| self.on_the_wall(zone, time))
                .find(|slot| slot.at > after)
        } else {
            self.next_interval(zone, after, local)
        }
    }

    /// Slots after a moment, the earliest first.
    pub fn slots(&self, zone: Zone, after: TimeMs) -> impl Iterator<Item = Slot> + '_ {
        let next = move |last: &Slot| self.next(zone, last.at);
        std::iter::successors(self.next(zone, after), next)
    }

    /// The slot of a time with a named hour; `None` where the whole day does not exist.
    fn on_the_wall(&self, zone: Zone, time: NaiveDateTime) -> Option<Slot> {
        match zone.from_local_datetime(&time) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => {
                Some(Slot { at: at.timestamp_millis(), local: time, fold: 0 })
            }
            MappedLocalTime::None => {
                if !has_day(zone, time) {
                    return None;
                }
                let at = after_gap(zone, time)?;
                let there = at.with_timezone(&zone).naive_local();
                // What is due at that moment anyhow is the same slot.
                let local =
                    if self.includes(there) { there } else { self.first_in_gap(zone, time) };
                Some(Slot { at: at.timestamp_millis(), local, fold: 0 })
            }
        }
    }

    /// Of several times in one gap the first stands for all.
    fn first_in_gap(&self, zone: Zone, time: NaiveDateTime) -> NaiveDateTime {
        let day = time.date().and_time(NaiveTime::MIN) - TimeDelta::seconds(1);
        let is_missing =
            |time: &NaiveDateTime| matches!(zone.from_local_datetime(time), MappedLocalTime::None);
        self.after(day).take_while(|at| *at <= time).find(is_missing).unwrap_or(time)
    }

    fn next_interval(&self, zone: Zone, after: TimeMs, local: NaiveDateTime) -> Option<Slot> {
        // In the first of two passes over an hour, its times come once more later.
        let again = match zone.from_local_datetime(&local) {
            MappedLocalTime::Ambiguous(one, two) if after < two.timestamp_millis() => two - one,
            _ => TimeDelta::zero(),
        };
        let mut best: Option<Slot> = None;
        for time in self.after(local - again) {
            let (one, two) = match zone.from_local_datetime(&time) {
                MappedLocalTime::Single(at) => (at, None),
                MappedLocalTime::Ambiguous(one, two) => (one, Some(two)),
                MappedLocalTime::None => continue,
            };
            // Second passes come after first ones that stand later on the clock.
            if best.is_some_and(|best| one.timestamp_millis() > best.at) {
                break;
            }
            let slots = [Some(one), two].into_iter().flatten().zip(0..).map(|(at, fold)| Slot {
                at: at.timestamp_millis(),
                local: time,
                fold,
            });
            best = slots.filter(|slot| slot.at > after).chain(best).min();
        }
        best
    }
}

/// Whether any time of that day exists. Apia had no 30 December 2011.
fn has_day(zone: Zone, time: NaiveDateTime) -> bool {
    let hours = [(0, 0), (12, 0), (23, 59)];
    hours.iter().any(|(hour, minute)| {
        let time = time.date().and_hms_opt(*hour, *minute, 0);
        time.is_some_and(|time| zone.from_local_datetime(&time).earliest().is_some())
    })
}

/// The first moment after a time that does not exist.
fn after_gap(zone: Zone, time: NaiveDateTime) -> Option<DateTime<Utc>> {
    let there = DateTime::<Utc>::from_naive_utc_and_offset(time, Utc);
    let is_before = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() < time;
    let (mut low, mut high) = (there - EAST, there + WEST);
    while high - low > TimeDelta::seconds(1) {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if is_before(middle) { low = middle } else { high = middle }
    }
    Some(high)
}

/// A moment as people there read it, with the day of the week.
pub fn shown(zone: Zone, at: TimeMs) -> String {
    let Some(at) = DateTime::<Utc>::from_timestamp_millis(at) else { return String::new() };
    at.with_timezone(&zone).format("%Y-%m-%d %a %H:%M").to_string()
}

/// The same for members, in their language.
pub fn worded(locale: &str, zone: Zone, at: TimeMs) -> String {
    const DAYS: [&str; 7] = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];
    let Some(at) = DateTime::<Utc>::from_timestamp_millis(at) else { return String::new() };
    let there = at.with_timezone(&zone);
    if locale != "zh" {
        return there.format("%a %m-%d %H:%M").to_string();
    }
    let day = DAYS.get(there.weekday().num_days_from_monday() as usize).copied();
    format!("{} {} {}", there.format("%m-%d"), day.unwrap_or_default(), there.format("%H:%M"))
}
