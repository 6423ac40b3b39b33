//! The evaluation of a whole community: who moves, how many core fans there are, who is near.
//!
//! Pure: it says what to change and changes nothing.

use std::collections::HashMap;

use super::{Contributions, CoreFan, Day, ENTER, Evaluated, Gate, Parts, Ratio};
use crate::clock::{DAY_MS, TimeMs};
use crate::community::{Community, Member};
use crate::id::PersonId;

/// Days of membership before a member counts among those who could be core fans.
const ELIGIBLE_DAYS: i64 = 14;
/// Days in which an active member was active.
const ACTIVE_DAYS: i64 = 30;
/// Candidates that an overview names.
const CANDIDATES: usize = 20;
/// Members who moved that a review names.
pub const NAMED: usize = 50;

/// The week of a local day, Monday first as in ISO 8601, by number since that of 1970-01-01.
pub fn week_of(day: Day) -> i64 {
    (day + 3).div_euclid(7)
}

/// What the database knows and memory does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Different people who answered or liked each member in the window.
    pub people: HashMap<PersonId, i64>,
    /// What each member did for others in the window.
    pub contributions: HashMap<PersonId, Contributions>,
}

impl Facts {
    /// Parts that the community has data for.
    fn has_data(&self) -> [bool; 5] {
        let any = |of: fn(&Contributions) -> i64| self.contributions.values().any(|c| of(c) > 0);
        [
            true,
            self.people.values().any(|people| *people > 0),
            any(|c| c.services),
            any(|c| c.orders),
            any(|c| c.invites),
        ]
    }
}

/// In or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Is a core fan now.
    Entered,
    /// Is none any more.
    Left,
}

/// Somebody who moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Who.
    pub person: PersonId,
    /// In or out.
    pub how: Move,
    /// Her score then.
    pub score: i64,
    /// What she did not pass; `None` where it was the score.
    pub gate: Option<Gate>,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Core fans of the members who could be some: joined two weeks ago, no staff, no bots.
    pub of_eligible: Ratio,
    /// Core fans of the members who were active in thirty days, both among them.
    pub of_active: Ratio,
    /// Who is nearest, best first.
    pub candidates: Vec<(PersonId, Evaluated)>,
}

/// What an evaluation decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Who moves, by number.
    pub moved: Vec<Moved>,
    /// Where members stand now, where that is new; the default is not kept.
    pub changed: Vec<(PersonId, CoreFan)>,
    /// How things stand then.
    pub overview: Overview,
}

/// The moment of an evaluation, with what is the same for all members.
pub struct Measure<'a> {
    facts: &'a Facts,
    has_data: [bool; 5],
    now: TimeMs,
    today: Day,
}

impl<'a> Measure<'a> {
    /// Of this moment.
    pub fn new(facts: &'a Facts, now: TimeMs, today: Day) -> Self {
        Self { facts, has_data: facts.has_data(), now, today }
    }

    /// One member.
    pub fn evaluate(&self, person: PersonId, member: &Member) -> Evaluated {
        let people = self.facts.people.get(&person).copied().unwrap_or(0);
        let done = self.facts.contributions.get(&person).copied().unwrap_or_default();
        let parts = Parts::of(member, people, done, self.has_data, self.today);
        Evaluated { parts, score: parts.score(), gate: Gate::of(member, self.now) }
    }
}

/// How things stand, without changing anything.
pub fn overview(community: &Community, facts: &Facts, now: TimeMs, today: Day) -> Overview {
    look(community, &Measure::new(facts, now, today), |person, _| {
        community.core_fans.get(&person).is_some_and(|fan| fan.since.is_some())
    })
}

/// One weekly evaluation.
pub fn review(community: &Community, facts: &Facts, now: TimeMs, today: Day) -> Review {
    let measure = Measure::new(facts, now, today);
    let (mut moved, mut changed) = (Vec::new(), Vec::new());
    let overview = look(community, &measure, |person, seen| {
        let before = community.core_fans.get(&person).copied().unwrap_or_default();
        let mut fan = before;
        if fan.step(seen, now, today) {
            let how = if fan.since.is_some() { Move::Entered } else { Move::Left };
            moved.push(Moved { person, how, score: seen.score, gate: seen.gate });
        }
        if fan != before {
            changed.push((person, fan));
        }
        fan.since.is_some()
    });
    // Maps give their members in no order.
    moved.sort_by_key(|moved| moved.person);
    changed.sort_by_key(|(person, _)| *person);
    Review { moved, changed, overview }
}

fn look(
    community: &Community,
    measure: &Measure<'_>,
    mut is_core: impl FnMut(PersonId, &Evaluated) -> bool,
) -> Overview {
    let (mut eligible, mut active) = (Ratio::default(), Ratio::default());
    let mut candidates: Vec<(PersonId, Evaluated)> = Vec::new();
    for (person, member) in &community.members {
        let seen = measure.evaluate(*person, member);
        let is_core = is_core(*person, &seen);
        if !member.is_here() || member.is_immune() {
            continue;
        }
        let is_eligible = measure.now - member.joined_at >= ELIGIBLE_DAYS * DAY_MS;
        let is_active = member.score.active_days(measure.today, ACTIVE_DAYS) > 0;
        for (ratio, counts) in [(&mut eligible, is_eligible), (&mut active, is_active)] {
            ratio.whole += i64::from(counts);
            ratio.part += i64::from(counts && is_core);
        }
        if !is_core && seen.score > 0 {
            candidates.push((*person, seen));
            if candidates.len() >= 4 * CANDIDATES {
                best(&mut candidates);
            }
        }
    }
    best(&mut candidates);
    Overview { of_eligible: eligible, of_active: active, candidates }
}

/// The nearest; who is high enough already and lacks a gate comes first, as her score says.
fn best(candidates: &mut Vec<(PersonId, Evaluated)>) {
    candidates.sort_by_key(|(person, seen)| (-seen.score, *person));
    candidates.truncate(CANDIDATES);
}

/// A review that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// Of which week.
    pub week: i64,
    /// When, Unix ms.
    pub at: TimeMs,
    /// Core fans of those who could be some.
    pub of_eligible: Ratio,
    /// Core fans of those who are active.
    pub of_active: Ratio,
    /// How many entered.
    pub entered: i64,
    /// How many left.
    pub left: i64,
    /// The first of them.
    pub moved: Vec<Moved>,
}

impl Reviewed {
    /// The record of a review.
    pub fn of(review: &Review, week: i64, at: TimeMs) -> Self {
        let count = |how| review.moved.iter().filter(|moved| moved.how == how).count() as i64;
        Self {
            week,
            at,
            of_eligible: review.overview.of_eligible,
            of_active: review.overview.of_active,
            entered: count(Move::Entered),
            left: count(Move::Left),
            moved: review.moved.iter().take(NAMED).copied().collect(),
        }
    }
}

/// Points, in thousandths, that somebody lacks to enter.
pub fn missing(score: i64) -> i64 {
    (ENTER - score).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::community::Member;
    use crate::id::{CommunityId, Ref};
    use crate::value::Role;

    const TODAY: Day = 20_783;
    const NOW: TimeMs = TODAY * DAY_MS + 1;

    /// `active` members with so many days each, and staff.
    fn community(active: &[i64]) -> Community {
        let mut community = Community::new(CommunityId(1));
        for (n, days) in active.iter().enumerate() {
            let mut member = Member::new(Ref::new("test", n), "某人", NOW - 60 * DAY_MS);
            member.trust = 1;
            for day in TODAY - days + 1..=TODAY {
                member.score.count_message(day);
            }
            community.members.insert(PersonId(n as i64), member);
        }
        let mut staff = community.members[&PersonId(0)].clone();
        staff.role = Role::Mod;
        community.members.insert(PersonId(999), staff);
        community
    }

    fn apply(community: &mut Community, review: &Review) {
        community.core_fans.extend(review.changed.iter().copied());
    }

    #[test]
    fn the_best_enter_at_the_second_evaluation_and_staff_never() {
        let mut community = community(&[30, 20, 18, 17, 3]);
        let first = review(&community, &Facts::default(), NOW, TODAY);
        assert_eq!(first.moved, []);
        apply(&mut community, &first);
        let second = review(&community, &Facts::default(), NOW + DAY_MS, TODAY);
        let entered: Vec<i64> = second.moved.iter().map(|moved| moved.person.0).collect();
        assert_eq!(entered, [0, 1, 2]);
        assert_eq!(second.overview.of_eligible, Ratio { part: 3, whole: 5 });
        assert_eq!(second.overview.of_active, Ratio { part: 3, whole: 5 });
        let near: Vec<i64> = second.overview.candidates.iter().map(|(p, _)| p.0).collect();
        assert_eq!(near, [3, 4]);
    }

    #[test]
    fn a_young_community_shows_candidates_with_what_they_lack() {
        let mut community = community(&[25, 10]);
        for member in community.members.values_mut() {
            member.joined_at = NOW - 20 * DAY_MS;
        }
        let seen = overview(&community, &Facts::default(), NOW, TODAY);
        assert_eq!(seen.of_eligible, Ratio { part: 0, whole: 2 });
        let (person, best) = seen.candidates[0];
        assert_eq!((person.0, best.gate), (0, Some(Gate::New)));
        assert_eq!(missing(seen.candidates[1].1.score), 60_000 - 33_333);
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-11-23 is a Monday, day 20780.
        assert_eq!(week_of(20_780), week_of(20_786));
        assert_eq!(week_of(20_779) + 1, week_of(20_780));
        assert_eq!(week_of(0), 0);
    }
}
