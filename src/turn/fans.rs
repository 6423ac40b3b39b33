//! Host calls of `score::` that look at people: one member's score, and the core fans of all.

use std::sync::Arc;

use super::calls::Args;
use super::{Fetched, Need, Stop, Turn, Undo};
use crate::community::score::{
    CUTOFFS_VERSION, CoreFan, ENTER, Evaluated, Facts, Measure, Move, Moved, Overview, POINT,
    REVIEWS_KEPT, Ratio, Reviewed, TAG, TARGET_PERMILLE, WINDOW_DAYS, level, missing, next_level,
    overview, review, week_of,
};
use crate::id::{PersonId, ScriptName};
use crate::report::Line;
use crate::store::{CoreFanRow, FanReviewRow};
use crate::value::Value;

/// Lines of a log that an explanation shows.
const LOG_SHOWN: i64 = 10;

type Answer = Result<Value, Stop>;

impl Turn {
    /// What the database knows for an evaluation.
    fn facts(&self) -> Result<Arc<Facts>, Stop> {
        let need = Need::ScoreFacts { since: self.community.today - WINDOW_DAYS + 1 };
        match self.fetched.get(&need) {
            Some(Fetched::ScoreFacts(facts)) => Ok(Arc::clone(facts)),
            _ => Err(Stop::Need(need)),
        }
    }

    /// `score::explain(member)`
    pub(super) fn score_explain(&mut self, args: &Args<'_>) -> Answer {
        let person = args.member(0)?;
        let facts = self.facts()?;
        let need = Need::ScoreLog { person, take: LOG_SHOWN };
        let Some(Fetched::ScoreLog(log)) = self.fetched.get(&need) else {
            return Err(Stop::Need(need));
        };
        let member = self.member(person)?;
        let today = self.community.today;
        let lines = log.iter().map(|entry| {
            let by = entry.source.map_or(Value::Unit, |source| self.name_of(source).into());
            Value::map([
                ("days_ago", (today - entry.day).into()),
                ("kind", entry.kind.as_str().into()),
                ("points", (entry.weight / POINT).into()),
                ("by", by),
                ("reason", entry.reason.as_str().into()),
            ])
        });
        let lines = Value::List(lines.collect());
        let seen = Measure::new(&facts, self.now, today).evaluate(person, member);
        let (score, counted) = (member.score.at(today), member.score.counted);
        let own = if counted.day() == today { counted.nth() } else { 0 };
        let is_core = self.community.core_fans.get(&person).is_some_and(|fan| fan.since.is_some());
        let mut about = evaluated(&seen);
        about.extend([
            ("points".to_owned(), (score / POINT).into()),
            ("level".to_owned(), level(score).into()),
            ("next".to_owned(), next_level(score).map_or(Value::Unit, Value::Int)),
            ("today".to_owned(), own.into()),
            ("is_core".to_owned(), is_core.into()),
            ("log".to_owned(), lines),
        ]);
        Ok(Value::Map(about))
    }

    /// `score::report()`: how things stand; changes nothing.
    pub(super) fn score_report(&mut self) -> Answer {
        let facts = self.facts()?;
        let seen = overview(&self.community, &facts, self.now, self.community.today);
        Ok(self.told(&seen, false))
    }

    /// `score::review()`: the evaluation of this week. A second one in a week only tells.
    pub(super) fn score_review(&mut self) -> Answer {
        let facts = self.facts()?;
        let week = week_of(self.community.today);
        if self.community.reviews.last().is_some_and(|last| last.week >= week) {
            return self.score_report();
        }
        let made = review(&self.community, &facts, self.now, self.community.today);
        for (person, fan) in &made.changed {
            self.set_core_fan(*person, *fan);
        }
        for (at, moved) in made.moved.iter().enumerate() {
            self.move_fan(moved, at < crate::community::score::NAMED);
        }
        let reviewed = Reviewed::of(&made, week, self.now);
        self.made.reviews.push(self.review_row(&reviewed));
        self.undo.push(Undo::Reviews(self.community.reviews.clone()));
        self.community.reviews.push(reviewed);
        let extra = self.community.reviews.len().saturating_sub(REVIEWS_KEPT);
        self.community.reviews.drain(..extra);
        Ok(self.told(&made.overview, true))
    }

    fn set_core_fan(&mut self, person: PersonId, fan: CoreFan) {
        let before = self.community.core_fans.insert(person, fan);
        self.undo.push(Undo::CoreFan(person, before));
        let CoreFan { since, above, below, grace_until } = fan;
        let community = self.community.id;
        self.made.core_fans.push(CoreFanRow {
            community,
            person,
            since,
            above,
            below,
            grace_until,
        });
    }

    /// Gives or takes the tag, and notes why.
    fn move_fan(&mut self, moved: &Moved, is_named: bool) {
        let person = moved.person;
        let Some(member) = self.community.members.get(&person) else { return };
        let object = member.reference.to_string();
        self.undo.push(Undo::Tags(person, member.tags.clone()));
        let has_entered = moved.how == Move::Entered;
        // Who has fifty tags already is a core fan without the fifty-first.
        let is_tagged = self.tag(person, TAG.to_owned(), has_entered).is_ok();
        let why = moved.gate.map_or("score", |gate| gate.as_str());
        let action = if has_entered { "core_fan_enters" } else { "core_fan_leaves" };
        let detail = format!("{why}, {} of 100, cut-offs {CUTOFFS_VERSION}", moved.score / POINT);
        let script = ScriptName::new(self.script());
        self.audit(&script, action, Some(person), object, detail);
        if is_named && is_tagged {
            let (member, tag) = (self.name_of(person), TAG.to_owned());
            self.say_line(match moved.how {
                Move::Entered => Line::Tagged { member, tag },
                Move::Left => Line::Untagged { member, tag },
            });
        }
    }

    fn review_row(&self, made: &Reviewed) -> FanReviewRow {
        let moved: Vec<(i64, bool, i64, Option<&str>)> = made
            .moved
            .iter()
            .map(|m| (m.person.0, m.how == Move::Entered, m.score, m.gate.map(|g| g.as_str())))
            .collect();
        FanReviewRow {
            community: self.community.id,
            week: made.week,
            version: CUTOFFS_VERSION,
            event: self.event.id,
            at: made.at,
            eligible: made.of_eligible.whole,
            eligible_core: made.of_eligible.part,
            active: made.of_active.whole,
            active_core: made.of_active.part,
            entered: made.entered,
            gone: made.left,
            moved: serde_json::to_string(&moved).unwrap_or_default(),
        }
    }

    fn told(&self, seen: &Overview, is_new: bool) -> Value {
        let last = self.community.reviews.last();
        let moved = last.into_iter().flat_map(|last| &last.moved).map(|moved| {
            let view = self.community.view(moved.person, self.now);
            Value::map([
                ("member", view.map_or(Value::Unit, Value::Member)),
                ("entered", (moved.how == Move::Entered).into()),
                ("score", (moved.score / POINT).into()),
                ("why", moved.gate.map_or("score", |gate| gate.as_str()).into()),
            ])
        });
        let candidates = seen.candidates.iter().map(|(person, seen)| {
            let view = self.community.view(*person, self.now);
            let mut about = evaluated(seen);
            about.insert("member".to_owned(), view.map_or(Value::Unit, Value::Member));
            Value::Map(about)
        });
        let is_short = self.community.reviews.iter().filter(|made| made.of_active.is_short());
        Value::map([
            ("is_new", is_new.into()),
            ("at", last.map_or(Value::Unit, |last| last.at.into())),
            ("of_eligible", ratio(seen.of_eligible)),
            ("of_active", ratio(seen.of_active)),
            ("target", percent(TARGET_PERMILLE).into()),
            ("reached", (!seen.of_active.is_short()).into()),
            // Two weekly evaluations in a row.
            ("alert", (is_short.count() >= REVIEWS_KEPT).into()),
            ("entered", last.map_or(0, |last| last.entered).into()),
            ("left", last.map_or(0, |last| last.left).into()),
            ("moved", Value::List(moved.collect())),
            ("candidates", Value::List(candidates.collect())),
        ])
    }
}

/// What an evaluation says of one member.
fn evaluated(seen: &Evaluated) -> crate::value::ValueMap {
    let parts = seen.parts.each().map(|(part, count, value)| {
        Value::map([
            ("part", part.as_str().into()),
            ("count", count.into()),
            ("wanted", part.wanted().into()),
            ("value", (value / POINT).into()),
        ])
    });
    [
        ("score", (seen.score / POINT).into()),
        ("enter", (ENTER / POINT).into()),
        ("missing", ((missing(seen.score) + POINT - 1) / POINT).into()),
        ("gate", seen.gate.map_or(Value::Unit, |gate| gate.as_str().into())),
        ("parts", Value::List(parts.collect())),
    ]
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

fn ratio(ratio: Ratio) -> Value {
    let (low, high) = ratio.interval();
    Value::map([
        ("part", ratio.part.into()),
        ("whole", ratio.whole.into()),
        ("percent", percent(ratio.permille()).into()),
        ("low", percent(low).into()),
        ("high", percent(high).into()),
    ])
}

/// Tenths of a percent in words; whole ones without a fraction.
fn percent(permille: i64) -> String {
    match permille % 10 {
        0 => format!("{}%", permille / 10),
        tenth => format!("{}.{tenth}%", permille / 10),
    }
}
