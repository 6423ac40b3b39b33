//! Timers fire as time passes, by a wall clock that may be wrong.
//!
//! A machine's clock is put right, put wrong, or stands still while the machine sleeps. What is due by
//! it is only believed when it has gone with the time that passes for a while: a clock that says next
//! year for a second would else fire a year of routines.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fire_due;
use super::gauge::Gauge;
use super::timers::Timers;
use crate::clock::{Clock, TimeMs};
use crate::commit::{Listeners, tell};
use crate::lane::Message;
use crate::report::Notice;

/// Longest wait before the wall clock is looked at again.
const LOOK_AGAIN_MS: i64 = 30_000;
/// The wall clock and the time that passes differ by more than this between two looks: a jump.
const JUMP_MS: i64 = 60_000;
/// A clock that has gone right for so long is believed again.
const STABLE: Duration = Duration::from_secs(10);
/// Nothing is held up for longer.
const HOLD_MAX: Duration = Duration::from_secs(120);
/// Looks while it is not believed.
const HOLD_LOOK: Duration = Duration::from_secs(1);

/// Watches whether the wall clock goes with the time that passes.
#[derive(Debug)]
struct Watch {
    wall: TimeMs,
    passed: Instant,
    /// Since when it has not been believed, and since when it has gone right again.
    doubt: Option<(Instant, Instant)>,
}

/// What a look at the clock shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is believed.
    Well,
    /// It has just jumped by so much, ms.
    Jumped(i64),
    /// It jumped a short while ago.
    Doubtful,
}

impl Watch {
    fn new(wall: TimeMs, passed: Instant) -> Self {
        Self { wall, passed, doubt: None }
    }

    fn look(&mut self, wall: TimeMs, passed: Instant) -> Look {
        let went_ms = (passed - self.passed).as_millis() as i64;
        let jump_ms = wall - self.wall - went_ms;
        (self.wall, self.passed) = (wall, passed);
        if jump_ms.abs() > JUMP_MS {
            let since = self.doubt.map_or(passed, |(since, _)| since);
            if passed - since < HOLD_MAX {
                self.doubt = Some((since, passed));
                return Look::Jumped(jump_ms);
            }
        }
        match self.doubt {
            Some((since, stable)) if passed - stable < STABLE && passed - since < HOLD_MAX => {
                Look::Doubtful
            }
            _ => {
                self.doubt = None;
                Look::Well
            }
        }
    }
}

/// What the watcher of timers works with.
pub(super) struct Watcher {
    pub(super) timers: Arc<Timers>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) lanes: mpsc::UnboundedSender<Message>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) notices: Arc<Listeners<Notice>>,
}

impl Watcher {
    /// Fires timers as time passes.
    pub(super) async fn run(self) {
        let mut watch = Watch::new(self.clock.wall(), Instant::now());
        let mut was_put_back = false;
        loop {
            let look = watch.look(self.clock.wall(), Instant::now());
            let wait = match look {
                Look::Well => {
                    if std::mem::take(&mut was_put_back) {
                        self.look_at_routines();
                    }
                    let now = self.clock.now();
                    fire_due(&self.timers, &self.gauge, &self.lanes, now);
                    let next = self.timers.next_due();
                    let wait_ms =
                        next.map_or(LOOK_AGAIN_MS, |due| (due - now).clamp(1, LOOK_AGAIN_MS));
                    Duration::from_millis(wait_ms as u64)
                }
                Look::Jumped(by_ms) => {
                    was_put_back |= by_ms < 0;
                    self.alarm(by_ms);
                    HOLD_LOOK
                }
                Look::Doubtful => HOLD_LOOK,
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = self.timers.changed.notified() => {}
            }
        }
    }

    /// Routines may wait for times that lie beyond the next, by the clock as it was.
    fn look_at_routines(&self) {
        for community in self.timers.communities() {
            if self.lanes.send(Message::Look(community, self.gauge.ticket())).is_err() {
                tracing::debug!("the lanes have stopped");
            }
        }
    }

    fn alarm(&self, by_ms: i64) {
        let text = format!(
            "the machine's clock jumped by {} s; timers wait until it has gone right for {} s",
            by_ms / 1000,
            STABLE.as_secs()
        );
        tell(&self.notices, &Notice { community: None, text, is_problem: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks of a clock: seconds that passed, and what it shows.
    fn looks(steps: &[(u64, i64)]) -> Vec<Look> {
        let begin = Instant::now();
        let mut watch = Watch::new(0, begin);
        let mut passed = begin;
        let look = |(after_s, wall_s): &(u64, i64)| {
            passed += Duration::from_secs(*after_s);
            watch.look(wall_s * 1000, passed)
        };
        steps.iter().map(look).collect()
    }

    #[test]
    fn a_clock_that_goes_right_is_believed() {
        assert_eq!(looks(&[(30, 30), (30, 61), (30, 89)]), [Look::Well, Look::Well, Look::Well]);
    }

    #[test]
    fn a_jump_is_believed_after_it_has_gone_right_for_a_while() {
        let year = 365 * 86_400;
        let found = looks(&[(30, 30 + year), (5, 35 + year), (5, 40 + year), (1, 41 + year)]);
        assert_eq!(found, [Look::Jumped(year * 1000), Look::Doubtful, Look::Well, Look::Well]);
        // Back again before that: never believed.
        let found = looks(&[(30, 30 + year), (5, 35), (9, 44), (1, 45)]);
        assert_eq!(
            found,
            [Look::Jumped(year * 1000), Look::Jumped(-year * 1000), Look::Doubtful, Look::Well]
        );
    }

    #[test]
    fn nothing_is_held_up_for_ever() {
        // It jumps every five seconds, which nobody can wait for.
        let steps: Vec<(u64, i64)> = (1..=30_i64).map(|at| (5, at * 1000)).collect();
        let found = looks(&steps);
        let held = found.iter().position(|look| *look == Look::Well);
        assert_eq!(held, Some(24), "{found:?}");
        // A sleeping machine: the wall goes on, the time that passes stands still.
        assert_eq!(looks(&[(1, 3600), (10, 3610)]), [Look::Jumped(3_599_000), Look::Well]);
    }
}
