//! O5: times of routines by brute force: a walk through the minutes as they pass, which knows nothing
//! of cron and sees for itself where clocks jump.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike as _, Utc};
use chrono_tz::Tz;
use qundao::clock::{Clock as _, TimeMs};

use crate::cast::{GROUPS, group_ref};
use crate::scripts::CLOCKWORK_TIMES;
use crate::world::{Verdict, Violation, World};

const MINUTE_MS: i64 = 60_000;
/// The longest day has 25 hours, and a clock that was a day ahead has decided two of them before.
const DAYS_MS: i64 = 3 * 25 * 60 * MINUTE_MS;
/// Hours between two times of what follows the time that passes.
const EVERY_H: u32 = 3;
/// A backlog of more times than this is not noted one by one.
const BACKLOG: usize = 24;

/// A time at which a routine was to run: the moment, and what the clock on the wall says.
type Times = BTreeMap<TimeMs, String>;

/// Every time was decided, and no other. Where the machine's clock was wrong, only the latter, and of
/// that only what a right clock shows.
pub fn check(world: &World) -> Verdict {
    if world.plan.has_jumps() {
        return Ok(());
    }
    let (from, to) = (world.plan.cast.begin, world.clock.now());
    for group in 0..GROUPS.len() {
        let Some(community) = world.state().model.communities.get(&group_ref(group)).copied()
        else {
            continue;
        };
        let walked = walk(world.plan.cast.zone_of(group), from, to);
        for (name, minute, hour) in CLOCKWORK_TIMES {
            compare(world, community, name, &times(&walked, minute, hour))?;
        }
    }
    Ok(())
}

/// Whatever clocks have shown: what comes every day does not wait for next year.
pub fn waits(world: &World) -> Verdict {
    let now = world.clock.now();
    let state = world.state();
    let far = state.model.timers.values().find(|timer| {
        timer.script == "clockwork" && timer.name.starts_with('@') && timer.due > now + DAYS_MS
    });
    match far {
        None => Ok(()),
        Some(timer) => {
            let hours = (timer.due - now) / 3_600_000;
            let text = format!("{} comes every day and waits for {hours} h", timer.name);
            Err(Violation::new("O5 slots", text))
        }
    }
}

fn compare(world: &World, community: i64, name: &str, times: &Times) -> Verdict {
    let wrong = |text: String| Err(Violation::new("O5 slots", text));
    let routine = (community, "clockwork".to_owned(), name.to_owned());
    let mut state = world.state();
    let Some((planned_at, first)) = state.model.planned.get(&routine).copied() else {
        return wrong(format!("{name} was never planned in community {community}"));
    };
    let decided = state.model.runs.get(&routine).cloned().unwrap_or_default();
    state.figures.slots += decided.len() as u64;
    drop(state);
    let found: BTreeMap<TimeMs, &str> =
        decided.iter().map(|((local, _), (at, _))| (*at, local.as_str())).collect();
    if found.len() != decided.len() {
        return wrong(format!("{name} in community {community} ran twice at one moment"));
    }
    for (at, local) in &found {
        if times.get(at).is_none_or(|expected| expected != local) {
            return wrong(format!(
                "{name} in community {community}: nobody planned {local} at {at}"
            ));
        }
    }
    let end = (world.clock.now() - MINUTE_MS).max(first);
    let missing: Vec<&String> = times
        .range(first..end)
        .filter(|(at, _)| !found.contains_key(at))
        .map(|(_, local)| local)
        .collect();
    if missing.len() > times.range(first..end).count().saturating_sub(BACKLOG) {
        return wrong(format!("{name} in community {community}: {missing:?} were never decided"));
    }
    // A plan is made a moment before it is committed.
    let expected = times.range(planned_at..).next().map(|(at, _)| *at);
    if expected.is_some_and(|expected| first > expected) {
        return wrong(format!("{name} in community {community} began with {first}"));
    }
    Ok(())
}

/// A minute of the world.
struct Minute {
    at: TimeMs,
    local: NaiveDateTime,
    /// The wall has shown this minute before.
    is_again: bool,
    /// Minutes that the wall left out just before.
    missing: Vec<NaiveDateTime>,
}

fn walk(zone: Tz, from: TimeMs, to: TimeMs) -> Vec<Minute> {
    let wall = |at: TimeMs| {
        let at = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
        at.with_timezone(&zone).naive_local()
    };
    let mut at = from - from.rem_euclid(MINUTE_MS);
    let mut expected = wall(at);
    let mut highest = expected;
    let mut minutes = Vec::new();
    while at <= to {
        let local = wall(at);
        let mut missing = Vec::new();
        while expected < local {
            missing.push(expected);
            expected += TimeDelta::minutes(1);
        }
        minutes.push(Minute { at, local, is_again: local < highest, missing });
        expected = local + TimeDelta::minutes(1);
        highest = highest.max(expected);
        at += MINUTE_MS;
    }
    minutes
}

/// A named hour follows the wall: the first pass counts, and what is left out comes right after. The
/// others follow the time that passes: both passes count, and what is left out is left out.
fn times(minutes: &[Minute], minute: u32, hour: Option<u32>) -> Times {
    let shown = |local: NaiveDateTime| local.to_string();
    let fits = |local: &NaiveDateTime| {
        let at_hour =
            hour.map_or(local.hour().is_multiple_of(EVERY_H), |hour| local.hour() == hour);
        local.minute() == minute && at_hour
    };
    let mut times = Times::new();
    for one in minutes {
        if hour.is_some()
            && let Some(missed) = one.missing.iter().find(|local| fits(local))
        {
            times.insert(one.at, shown(*missed));
        }
        if fits(&one.local) && !(one.is_again && hour.is_some()) {
            times.insert(one.at, shown(one.local));
        }
    }
    times
}
