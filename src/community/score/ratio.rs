//! How many of how many, and how sure that is: the Wilson interval of 95 %.
//!
//! Only operations that IEEE 754 rounds correctly, so every machine gives the same tenths of a
//! percent.

/// The share of core fans that a community wants, in tenths of a percent.
pub const TARGET_PERMILLE: i64 = 200;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio {
    /// So many.
    pub part: i64,
    /// Of so many.
    pub whole: i64,
}

impl Ratio {
    /// In tenths of a percent; 0 of nobody is 0.
    pub fn permille(self) -> i64 {
        if self.whole <= 0 { 0 } else { (self.part * 2000 + self.whole) / (2 * self.whole) }
    }

    /// Below the target. Nobody is no community to be told of.
    pub fn is_short(self) -> bool {
        self.whole > 0 && self.part * 1000 < TARGET_PERMILLE * self.whole
    }

    /// The ends of the 95 % interval (Wilson's score), in tenths of a percent.
    pub fn interval(self) -> (i64, i64) {
        if self.whole <= 0 {
            return (0, 1000);
        }
        let z = 1.959_963_984_540_054_f64;
        let (n, p) = (self.whole as f64, self.part as f64 / self.whole as f64);
        let scale = 1.0 + z * z / n;
        let centre = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let permille = |end: f64| (end / scale * 1000.0).clamp(0.0, 1000.0).round() as i64;
        (permille(centre - half), permille(centre + half))
    }
}

#[cfg(test)]
mod tests {
    use super::Ratio;

    #[test]
    fn the_figures_of_the_design() {
        // 6 of 30 = 20 % has the lower end 9.5 %; 10/12 → .552, 3/3 → .4385, 20/100 → .133.
        for (part, whole, low) in [(6, 30, 95), (10, 12, 552), (3, 3, 439), (20, 100, 133)] {
            assert_eq!(Ratio { part, whole }.interval().0, low, "{part}/{whole}");
        }
        assert_eq!(Ratio { part: 6, whole: 30 }.interval().1, 373);
        assert_eq!(Ratio { part: 2, whole: 3 }.permille(), 667);
        assert!(!Ratio { part: 6, whole: 30 }.is_short());
        assert!(Ratio { part: 5, whole: 30 }.is_short());
        assert!(!Ratio { part: 0, whole: 0 }.is_short());
        assert_eq!(Ratio { part: 0, whole: 0 }.interval(), (0, 1000));
    }
}
