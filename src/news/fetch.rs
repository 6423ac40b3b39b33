//! How feeds come in: the contract, and the two kinds of places that they come from.

use std::path::PathBuf;

use super::file;
use super::http::Http;
use crate::adapter::BoxFuture;

/// The largest feed, bytes, after it was inflated.
pub const FEED_MAX: usize = 2 * 1024 * 1024;

/// What begins a source that is a file.
pub const FILE: &str = "file:";

/// What a source said the last time, to be asked whether anything changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its `ETag`; of a file, its size and time.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub modified: Option<String>,
}

/// A feed as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// Its bytes, inflated.
    pub bytes: Vec<u8>,
    /// The character set that came with it.
    pub charset: Option<String>,
    /// What to ask with the next time.
    pub known: Known,
}

/// What a source answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing changed.
    NotModified,
    /// A feed.
    Feed(Payload),
}

/// Why there is no feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// For the people who run the bot.
    pub reason: String,
    /// The source wants to be left alone for so long, s.
    pub retry_after_s: Option<i64>,
}

impl Failure {
    /// A failure with a reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry_after_s: None }
    }
}

/// Where feeds come from; a test hands out its own.
pub trait Fetch: Send + Sync {
    /// Asks a source.
    fn fetch<'a>(
        &'a self,
        source: &'a str,
        known: &'a Known,
    ) -> BoxFuture<'a, Result<Fetched, Failure>>;
}

/// Files below one folder, and the web where there is one.
pub struct Sources {
    folder: PathBuf,
    web: Option<Http>,
}

impl Sources {
    /// Files alone: a transcript has no network.
    pub fn files(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), web: None }
    }

    /// Files and the web.
    pub fn with_web(folder: impl Into<PathBuf>, web: Http) -> Self {
        Self { folder: folder.into(), web: Some(web) }
    }
}

impl Fetch for Sources {
    fn fetch<'a>(
        &'a self,
        source: &'a str,
        known: &'a Known,
    ) -> BoxFuture<'a, Result<Fetched, Failure>> {
        Box::pin(async move {
            match (source.strip_prefix(FILE), &self.web) {
                (Some(path), _) => file::read(&self.folder, path, known).await,
                (None, Some(web)) => web.get(source, known).await,
                (None, None) => Err(Failure::new("there is no network here; use `file:`")),
            }
        })
    }
}
