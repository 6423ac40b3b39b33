//! What there is to tell: the items of every source, in memory, for the turns of every community.
//!
//! A turn looks at one picture of it and marks nothing here; what a community has posted is the
//! community's own state and commits with the turn.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use super::fetch::FILE;
use super::item::{Bigrams, Item, ItemId};
use crate::clock::TimeMs;

/// Older items are no news, ms.
pub const NEWS_MS: i64 = 48 * 3_600_000;
/// For so long a title that was posted is not posted again from another place, ms.
pub const SAME_TITLE_MS: i64 = 7 * 24 * 3_600_000;
/// Items that one `news::pick` gives.
pub const PICK_MAX: usize = 20;
/// Items that one `news::pick` compares, the freshest first.
const COMPARED_MAX: usize = 1_000;

/// One source with its items.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Its name, as it calls itself.
    pub name: Arc<str>,
    /// When it last answered, Unix ms.
    pub ok_at: Option<TimeMs>,
    /// Why it did not answer the last time; empty where it did.
    pub error: Arc<str>,
    /// Its items, in its own order.
    pub items: Vec<Item>,
}

/// All sources by address.
pub type Shelves = BTreeMap<Arc<str>, Arc<Shelf>>;

/// An item as a community gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// The item.
    pub item: Item,
    /// Name of its source.
    pub source: Arc<str>,
    /// When it was published, or seen first, Unix ms.
    pub at: TimeMs,
}

/// What a community has posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its title, for comparison.
    pub bigrams: Bigrams,
    /// When, Unix ms.
    pub at: TimeMs,
}

/// The desk: read by turns, filled by the newsroom.
#[derive(Debug, Default)]
pub struct Desk(RwLock<Arc<Shelves>>);

impl Desk {
    /// What is on it now.
    pub fn shelves(&self) -> Arc<Shelves> {
        self.0.read().expect("the desk is only replaced whole").clone()
    }

    /// Replaces everything.
    pub fn replace(&self, shelves: Shelves) {
        *self.0.write().expect("the desk is only replaced whole") = Arc::new(shelves);
    }
}

/// The freshest items of some sources that were not posted, at most `count`.
pub fn pick<'a>(
    shelves: &Shelves,
    sources: impl Iterator<Item = &'a str>,
    posted: &std::collections::HashMap<ItemId, Posted>,
    now: TimeMs,
    count: usize,
) -> Vec<Pick> {
    let mut fresh = Vec::new();
    for source in sources {
        let Some((source, shelf)) = shelves.get_key_value(source) else { continue };
        for (place, item) in shelf.items.iter().enumerate() {
            let at = dated(source, item, now);
            if (now - at) <= NEWS_MS && !posted.contains_key(&item.id) {
                fresh.push((at, place, shelf, item));
            }
        }
    }
    // The order says everything, so that the same desk gives the same picks.
    fresh.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then_with(|| a.3.id.cmp(&b.3.id)));
    let lately = posted.values().filter(|it| now - it.at <= SAME_TITLE_MS);
    let told: Vec<&Bigrams> = lately.map(|posted| &posted.bigrams).collect();
    let mut picks: Vec<Pick> = Vec::new();
    for (at, _, shelf, item) in fresh.into_iter().take(COMPARED_MAX) {
        if picks.len() >= count.min(PICK_MAX) {
            break;
        }
        let is_same =
            |pick: &Pick| pick.item.id == item.id || pick.item.bigrams.is_same(&item.bigrams);
        if !picks.iter().any(is_same) && !told.iter().any(|told| told.is_same(&item.bigrams)) {
            picks.push(Pick { item: item.clone(), source: shelf.name.clone(), at });
        }
    }
    picks
}

/// When an item counts as published. A file that gives no date is today's: it is there for who has
/// no network, and does not grow old.
fn dated(source: &str, item: &Item, now: TimeMs) -> TimeMs {
    if source.starts_with(FILE) && item.published_at.is_none() { now } else { item.at() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const NOW: TimeMs = 1_795_566_600_000;

    fn item(title: &str, url: &str, age_h: i64) -> Item {
        let at = NOW - age_h * 3_600_000;
        Item::new(title, url, Some(at), at).expect("an item")
    }

    fn shelves(items: Vec<Item>) -> Shelves {
        let shelf = Shelf { name: "甲".into(), items, ..Shelf::default() };
        [("https://a.example/feed".into(), Arc::new(shelf))].into()
    }

    fn titles(shelves: &Shelves, posted: &HashMap<ItemId, Posted>, count: usize) -> Vec<String> {
        let sources = ["https://a.example/feed", "https://gone.example/"].into_iter();
        let picks = pick(shelves, sources, posted, NOW, count);
        picks.iter().map(|pick| pick.item.title.to_string()).collect()
    }

    #[test]
    fn the_freshest_come_first_and_nothing_twice() {
        let shelves = shelves(vec![
            item("很旧的消息", "https://a.example/0", 49),
            item("昨天的天气预报", "https://a.example/1", 20),
            item("群岛发布第一个版本，支持三个平台", "https://a.example/2", 3),
            item("群岛发布第一个版本 支持三个平台!", "https://b.example/9", 2),
            item("换了标题的同一页", "https://a.example/2?utm_source=x", 1),
        ]);
        let all = titles(&shelves, &HashMap::new(), 10);
        assert_eq!(all, ["换了标题的同一页", "群岛发布第一个版本 支持三个平台!", "昨天的天气预报"]);
        assert_eq!(titles(&shelves, &HashMap::new(), 1), all[..1]);
        let posted = |days: i64| {
            let bigrams = Bigrams::of("群岛发布第一个版本，支持三个平台");
            let id = ItemId::of("elsewhere");
            HashMap::from([(id, Posted { bigrams, at: NOW - days * 24 * 3_600_000 })])
        };
        assert_eq!(titles(&shelves, &posted(6), 10), ["换了标题的同一页", "昨天的天气预报"]);
        assert_eq!(titles(&shelves, &posted(8), 10), all);
    }

    proptest! {
        /// Whatever is on the desk: posting picks until there are none posts each page once.
        #[test]
        fn what_was_posted_is_never_picked_again(
            pages in proptest::collection::vec((0..30_u8, 0..60_i64, "[a-e]{1,4}"), 0..60),
        ) {
            let make = |(page, age, title): &(u8, i64, String)| {
                item(title, &format!("https://a.example/{page}?utm_source={age}"), *age)
            };
            let shelves = shelves(pages.iter().map(make).collect());
            let (mut posted, mut rounds) = (HashMap::new(), 0);
            loop {
                let sources = ["https://a.example/feed"].into_iter();
                let picks = pick(&shelves, sources, &posted, NOW, 3);
                if picks.is_empty() {
                    break;
                }
                for pick in picks {
                    prop_assert!(NOW - pick.at <= NEWS_MS);
                    let bigrams = pick.item.bigrams.clone();
                    let before = posted.insert(pick.item.id, Posted { bigrams, at: NOW });
                    prop_assert!(before.is_none());
                }
                rounds += 1;
                prop_assert!(rounds <= pages.len());
            }
        }
    }
}
