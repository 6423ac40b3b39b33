//! The rows of news: what a community has posted, and what the newsroom keeps.

use serde::Serialize;

use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId};

/// A piece of news that was posted.
#[derive(Clone, Debug, Serialize)]
pub struct PostedRow {
    /// Whose.
    pub community: CommunityId,
    /// Which item.
    pub item: String,
    /// Its title.
    pub title: String,
    /// The turn.
    pub event: EventId,
    /// When.
    pub at: TimeMs,
}

/// A source of news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewsSourceRow {
    /// Its address.
    pub address: String,
    /// Its own name.
    pub name: String,
    /// Its `ETag`; of a file, its size and time.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub modified: Option<String>,
    /// When it was last asked.
    pub checked_at: TimeMs,
    /// When it last answered.
    pub ok_at: Option<TimeMs>,
    /// Failures in a row.
    pub failures: i64,
    /// Why, the last time; empty where it did not fail.
    pub error: String,
}

/// An item of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewsItemRow {
    /// Address of its source.
    pub source: String,
    /// Which item.
    pub item: String,
    /// Its place in the feed, from 0.
    pub place: i64,
    /// Its title.
    pub title: String,
    /// Where it can be read.
    pub url: String,
    /// When it was published.
    pub published_at: Option<TimeMs>,
    /// When it was first seen.
    pub seen_at: TimeMs,
}
