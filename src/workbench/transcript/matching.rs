//! Which expected line is which that happened.
//!
//! Lines sent to one place are compared in order; all others are a set, matched so that as many
//! as possible find a partner.

use std::collections::BTreeSet;

use super::expect::{fits, may_go_unwritten};
use super::show::Shown;

/// The partner of each expected line among those that happened, if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// For each expected line the index of what happened.
    pub partner: Vec<Option<usize>>,
    /// Indices of what happened and was not expected.
    pub surplus: Vec<usize>,
}

impl Matching {
    /// Whether everything happened and nothing else.
    pub fn is_complete(&self) -> bool {
        self.surplus.is_empty() && self.partner.iter().all(Option::is_some)
    }
}

/// Finds partners.
pub fn pair(expected: &[&str], happened: &[Shown]) -> Matching {
    let mut partner = vec![None; expected.len()];
    let places: BTreeSet<&str> =
        happened.iter().filter_map(|shown| shown.place.as_deref()).collect();
    for place in places {
        let there: Vec<usize> =
            (0..happened.len()).filter(|i| happened[*i].place.as_deref() == Some(place)).collect();
        in_order(expected, happened, &there, &mut partner);
    }
    for index in 0..expected.len() {
        if partner[index].is_none() {
            let mut tried = BTreeSet::new();
            augment(index, expected, happened, &mut tried, &mut partner);
        }
    }
    let taken: BTreeSet<usize> = partner.iter().flatten().copied().collect();
    let is_surplus =
        |index: &usize| !taken.contains(index) && !may_go_unwritten(&happened[*index].text);
    let surplus = (0..happened.len()).filter(is_surplus).collect();
    Matching { partner, surplus }
}

/// The longest common subsequence of what was expected and what happened in one place.
fn in_order(expected: &[&str], happened: &[Shown], there: &[usize], partner: &mut [Option<usize>]) {
    let fit = |e: usize, t: usize| fits(expected[e], &happened[there[t]].text);
    let (rows, columns) = (expected.len(), there.len());
    let mut longest = vec![vec![0usize; columns + 1]; rows + 1];
    for e in (0..rows).rev() {
        for t in (0..columns).rev() {
            let skip = longest[e + 1][t].max(longest[e][t + 1]);
            let take =
                if partner[e].is_none() && fit(e, t) { longest[e + 1][t + 1] + 1 } else { 0 };
            longest[e][t] = skip.max(take);
        }
    }
    let (mut e, mut t) = (0, 0);
    while e < rows && t < columns {
        let takes = partner[e].is_none() && longest[e][t] == longest[e + 1][t + 1] + 1 && fit(e, t);
        if takes {
            partner[e] = Some(there[t]);
            (e, t) = (e + 1, t + 1);
        } else if longest[e + 1][t] >= longest[e][t + 1] {
            e += 1;
        } else {
            t += 1;
        }
    }
}

/// Finds a partner without a place for an expected line, moving others aside where they have
/// another choice.
fn augment(
    index: usize,
    expected: &[&str],
    happened: &[Shown],
    tried: &mut BTreeSet<usize>,
    partner: &mut [Option<usize>],
) -> bool {
    for (candidate, shown) in happened.iter().enumerate() {
        let is_free_kind = shown.place.is_none() && fits(expected[index], &shown.text);
        if !is_free_kind || !tried.insert(candidate) {
            continue;
        }
        let holder = partner.iter().position(|taken| *taken == Some(candidate));
        if holder.is_none_or(|other| augment(other, expected, happened, tried, partner)) {
            partner[index] = Some(candidate);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Shown {
        Shown { place: Some("console:群岛".into()), text: format!("> {text}") }
    }

    fn did(text: &str) -> Shown {
        Shown { place: None, text: text.to_owned() }
    }

    #[test]
    fn order_counts_within_a_place_only() {
        let happened = [did("points 小红 +1"), said("一"), did("points 小李 +2"), said("二")];
        let whole = pair(&["points 小李 +2", "> 一", "> 二", "points 小红 +1"], &happened);
        assert!(whole.is_complete());
        let swapped = pair(&["points 小李 +2", "> 二", "> 一", "points 小红 +1"], &happened);
        assert!(!swapped.is_complete());
        assert_eq!(swapped.surplus.len(), 1);
    }

    #[test]
    fn a_wildcard_steps_aside_for_the_exact() {
        let happened = [did("points 小红 +1"), did("points 小红 +2")];
        assert!(pair(&["points 小红 +[…]", "points 小红 +1"], &happened).is_complete());
        assert!(!pair(&["points 小红 +[…]"], &happened).is_complete());
        let scored = [did("points 小红 +1"), did("score 小红 +1")];
        assert!(pair(&["points 小红 +1"], &scored).is_complete());
        assert!(!pair(&["points 小红 +1", "score 小红 +2"], &scored).is_complete());
    }
}
