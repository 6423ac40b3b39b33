//! Cutting a red packet into shares: fair at every position, exact, verifiable.
//!
//! The lucky split is the integer form of the double mean: the mean of the share cut at any
//! position is exactly rest/left, so nobody gains by grabbing first or last; a shuffle then makes
//! the spread equal too. Chance comes from ChaCha20 over a 32-byte seed that is published when
//! the packet has ended, against a [`commitment`] published when it was sent.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// Why a packet cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// No share at all.
    #[error("a packet needs at least one share")]
    NoShares,
    /// Less than one point for each share.
    #[error("{total} points are fewer than {count} shares")]
    TooLittle {
        /// Points.
        total: i64,
        /// Shares.
        count: i64,
    },
}

/// Cuts `total` into `count` shares of at least one, by chance.
///
/// # Errors
/// A count below one, or fewer points than shares.
pub fn split_lucky(total: i64, count: i64, seed: &[u8; 32]) -> Result<Vec<i64>, SplitError> {
    check(total, count)?;
    let mut rng = ChaCha20Rng::from_seed(*seed);
    let mut spare = total - count;
    let mut shares = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    for left in (2..=count).rev() {
        // Uniform over 0..=h has the mean h/2, and E[h] = 2·spare/left exactly, because the
        // remainder of the division is made up for by chance.
        let doubled = i128::from(spare) * 2;
        let mut high = (doubled / i128::from(left)) as i64;
        let remainder = (doubled % i128::from(left)) as i64;
        if uniform(&mut rng, left) < remainder {
            high += 1;
        }
        let extra = uniform(&mut rng, high + 1);
        shares.push(1 + extra);
        spare -= extra;
    }
    shares.push(1 + spare);
    shuffle(&mut shares, &mut rng);
    Ok(shares)
}

/// Cuts `total` into `count` shares as equal as whole numbers allow; the first ones are larger.
///
/// # Errors
/// A count below one, or fewer points than shares.
pub fn split_equal(total: i64, count: i64) -> Result<Vec<i64>, SplitError> {
    check(total, count)?;
    let (each, rest) = (total / count, total % count);
    Ok((0..count).map(|n| each + i64::from(n < rest)).collect())
}

/// What is published with a packet: SHA-256 over seed, total, count and the shares in order, the
/// numbers as 8 bytes big-endian. 64 hex digits.
pub fn commitment(seed: &[u8; 32], total: i64, shares: &[i64]) -> String {
    let mut hash = Sha256::new();
    hash.update(seed);
    hash.update(total.to_be_bytes());
    hash.update((shares.len() as i64).to_be_bytes());
    for share in shares {
        hash.update(share.to_be_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(total: i64, count: i64) -> Result<(), SplitError> {
    if count < 1 {
        return Err(SplitError::NoShares);
    }
    if total < count {
        return Err(SplitError::TooLittle { total, count });
    }
    Ok(())
}

/// A number in `0..below` without bias, by rejection.
fn uniform(rng: &mut ChaCha20Rng, below: i64) -> i64 {
    let below = u64::try_from(below).unwrap_or(1).max(1);
    let zone = u64::MAX - u64::MAX % below;
    loop {
        let drawn = rng.next_u64();
        if drawn < zone {
            return (drawn % below) as i64;
        }
    }
}

/// Fisher–Yates.
fn shuffle(shares: &mut [i64], rng: &mut ChaCha20Rng) {
    for last in (1..shares.len()).rev() {
        let other = uniform(rng, last as i64 + 1) as usize;
        shares.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(number: u64) -> [u8; 32] {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        seed
    }

    /// 200,000 packets of each shape: sums exact, every share at least one, and the mean at each
    /// position within 1 % of total/count.
    #[test]
    fn two_hundred_thousand_splits_are_fair_at_every_position() {
        const PACKETS: u64 = 200_000;
        for (total, count) in [(20, 10), (100, 10), (1000, 10), (10, 10), (1, 1)] {
            let mut sums = vec![0_i64; count as usize];
            for number in 0..PACKETS {
                let shares = split_lucky(total, count, &seed(number)).unwrap();
                assert_eq!(shares.iter().sum::<i64>(), total);
                for (sum, share) in sums.iter_mut().zip(&shares) {
                    assert!(*share >= 1, "{shares:?}");
                    *sum += share;
                }
            }
            let fair = total as f64 / count as f64;
            for (position, sum) in sums.iter().enumerate() {
                let mean = *sum as f64 / PACKETS as f64;
                assert!(
                    (mean / fair - 1.0).abs() < 0.01,
                    "({total},{count}) at {position}: {mean} instead of {fair}"
                );
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_shares() {
        let shares = split_lucky(100, 10, &seed(1)).unwrap();
        assert_eq!(shares, split_lucky(100, 10, &seed(1)).unwrap());
        assert_ne!(shares, split_lucky(100, 10, &seed(2)).unwrap());
    }

    #[test]
    fn equal_shares_differ_by_one_at_most() {
        assert_eq!(split_equal(10, 3).unwrap(), [4, 3, 3]);
        assert_eq!(split_equal(3, 3).unwrap(), [1, 1, 1]);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        assert_eq!(split_lucky(5, 0, &seed(1)), Err(SplitError::NoShares));
        assert_eq!(split_equal(2, 3), Err(SplitError::TooLittle { total: 2, count: 3 }));
    }

    #[test]
    fn the_largest_packet_does_not_overflow() {
        let shares = split_lucky(i64::MAX / 4, 100, &seed(3)).unwrap();
        assert_eq!(shares.iter().sum::<i64>(), i64::MAX / 4);
    }

    #[test]
    fn a_commitment_changes_with_anything_in_it() {
        let shares = split_lucky(100, 10, &seed(1)).unwrap();
        let honest = commitment(&seed(1), 100, &shares);
        let mut other = shares.clone();
        other.swap(0, 1);
        other[0] += 1;
        assert_eq!(honest.len(), 64);
        assert_ne!(honest, commitment(&seed(2), 100, &shares));
        assert_ne!(honest, commitment(&seed(1), 100, &other));
    }
}
