//! The newsroom: asks every source from time to time, keeps what it found, and tells the people who
//! run the bot when a source fails and when it is back. No group ever hears of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::desk::{Desk, Shelf};
use super::fetch::{FILE, Fetch, Fetched, Known};
use super::item::Item;
use super::parse::Parser;
use super::source::{Outcome, Source, next_at, restored, rows, shown};
use crate::clock::{Clock, TimeMs};
use crate::commit::{Listeners, tell};
use crate::report::Notice;
use crate::store::{NewsRows, NewsSourceRow, Store, StoreError};

/// Sources of all communities together.
const SOURCES_MAX: usize = 200;
/// Sources that are asked at the same time.
const ASKED_AT_ONCE: usize = 4;
/// Longest wait before the clock is looked at again, ms; it may be moved.
const LOOK_AGAIN_MS: i64 = 30_000;

/// What a newsroom is made of.
pub struct NewsroomParts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where it keeps what it found.
    pub store: Arc<dyn Store>,
    /// Where feeds come from.
    pub fetch: Arc<dyn Fetch>,
    /// Where it lays what it found.
    pub desk: Arc<Desk>,
    /// Who hears of failures.
    pub notices: Arc<Listeners<Notice>>,
    /// Seed of the chance in its waits.
    pub seed: u64,
}

/// Keeps the desk fresh.
pub struct Newsroom {
    parts: NewsroomParts,
    parser: Parser,
    book: Mutex<Book>,
    /// Held while sources are asked: never two rounds at once.
    round: tokio::sync::Mutex<()>,
    changed: Notify,
}

/// What it knows.
struct Book {
    every_ms: i64,
    followed: BTreeSet<Arc<str>>,
    sources: BTreeMap<Arc<str>, Source>,
}

impl Newsroom {
    /// Opens with what is kept.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open(parts: NewsroomParts) -> Result<Arc<Self>, StoreError> {
        let NewsRows { sources, items } = parts.store.news().await?;
        let mut by_source: HashMap<String, Vec<Item>> = HashMap::new();
        for row in items {
            let item = restored(&row);
            by_source.entry(row.source).or_default().push(item);
        }
        let known = sources.into_iter().map(|row| {
            let items = by_source.remove(&row.address).unwrap_or_default();
            (row.address.as_str().into(), Source { row, items, next_at: 0 })
        });
        let book = Book { every_ms: 0, followed: BTreeSet::new(), sources: known.collect() };
        Ok(Arc::new(Self {
            parts,
            parser: Parser::default(),
            book: Mutex::new(book),
            round: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// From now on these sources, each every so many minutes. New ones are due at once.
    pub fn follow(&self, addresses: BTreeSet<String>, every_min: i64) {
        let count = addresses.len();
        let seed = self.parts.seed;
        {
            let mut book = self.book();
            book.every_ms = every_min * 60_000;
            let every_ms = book.every_ms;
            book.followed =
                addresses.iter().take(SOURCES_MAX).map(|it| it.as_str().into()).collect();
            for address in book.followed.clone() {
                let source = book.sources.entry(address.clone()).or_insert_with(|| Source {
                    row: NewsSourceRow { address: address.to_string(), ..Default::default() },
                    items: Vec::new(),
                    next_at: 0,
                });
                source.next_at = next_at(&source.row, every_ms, seed);
            }
        }
        if count > SOURCES_MAX {
            self.tell(
                true,
                format!(
                    "limit `news_sources` ({SOURCES_MAX}) is reached: {} sources are not asked",
                    count - SOURCES_MAX
                ),
            );
        }
        self.publish();
        self.changed.notify_one();
    }

    /// Reads files whatever is due: they may have changed since the last start, and are there at
    /// once.
    pub async fn read_files(&self) {
        let files = |address: &str, _: &Source| address.starts_with(FILE);
        self.round(&files).await;
    }

    /// Asks every source that is due.
    pub async fn refresh(&self) {
        let now = self.parts.clock.now();
        self.round(&|_, source| source.next_at <= now).await;
    }

    /// When a source is next due, Unix ms.
    pub fn next_due(&self) -> Option<TimeMs> {
        let book = self.book();
        book.followed.iter().filter_map(|it| book.sources.get(it)).map(|it| it.next_at).min()
    }

    /// Something may be due: the clock was moved.
    pub fn look(&self) {
        self.changed.notify_one();
    }

    /// Asks sources as time passes.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.refresh().await;
            let now = self.parts.clock.now();
            let wait = self.next_due().map_or(LOOK_AGAIN_MS, |due| due - now);
            let wait = Duration::from_millis(wait.clamp(1_000, LOOK_AGAIN_MS) as u64);
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing panics while it holds the book")
    }

    async fn round(&self, is_due: &(dyn Fn(&str, &Source) -> bool + Sync)) {
        let _round = self.round.lock().await;
        let due: Vec<(Arc<str>, Known)> = {
            let book = self.book();
            let followed = book.followed.iter();
            let due = followed.filter_map(|address| {
                let source = book.sources.get(address).filter(|it| is_due(address, it))?;
                let NewsSourceRow { etag, modified, .. } = source.row.clone();
                Some((address.clone(), Known { etag, modified }))
            });
            due.collect()
        };
        if due.is_empty() {
            return;
        }
        let asked = due.into_iter().map(|(address, known)| async move {
            let outcome = self.ask(&address, &known).await;
            (address, outcome)
        });
        let mut answers = futures_util::stream::iter(asked).buffered(ASKED_AT_ONCE);
        while let Some((address, outcome)) = answers.next().await {
            self.note(&address, outcome).await;
        }
        self.publish();
    }

    async fn ask(&self, address: &str, known: &Known) -> Outcome {
        match self.parts.fetch.fetch(address, known).await? {
            Fetched::NotModified => Ok(None),
            Fetched::Feed(payload) => {
                let known = payload.known.clone();
                Ok(Some((self.parser.parse(payload, address).await?, known)))
            }
        }
    }

    /// Writes down what came of asking.
    async fn note(&self, address: &Arc<str>, outcome: Outcome) {
        let now = self.parts.clock.now();
        let (row, items, notice) = {
            let mut book = self.book();
            let every_ms = book.every_ms;
            let Some(source) = book.sources.get_mut(address) else { return };
            let retry_after_s = outcome.as_ref().err().and_then(|failure| failure.retry_after_s);
            let has_items = matches!(outcome, Ok(Some(_)));
            let notice = source.take(outcome, now);
            source.next_at = next_at(&source.row, every_ms, self.parts.seed);
            if let Some(seconds) = retry_after_s {
                source.next_at = source.next_at.max(now.saturating_add(seconds * 1000));
            }
            let items = has_items.then(|| rows(address, &source.items));
            (source.row.clone(), items, notice)
        };
        if let Err(error) = self.parts.store.keep_news(&row, items.as_deref()).await {
            tracing::warn!(%error, "could not keep what `{}` said", shown(address));
        }
        if let Some((is_problem, text)) = notice {
            self.tell(is_problem, text);
        }
    }

    /// Lays everything on the desk.
    fn publish(&self) {
        let book = self.book();
        let followed = book.followed.iter();
        let shelves = followed.filter_map(|address| {
            let source = book.sources.get(address)?;
            let shelf = Shelf {
                name: source.name().into(),
                ok_at: source.row.ok_at,
                error: source.row.error.as_str().into(),
                items: source.items.clone(),
            };
            Some((address.clone(), Arc::new(shelf)))
        });
        self.parts.desk.replace(shelves.collect());
    }

    fn tell(&self, is_problem: bool, text: String) {
        tell(&self.parts.notices, &Notice { community: None, text, is_problem });
    }
}
