//! Daily news: feeds from the network and from files, kept fresh for the scripts that ask.
//!
//! Scripts do no input or output. A script that wants news declares a setting `feeds`, a list of
//! addresses; the newsroom fetches each address once for all communities and lays what it found on
//! the desk, and `news::pick` takes from there what this community has not posted. Everything that
//! comes in is somebody else's: where it may come from ([`guard`]), how much of it and how long
//! ([`http`], [`parse`]), and what a title may contain ([`plain()`]) is limited here.

mod body;
mod charset;
mod cut;
mod date;
mod desk;
mod fetch;
mod file;
pub mod guard;
pub mod http;
mod item;
mod newsroom;
pub mod parse;
mod plain;
mod repair;
mod source;

use std::collections::BTreeSet;

pub use desk::{Desk, NEWS_MS, PICK_MAX, Pick, Posted, Shelf, Shelves, pick};
pub use fetch::{FEED_MAX, FILE, Failure, Fetch, Fetched, Known, Payload, Sources};
pub use item::{Bigrams, Item, ItemId, canonical};
pub use newsroom::{Newsroom, NewsroomParts};
pub use plain::plain;
pub use source::shown;

use crate::config::Resolved;
use crate::script::protocol::Manifest;
use crate::value::Value;

/// The setting of a script by which the host knows its sources.
pub const FEEDS: &str = "feeds";

/// The addresses in a value of the setting `feeds`.
pub fn feeds(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = match value {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(|feed| match feed {
        Value::Text(address) if !address.trim().is_empty() => Some(address.trim()),
        _ => None,
    })
}

/// Every source that a script which runs anywhere names.
pub fn followed(resolved: &Resolved, manifests: &[Manifest]) -> BTreeSet<String> {
    let effective = manifests.iter().flat_map(|it| resolved.everything_about(&it.name));
    let running = effective.filter(|effective| effective.runs());
    running.flat_map(|it| feeds(it.settings.get(FEEDS))).map(str::to_owned).collect()
}
