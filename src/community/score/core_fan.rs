//! Core fans: five parts of a hundred, gates, and two evaluations before anybody moves.
//!
//! The numbers are version 1 of the cut-offs. A version is never moved to reach a share of core
//! fans; another one gets another number, and each review says by which it was made.

use super::{Day, Kind, WINDOW_DAYS};
use crate::clock::{DAY_MS, TimeMs};
use crate::community::Member;

/// The tag of core fans.
pub const TAG: &str = "核心粉";
/// Which cut-offs these are.
pub const CUTOFFS_VERSION: i64 = 1;
/// From this on a member may enter, in thousandths of 100.
pub const ENTER: i64 = 60_000;
/// Below this a core fan may leave.
pub const LEAVE: i64 = 54_000;
/// Evaluations that it takes to enter, and to be on the way out.
const TWICE: u8 = 2;
/// Days of grace on the way out.
pub const GRACE_DAYS: i64 = 14;
/// Days of membership before anybody can be a core fan.
const JOINED_DAYS: i64 = 30;
const FULL: i64 = 100_000;

/// A part of the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Days with a counted message; thirty of ninety are full.
    Presence,
    /// Different people who answered or liked her in ninety days; thirty are full.
    Resonance,
    /// Answers, twice the proposals that were taken up, hours as a host; six are full.
    Contribution,
    /// Confirmed orders; four are full.
    Purchase,
    /// Invited people who stayed; five are full.
    Invites,
}

impl Part {
    /// All, in the order of [`Parts`].
    pub const ALL: [Self; 5] =
        [Self::Presence, Self::Resonance, Self::Contribution, Self::Purchase, Self::Invites];

    /// Its share, in percent.
    pub fn weight(self) -> i64 {
        match self {
            Self::Presence => 30,
            Self::Resonance => 25,
            Self::Contribution => 20,
            Self::Purchase => 15,
            Self::Invites => 10,
        }
    }

    /// How many are full.
    pub fn wanted(self) -> i64 {
        match self {
            Self::Presence | Self::Resonance => 30,
            Self::Contribution => 6,
            Self::Purchase => 4,
            Self::Invites => 5,
        }
    }

    /// The word in scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Resonance => "resonance",
            Self::Contribution => "contribution",
            Self::Purchase => "purchase",
            Self::Invites => "invites",
        }
    }

    /// What so many give, 0 to 100,000. Of people each further one gives less.
    fn value(self, count: i64) -> i64 {
        let count = count.clamp(0, self.wanted());
        match self {
            Self::Resonance => RESONANCE[count as usize],
            Self::Presence | Self::Contribution | Self::Purchase | Self::Invites => {
                FULL * count / self.wanted()
            }
        }
    }
}

/// 100,000 · ln(1 + people) / ln 31.
const RESONANCE: [i64; 31] = [
    0, 20_185, 31_992, 40_370, 46_868, 52_177, 56_666, 60_555, 63_985, 67_053, 69_828, 72_362,
    74_693, 76_851, 78_860, 80_740, 82_505, 84_170, 85_744, 87_238, 88_659, 90_013, 91_308, 92_547,
    93_736, 94_878, 95_977, 97_036, 98_058, 99_045, 100_000,
];

/// Why somebody cannot be a core fan, however high her score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Has left.
    Gone,
    /// Is a bot.
    Bot,
    /// Is staff, who is thanked otherwise.
    Staff,
    /// Joined less than thirty days ago.
    New,
    /// Was warned in the last thirty days.
    Warned,
    /// Has no trust yet.
    Trust,
}

impl Gate {
    /// The word in scripts and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Bot => "bot",
            Self::Staff => "staff",
            Self::New => "new",
            Self::Warned => "warned",
            Self::Trust => "trust",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Gone, Self::Bot, Self::Staff, Self::New, Self::Warned, Self::Trust]
            .into_iter()
            .find(|gate| gate.as_str() == word)
    }

    /// She is nobody whom the evaluation is about: no grace, no second look.
    fn is_final(self) -> bool {
        matches!(self, Self::Gone | Self::Bot | Self::Staff)
    }

    /// The first that a member does not pass.
    pub fn of(member: &Member, now: TimeMs) -> Option<Self> {
        if !member.is_here() {
            Some(Self::Gone)
        } else if member.is_bot {
            Some(Self::Bot)
        } else if member.role.is_staff() {
            Some(Self::Staff)
        } else if now - member.joined_at < JOINED_DAYS * DAY_MS {
            Some(Self::New)
        } else if member.warnings(now) > 0 {
            Some(Self::Warned)
        } else if member.trust() < 1 {
            Some(Self::Trust)
        } else {
            None
        }
    }
}

/// What a member did for others in the window, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contributions {
    /// Answers and hours as a host, and twice the proposals.
    pub services: i64,
    /// Orders.
    pub orders: i64,
    /// Invites.
    pub invites: i64,
}

impl Contributions {
    /// Adds entries of a kind.
    pub fn add(&mut self, kind: Kind, count: i64) {
        match kind {
            Kind::Answer | Kind::Host => self.services += count,
            Kind::Proposal => self.services += 2 * count,
            Kind::Order => self.orders += count,
            Kind::Invite => self.invites += count,
            Kind::Message | Kind::Reply | Kind::Like | Kind::Poll | Kind::Event | Kind::Other => {}
        }
    }
}

/// Kinds that [`Contributions`] are made of.
pub fn contributes(kind: Kind) -> bool {
    matches!(kind, Kind::Answer | Kind::Host | Kind::Proposal | Kind::Order | Kind::Invite)
}

/// The counts behind each part, in the order of [`Part::ALL`]; `None` where nobody in the community
/// has any, so that the part is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub [Option<i64>; 5]);

impl Parts {
    /// Her counts, in a community that has data for these parts.
    pub fn of(
        member: &Member,
        people: i64,
        done: Contributions,
        has_data: [bool; 5],
        today: Day,
    ) -> Self {
        let active = member.score.active_days(today, WINDOW_DAYS);
        let counts = [active, people, done.services, done.orders, done.invites];
        let mut parts = counts.map(Some);
        for (part, has_data) in parts.iter_mut().zip(has_data) {
            *part = part.filter(|_| has_data);
        }
        Self(parts)
    }

    /// The parts that are there, with counts and values.
    pub fn each(self) -> impl Iterator<Item = (Part, i64, i64)> {
        let parts = Part::ALL.into_iter().zip(self.0);
        parts.filter_map(|(part, count)| count.map(|count| (part, count, part.value(count))))
    }

    /// The weighted mean of the parts that are there, 0 to 100,000.
    pub fn score(self) -> i64 {
        let (sum, weights) = self.each().fold((0, 0), |(sum, weights), (part, _, value)| {
            (sum + part.weight() * value, weights + part.weight())
        });
        if weights == 0 { 0 } else { sum / weights }
    }
}

/// A member as an evaluation sees her.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// Counts.
    pub parts: Parts,
    /// 0 to 100,000.
    pub score: i64,
    /// What keeps her out, if anything does.
    pub gate: Option<Gate>,
}

/// Where somebody stands between evaluations. Who never came near is not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreFan {
    /// Since when she is a core fan, Unix ms.
    pub since: Option<TimeMs>,
    /// Evaluations in a row in which she was high enough to enter.
    pub above: u8,
    /// Evaluations in a row in which she was too low to stay.
    pub below: u8,
    /// The day from which on the next low evaluation ends it.
    pub grace_until: Option<Day>,
}

impl CoreFan {
    /// Takes one evaluation into account. `true` where she entered or left by it.
    pub fn step(&mut self, seen: &Evaluated, now: TimeMs, today: Day) -> bool {
        if self.since.is_some() { self.stays(seen, today) } else { self.enters(seen, now) }
    }

    fn enters(&mut self, seen: &Evaluated, now: TimeMs) -> bool {
        let is_high = seen.gate.is_none() && seen.score >= ENTER;
        self.above = if is_high { self.above + 1 } else { 0 };
        if self.above < TWICE {
            return false;
        }
        *self = Self { since: Some(now), ..Self::default() };
        true
    }

    fn stays(&mut self, seen: &Evaluated, today: Day) -> bool {
        let is_low = seen.gate.is_some() || seen.score < LEAVE;
        if !is_low {
            (self.below, self.grace_until) = (0, None);
            return false;
        }
        self.below = self.below.saturating_add(1);
        let is_over = self.grace_until.is_some_and(|until| today >= until);
        if is_over || seen.gate.is_some_and(Gate::is_final) {
            *self = Self::default();
            return true;
        }
        if self.below >= TWICE && self.grace_until.is_none() {
            self.grace_until = Some(today + GRACE_DAYS);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(score: i64, gate: Option<Gate>) -> Evaluated {
        Evaluated { parts: Parts::default(), score, gate }
    }

    #[test]
    fn resonance_is_the_logarithm() {
        for (people, value) in RESONANCE.into_iter().enumerate() {
            let exact = 100_000.0 * ((1 + people) as f64).ln() / 31_f64.ln();
            assert!((value as f64 - exact).abs() <= 0.5, "{people}: {value} {exact}");
        }
    }

    #[test]
    fn parts_without_data_drop_out() {
        let full = Parts([Some(30), Some(30), Some(6), Some(4), Some(5)]);
        assert_eq!(full.score(), 100_000);
        let two = Parts([Some(30), Some(1), None, None, None]);
        assert_eq!(two.score(), (30 * 100_000 + 25 * 20_185) / 55);
        let all = Parts([Some(90), Some(99), Some(3), Some(2), Some(0)]);
        assert_eq!(all.score(), 72_500);
        assert_eq!(Parts::default().score(), 0);
    }

    /// Weekly evaluations: the weeks in which somebody moves.
    fn moves(weeks: &[(i64, Option<Gate>)]) -> Vec<usize> {
        let mut fan = CoreFan::default();
        let mut moved = Vec::new();
        for (week, (score, gate)) in weeks.iter().enumerate() {
            let today = 20_000 + 7 * week as i64;
            if fan.step(&seen(score * 1000, *gate), 0, today) {
                moved.push(week);
            }
        }
        moved
    }

    #[test]
    fn two_high_evaluations_enter_and_low_ones_leave_after_their_grace() {
        let scores = |scores: &[i64]| scores.iter().map(|s| (*s, None)).collect::<Vec<_>>();
        assert_eq!(moves(&scores(&[60, 60])), [1]);
        assert_eq!(moves(&scores(&[60, 59, 60, 59, 60])), [0_usize; 0]);
        // Between 54 and 60 she stays; low at two and grace of fourteen days from the second on.
        assert_eq!(moves(&scores(&[60, 60, 54, 55, 54, 53, 54, 53, 53, 53, 53])), [1, 10]);
        // Once high enough in the grace, all begins anew.
        assert_eq!(moves(&scores(&[70, 70, 53, 53, 53, 54, 53, 53, 53, 53])), [1, 9]);
    }

    #[test]
    fn gates_keep_out_and_some_end_it_at_once() {
        let warned = Some(Gate::Warned);
        assert_eq!(moves(&[(90, warned), (90, None), (90, None)]), [2]);
        let staff = Some(Gate::Staff);
        assert_eq!(moves(&[(90, None), (90, None), (90, staff)]), [1, 2]);
        assert_eq!(moves(&[(90, None), (90, None), (90, warned), (90, None)]), [1]);
        let long = [(90, None), (90, None), (90, warned), (90, warned), (90, warned), (90, warned)];
        assert_eq!(moves(&long), [1, 5]);
    }
}
