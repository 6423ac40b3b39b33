//! Host calls of `routine::`: routines that an admin makes in the chat, and what is planned.

use super::calls::Args;
use super::{Stop, Turn, Undo};
use crate::community::Member;
use crate::dispatch::ROUTINES;
use crate::refusal::Refusal;
use crate::routine::spoken;
use crate::routine::{Routine, zone};
use crate::store::RoutineRow;
use crate::value::{Role, Value};

/// Routines of one community that were made by command.
const MADE_MAX: usize = 50;
/// Longest text of one, characters.
const TEXT_MAX: usize = 1000;
/// Longest name, characters.
const NAME_MAX: usize = 20;
/// Nothing comes more often, minutes.
const PERIOD_MIN: u32 = 5;
/// Times to come that are shown.
const SHOWN: usize = 5;

impl Turn {
    /// Makes a routine, or puts another in its place: member, name, times and text.
    pub(super) fn routine_add(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        self.check_admin(person)?;
        let name = args.text(1)?.trim().to_owned();
        let said = args.text(2)?;
        if name.is_empty() || name.chars().count() > NAME_MAX {
            return Err(Refusal::new("text_range").with("max", NAME_MAX as i64).into());
        }
        let Some((cron, text)) = spoken::times(said) else {
            return Err(Refusal::new("no_times").into());
        };
        if cron.shortest_minutes() < PERIOD_MIN {
            return Err(Refusal::new("too_often").with("minutes", i64::from(PERIOD_MIN)).into());
        }
        if text.chars().count() > TEXT_MAX {
            return Err(Refusal::new("text_range").with("max", TEXT_MAX as i64).into());
        }
        let is_new = !self.community.routines.contains_key(&name);
        if is_new && self.community.routines.len() >= MADE_MAX {
            return Err(Refusal::new("too_many").with("max", MADE_MAX as i64).into());
        }
        let row = RoutineRow {
            community: self.community.id,
            name: name.clone(),
            cron: Some(cron.text().to_owned()),
            text: text.to_owned(),
            author: Some(person),
            at: self.now,
        };
        self.put_routine(row);
        self.note_routine(person, "routine.set", &name, cron.text());
        Ok(Value::map([
            ("name", name.into()),
            ("cron", cron.text().into()),
            ("next", self.next_times(&cron)),
        ]))
    }

    /// Takes a routine away: member and name.
    pub(super) fn routine_remove(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        self.check_admin(person)?;
        let name = args.text(1)?.trim().to_owned();
        let Some(row) = self.community.routines.get(&name).cloned() else {
            return Err(Refusal::new("no_routine").with("name", name.as_str()).into());
        };
        self.put_routine(RoutineRow { cron: None, author: Some(person), at: self.now, ..row });
        self.note_routine(person, "routine.remove", &name, "");
        Ok(name.into())
    }

    /// Every routine of the community with its next time, the earliest first.
    pub(super) fn routine_list(&self) -> Value {
        let planned = self.planned();
        let row = |(at, routine): &(i64, std::sync::Arc<Routine>)| {
            Value::map([
                ("name", routine.spec.name.as_str().into()),
                ("script", routine.script.as_str().into()),
                ("cron", routine.cron.text().into()),
                ("next", self.shown(*at).into()),
                ("made", Value::Bool(self.community.routines.contains_key(&routine.spec.name))),
            ])
        };
        Value::List(planned.iter().map(row).collect())
    }

    /// What was decided lately, the latest first.
    pub(super) fn routine_runs(&self) -> Value {
        let row = |run: &crate::store::RunRow| {
            Value::map([
                ("name", run.name.as_str().into()),
                ("time", self.shown(run.at).into()),
                ("state", run.state.into()),
                ("late", Value::Bool(run.late != 0)),
                ("reason", run.reason.as_deref().map_or(Value::Unit, Value::from)),
            ])
        };
        Value::List(self.community.runs.iter().rev().take(20).map(row).collect())
    }

    pub(super) fn check_admin(&self, person: crate::id::PersonId) -> Result<(), Stop> {
        let may = |member: &Member| member.role >= Role::Admin;
        if may(self.member(person)?) {
            return Ok(());
        }
        Err(Refusal::new("role").with("role", "admin").into())
    }

    /// Puts a row in its place, and its timer.
    fn put_routine(&mut self, row: RoutineRow) {
        let before = self.community.routines.remove(&row.name);
        self.undo.push(Undo::Routine(row.name.clone(), before));
        self.drop_timer(ROUTINES, &row.name);
        if row.cron.is_some() {
            self.community.routines.insert(row.name.clone(), row.clone());
            self.wait_for_made(&row);
        }
        self.made.routines.push(row);
    }

    fn note_routine(&mut self, person: crate::id::PersonId, action: &str, name: &str, cron: &str) {
        self.audit_by(person, action, name.to_owned(), cron.to_owned());
    }

    fn next_times(&self, cron: &crate::routine::Cron) -> Value {
        let slots = cron.slots(self.plan.timezone, self.now).take(SHOWN);
        Value::List(slots.map(|slot| self.shown(slot.at).into()).collect())
    }

    fn shown(&self, at: i64) -> String {
        zone::worded(&self.plan.locale, self.plan.timezone, at)
    }
}
