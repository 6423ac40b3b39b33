//! Our own count of Discord's rates (<https://discord.com/developers/docs/topics/rate-limits>): what
//! the headers say of each bucket, fifty calls a second for the account, and how many calls were
//! refused. Nothing waits here; a call that may not be made yet is told when it may.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Over how long the calls of one account count.
const GLOBAL_PERIOD: Duration = Duration::from_secs(1);
/// Discord blocks an address after 10,000 refused calls in ten minutes; we stop long before.
const REFUSED_MAX: usize = 100;
/// Over how long they count.
const REFUSED_PERIOD: Duration = Duration::from_secs(600);
/// Buckets before those that hold nothing back are forgotten.
const BUCKETS_MAX: usize = 10_000;

/// What the headers of an answer say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Calls that are left in this bucket.
    pub remaining: Option<u64>,
    /// Until it is full again.
    pub reset_after: Option<Duration>,
    /// Not before (429).
    pub retry_after: Option<Duration>,
    /// That holds for the whole account.
    pub is_global: bool,
}

/// Rates of one account; `K` names a bucket.
#[derive(Debug)]
pub struct Limiter<K> {
    calls_a_second: usize,
    buckets: HashMap<K, (u64, Instant)>,
    closed_until: Option<Instant>,
    calls: VecDeque<Instant>,
    refused: VecDeque<Instant>,
}

impl<K: Eq + Hash> Limiter<K> {
    /// Nothing used up; so many calls of the account fit into a second.
    pub fn new(calls_a_second: usize) -> Self {
        Self {
            calls_a_second,
            buckets: HashMap::new(),
            closed_until: None,
            calls: VecDeque::new(),
            refused: VecDeque::new(),
        }
    }

    /// Takes one call out of a bucket.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, bucket: &K, is_counted: bool, now: Instant) -> Result<(), Duration> {
        forget(&mut self.calls, now, GLOBAL_PERIOD);
        forget(&mut self.refused, now, REFUSED_PERIOD);
        let mut until = self.closed_until.filter(|until| *until > now);
        if self.refused.len() >= REFUSED_MAX {
            until = until.max(self.refused.front().map(|first| *first + REFUSED_PERIOD));
        }
        if is_counted && self.calls.len() >= self.calls_a_second {
            until = until.max(self.calls.front().map(|first| *first + GLOBAL_PERIOD));
        }
        if let Some((0, reset)) = self.buckets.get(bucket)
            && *reset > now
        {
            until = until.max(Some(*reset));
        }
        if let Some(until) = until {
            return Err(until - now);
        }
        if is_counted {
            self.calls.push_back(now);
        }
        // Calls that are under way count until the headers say better.
        if let Some((remaining, reset)) = self.buckets.get_mut(bucket)
            && *reset > now
        {
            *remaining = remaining.saturating_sub(1);
        }
        Ok(())
    }

    /// Takes in what an answer says.
    pub fn note(&mut self, bucket: K, status: u16, told: Told, now: Instant) {
        if matches!(status, 401 | 403 | 429) {
            self.refused.push_back(now);
        }
        if let Some(wait) = told.retry_after.filter(|_| status == 429) {
            if told.is_global {
                self.closed_until = self.closed_until.max(Some(now + wait));
            } else {
                self.buckets.insert(bucket, (0, now + wait));
            }
            return;
        }
        if let (Some(remaining), Some(reset_after)) = (told.remaining, told.reset_after) {
            if self.buckets.len() >= BUCKETS_MAX {
                self.buckets.retain(|_, (_, reset)| *reset > now);
            }
            self.buckets.insert(bucket, (remaining, now + reset_after));
        }
    }
}

fn forget(times: &mut VecDeque<Instant>, now: Instant, period: Duration) {
    while times.front().is_some_and(|first| *first + period <= now) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(remaining: u64, reset_s: u64) -> Told {
        let reset_after = Some(Duration::from_secs(reset_s));
        Told { remaining: Some(remaining), reset_after, ..Told::default() }
    }

    #[test]
    fn an_empty_bucket_waits_for_its_reset() {
        let (mut limiter, now) = (Limiter::new(50), Instant::now());
        assert_eq!(limiter.take(&"a", true, now), Ok(()));
        limiter.note("a", 200, told(1, 5), now);
        assert_eq!(limiter.take(&"a", true, now), Ok(()));
        assert_eq!(limiter.take(&"a", true, now), Err(Duration::from_secs(5)));
        assert_eq!(limiter.take(&"b", true, now), Ok(()));
        assert_eq!(limiter.take(&"a", true, now + Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn a_refusal_for_all_holds_back_all() {
        let (mut limiter, now) = (Limiter::new(50), Instant::now());
        let wait = Duration::from_secs(3);
        let told = Told { retry_after: Some(wait), is_global: true, ..Told::default() };
        limiter.note("a", 429, told, now);
        assert_eq!(limiter.take(&"b", true, now), Err(wait));
        assert_eq!(limiter.take(&"b", true, now + wait), Ok(()));
    }

    #[test]
    fn fifty_a_second_and_a_hundred_refusals_in_ten_minutes() {
        let (mut limiter, now) = (Limiter::new(50), Instant::now());
        for n in 0..50 {
            assert_eq!(limiter.take(&n, true, now), Ok(()));
        }
        assert_eq!(limiter.take(&50, true, now), Err(Duration::from_secs(1)));
        assert_eq!(limiter.take(&51, false, now), Ok(()));
        let later = now + Duration::from_secs(2);
        (0..100).for_each(|n| limiter.note(n, 403, Told::default(), later));
        assert_eq!(limiter.take(&1, true, later), Err(REFUSED_PERIOD));
    }
}
