//! How often things go wrong: each seed draws its own rates, many of them zero, so that some worlds
//! are full of one fault and free of the others.

use crate::draw::Draw;

/// Faults in 10 000 cases, and how a world is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// An event never arrives, where the platform makes no promise.
    pub lost: u64,
    /// An event comes several times.
    pub repeated: u64,
    /// It comes at most so often.
    pub repeats_max: u64,
    /// An event comes up to seven days late.
    pub delayed: u64,
    /// An event comes some seconds late, after others.
    pub reordered: u64,
    /// A call is made and its answer is lost.
    pub answer_lost: u64,
    /// A call is refused for good.
    pub refused: u64,
    /// A call is turned away for a while.
    pub busy: u64,
    /// A call fails and nothing was done.
    pub failed_before: u64,
    /// A call fails and was done.
    pub failed_after: u64,
    /// A call takes up to a minute.
    pub slow: u64,
    /// A message cannot be looked for now.
    pub unseen: u64,
    /// A commit fails.
    pub commit_fails: u64,
    /// A commit takes a while.
    pub commit_slow: u64,
    /// The database refuses an event, always.
    pub poisoned: u64,
    /// A question to the database fails.
    pub read_fails: u64,
    /// A crash hits a commit and not the time between two.
    pub crash_in_commit: u64,
}

impl Rates {
    /// The rates of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::new(seed, "rates");
        // Every seventh world is a calm one.
        if draw.below(7) == 0 {
            return Self { repeats_max: 1, ..Self::default() };
        }
        let mut rate = |max: u64| if draw.below(5) < 2 { 0 } else { draw.below(max + 1) };
        Self {
            lost: rate(3000),
            repeated: rate(5000),
            repeats_max: rate(49) + 1,
            delayed: rate(500),
            reordered: rate(3000),
            answer_lost: rate(2500),
            refused: rate(1000),
            busy: rate(2500),
            failed_before: rate(2500),
            failed_after: rate(2500),
            slow: rate(1500),
            unseen: rate(4000),
            commit_fails: rate(2000),
            commit_slow: rate(2000),
            poisoned: rate(300),
            read_fails: rate(500),
            crash_in_commit: rate(10_000),
        }
    }
}
