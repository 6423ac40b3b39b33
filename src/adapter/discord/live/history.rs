//! What was said while nobody listened, from the history of a channel.

use std::time::Duration;

use serenity::http::LightMethod;
use serenity::model::channel::Message;
use serenity::model::id::ChannelId;
use tokio::sync::Semaphore;

use super::rest::Reply;
use super::route::{Op, Path};
use super::shared::Shared;
use super::tally::Dropped;
use crate::clock::TimeMs;
use crate::event::Envelope;

/// Messages a page; Discord gives no more.
const PAGE: usize = 100;
/// Pages of one channel.
const PAGES_MAX: usize = 5;
/// How often a page that has to wait is asked for.
const TRIES: usize = 3;
/// Longest wait for a page.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// What was said so shortly before the session began may come over it as well, and is answered.
const FRESH_MS: i64 = 5_000;

/// What may have been missed in a channel.
pub struct Missed {
    /// Where.
    pub channel: ChannelId,
    /// The last message that was heard.
    pub after: u64,
    /// When anything was heard for the last time.
    pub from: TimeMs,
    /// When the new session began.
    pub ready_at: TimeMs,
}

/// Messages since then, oldest first.
pub async fn fetch(shared: &Shared, missed: &Missed, room: &Semaphore) -> Vec<Envelope> {
    let Ok(_room) = room.acquire().await else { return Vec::new() };
    let (mut found, mut after) = (Vec::new(), missed.after);
    for _ in 0..PAGES_MAX {
        let Some(page) = page(shared, missed.channel, after).await else { break };
        let is_last = page.len() < PAGE;
        let Some(latest) = page.last().map(|message| message.id.get()) else { break };
        after = latest;
        found.extend(page.iter().filter_map(|message| envelope(shared, missed, message)));
        if is_last {
            break;
        }
    }
    found
}

async fn page(shared: &Shared, channel: ChannelId, after: u64) -> Option<Vec<Message>> {
    let mut op = Op::new(LightMethod::Get, Path::Messages(channel), None);
    op.query = vec![("after", after.to_string()), ("limit", PAGE.to_string())];
    for _ in 0..TRIES {
        match shared.rest.call(&op).await {
            Reply::Done(serde_json::Value::Array(items)) => {
                let read = |item| match serde_json::from_value::<Message>(item) {
                    Ok(message) => Some(message),
                    Err(_) => {
                        shared.tally.add(Dropped::Unreadable, "message of the history");
                        None
                    }
                };
                let mut page: Vec<Message> = items.into_iter().filter_map(read).collect();
                page.sort_by_key(|message| message.id);
                return Some(page);
            }
            Reply::Wait { after, .. } => {
                tokio::time::sleep(after.unwrap_or(Duration::from_secs(1)).min(WAIT_MAX)).await;
            }
            reply => {
                tracing::debug!(?reply, "Discord: a history could not be fetched");
                return None;
            }
        }
    }
    None
}

fn envelope(shared: &Shared, missed: &Missed, message: &Message) -> Option<Envelope> {
    let table = shared.table();
    if Some(message.author.id) == table.own {
        return None;
    }
    let envelope = shared.reader(&table).message(message)?;
    drop(table);
    shared.memory().put_foreign(message.id);
    let backfilled = envelope.at < missed.ready_at - FRESH_MS;
    Some(Envelope { backfilled, ..envelope })
}
