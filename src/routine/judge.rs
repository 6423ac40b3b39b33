//! A routine's time has come, perhaps long ago: which of its times run, and why the others do not.
//!
//! Pure: a function of the routine, the time that was waited for and the present.

use chrono::{DateTime, Timelike, Utc};

use super::spec::{Missed, Routine};
use super::zone::Slot;
use crate::clock::TimeMs;
use crate::zone::Zone;

/// Later than this is late.
pub const ON_TIME_MS: i64 = 60_000;
/// Missed times that are noted one by one, and at most made up for.
pub const EACH_MAX: usize = 24;
const HOUR_MS: i64 = 3_600_000;

/// What is decided about the times of one routine up to now.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Times that do not run, with the reason.
    pub missed: Vec<(Slot, &'static str)>,
    /// Times before those, of which only the number is kept.
    pub omitted: usize,
    /// The time that runs now, and whether it is late.
    pub run: Option<(Slot, bool)>,
    /// The next time to wait for; past, where several are made up for.
    pub next: Option<Slot>,
}

/// Decides about a time that was waited for, and all others up to now.
pub fn judge(routine: &Routine, zone: Zone, waited_for: Slot, now: TimeMs) -> Judged {
    let spec = &routine.spec;
    let is_due = |slot: &Slot| *slot == waited_for || slot.at + spec.jitter_ms <= now;
    let after = routine.cron.next(zone, waited_for.at);
    let later = std::iter::successors(after, |slot| routine.cron.next(zone, slot.at));
    let mut due: Vec<Slot> = Vec::new();
    let mut omitted = 0;
    let mut next = None;
    for slot in std::iter::once(waited_for).chain(later) {
        if !is_due(&slot) {
            next = Some(slot);
            break;
        }
        due.push(slot);
        if due.len() > EACH_MAX {
            due.remove(0);
            omitted += 1;
        }
    }
    // Once the clock was put back, what lies behind it has run already.
    let next = next
        .filter(|slot| slot.at > now)
        .or_else(|| routine.cron.next(zone, now.max(waited_for.at)));
    let mut judged = Judged { missed: Vec::new(), omitted, run: None, next };
    let Some(latest) = due.last().copied() else { return judged };
    for (at, slot) in due.iter().enumerate() {
        let delay_ms = now - slot.at - spec.jitter_ms;
        let is_late = delay_ms >= ON_TIME_MS;
        let refused = if is_late { refusal(routine, zone, *slot, latest, now) } else { None };
        match refused {
            Some(reason) => judged.missed.push((*slot, reason)),
            None => {
                judged.run = Some((*slot, is_late));
                // The others run after it, each in a turn of its own.
                judged.next = due.get(at + 1).copied().or(judged.next);
                break;
            }
        }
    }
    judged
}

/// Why a late time does not run.
fn refusal(
    routine: &Routine,
    zone: Zone,
    slot: Slot,
    latest: Slot,
    now: TimeMs,
) -> Option<&'static str> {
    let spec = &routine.spec;
    let period = || {
        let next = routine.cron.next(zone, slot.at);
        next.map_or(i64::MAX, |next| next.at - slot.at)
    };
    let window_ms = match spec.missed {
        Missed::Skip => return Some("the bot was away"),
        Missed::Once if slot != latest => return Some("a later time was due as well"),
        Missed::Once => spec.window_ms.unwrap_or_else(|| period().min(6 * HOUR_MS)),
        Missed::All => spec.window_ms.unwrap_or(24 * HOUR_MS),
    };
    if now - slot.at > window_ms {
        return Some("it was too late");
    }
    let not_after = spec.not_after.filter(|end| {
        let (then, now) = (local(zone, slot.at), local(zone, now));
        now.date_naive() != then.date_naive() || minute_of(now) > u32::from(*end)
    });
    not_after.map(|_| "it was too late in the day")
}

fn local(zone: Zone, at: TimeMs) -> DateTime<Zone> {
    DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default().with_timezone(&zone)
}

fn minute_of(at: DateTime<Zone>) -> u32 {
    at.hour() * 60 + at.minute()
}

/// How much later than its time a routine runs, the same every time that this is asked.
pub fn jitter_ms(routine: &Routine, community: i64, slot: Slot) -> i64 {
    if routine.spec.jitter_ms == 0 {
        return 0;
    }
    let (script, name) = routine.id();
    let text = format!("{community} {script} {name} {}", slot.local);
    // FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>: the same on every machine.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash % routine.spec.jitter_ms.unsigned_abs()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ScriptName;
    use crate::routine::cron::Cron;
    use crate::routine::spec::{RoutineSpec, Times};

    fn routine(cron: &str, missed: Missed) -> Routine {
        let mut spec = RoutineSpec::new("a".to_owned(), Times::Cron(cron.to_owned()));
        spec.missed = missed;
        let cron = Cron::parse(cron).unwrap();
        Routine { script: ScriptName::new("s"), spec, cron, text: None, groups: Vec::new() }
    }

    fn at(text: &str) -> TimeMs {
        format!("{text}:00+08:00").parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    fn hour(slot: Slot) -> String {
        slot.local.format("%d %H:%M").to_string()
    }

    fn judged(
        routine: &Routine,
        waited: &str,
        now: &str,
    ) -> (Vec<String>, Option<String>, Option<String>) {
        let waited = routine.cron.next(Zone::shanghai(), at(waited) - 1).unwrap();
        let judged = judge(routine, Zone::shanghai(), waited, at(now));
        let missed = judged.missed.into_iter();
        (
            missed.map(|(slot, why)| format!("{} {why}", hour(slot))).collect(),
            judged
                .run
                .map(|(slot, late)| format!("{}{}", hour(slot), if late { " late" } else { "" })),
            judged.next.map(hour),
        )
    }

    #[test]
    fn on_time() {
        let daily = routine("0 8 * * *", Missed::Skip);
        let (missed, run, next) = judged(&daily, "2026-11-26T08:00", "2026-11-26T08:00");
        assert_eq!(
            (missed.len(), run.as_deref(), next.as_deref()),
            (0, Some("26 08:00"), Some("27 08:00"))
        );
    }

    #[test]
    fn what_is_skipped_is_told() {
        let daily = routine("0 8 * * *", Missed::Skip);
        let (missed, run, next) = judged(&daily, "2026-11-26T08:00", "2026-11-27T08:00");
        assert_eq!(missed, ["26 08:00 the bot was away"]);
        assert_eq!((run.as_deref(), next.as_deref()), (Some("27 08:00"), Some("28 08:00")));
    }

    #[test]
    fn only_the_latest_is_made_up_for_and_not_too_late() {
        let daily = routine("0 8 * * *", Missed::Once);
        let (missed, run, _) = judged(&daily, "2026-11-24T08:00", "2026-11-26T13:59");
        assert_eq!(missed.len(), 2);
        assert_eq!(run.as_deref(), Some("26 08:00 late"));
        let (missed, run, next) = judged(&daily, "2026-11-26T08:00", "2026-11-26T14:01");
        assert_eq!(missed, ["26 08:00 it was too late"]);
        assert_eq!((run, next.as_deref()), (None, Some("27 08:00")));
        // Nobody is told at three what was due at two, when it comes again at three.
        let hourly = routine("0 * * * *", Missed::Once);
        let (missed, run, _) = judged(&hourly, "2026-11-26T01:00", "2026-11-26T03:30");
        assert_eq!((missed.len(), run.as_deref()), (2, Some("26 03:00 late")));
    }

    #[test]
    fn all_are_made_up_for_one_after_the_other() {
        let hourly = routine("0 * * * *", Missed::All);
        let (missed, run, next) = judged(&hourly, "2026-11-26T01:00", "2026-11-26T03:30");
        assert_eq!(
            (missed.len(), run.as_deref(), next.as_deref()),
            (0, Some("26 01:00 late"), Some("26 02:00"))
        );
        // Not more than a day of them, and not older than a day.
        let waited = hourly.cron.next(Zone::shanghai(), at("2026-11-20T00:00")).unwrap();
        let judged = judge(&hourly, Zone::shanghai(), waited, at("2026-11-26T03:30"));
        assert_eq!(judged.omitted, 6 * 24 + 3 - EACH_MAX);
        assert_eq!(judged.run.map(|(slot, _)| hour(slot)).as_deref(), Some("25 04:00"));
    }

    #[test]
    fn not_after_a_time_of_day() {
        let mut news = routine("0 8 * * *", Missed::Once);
        news.spec.not_after = Some(10 * 60);
        let (_, run, _) = judged(&news, "2026-11-26T08:00", "2026-11-26T10:00");
        assert!(run.is_some());
        let (missed, run, _) = judged(&news, "2026-11-26T08:00", "2026-11-26T10:01");
        assert_eq!((missed, run), (vec!["26 08:00 it was too late in the day".to_owned()], None));
    }

    #[test]
    fn a_clock_that_was_put_back_runs_nothing_twice() {
        let hourly = routine("0 * * * *", Missed::All);
        let waited = hourly.cron.next(Zone::shanghai(), at("2026-11-26T08:00") - 1).unwrap();
        let judged = judge(&hourly, Zone::shanghai(), waited, at("2026-11-26T05:10"));
        assert_eq!(
            judged.run.map(|(slot, late)| (hour(slot), late)),
            Some(("26 08:00".into(), false))
        );
        assert_eq!(judged.next.map(hour).as_deref(), Some("26 09:00"));
    }
}
