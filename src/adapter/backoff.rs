//! How long to wait before connecting again: longer each time, and never all at once.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The most that the first wait can be.
const FIRST: Duration = Duration::from_secs(1);
/// The most that any wait can be.
const LONGEST: Duration = Duration::from_secs(60);

/// Exponential with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
pub struct Backoff {
    chance: ChaCha8Rng,
    failures: u32,
}

impl Backoff {
    /// A backoff whose chance comes from a seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { chance: ChaCha8Rng::from_seed(seed), failures: 0 }
    }

    /// It went well: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let most = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // 32 bits of chance are more than a timer can tell apart.
        let share = f64::from(self.chance.next_u32()) / f64::from(u32::MAX);
        most.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_minute_and_is_the_same_for_the_same_seed() {
        let waits = |seed: u8| -> Vec<Duration> {
            let mut backoff = Backoff::new([seed; 32]);
            (0..20).map(|_| backoff.next_wait()).collect()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        for seed in 0..50 {
            for (failures, wait) in waits(seed).into_iter().enumerate() {
                let most = Duration::from_secs(60.min(1 << failures.min(6)));
                assert!(wait <= most, "{failures}: {wait:?}");
            }
        }
        // Full: the whole range is used.
        let late: Vec<_> = (0..50).map(|seed| waits(seed)[10]).collect();
        assert!(late.iter().any(|wait| wait.as_secs() < 15));
        assert!(late.iter().any(|wait| wait.as_secs() > 45));
    }

    #[test]
    fn begins_anew_after_success() {
        let mut backoff = Backoff::new([3; 32]);
        (0..10).for_each(|_| assert!(backoff.next_wait() <= LONGEST));
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }
}
