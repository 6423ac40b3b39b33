//! RSS, Atom and JSON Feed to a title and entries, in bounded time.
//!
//! Parsing a hostile feed takes processor time and memory, so that it happens on a thread that may
//! block, one feed after the other, and nobody waits for it longer than a budget.

use std::sync::Arc;
use std::time::Duration;

use feed_rs::model;
use tokio::sync::Semaphore;
use url::Url;

use super::cut::cut;
use super::fetch::{Failure, Payload};
use super::repair::repaired;
use super::{charset, date, plain};
use crate::clock::TimeMs;

/// Entries of one feed that are kept.
pub const ENTRIES_MAX: usize = 500;
/// Longest title, characters.
pub const TITLE_MAX: usize = 200;
/// Longest name of a source, characters.
const NAME_MAX: usize = 30;
/// Where there is no title, so many characters of the text stand for it.
const OPENING_MAX: usize = 60;
/// Time for one feed, ms; also for the feed before it to end.
const BUDGET_MS: u64 = 2_000;
/// A feed that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its own name; may be empty.
    pub name: String,
    /// Its entries, in its order.
    pub entries: Vec<Entry>,
}

/// One entry, with what a post needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// One line of plain text.
    pub title: String,
    /// http or https.
    pub url: String,
    /// When it was published, where it says so, Unix ms.
    pub published_at: Option<TimeMs>,
}

/// Reads feeds, one at a time.
pub struct Parser {
    turn: Arc<Semaphore>,
    budget: Duration,
}

impl Default for Parser {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), budget: Duration::from_millis(BUDGET_MS) }
    }
}

impl Parser {
    /// Reads a feed that came from an address.
    ///
    /// # Errors
    /// It is no feed, or takes too long.
    pub async fn parse(&self, payload: Payload, address: &str) -> Result<Feed, Failure> {
        let late = |_| {
            let ms = self.budget.as_millis();
            Failure::new(format!("could not be read within {ms} ms"))
        };
        let permit = tokio::time::timeout(self.budget, self.turn.clone().acquire_owned());
        let permit = permit.await.map_err(late)?;
        let address = address.to_owned();
        let task = crate::blocking::run(move || {
            // Held until this really ends, however long nobody has waited for it any more.
            let _permit = permit;
            parse(&payload, &address)
        });
        let parsed = tokio::time::timeout(self.budget, task).await.map_err(late)?;
        parsed.unwrap_or_else(|error| Err(Failure::new(format!("reading it ended: {error}"))))
    }
}

/// Reads a feed here and now.
///
/// # Errors
/// It is no feed.
pub fn parse(payload: &Payload, address: &str) -> Result<Feed, Failure> {
    let text = cut(charset::decode(&payload.bytes, payload.charset.as_deref()))?;
    let base = Url::parse(address).ok().filter(|url| !url.cannot_be_a_base());
    let read = |text: &str| {
        let parser = feed_rs::parser::Builder::new()
            .base_uri(base.as_ref())
            .timestamp_parser(date::read)
            // Ours are made from addresses.
            .id_generator(|_, _, _| String::new())
            .build();
        parser.parse(text.as_bytes())
    };
    let is_empty = |feed: &model::Feed| feed.title.is_none() && feed.entries.is_empty();
    let feed = match read(&text) {
        Ok(feed) if !is_empty(&feed) => feed,
        first => match repaired(&text).map(|text| read(&text)) {
            Some(Ok(feed)) => feed,
            Some(Err(_)) | None => first.map_err(|error| no_feed(&error))?,
        },
    };
    let name = feed.title.as_ref().map(|title| plain::plain(&title.content, NAME_MAX));
    let entries = feed.entries.into_iter().filter_map(|it| entry(it, base.as_ref()));
    Ok(Feed { name: name.unwrap_or_default(), entries: entries.take(ENTRIES_MAX).collect() })
}

fn no_feed(error: &feed_rs::parser::ParseFeedError) -> Failure {
    let error: String = error.to_string().chars().take(200).collect();
    Failure::new(format!("is no feed that can be read: {error}"))
}

fn entry(entry: model::Entry, base: Option<&Url>) -> Option<Entry> {
    let url = address(&entry, base)?;
    let text = |content: &str| plain::plain(content, OPENING_MAX);
    let title = entry.title.as_ref().map(|title| plain::plain(&title.content, TITLE_MAX));
    let title = title.filter(|title| !title.is_empty());
    let opening = || entry.summary.as_ref().map(|summary| text(&summary.content));
    let body = || entry.content.as_ref().and_then(|content| content.body.as_deref()).map(text);
    let title = title.or_else(opening).filter(|it| !it.is_empty()).or_else(body)?;
    if title.is_empty() {
        return None;
    }
    let published = entry.published.or(entry.updated).map(|at| at.timestamp_millis());
    Some(Entry { title, url, published_at: published.filter(|at| *at > 0) })
}

/// Where the entry can be read: its page, else anything that it links to, else its id where that is
/// an address.
fn address(entry: &model::Entry, base: Option<&Url>) -> Option<String> {
    let is_page = |link: &&model::Link| link.rel.as_deref().is_none_or(|rel| rel == "alternate");
    let pages = entry.links.iter().filter(is_page);
    let others = entry.links.iter().filter(|link| {
        !is_page(link) && !matches!(link.rel.as_deref(), Some("enclosure" | "self" | "edit"))
    });
    let links = pages.chain(others).map(|link| link.href.as_str());
    links.chain([entry.id.as_str()]).find_map(|href| web_address(href, base))
}

fn web_address(href: &str, base: Option<&Url>) -> Option<String> {
    let href = href.trim();
    let url = match (Url::parse(href), base) {
        (Ok(url), _) => url,
        (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) if href.contains('/') => {
            base.join(href).ok()?
        }
        (Err(_), _) => return None,
    };
    let is_web = ["http", "https"].contains(&url.scheme());
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_web && is_plain && url.as_str().len() <= 2048).then(|| url.to_string())
}
