//! One piece of news, and when two of them are the same.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use url::Url;

use crate::clock::TimeMs;

/// Titles count as the same from this share of common pairs of characters on.
const SAME_TITLE: f64 = 0.8;
/// Longest address of an item, bytes.
const URL_MAX: usize = 2048;

/// What tells one item from another: the same for the same address, in every run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub Arc<str>);

impl ItemId {
    /// The id of an address in its canonical form.
    pub fn of(canonical: &str) -> Self {
        let hash = Sha256::digest(canonical.as_bytes());
        let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self(digits.into())
    }
}

impl std::fmt::Display for ItemId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A piece of news as a source has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// One line.
    pub title: Arc<str>,
    /// Where it can be read, http or https.
    pub url: Arc<str>,
    /// When it was published, where the source says so, Unix ms.
    pub published_at: Option<TimeMs>,
    /// When it was first seen here, Unix ms.
    pub seen_at: TimeMs,
    /// Its title, for comparison.
    pub bigrams: Bigrams,
}

impl Item {
    /// An item; `None` where the address is none that can be shown.
    pub fn new(
        title: &str,
        url: &str,
        published_at: Option<TimeMs>,
        seen_at: TimeMs,
    ) -> Option<Self> {
        let canonical = canonical(url)?;
        (!title.is_empty()).then(|| Self {
            id: ItemId::of(&canonical),
            title: title.into(),
            url: url.trim().into(),
            published_at,
            seen_at,
            bigrams: Bigrams::of(title),
        })
    }

    /// When it counts as published: a date from the future is none.
    pub fn at(&self) -> TimeMs {
        self.published_at.map_or(self.seen_at, |at| at.min(self.seen_at))
    }
}

/// Query parameters that say where a reader came from and not what she reads.
const TRACKING: [&str; 22] = [
    "fbclid",
    "gclid",
    "dclid",
    "msclkid",
    "yclid",
    "igshid",
    "mc_cid",
    "mc_eid",
    "spm",
    "scm",
    "gbraid",
    "wbraid",
    "ref_src",
    "_hsmi",
    "share_token",
    "share_from",
    "chksm",
    "scene",
    "weibo_id",
    "isappinstalled",
    "vd_source",
    "_hsenc",
];

/// An address in the form in which the same page always has the same; `None` where it is no page
/// of the web.
pub fn canonical(url: &str) -> Option<String> {
    if url.len() > URL_MAX {
        return None;
    }
    // Parsing makes the host lower case, reads its numbers and drops the port of the scheme.
    let mut url = Url::parse(url.trim()).ok()?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    url.set_fragment(None);
    let mut query: Vec<(String, String)> =
        url.query_pairs().filter(|(name, _)| !is_tracking(name)).map(owned).collect();
    query.sort();
    url.set_query(None);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    // The same page by either scheme.
    let whole = url.as_str();
    Some(whole.split_once("://").map_or(whole, |(_, rest)| rest).trim_end_matches('/').to_owned())
}

fn owned(
    (name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>),
) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

fn is_tracking(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("utm_") || TRACKING.contains(&name.as_str())
}

/// The pairs of neighbouring letters of a title, each once and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bigrams(Box<[(char, char)]>);

impl Bigrams {
    /// Those of a title; case, spaces and punctuation do not count.
    pub fn of(title: &str) -> Self {
        let letters: Vec<char> =
            title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let mut pairs: Vec<_> = match letters[..] {
            [only] => vec![(only, only)],
            _ => letters.windows(2).map(|pair| (pair[0], pair[1])).collect(),
        };
        pairs.sort_unstable();
        pairs.dedup();
        Self(pairs.into())
    }

    /// The share of common pairs among all, 0 to 1 (Jaccard).
    #[expect(clippy::cast_precision_loss, reason = "a title has a few hundred pairs")]
    pub fn similarity(&self, other: &Self) -> f64 {
        let (mut left, mut right, mut common) = (0, 0, 0_usize);
        while let (Some(a), Some(b)) = (self.0.get(left), other.0.get(right)) {
            common += usize::from(a == b);
            left += usize::from(a <= b);
            right += usize::from(b <= a);
        }
        let all = self.0.len() + other.0.len() - common;
        if all == 0 { 0.0 } else { common as f64 / all as f64 }
    }

    /// Whether two titles tell the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.similarity(other) >= SAME_TITLE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(one: &str, other: &str) {
        assert_eq!(canonical(one), canonical(other), "{one} {other}");
        assert!(canonical(one).is_some(), "{one}");
    }

    #[test]
    fn one_page_has_one_form() {
        same("https://A.example:443/x?b=2&a=1#top", "http://a.example/x?a=1&b=2");
        same("https://a.example/x?utm_source=rss&UTM_medium=x", "https://a.example/x/");
        same("https://a.example", "http://a.example:80/?fbclid=1");
        same("https://a.example/早报", "https://a.example/%E6%97%A9%E6%8A%A5");
        same(
            "https://mp.example/s?__biz=M&mid=1&chksm=9&scene=27",
            "https://mp.example/s?mid=1&__biz=M",
        );
        assert_ne!(canonical("https://a.example/x?id=1"), canonical("https://a.example/x?id=2"));
        assert_ne!(canonical("https://a.example/x"), canonical("https://b.example/x"));
        for none in ["ftp://a.example", "javascript:alert(1)", "/x", "", "https://u:p@a.example/"] {
            assert_eq!(canonical(none), None, "{none}");
        }
    }

    #[test]
    fn titles_tell_the_same_or_not() {
        let same = |a: &str, b: &str| Bigrams::of(a).is_same(&Bigrams::of(b));
        assert!(same("群岛发布第一版，支持三个平台", "群岛发布第一版,支持三个平台!"));
        assert!(same("Rust 1.94 Released", "rust 1.94 released"));
        assert!(!same("今日天气：晴", "今日天气：雨"));
        assert!(!same("", ""));
        assert!(same("好", "好！"));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(path in "[a-z/]{0,12}", query in "[a-z=&%+]{0,20}") {
            let url = format!("https://a.example/{path}?{query}");
            let once = canonical(&url).expect("an address");
            prop_assert_eq!(canonical(&format!("https://{once}")), Some(once.clone()));
        }

        #[test]
        fn likeness_goes_both_ways(a in "\\PC{0,30}", b in "\\PC{0,30}") {
            let (one, other) = (Bigrams::of(&a), Bigrams::of(&b));
            prop_assert_eq!(one.similarity(&other).to_bits(), other.similarity(&one).to_bits());
            prop_assert!(one.0.is_empty() || one.is_same(&one));
            prop_assert!((0.0..=1.0).contains(&one.similarity(&other)));
        }
    }
}
