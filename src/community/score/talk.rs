//! What today's talk has been so far, to tell repetition from talk. Memory only: after a restart a
//! day may count a repetition, never more than the day's limit.

use std::collections::{HashMap, HashSet};

use super::{Day, Kind, Sketch};
use crate::clock::TimeMs;
use crate::id::PersonId;

/// Own messages that a new one is held against.
const OWN_LATEST: usize = 5;
/// From this likeness on (Jaccard of bigrams, in percent) a message repeats another.
const ALIKE_PERCENT: usize = 85;
/// Least time between two counted messages of a member, ms.
const APART_MS: i64 = 20_000;
/// Members of a community whose talk is remembered on one day.
const MEMBERS_MAX: usize = 20_000;
/// Pairs of a community that count on one day.
const PAIRS_MAX: usize = 65_536;

/// One member's talk of today.
#[derive(Debug, Default)]
pub struct Talk {
    counted_at: Option<TimeMs>,
    latest: Vec<Sketch>,
}

impl Talk {
    /// Whether enough time has passed since her last counted message.
    pub fn is_apart(&self, now: TimeMs) -> bool {
        // A clock that went back is no reason to wait for it.
        self.counted_at.is_none_or(|at| now < at || now - at >= APART_MS)
    }

    /// Whether a message says something new; it is remembered.
    pub fn is_new(&mut self, sketch: Sketch) -> bool {
        let is_new = self.latest.iter().all(|own| own.likeness(&sketch) < ALIKE_PERCENT);
        if self.latest.len() == OWN_LATEST {
            self.latest.remove(0);
        }
        // Most members say one thing that counts at a time, and there are many of them.
        self.latest.reserve_exact(1);
        self.latest.push(sketch);
        is_new
    }

    /// Notes a message that counted.
    pub fn note(&mut self, now: TimeMs) {
        self.counted_at = Some(now);
    }
}

/// Everybody's talk of today.
#[derive(Debug, Default)]
pub struct Talks {
    day: Day,
    by_person: HashMap<PersonId, Talk>,
}

impl Talks {
    /// The talk of one member. Yesterday's is forgotten; so is everybody's when too many talk.
    pub fn of(&mut self, person: PersonId, today: Day) -> &mut Talk {
        let is_full = self.by_person.len() >= MEMBERS_MAX && !self.by_person.contains_key(&person);
        if self.day != today || is_full {
            self.by_person.clear();
            self.day = today;
        }
        self.by_person.entry(person).or_default()
    }
}

/// Who has answered or liked whom today: each pair counts once a day.
#[derive(Debug, Default)]
pub struct Pairs {
    day: Day,
    seen: HashSet<(PersonId, PersonId, Kind)>,
}

impl Pairs {
    /// Whether this is the first of the day, which never goes back; it is remembered.
    pub fn is_first(&mut self, to: PersonId, from: PersonId, kind: Kind, today: Day) -> bool {
        if today > self.day {
            self.seen.clear();
            self.day = today;
        }
        self.seen.len() < PAIRS_MAX && self.seen.insert((to, from, kind))
    }

    /// Brings back what the database knows of a day; the latest day counts.
    pub fn restore(&mut self, to: PersonId, from: PersonId, kind: Kind, day: Day) {
        if day >= self.day {
            self.is_first(to, from, kind, day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::community::score::sketch;
    use crate::event::Element;

    fn of(text: &str) -> Sketch {
        sketch(&[Element::Text(text.to_owned())]).unwrap()
    }

    #[test]
    fn her_own_last_five_are_not_said_again() {
        let mut talk = Talk::default();
        assert!(talk.is_new(of("今天天气真不错，我们去公园吧")));
        assert!(!talk.is_new(of("今天天气真不错，我们去公园吧！")));
        for text in [
            "午饭吃什么好呢",
            "这个颜色很好看",
            "快递已经收到了",
            "周末有人一起打球吗",
            "谢谢大家帮忙",
        ] {
            assert!(talk.is_new(of(text)), "{text}");
        }
        // Six later, it is no longer among the last five.
        assert!(talk.is_new(of("今天天气真不错，我们去公园吧")));
    }

    #[test]
    fn twenty_seconds_lie_between() {
        let mut talk = Talk::default();
        assert!(talk.is_apart(1000));
        talk.note(1000);
        assert!(!talk.is_apart(20_999));
        assert!(talk.is_apart(21_000));
        assert!(talk.is_apart(0));
    }

    #[test]
    fn a_pair_counts_once_a_day_and_days_do_not_come_back() {
        let (a, b) = (PersonId(1), PersonId(2));
        let mut pairs = Pairs::default();
        pairs.restore(a, b, Kind::Reply, 9);
        pairs.restore(a, b, Kind::Like, 10);
        assert!(pairs.is_first(a, b, Kind::Reply, 10));
        assert!(!pairs.is_first(a, b, Kind::Reply, 10));
        assert!(!pairs.is_first(a, b, Kind::Like, 10));
        assert!(!pairs.is_first(a, b, Kind::Like, 9));
        assert!(pairs.is_first(b, a, Kind::Like, 10));
        assert!(pairs.is_first(a, b, Kind::Like, 11));
    }
}
