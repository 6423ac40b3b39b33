//! The history of a group or friend, which some implementations can be asked for.
//!
//! It is in no standard: `get_group_msg_history` and `get_friend_msg_history` come from go-cqhttp,
//! NapCat and Lagrange have them too, and each a little differently. So the first question over a
//! connection is the probe, and an answer without messages is none.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::caller::{Caller, Known};
use super::decode::{Ear, Heard, OwnMessage, decode_message};
use super::encode::segments;
use super::message;
use super::outcome::Reply;
use super::wire::Frame;
use crate::adapter::Seen;
use crate::clock::TimeMs;
use crate::effect::{Call, Destination};
use crate::event::{Element, Envelope};

/// Messages that are asked for. go-cqhttp gives 20 at most, whatever is asked.
const COUNT: usize = 100;

/// What asking came to.
#[derive(Debug)]
pub enum Fetched {
    /// The latest messages.
    Messages(Box<RawValue>),
    /// There is no such interface.
    Absent,
    /// Not now.
    Failed(String),
}

/// Asks for the latest messages of a group or of somebody.
pub async fn fetch(caller: &Caller, place: &Destination, limit: Duration) -> Fetched {
    let local = place.reference().local();
    let id = local.parse::<i64>().map_or_else(|_| json!(local), |number| json!(number));
    let (known, action, params) = match place {
        Destination::Group(_) => (
            caller.group_history(),
            "get_group_msg_history",
            json!({ "group_id": id, "count": COUNT }),
        ),
        Destination::Direct(_) => (
            caller.friend_history(),
            "get_friend_msg_history",
            json!({ "user_id": id, "count": COUNT }),
        ),
    };
    if known.is_absent() {
        return Fetched::Absent;
    }
    ask(caller, known, action, &params, limit).await
}

async fn ask(
    caller: &Caller,
    known: &Known,
    action: &str,
    params: &Value,
    limit: Duration,
) -> Fetched {
    let absent = |known: &Known| {
        known.set_absent();
        Fetched::Absent
    };
    match caller.call(action, params, limit).await {
        Reply::Answer(answer) if answer.retcode == 1404 => absent(known),
        Reply::Answer(answer) if answer.status == "ok" => match answer.data {
            Some(data) if read::<Page<'_>>(&data).is_some_and(|page| page.messages.is_some()) => {
                Fetched::Messages(data)
            }
            // Some say "ok" to whatever they do not know.
            _ => absent(known),
        },
        Reply::Answer(answer) => Fetched::Failed(answer.wording),
        Reply::Http(404, _) => absent(known),
        Reply::Http(status, _) => Fetched::Failed(format!("HTTP {status}")),
        Reply::NotWritten(reason) | Reply::Lost(reason) => Fetched::Failed(reason),
    }
}

#[derive(Default, Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    messages: Option<Vec<Frame<'a>>>,
}

fn read<'a, T: Deserialize<'a>>(data: &'a RawValue) -> Option<T> {
    serde_json::from_str(data.get()).ok()
}

/// Reads what was fetched: messages of members, oldest first, and our own.
pub fn messages(data: &RawValue, ear: &Ear, now: TimeMs) -> (Vec<Envelope>, Vec<OwnMessage>) {
    let page: Page<'_> = read(data).unwrap_or_default();
    let (mut others, mut own) = (Vec::new(), Vec::new());
    for frame in page.messages.into_iter().flatten() {
        match decode_message(frame, ear, now) {
            Heard::Event(envelope) => others.push(Envelope { backfilled: true, ..*envelope }),
            Heard::Own(message) => own.push(message),
            _ => {}
        }
    }
    // Their order within a second is that of the history.
    others.sort_by_key(|envelope| envelope.at);
    (others, own)
}

/// Clocks of QQ and of this machine may differ by so much; an answer quotes a message and cannot
/// be mistaken, what is said out of nothing may have been said before.
const SKEW_ANSWER_MS: i64 = 10_000;
const SKEW_ELSE_MS: i64 = 1_000;

/// What we meant to send, in a form that can be found again.
pub struct Wanted {
    reply: Option<String>,
    text: String,
    since: TimeMs,
}

impl Wanted {
    /// `None`: the call makes no message.
    pub fn of(call: &Call, to: &Destination, since: TimeMs) -> Option<Self> {
        let (content, reply) = match call {
            Call::Send { content, reply_to, .. } => (content, reply_to.clone()),
            Call::Card { content, message: None, .. } => (content, None),
            _ => return None,
        };
        let in_group = matches!(to, Destination::Group(_));
        // As it goes out and comes back, so that both are written in the same way.
        let written = Value::Array(segments(content, in_group).0).to_string();
        let message = serde_json::from_str(&written).ok()?;
        let text = words(&message::parse(message, &[]).elements);
        let skew = if reply.is_some() { SKEW_ANSWER_MS } else { SKEW_ELSE_MS };
        Some(Self { reply, text, since: since - skew })
    }

    /// Whether this is it.
    pub fn is(&self, message: &OwnMessage) -> bool {
        let said = &message.said;
        // Whole seconds: one that began before may have ended after.
        let is_late = message.at + 999 >= self.since;
        let same_reply = match (&self.reply, &said.reply) {
            (Some(wanted), Some(found)) => wanted == found,
            // An implementation may not know any more what was quoted.
            (Some(_), None) => true,
            (None, found) => found.is_none(),
        };
        is_late && same_reply && words(&said.elements) == self.text
    }

    /// What the history of a place tells.
    pub fn seen(&self, others: &[Envelope], own: &[OwnMessage]) -> Seen {
        let times = || others.iter().map(|it| it.at).chain(own.iter().map(|it| it.at));
        let (oldest, newest) = (times().min(), times().max());
        // Lagrange may write the time of the question into every message: such times say nothing,
        // and what was said out of nothing may have been said before.
        let is_even = oldest.zip(newest).is_some_and(|(oldest, newest)| newest - oldest <= 1000);
        let has_times = !is_even || times().count() < 3;
        let found = own.iter().rev().find(|message| self.is(message));
        match found.filter(|_| has_times || self.reply.is_some()) {
            Some(found) => Seen::Yes(Some(found.id.clone())),
            None if oldest.is_some_and(|oldest| oldest < self.since) => Seen::No,
            None => Seen::Unknown,
        }
    }
}

/// Words and mentions in one line; white space is not compared, because it does not come back as
/// it went.
fn words(elements: &[Element]) -> String {
    let mut text = String::new();
    for element in elements {
        match element {
            Element::Mention { id, .. } => {
                text.push('@');
                text.push_str(id.local());
            }
            Element::MentionAll => text.push_str("@all"),
            // Addresses of pictures differ between what was sent and what comes back.
            Element::Image { .. } | Element::File { .. } => text.push('\u{fffc}'),
            Element::Text(part) | Element::Code(part) | Element::Emoji(part) => text.push_str(part),
            Element::Link { url, title } => text.push_str(title.as_deref().unwrap_or(url)),
            Element::Break | Element::Button { .. } => {}
        }
    }
    text.retain(|c| !c.is_whitespace());
    text
}
