//! Routines in a turn: the timers they wait as, what becomes of a time that has come, and those that
//! are made by command.
//!
//! A routine has exactly one timer in its community. The turn of its event takes the timer, notes what
//! was decided and sets the next one, in one commit: so a time is decided once, whatever ends when.

use std::sync::Arc;

use chrono::{DateTime, Timelike as _, Utc};
use serde::{Deserialize, Serialize};

use super::Turn;
use crate::clock::TimeMs;
use crate::dispatch::{Plan, ROUTINE_MARK, ROUTINES};
use crate::event::Tick;
use crate::id::{EventId, ScriptName};
use crate::planted::{self, Bug};
use crate::report::Notice;
use crate::routine::judge::jitter_ms;
use crate::routine::spec::DayMinute;
use crate::routine::{Cron, Overlap, Post, Routine, RoutineSpec, Slot, Times, judge};
use crate::store::{MISSED, RAN, RUNS_REMEMBERED, RoutineRow, RunRow, SKIPPED, TimerRow};
use crate::value::{Value, ValueMap};
use crate::zone::Zone;

/// The timer of an event that only holds a community's timers against its routines.
pub const LOOK: &str = "@";
/// A routine that waits for the run before looks again after so long.
const LOOK_AGAIN_MS: i64 = 30_000;

/// What a routine's timer carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waits {
    cron: String,
    zone: String,
    slot: Slot,
}

impl Waits {
    /// As a timer keeps it.
    fn pack(&self) -> Option<String> {
        let text = serde_json::to_string(self).ok()?;
        serde_json::to_string(&Value::Text(text)).ok()
    }

    fn unpack(data: &Value) -> Option<Self> {
        match data {
            Value::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}

/// What a time that has come leads to.
pub enum RoutineDue {
    /// Nothing runs.
    Nothing,
    /// Its handler runs, with this.
    Runs(Value),
}

/// Whether the timers of a community, as script, name and data, are those of a plan.
pub fn is_in_step(plan: &Plan, timers: &[(ScriptName, String, String)], now: TimeMs) -> bool {
    let waits = |routine: &Routine| {
        let found = timers.iter().find(|(script, name, _)| {
            *script == routine.script && name.strip_prefix(ROUTINE_MARK) == Some(&routine.spec.name)
        });
        let next = routine.cron.next(plan.timezone, now);
        found.is_some_and(|(_, _, data)| stays(data, routine, plan.timezone, next))
    };
    let others = timers.iter().filter(|(script, name, _)| {
        let name = name.strip_prefix(ROUTINE_MARK).unwrap_or_default();
        // Those made by command stand in the community, not in the plan.
        script.as_str() != ROUTINES
            && !plan.routines().iter().any(|routine| routine.id() == (script.as_str(), name))
    });
    others.count() == 0 && plan.routines().iter().all(|routine| waits(routine))
}

/// Whether a timer waits for the times that the routine has now, and for none beyond the next: a clock
/// that was wrong may have planned for next year.
fn stays(data: &str, routine: &Routine, zone: Zone, next: Option<Slot>) -> bool {
    let waits = serde_json::from_str(data).ok().and_then(|data| Waits::unpack(&data));
    waits.is_some_and(|waits| {
        waits.cron == routine.cron.text()
            && waits.zone == zone.name()
            && next.is_none_or(|next| waits.slot.at <= next.at)
    })
}

impl Turn {
    /// Holds the timers of the community against its routines: what is new begins to wait, what has
    /// other times waits anew, what is gone stops. Nothing that lies before now is made up for.
    pub fn keep_routines(&mut self) {
        let mark = self.plan.routines_mark();
        if self.community.routines_mark == mark {
            return;
        }
        self.community.routines_mark = mark;
        let zone = self.plan.timezone;
        let routines = self.routines();
        let timers: Vec<(crate::id::TimerId, String, String, String)> = self
            .community
            .timers
            .values()
            .filter(|timer| timer.name.starts_with(ROUTINE_MARK))
            .map(|timer| (timer.id, timer.script.clone(), timer.name.clone(), timer.data.clone()))
            .collect();
        let mut kept = Vec::new();
        for (id, script, name, data) in timers {
            let name = name.trim_start_matches(ROUTINE_MARK);
            let routine = routines.iter().find(|routine| routine.id() == (&script, name));
            match routine {
                Some(routine)
                    if stays(&data, routine, zone, self.next_undecided(routine, self.now)) =>
                {
                    if !planted::has(Bug::RoutinesDoubled) {
                        kept.push((script, name.to_owned()));
                    }
                }
                _ => self.remove_timer(id),
            }
        }
        for routine in &routines {
            let (script, name) = routine.id();
            if !kept
                .iter()
                .any(|(own, own_name)| (own.as_str(), own_name.as_str()) == (script, name))
            {
                let next = self.next_undecided(routine, self.now);
                self.wait_for_slot(routine, next);
            }
        }
    }

    /// Routines of the plan and those made by command.
    fn routines(&self) -> Vec<Arc<Routine>> {
        let mut all = self.plan.routines().to_vec();
        if self.plan.has(&ScriptName::new(ROUTINES)) {
            let made = self.community.routines.values().filter_map(made_by_command);
            all.extend(made.map(Arc::new));
        }
        all
    }

    /// Every routine with its next time, the earliest first.
    pub(super) fn planned(&self) -> Vec<(TimeMs, Arc<Routine>)> {
        let zone = self.plan.timezone;
        let next = |routine: Arc<Routine>| Some((routine.cron.next(zone, self.now)?.at, routine));
        let mut planned: Vec<_> = self.routines().into_iter().filter_map(next).collect();
        planned.sort_by_key(|(at, _)| *at);
        planned
    }

    /// Takes the timer of a routine away.
    pub(super) fn drop_timer(&mut self, script: &str, name: &str) {
        let found = self.community.timers.values().find(|timer| {
            timer.script == script && timer.name.strip_prefix(ROUTINE_MARK) == Some(name)
        });
        if let Some(id) = found.map(|timer| timer.id) {
            self.remove_timer(id);
        }
    }

    /// Lets a routine wait that was just made by command.
    pub(super) fn wait_for_made(&mut self, row: &RoutineRow) {
        if let Some(routine) = made_by_command(row) {
            let next = self.next_undecided(&routine, self.now);
            self.wait_for_slot(&routine, next);
        }
    }

    /// The first slot after a moment that has not been decided: a clock may have been put back.
    fn next_undecided(&self, routine: &Routine, after: TimeMs) -> Option<Slot> {
        let zone = self.plan.timezone;
        routine.cron.slots(zone, after).find(|slot| !self.is_decided(routine, *slot))
    }

    fn is_decided(&self, routine: &Routine, slot: Slot) -> bool {
        let local = slot.local.to_string();
        self.community.runs.iter().any(|run| {
            (run.script.as_str(), run.name.as_str()) == routine.id()
                && run.local == local
                && run.fold == slot.fold
        })
    }

    fn wait_for_slot(&mut self, routine: &Routine, slot: Option<Slot>) {
        let Some(slot) = slot else { return };
        let due = slot.at + jitter_ms(routine, self.community.id.0, slot);
        self.wait_until(routine, slot, due);
    }

    fn wait_until(&mut self, routine: &Routine, slot: Slot, due: TimeMs) {
        let zone = self.plan.timezone.name().to_owned();
        let waits = Waits { cron: routine.cron.text().to_owned(), zone, slot };
        let Some(data) = waits.pack() else { return };
        self.add_timer(TimerRow {
            id: self.world.numbers.timer(),
            community: self.community.id,
            group: None,
            script: routine.script.to_string(),
            name: format!("{ROUTINE_MARK}{}", routine.spec.name),
            due,
            data,
        });
    }

    /// The time of a routine has come. `has_posts` tells whether posts of an event are under way.
    pub fn routine_due(&mut self, tick: &Tick, has_posts: &dyn Fn(EventId) -> bool) -> RoutineDue {
        let name = tick.name.trim_start_matches(ROUTINE_MARK);
        let waits = Waits::unpack(&tick.data);
        let id = (tick.script.as_str(), name);
        let routine = self.routines().into_iter().find(|routine| routine.id() == id);
        let (Some(routine), Some(waits)) = (routine, waits) else { return RoutineDue::Nothing };
        if self.is_decided(&routine, waits.slot) {
            let next = self.next_undecided(&routine, self.now.max(waits.slot.at));
            self.wait_for_slot(&routine, next);
            return RoutineDue::Nothing;
        }
        if routine.spec.overlap == Overlap::QueueOne && self.is_busy(&routine, has_posts) {
            self.wait_until(&routine, waits.slot, self.now + LOOK_AGAIN_MS);
            return RoutineDue::Nothing;
        }
        let judged = judge(&routine, self.plan.timezone, waits.slot, self.now);
        if judged.omitted > 0 {
            self.tell(format!(
                "{} times of the routine `{name}` passed while the bot was away, and {} more before them",
                judged.missed.len(),
                judged.omitted
            ));
        }
        // A clock that was wrong may have left a time that lies before others that are decided.
        for (slot, reason) in judged.missed {
            if self.is_decided(&routine, slot) {
                continue;
            }
            self.decide(&routine, slot, MISSED, Some(reason.to_owned()), false);
        }
        let next = judged.next.filter(|slot| !self.is_decided(&routine, *slot));
        let next = next.or_else(|| self.next_undecided(&routine, self.now.max(waits.slot.at)));
        self.wait_for_slot(&routine, next);
        let run = judged.run.filter(|(slot, _)| !self.is_decided(&routine, *slot));
        let Some((slot, is_late)) = run else { return RoutineDue::Nothing };
        match self.obstacle(&routine, has_posts) {
            Some(reason) => {
                self.tell(format!("the routine `{name}` was left out: {reason}"));
                self.decide(&routine, slot, SKIPPED, Some(reason), is_late);
                RoutineDue::Nothing
            }
            None => {
                self.decide(&routine, slot, RAN, None, is_late);
                let data = given(&routine, slot, is_late);
                self.routine = Some(routine);
                RoutineDue::Runs(data)
            }
        }
    }

    /// Why a routine whose time has come does not run.
    fn obstacle(&self, routine: &Routine, has_posts: &dyn Fn(EventId) -> bool) -> Option<String> {
        if routine.spec.overlap == Overlap::Skip && self.is_busy(routine, has_posts) {
            return Some("the run before is not finished".to_owned());
        }
        if self.plan.is_paused(&routine.script, &self.community, self.now) {
            return Some(format!("`{}` pauses after failing too often", routine.script));
        }
        let kind = routine.spec.kind.as_deref()?;
        let (today, now) = self.local_time(self.now);
        let posted = self.community.runs.iter().filter(|run| {
            run.state == RAN && run.kind.is_some() && self.local_time(run.decided_at).0 == today
        });
        let later = self.posts_later(today);
        let posting = self.plan.posting();
        posting.check(kind, routine.spec.priority, now, posted.count(), &later).err()
    }

    /// Posts that are planned for the rest of the day and that will find their hour.
    fn posts_later(&self, today: chrono::NaiveDate) -> Vec<Post> {
        let zone = self.plan.timezone;
        let mut later = Vec::new();
        for routine in self.routines() {
            let Some(kind) = &routine.spec.kind else { continue };
            for slot in routine.cron.slots(zone, self.now) {
                let (day, minute) = self.local_time(slot.at);
                if day != today || later.len() >= crate::routine::posting::POSTS_MAX * 2 {
                    break;
                }
                if self.plan.posting().check(kind, 9, minute, 0, &[]).is_ok() {
                    let name = routine.spec.name.as_str().into();
                    later.push(Post { name, priority: routine.spec.priority });
                }
            }
        }
        later
    }

    fn local_time(&self, at: TimeMs) -> (chrono::NaiveDate, DayMinute) {
        let at = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
        let local = at.with_timezone(&self.plan.timezone);
        (local.date_naive(), (local.hour() * 60 + local.minute()) as DayMinute)
    }

    /// Whether posts of the run before are still under way.
    fn is_busy(&self, routine: &Routine, has_posts: &dyn Fn(EventId) -> bool) -> bool {
        let last = self.community.runs.iter().rev().find(|run| {
            run.state == RAN && (run.script.as_str(), run.name.as_str()) == routine.id()
        });
        last.is_some_and(|run| has_posts(run.event))
    }

    fn decide(
        &mut self,
        routine: &Routine,
        slot: Slot,
        state: &'static str,
        reason: Option<String>,
        is_late: bool,
    ) {
        let row = RunRow {
            community: self.community.id,
            script: routine.script.to_string(),
            name: routine.spec.name.clone(),
            local: slot.local.to_string(),
            fold: slot.fold,
            at: slot.at,
            decided_at: self.now,
            state,
            late: u8::from(is_late),
            reason,
            kind: routine.spec.kind.clone(),
            event: self.event.id,
        };
        // The latest by their turns, whatever the clock showed.
        let runs = &mut self.community.runs;
        let surplus = (runs.len() + 1).saturating_sub(RUNS_REMEMBERED);
        runs.drain(..surplus);
        runs.push(row.clone());
        self.made.runs.push(row);
    }

    fn tell(&mut self, text: String) {
        let community = Some(self.community.id);
        self.notices.push(Notice { community, text, is_problem: false });
    }
}

/// What the handler of a routine gets as `t.data`.
fn given(routine: &Routine, slot: Slot, is_late: bool) -> Value {
    let text = routine.text.as_deref().map_or(Value::Unit, Value::from);
    Value::Map(ValueMap::from([
        ("name".to_owned(), routine.spec.name.as_str().into()),
        ("day".to_owned(), slot.local.format("%Y-%m-%d").to_string().into()),
        ("time".to_owned(), slot.local.format("%H:%M").to_string().into()),
        ("late".to_owned(), Value::Bool(is_late)),
        ("text".to_owned(), text),
    ]))
}

/// A routine as its row says; `None` where this version cannot read its times.
fn made_by_command(row: &RoutineRow) -> Option<Routine> {
    let cron = Cron::parse(row.cron.as_deref()?).ok()?;
    let times = Times::Cron(cron.text().to_owned());
    Some(Routine {
        script: ScriptName::new(ROUTINES),
        spec: RoutineSpec::new(row.name.clone(), times),
        cron,
        text: Some(row.text.as_str().into()),
        groups: Vec::new(),
    })
}
