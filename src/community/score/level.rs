//! Levels: how far a score reaches. They decay with it, so they say how active somebody is now.

use super::POINT;

/// Points from which on each level is reached, level 1 first: with so much every day, the score
/// settles at 20.7 times as much.
pub const LEVELS: [i64; 6] = [1, 10, 30, 60, 120, 200];

/// The level of a score in thousandths, 0–6.
pub fn level(score: i64) -> i64 {
    LEVELS.iter().filter(|least| score >= **least * POINT).count() as i64
}

/// Points at which the next level begins; `None` at the highest.
pub fn next_level(score: i64) -> Option<i64> {
    LEVELS.into_iter().find(|least| score < *least * POINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_where_they_are_said_to() {
        assert_eq!([0, 999, 1000, 9_999, 10_000, 200_000].map(level), [0, 0, 1, 1, 2, 6]);
        assert_eq!(next_level(0), Some(1));
        assert_eq!(next_level(60_000), Some(120));
        assert_eq!(next_level(200_000), None);
    }
}
