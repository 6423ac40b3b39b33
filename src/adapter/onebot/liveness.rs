//! Whether a connection is alive, judged by what is heard and not by the state of a socket: a
//! socket stays open for hours after the other side has died.
//!
//! Pure: times come in, decisions go out.

use std::time::Duration;

use tokio::time::Instant;

/// So many heartbeats in a row may be missed.
const MISSED_MAX: u32 = 3;
/// Without a word for so long the other side is asked.
const SILENCE: Duration = Duration::from_secs(60);
/// And has so long to answer.
const PROBE: Duration = Duration::from_secs(10);
/// Intervals outside are taken as the nearest: some implementations count in seconds here.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before then.
    Wait(Instant),
    /// Ask for a sign of life.
    Probe,
    /// It is dead: why.
    Dead(&'static str),
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Liveness {
    heard: Instant,
    interval: Option<Duration>,
    probed: Option<Instant>,
    can_probe: bool,
}

impl Liveness {
    /// A connection that has just been made.
    pub fn new(now: Instant, can_probe: bool) -> Self {
        Self { heard: now, interval: None, probed: None, can_probe }
    }

    /// Something came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = None;
    }

    /// A heartbeat says when the next one comes.
    pub fn beat(&mut self, interval_ms: i64) {
        if let Ok(ms @ 1..) = u64::try_from(interval_ms) {
            self.interval = Some(Duration::from_millis(ms).clamp(INTERVAL.0, INTERVAL.1));
        }
    }

    /// The other side was asked.
    pub fn probed(&mut self, now: Instant) {
        self.probed = Some(now);
    }

    /// What is to be done now.
    pub fn step(&self, now: Instant) -> Step {
        let missed = self.interval.map(|interval| self.heard + interval * MISSED_MAX);
        let unanswered = self.probed.map(|probed| probed + PROBE);
        if missed.is_some_and(|at| at <= now) {
            return Step::Dead("three heartbeats in a row did not come");
        }
        if unanswered.is_some_and(|at| at <= now) {
            return Step::Dead("a minute of silence, and no answer to a question");
        }
        let ask = self.heard + SILENCE;
        let can_ask = self.can_probe && self.probed.is_none();
        if can_ask && ask <= now {
            return Step::Probe;
        }
        let ask = can_ask.then_some(ask);
        let next = [missed, unanswered, ask].into_iter().flatten().min();
        // Without heartbeats and without a way to ask nobody can tell.
        Step::Wait(next.unwrap_or(now + SILENCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn three_missed_heartbeats_are_the_end() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, true);
        liveness.beat(15_000);
        assert_eq!(liveness.step(start), Step::Wait(at(start, 45)));
        liveness.heard(at(start, 30));
        assert_eq!(liveness.step(at(start, 45)), Step::Wait(at(start, 75)));
        assert!(matches!(liveness.step(at(start, 75)), Step::Dead(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_about() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, true);
        assert_eq!(liveness.step(at(start, 59)), Step::Wait(at(start, 60)));
        assert_eq!(liveness.step(at(start, 60)), Step::Probe);
        liveness.probed(at(start, 60));
        assert_eq!(liveness.step(at(start, 60)), Step::Wait(at(start, 70)));
        let mut answered = liveness;
        answered.heard(at(start, 65));
        assert_eq!(answered.step(at(start, 71)), Step::Wait(at(start, 125)));
        assert!(matches!(liveness.step(at(start, 70)), Step::Dead(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn odd_intervals_are_bounded_and_nothing_is_guessed() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, false);
        assert!(matches!(liveness.step(at(start, 3600)), Step::Wait(_)));
        liveness.beat(5); // seconds, by mistake
        assert_eq!(liveness.step(start), Step::Wait(at(start, 15)));
        liveness.beat(-1);
        liveness.beat(0);
        assert_eq!(liveness.step(start), Step::Wait(at(start, 15)));
    }
}
