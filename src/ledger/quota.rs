//! How much was issued, earned, grabbed or sent in a day: what the caps count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::community::score::Day;
use crate::refusal::Refusal;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuotaKind {
    /// Points issued in the whole community.
    Minted,
    /// Points issued to one member.
    Earned,
    /// Points that one member took from red packets.
    Grabbed,
    /// Red packets sent in one group.
    Packets,
}

impl QuotaKind {
    const ALL: [Self; 4] = [Self::Minted, Self::Earned, Self::Grabbed, Self::Packets];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minted => "minted",
            Self::Earned => "earned",
            Self::Grabbed => "grabbed",
            Self::Packets => "packets",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The refusal where it is used up.
    fn refusal(self) -> Refusal {
        match self {
            Self::Minted => Refusal::new("minted_cap"),
            Self::Earned => Refusal::new("earned_cap"),
            Self::Grabbed => Refusal::new("grab_cap"),
            Self::Packets => Refusal::new("packets_cap"),
        }
    }
}

/// Whose count of which day.
pub type QuotaKey = (Day, QuotaKind, i64);

/// Days that are remembered: a clock or a zone that is put back finds what it had counted.
pub const QUOTA_DAYS: Day = 2;

/// What was counted in the latest days.
#[derive(Clone, Debug, Default)]
pub struct Quotas(BTreeMap<QuotaKey, i64>);

impl Quotas {
    /// Puts a count back as the store has it.
    pub fn restore(&mut self, key: QuotaKey, amount: i64) {
        self.0.insert(key, amount);
    }

    /// What was counted.
    pub fn used(&self, key: QuotaKey) -> i64 {
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// Counts more, up to the cap. What must be undone is the same amount less.
    ///
    /// # Errors
    /// The refusal of the kind, with `max` and what is `left`.
    pub fn count(&mut self, key: QuotaKey, amount: i64, cap: i64) -> Result<(), Refusal> {
        let used = self.used(key);
        if used.checked_add(amount).is_none_or(|sum| sum > cap) {
            let left = (cap - used).max(0);
            return Err(key.1.refusal().with("max", cap).with("left", left));
        }
        self.0.retain(|(day, ..), _| *day >= key.0 - QUOTA_DAYS);
        self.0.insert(key, used + amount);
        Ok(())
    }

    /// Takes a count back.
    pub fn uncount(&mut self, key: QuotaKey, amount: i64) {
        if let Some(used) = self.0.get_mut(&key) {
            *used -= amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_the_cap_of_each_day() {
        let mut quotas = Quotas::default();
        let key = (20_000, QuotaKind::Earned, 7);
        quotas.count(key, 60, 100).unwrap();
        let refused = quotas.count(key, 41, 100).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.data["left"].clone()),
            ("earned_cap", 40.into())
        );
        assert!(quotas.count(key, i64::MAX, 100).is_err());
        quotas.count(key, 40, 100).unwrap();
        quotas.count((20_001, QuotaKind::Earned, 7), 100, 100).unwrap();
        quotas.uncount(key, 40);
        assert_eq!(quotas.used(key), 60);
        for kind in QuotaKind::ALL {
            assert_eq!(QuotaKind::parse(kind.as_str()), Some(kind));
        }
    }
}
