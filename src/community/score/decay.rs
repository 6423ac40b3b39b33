//! Half of it in fourteen days: decay in whole numbers, so that every machine gets the same.
//!
//! Whole local days, because what is counted is limited by the day: within a day the order of
//! what was counted does not matter, and the log of a year fits in a row a day.

/// Days after which half of a score is left.
pub const HALF_LIFE_DAYS: i64 = 14;

/// 2^(−i/14) in units of 2^−32, rounded to the nearest.
const STEPS: [u64; HALF_LIFE_DAYS as usize] = [
    4_294_967_296,
    4_087_499_558,
    3_890_053_517,
    3_702_145_077,
    3_523_313_526,
    3_353_120_405,
    3_191_148_437,
    3_037_000_500,
    2_890_298_656,
    2_750_683_221,
    2_617_811_889,
    2_491_358_886,
    2_371_014_177,
    2_256_482_700,
];

/// What is left of a score after so many days. Cut to a whole number, so that each step loses less
/// than one thousandth of a point and nothing lives for ever; steps of every day lose less than
/// 1/(1 − 2^(−1/14)) = 20.7 thousandths in all.
pub fn decay(score: i64, days: i64) -> i64 {
    if days <= 0 || score <= 0 {
        return score.max(0);
    }
    let halvings = days / HALF_LIFE_DAYS;
    if halvings >= 63 {
        return 0;
    }
    let step = STEPS[(days % HALF_LIFE_DAYS) as usize];
    let scaled = (u128::from(score.unsigned_abs()) * u128::from(step)) >> 32;
    // At most the score itself, which was an i64.
    (scaled >> halvings) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::decay;

    proptest! {
        #[test]
        fn is_less_than_a_thousandth_below_the_formula(score in 0..1_000_000_000_i64, days in 0..1000_i64) {
            let exact = score as f64 * 2_f64.powf(-(days as f64) / 14.0);
            let got = decay(score, days) as f64;
            // The table is right to 2^−33, so a billion may be off by a quarter more.
            prop_assert!(got <= exact + 0.25 && got > exact - 1.25, "{got} for {exact}");
        }

        #[test]
        fn many_steps_lose_no_more_than_is_said(score in 0..1_000_000_i64, days in 0..400_i64) {
            let stepped = (0..days).fold(score, |score, _| decay(score, 1));
            let lost = decay(score, days) - stepped;
            prop_assert!((0..=21).contains(&lost), "{lost}");
        }
    }

    #[test]
    fn the_table_of_the_design() {
        // Ten points a day settle at 20.7 times as much; silence leaves a tenth after 46.5 days.
        let steady = (0..400).fold(0, |score, _| decay(score, 1) + 10_000);
        assert!((206_900..207_100).contains(&steady), "{steady}");
        assert_eq!(decay(100_000, 14), 50_000);
        assert!((9_700..10_300).contains(&decay(100_000, 46)));
        assert_eq!(decay(1, 1), 0);
        assert_eq!(decay(i64::MAX, 10_000), 0);
        assert_eq!(decay(5, -3), 5);
    }
}
