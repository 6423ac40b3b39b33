//! The activity score of a member: what she did lately, half of it forgotten in fourteen days.
//!
//! The score is the sum of its log (L12 in ARCHITECTURE.md): one entry a day for her own messages,
//! one for each pair of people and day, one for what a script adds. The day's own messages are not
//! in the value yet; their number travels with the event, as the count of messages does, and so
//! costs no write of its own.

mod authors;
mod core_fan;
mod decay;
mod kind;
mod level;
mod ratio;
mod review;
mod talk;
mod valid;

pub use authors::Authors;
pub use core_fan::{
    CUTOFFS_VERSION, Contributions, CoreFan, ENTER, Evaluated, GRACE_DAYS, Gate, LEAVE, Part,
    Parts, TAG, contributes,
};
pub use decay::{HALF_LIFE_DAYS, decay};
pub use kind::Kind;
pub use level::{LEVELS, level, next_level};
pub use ratio::{Ratio, TARGET_PERMILLE};
pub use review::{
    Facts, Measure, Move, Moved, NAMED, Overview, Review, Reviewed, missing, overview, review,
    week_of,
};
pub use talk::{Pairs, Talk, Talks};
pub use valid::{Sketch, sketch};

/// Local days since 1970.
pub type Day = i64;

/// A point, in what scores are counted in.
pub const POINT: i64 = 1000;
/// Valid messages of a member that count on one day, a point each.
pub const MESSAGES_A_DAY: i64 = 10;
/// What somebody's first answer of a day to a member gives her.
pub const REPLY: i64 = 2 * POINT;
/// What somebody's first reaction of a day to a member's messages gives her.
pub const LIKE: i64 = POINT;
/// Points that scripts may add to a member on one day.
pub const ADDED_A_DAY: i64 = 50 * POINT;
/// Evaluations that a community remembers: the last one and, for the alert, the one before.
pub const REVIEWS_KEPT: usize = 2;
/// Days that presence and resonance look back.
pub const WINDOW_DAYS: i64 = 90;
const WINDOW: u128 = (1 << WINDOW_DAYS) - 1;

/// Which of the counted messages of a day: `day * 100 + nth`. It only grows, so that of several
/// marks of a member the highest is the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub i64);

impl Mark {
    const DAY: i64 = 100;

    /// The nth of a day.
    pub fn of(day: Day, nth: i64) -> Self {
        Self(day * Self::DAY + nth)
    }

    /// The day.
    pub fn day(self) -> Day {
        self.0.div_euclid(Self::DAY)
    }

    /// Which of the day, from 1; 0 where none was counted ever.
    pub fn nth(self) -> i64 {
        self.0.rem_euclid(Self::DAY)
    }
}

/// The messages of a day that is over, as one entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The day.
    pub day: Day,
    /// What its messages gave.
    pub weight: i64,
}

/// What counting a message has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// More than the mark has changed: it is the first of its day, and there were others before.
    pub is_beyond_mark: bool,
    /// An earlier day that is over now.
    pub closed: Option<Closed>,
}

/// A member's score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Thousandths of a point as of `day`, without the messages of that day.
    pub value: i64,
    /// The day of the last change.
    pub day: Day,
    /// Days with a counted message: bit `i` is the day `i` days before `day`.
    pub days: u128,
    /// What scripts have added on `day`.
    pub added: i64,
    /// The latest counted message.
    pub counted: Mark,
}

impl Score {
    /// Points of counted messages that are not in `value` yet.
    fn on_top(&self) -> i64 {
        if self.counted.day() == self.day { self.counted.nth() * POINT } else { 0 }
    }

    /// Goes on to a day; a clock that went back stays where it was.
    fn advance(&mut self, to: Day) -> Option<Closed> {
        let days = to - self.day;
        if days <= 0 {
            return None;
        }
        let weight = self.on_top();
        let closed = (weight > 0).then_some(Closed { day: self.day, weight });
        self.value = decay(self.value + weight, days);
        self.days = shifted(self.days, days);
        self.added = 0;
        self.day = to;
        closed
    }

    /// Whether one more message counts today.
    pub fn has_room(&self, today: Day) -> bool {
        self.counted < Mark::of(today.max(self.day), MESSAGES_A_DAY)
    }

    /// Counts a valid message; `None` where the day is full.
    pub fn count_message(&mut self, today: Day) -> Option<Counted> {
        if !self.has_room(today) {
            return None;
        }
        let was_blank = *self == Self::default();
        let closed = self.advance(today);
        let is_first = self.counted.day() != self.day;
        let nth = if is_first { 1 } else { self.counted.nth() + 1 };
        self.counted = Mark::of(self.day, nth);
        self.days |= 1;
        Some(Counted { is_beyond_mark: is_first && !was_blank, closed })
    }

    /// The score of somebody of whom nothing else was ever noted: all of her counted messages are of
    /// one day.
    pub fn of_mark(counted: Mark) -> Self {
        let days = u128::from(counted.nth() > 0);
        Self { day: counted.day(), days, counted, ..Self::default() }
    }

    /// Adds what others or a script gave.
    pub fn add(&mut self, today: Day, weight: i64) -> Option<Closed> {
        let closed = self.advance(today);
        self.value += weight;
        closed
    }

    /// The score of a day, in thousandths.
    pub fn at(&self, today: Day) -> i64 {
        decay(self.value + self.on_top(), today - self.day)
    }

    /// Whole points of a day.
    pub fn points(&self, today: Day) -> i64 {
        self.at(today) / POINT
    }

    /// Days with a counted message among the last so many, today included.
    pub fn active_days(&self, today: Day, of: i64) -> i64 {
        let mask = (1_u128 << of.clamp(0, WINDOW_DAYS)) - 1;
        i64::from((shifted(self.days, (today - self.day).max(0)) & mask).count_ones())
    }
}

fn shifted(days: u128, by: i64) -> u128 {
    if by >= WINDOW_DAYS { 0 } else { (days << by) & WINDOW }
}

/// The score that a log says: `(day, weight)` in the order of days, as of `until`.
pub fn replay(log: impl IntoIterator<Item = (Day, i64)>, until: Day) -> i64 {
    let (mut value, mut at) = (0, 0);
    for (day, weight) in log {
        value = decay(value, day - at) + weight;
        at = day;
    }
    decay(value, until - at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Message,
        Given(i64),
        Later(i64),
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => Just(Step::Message),
            2 => (1..20_000_i64).prop_map(Step::Given),
            2 => (-1..30_i64).prop_map(Step::Later),
            1 => Just(Step::Restart),
        ];
        proptest::collection::vec(step, 0..300)
    }

    proptest! {
        /// L12, with restarts that bring back what the tables hold: all but the mark is written at
        /// rare moments only, the mark comes from the events.
        #[test]
        fn a_score_is_the_sum_of_its_log(steps in steps()) {
            let (mut score, mut today, mut log) = (Score::default(), 20_000, Vec::new());
            let mut written = None;
            for step in steps {
                let closed = match step {
                    Step::Message => score.count_message(today).and_then(|counted| {
                        if counted.is_beyond_mark { written = Some(score); }
                        counted.closed
                    }),
                    Step::Given(weight) => {
                        let closed = score.add(today, weight);
                        log.push((score.day, weight));
                        written = Some(score);
                        closed
                    }
                    Step::Later(days) => { today += days; None }
                    Step::Restart => {
                        let counted = score.counted;
                        let restored = match written {
                            Some(written) => Score { counted, ..written },
                            None => Score::of_mark(counted),
                        };
                        prop_assert!(written.is_some() || restored == score);
                        score = restored;
                        None
                    }
                };
                log.extend(closed.map(|closed| (closed.day, closed.weight)));
                log.sort_by_key(|(day, _)| *day);
                prop_assert_eq!(replay(log.iter().copied(), score.day), score.value);
            }
            let own = (score.on_top() > 0).then_some((score.day, score.on_top()));
            let all = log.into_iter().chain(own);
            prop_assert_eq!(replay(all, today.max(score.day)), score.at(today));
        }
    }

    #[test]
    fn ten_messages_a_day_count_and_days_are_remembered() {
        let mut score = Score::default();
        let counted = (0..25).filter(|_| score.count_message(20_000).is_some()).count();
        assert_eq!((counted, score.points(20_000)), (10, 10));
        let next = score.count_message(20_014);
        let closed = Some(Closed { day: 20_000, weight: 10_000 });
        assert_eq!(next, Some(Counted { is_beyond_mark: true, closed }));
        assert_eq!((score.points(20_014), score.active_days(20_014, 90)), (6, 2));
        assert_eq!(score.active_days(20_014, 14), 1);
        assert_eq!(score.active_days(20_090, 90), 1);
        assert_eq!(score.active_days(20_104, 90), 0);
    }
}
