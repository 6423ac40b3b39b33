//! Whether a message that may have been sent is there: looked for in the history of its channel,
//! when Discord would no longer recognise a repeat.

use serde_json::Value;
use serenity::http::LightMethod;

use super::rest::Reply;
use super::route::{Op, Path};
use super::{Discord, encode};
use crate::adapter::{Request, Seen};
use crate::clock::TimeMs;
use crate::effect::Call;

/// Numbers of messages count from the first moment of 2015, ms
/// (<https://discord.com/developers/docs/reference#snowflakes>).
const EPOCH_MS: i64 = 1_420_070_400_000;
/// Discord's clock and ours may differ by so much.
const SKEW_MS: i64 = 10_000;
/// Messages a page; Discord gives no more.
const PAGE: usize = 100;
/// Pages that are looked through.
const PAGES_MAX: usize = 5;

impl Discord {
    /// Looks for what a request meant to say.
    pub(super) async fn look_back(&self, request: &Request) -> Seen {
        let (content, quoted) = match &request.call {
            Call::Send { content, reply_to, .. } => (content, reply_to.as_deref()),
            Call::Card { content, message: None, .. } => (content, None),
            // Doing it again does no harm.
            _ => return Seen::No,
        };
        let (Ok(body), Some(own)) = (encode::body(content), self.shared.table().own) else {
            return Seen::Unknown;
        };
        let Ok(channel) = self.channel(&request.to).await else { return Seen::Unknown };
        let wanted = Wanted { own: own.to_string(), text: &body.json["content"], quoted };
        let mut after = snowflake(request.since - SKEW_MS);
        for _ in 0..PAGES_MAX {
            let mut op = Op::new(LightMethod::Get, Path::Messages(channel), None);
            op.query = vec![("after", after.to_string()), ("limit", PAGE.to_string())];
            let page = match self.shared.rest.call(&op).await {
                Reply::Done(Value::Array(page)) => page,
                Reply::Wait { .. } | Reply::Unknown(_) => return Seen::Later,
                Reply::Done(_) | Reply::Refused { .. } | Reply::Unrepeatable(_) => {
                    return Seen::Unknown;
                }
            };
            if let Some(found) = page.iter().find(|message| wanted.is(message)) {
                return Seen::Yes(found["id"].as_str().map(str::to_owned));
            }
            let latest = page.iter().filter_map(|message| message["id"].as_str()?.parse().ok());
            match latest.max() {
                Some(latest) if page.len() >= PAGE => after = latest,
                _ => return Seen::No,
            }
        }
        Seen::Unknown
    }
}

/// What is looked for.
struct Wanted<'a> {
    own: String,
    text: &'a Value,
    quoted: Option<&'a str>,
}

impl Wanted<'_> {
    fn is(&self, message: &Value) -> bool {
        let trimmed = |text: &Value| text.as_str().unwrap_or_default().trim().to_owned();
        // What a command said is no message, and cannot be quoted.
        let quoted = self.quoted.filter(|id| id.parse::<u64>().is_ok());
        message["author"]["id"] == *self.own
            && trimmed(&message["content"]) == trimmed(self.text)
            && quoted.is_none_or(|id| message["message_reference"]["message_id"] == *id)
    }
}

/// The number that a message of this moment has at least.
fn snowflake(at: TimeMs) -> u64 {
    u64::try_from(at - EPOCH_MS).unwrap_or(0).saturating_mul(1 << 22)
}
