//! Expressions drawn at random, with what they allow, so that whoever checks them need not read them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The ten zones: without changes, with the usual ones, of half an hour, at midnight, and two.
pub const ZONES: [&str; 10] = [
    "Asia/Shanghai",
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Casablanca",
    "America/Santiago",
    "Pacific/Chatham",
];

/// An expression and what it allows.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub text: String,
    pub minutes: u64,
    pub hours: u64,
    pub days: u64,
    pub months: u64,
    /// Sunday is bit 0.
    pub weekdays: u64,
    /// A day satisfies one of the two day fields, instead of both.
    pub either: bool,
    /// The hours are a number, a list or a range.
    pub wall: bool,
}

impl Drawn {
    pub fn has_day(&self, month: u32, day: u32, weekday: u32) -> bool {
        let (by_day, by_week) = (self.days >> day & 1 == 1, self.weekdays >> weekday & 1 == 1);
        let fits = if self.either { by_day || by_week } else { by_day && by_week };
        fits && self.months >> month & 1 == 1
    }

    /// Slots of two years at most, to keep the test short.
    fn weight(&self) -> u32 {
        self.minutes.count_ones() * self.hours.count_ones() * 730
    }
}

/// So many expressions, the same every time.
pub fn expressions(count: usize) -> Vec<Drawn> {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_126);
    let mut all = vec![dense("* * * * *", u64::MAX >> 4, 0xff_ffff, false)];
    all.push(dense("*/30 2 * * *", 1 | 1 << 30, 1 << 2, true));
    all.push(dense("0,30 1 * * *", 1 | 1 << 30, 1 << 1, true));
    all.push(dense("0 0 * * *", 1, 1, true));
    while all.len() < count {
        let drawn = one(&mut rng);
        if drawn.weight() <= 12_000 {
            all.push(drawn);
        }
    }
    all
}

/// An expression for every day.
fn dense(text: &str, minutes: u64, hours: u64, wall: bool) -> Drawn {
    let (days, months, weekdays) = (0xffff_fffe, 0x1ffe, 0x7f);
    Drawn { text: text.to_owned(), minutes, hours, days, months, weekdays, either: false, wall }
}

fn one(rng: &mut ChaCha8Rng) -> Drawn {
    let (minute, minutes) = field(rng, 0, 59, &[], [1, 6, 3, 1, 2]);
    // Hours about the changes of clocks are the ones that matter.
    let (hour, hours) = match below(rng, 3) {
        0 => field(rng, 0, 3, &[], [0, 6, 3, 3, 0]),
        _ => field(rng, 0, 23, &[], [3, 4, 3, 3, 3]),
    };
    let (day, days) = field(rng, 1, 28, &[], [8, 2, 2, 1, 2]);
    let names =
        ["jan", "FEB", "Mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (month, months) = field(rng, 1, 12, &names, [8, 1, 2, 2, 1]);
    let names = ["SUN", "mon", "Tue", "wed", "thu", "fri", "sat"];
    let (weekday, weekdays) = field(rng, 0, 7, &names, [8, 2, 2, 2, 1]);
    // 7 is Sunday, too.
    let weekdays = (weekdays | weekdays >> 7) & 0x7f;
    // The star stands for all days of the month, which end at 31 and not at 28.
    let days = if day == "*" { 0xffff_fffe } else { days };
    let either = !day.starts_with('*') && !weekday.starts_with('*');
    let wall = !hour.contains('*') && !hour.contains('/');
    let text = format!("{minute} {hour} {day} {month} {weekday}");
    Drawn { text, minutes, hours, days, months, weekdays, either, wall }
}

/// A field: a star, a value, a list, a range or a step, with these weights.
fn field(
    rng: &mut ChaCha8Rng,
    from: u32,
    to: u32,
    names: &[&str],
    weights: [u32; 5],
) -> (String, u64) {
    let value = |rng: &mut ChaCha8Rng| from + below(rng, to - from + 1);
    let word = |rng: &mut ChaCha8Rng, value: u32| match names.get((value - from) as usize) {
        Some(name) if below(rng, 2) == 0 => (*name).to_owned(),
        _ => value.to_string(),
    };
    let all = (from..=to).fold(0, |set, at| set | 1 << at);
    let mut ticket = below(rng, weights.iter().sum());
    let kind = weights.iter().position(|weight| {
        let hit = ticket < *weight;
        ticket = ticket.saturating_sub(*weight);
        hit
    });
    match kind {
        Some(0) => ("*".to_owned(), all),
        Some(1) => {
            let value = value(rng);
            (word(rng, value), 1 << value)
        }
        Some(2) => {
            let values: Vec<u32> = (0..2 + below(rng, 2)).map(|_| value(rng)).collect();
            let words: Vec<String> = values.iter().map(|value| word(rng, *value)).collect();
            (words.join(","), values.iter().fold(0, |set, at| set | 1 << at))
        }
        Some(3) => {
            let (one, two) = (value(rng), value(rng));
            let (low, high) = (one.min(two), one.max(two));
            let text = format!("{}-{}", word(rng, low), word(rng, high));
            (text, (low..=high).fold(0, |set, at| set | 1 << at))
        }
        _ => {
            let step = 2 + below(rng, 20);
            // The days of a star end where the month does.
            let end = if from == 1 && to == 28 { 31 } else { to };
            let set = (from..=end).step_by(step as usize).fold(0, |set, at| set | 1 << at);
            (format!("*/{step}"), set)
        }
    }
}

pub fn below(rng: &mut ChaCha8Rng, end: u32) -> u32 {
    // Not quite even, which a test need not be.
    rng.next_u32() % end.max(1)
}
