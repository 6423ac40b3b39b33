//! One source: what it said last, how long it has failed, when it is asked again.

use std::collections::{BTreeSet, HashMap};

use super::desk::NEWS_MS;
use super::fetch::{Failure, Known};
use super::item::{Bigrams, Item, ItemId};
use super::parse::{ENTRIES_MAX, Feed};
use crate::clock::{TimeMs, mix_seed};
use crate::store::{NewsItemRow, NewsSourceRow};

/// The longest wait after failures, ms.
const BACKOFF_MAX_MS: i64 = 12 * 3_600_000;
/// Doublings of the wait after failures.
const BACKOFF_DOUBLINGS: i64 = 5;
/// The wait grows by up to this part of it, so that sources are not asked all at once.
const JITTER_PART: i64 = 10;

/// One source.
pub(super) struct Source {
    /// As it is kept.
    pub row: NewsSourceRow,
    /// Its items, in its own order.
    pub items: Vec<Item>,
    /// When it is asked next, Unix ms.
    pub next_at: TimeMs,
}

/// What came of asking; no feed is one that did not change.
pub(super) type Outcome = Result<Option<(Feed, Known)>, Failure>;

impl Source {
    /// Takes an answer in; what is to be told of it. A streak of failures is told once, and its end.
    pub fn take(&mut self, outcome: Outcome, now: TimeMs) -> Option<(bool, String)> {
        let before = self.row.failures;
        self.row.checked_at = now;
        let place = shown(&self.row.address).to_owned();
        match outcome {
            Err(failure) => {
                self.row.failures = before + 1;
                self.row.error = failure.reason;
                return (before == 0).then(|| {
                    let why = &self.row.error;
                    (
                        true,
                        format!(
                            "the news source `{place}` failed: {why}; it is tried again, and \
                         you hear of it when it works"
                        ),
                    )
                });
            }
            Ok(Some((feed, known))) => {
                self.row.name = feed.name.clone();
                (self.row.etag, self.row.modified) = (known.etag, known.modified);
                self.items = merged(std::mem::take(&mut self.items), feed, now);
            }
            Ok(None) => {}
        }
        (self.row.failures, self.row.ok_at) = (0, Some(now));
        self.row.error.clear();
        (before > 0).then(|| (false, format!("the news source `{place}` works again")))
    }

    /// Its own name, or that of its host or file.
    pub fn name(&self) -> &str {
        if !self.row.name.is_empty() {
            return &self.row.name;
        }
        let address = self.row.address.as_str();
        match address.split_once("://") {
            Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
            None => address.rsplit(['/', ':']).next().unwrap_or(address),
        }
    }
}

/// An address without what may be a password in it.
pub fn shown(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

/// When a source is asked next: after the usual wait, or longer where it failed.
pub(super) fn next_at(row: &NewsSourceRow, every_ms: i64, seed: u64) -> TimeMs {
    if row.checked_at == 0 {
        return 0;
    }
    let doublings = (row.failures - 1).clamp(0, BACKOFF_DOUBLINGS);
    let wait = (every_ms << doublings).min(BACKOFF_MAX_MS.max(every_ms));
    let name = ItemId::of(&row.address);
    let own = name.0.bytes().fold(seed, |mixed, byte| mix_seed(mixed, byte.into()));
    let most = (wait / JITTER_PART).max(1).unsigned_abs();
    let jitter = mix_seed(own, row.checked_at.unsigned_abs()) % most;
    row.checked_at.saturating_add(wait).saturating_add_unsigned(jitter)
}

/// What a feed has now, and what it had a moment ago and is still news. An item without a date
/// counts from when it was first seen, so that is remembered as long as the feed has it.
fn merged(old: Vec<Item>, feed: Feed, now: TimeMs) -> Vec<Item> {
    let mut before: HashMap<ItemId, Item> =
        old.into_iter().map(|item| (item.id.clone(), item)).collect();
    let mut items: Vec<Item> = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in feed.entries {
        let Some(mut item) = Item::new(&entry.title, &entry.url, entry.published_at, now) else {
            continue;
        };
        if let Some(known) = before.remove(&item.id) {
            item.seen_at = known.seen_at;
        }
        let is_news = item.published_at.is_none() || now - item.at() <= NEWS_MS;
        if is_news && seen.insert(item.id.clone()) {
            items.push(item);
        }
    }
    let mut gone: Vec<Item> =
        before.into_values().filter(|item| now - item.at() <= NEWS_MS).collect();
    gone.sort_by(|a, b| b.at().cmp(&a.at()).then_with(|| a.id.cmp(&b.id)));
    items.extend(gone);
    items.truncate(ENTRIES_MAX);
    items
}

/// An item as it was kept.
pub(super) fn restored(row: &NewsItemRow) -> Item {
    Item {
        id: ItemId(row.item.as_str().into()),
        title: row.title.as_str().into(),
        url: row.url.as_str().into(),
        published_at: row.published_at,
        seen_at: row.seen_at,
        bigrams: Bigrams::of(&row.title),
    }
}

/// Items as they are kept.
pub(super) fn rows(address: &str, items: &[Item]) -> Vec<NewsItemRow> {
    let row = |(place, item): (usize, &Item)| NewsItemRow {
        source: address.to_owned(),
        item: item.id.to_string(),
        place: place as i64,
        title: item.title.to_string(),
        url: item.url.to_string(),
        published_at: item.published_at,
        seen_at: item.seen_at,
    };
    items.iter().enumerate().map(row).collect()
}
