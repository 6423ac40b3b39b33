//! A frame → what it means: an event, a sign of life, an answer to a call.
//!
//! Every event gets a key that is the same when it comes again, over another transport or out of
//! the history. `message_id` alone would not do: it is a 31-bit hash, and two messages that share
//! one are both real (<https://github.com/botuniverse/onebot-11/issues/10>). The time stands first
//! and then that number, so that the index over keys grows at its end wherever numbers grow.

use std::sync::Arc;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::message::{self, Parsed};
use super::notice;
use super::wire::{self, Frame, Id, Message, Number, Status};
use super::{PLATFORM, SelfId};
use crate::clock::TimeMs;
use crate::effect::Destination;
use crate::event::{Actor, Element, Envelope, EventKind, KeyQuality, Place};
use crate::id::Ref;
use crate::value::Role;

/// Times above are milliseconds: some versions of Lagrange, and NapCat where QQ gives none.
const SECONDS_MAX: i64 = 100_000_000_000;

/// Whose frames are read.
#[derive(Clone, Debug)]
pub struct Ear {
    /// The account.
    pub self_id: SelfId,
    /// The same, as events name it.
    pub account: Ref,
    /// All accounts that are ours.
    pub own: Arc<[SelfId]>,
}

/// What a frame means.
#[derive(Debug)]
pub enum Heard {
    /// Something happened.
    Event(Box<Envelope>),
    /// One of our own accounts said something.
    Own(OwnMessage),
    /// The implementation is alive.
    Beat {
        /// Until the next one, ms.
        interval_ms: Option<i64>,
        /// The account is logged in and all is well, where it says so.
        online: Option<bool>,
    },
    /// The account went online or offline.
    Online(bool),
    /// An answer to a call.
    Answer(Answer),
    /// Of another account than the connection's.
    Foreign,
    /// Understood, and of no use here: its kind.
    Ignored(String),
    /// Not understood: why.
    Unreadable(String),
}

/// What we said ourselves, as the implementation tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnMessage {
    /// The group; `None` for a direct message.
    pub group: Option<i64>,
    /// To whom a direct message went.
    pub person: Option<i64>,
    /// Its id.
    pub id: String,
    /// When, Unix ms.
    pub at: TimeMs,
    /// What it said.
    pub said: Said,
}

impl OwnMessage {
    /// Whether it went there.
    pub fn is_to(&self, place: &Destination) -> bool {
        let number = place.reference().local().parse().ok();
        match place {
            Destination::Group(_) => number.is_some() && self.group == number,
            // Not every implementation says whom a direct message went to.
            Destination::Direct(_) => {
                self.group.is_none() && self.person.is_none_or(|person| number == Some(person))
            }
        }
    }
}

/// The part of a message that can be compared with what we meant to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// The message that it answers.
    pub reply: Option<String>,
    /// Its words and mentions.
    pub elements: Vec<Element>,
}

/// The answer to a call (<https://github.com/botuniverse/onebot-11/blob/master/communication/http.md>).
#[derive(Debug, Default)]
pub struct Answer {
    /// What we gave along.
    pub echo: Option<String>,
    /// `ok`, `async` or `failed`.
    pub status: String,
    /// 0 is well, 1 is under way.
    pub retcode: i64,
    /// What was asked for.
    pub data: Option<Box<RawValue>>,
    /// Why not, in the words of the implementation.
    pub wording: String,
}

/// Reads one frame.
pub fn decode(text: &str, ear: &Ear, now: TimeMs) -> Heard {
    match wire::read(text) {
        Ok(frame) => decode_frame(frame, text, ear, now),
        // The error itself may quote what a member wrote.
        Err(error) => Heard::Unreadable(format!("{:?} error in JSON", error.classify())),
    }
}

/// The account that a frame is of, where it says so.
pub fn self_id(text: &str) -> Option<SelfId> {
    let frame = wire::read(text).ok()?;
    frame.post_type.get()?;
    frame.self_id.0.map(SelfId)
}

/// Reads what was fetched from the history, where some implementations leave out what is plain
/// from the call.
pub fn decode_message(frame: Frame<'_>, ear: &Ear, now: TimeMs) -> Heard {
    let stamp = Stamp::of(frame.time, now);
    message(frame, ear, stamp, "")
}

fn decode_frame(frame: Frame<'_>, text: &str, ear: &Ear, now: TimeMs) -> Heard {
    let Some(post_type) = frame.post_type.get() else { return answer(frame) };
    if frame.self_id.0.is_some_and(|id| SelfId(id) != ear.self_id) {
        return Heard::Foreign;
    }
    let stamp = Stamp::of(frame.time, now);
    match post_type {
        // A message that the account itself sent has a type of its own, or not.
        "message" | "message_sent" => message(frame, ear, stamp, text),
        "notice" => notice::notice(&frame, text, ear, stamp),
        "request" => notice::request(&frame, ear, stamp),
        "meta_event" => meta(&frame),
        other => Heard::Unreadable(format!("post_type `{other}`")),
    }
}

fn answer(frame: Frame<'_>) -> Heard {
    let status = match frame.status {
        Status::Word(word) => word.into_owned(),
        Status::None | Status::Health { .. } => String::new(),
    };
    if frame.retcode.is_none() && frame.echo.get().is_none() {
        return Heard::Unreadable("neither an event nor an answer".to_owned());
    }
    // NapCat says why in `message`, go-cqhttp in `wording` and `msg`.
    let said = match frame.message {
        Message::Text(text) => text.into_owned(),
        Message::None | Message::Parts(_) => String::new(),
    };
    let words = [frame.wording.as_str(), frame.msg.as_str(), &said];
    let wording = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default().to_owned();
    Heard::Answer(Answer {
        echo: frame.echo.get().map(str::to_owned),
        status,
        retcode: frame.retcode.unwrap_or_default(),
        data: frame.data.map(ToOwned::to_owned),
        wording,
    })
}

fn meta(frame: &Frame<'_>) -> Heard {
    match frame.meta_event_type.as_str() {
        "heartbeat" => {
            let online = frame.status.online();
            Heard::Beat { interval_ms: frame.interval.0, online }
        }
        "lifecycle" => Heard::Beat { interval_ms: None, online: None },
        other => Heard::Ignored(format!("meta_event `{other}`")),
    }
}

/// When something happened, and how the key says it.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Unix ms.
    pub at: TimeMs,
    /// As the implementation wrote it.
    pub raw: i64,
    /// The implementation did say it.
    pub is_known: bool,
}

impl Stamp {
    fn of(time: Number, now: TimeMs) -> Self {
        match time.0.filter(|time| *time > 0) {
            Some(raw) if raw > SECONDS_MAX => Self { at: raw, raw: raw / 1000, is_known: true },
            Some(raw) => Self { at: raw * 1000, raw, is_known: true },
            None => Self { at: now, raw: now / 1000, is_known: false },
        }
    }

    /// Without a time of its own an event cannot be told from its repetition.
    pub fn quality(self) -> KeyQuality {
        if self.is_known { KeyQuality::Derived } else { KeyQuality::None }
    }
}

fn message(frame: Frame<'_>, ear: &Ear, stamp: Stamp, text: &str) -> Heard {
    let (group, user) = match whereabouts(&frame) {
        Ok(found) => found,
        Err(heard) => return heard,
    };
    let id = match frame.message_id.get() {
        Some(id) => id.to_owned(),
        None => format!("#{}", fingerprint(text)),
    };
    let is_own = ear.own.contains(&SelfId(user)) || frame.post_type.as_str() == "message_sent";
    let key = match group {
        Some(group) => format!("{}:{id}:message:g{group}:u{user}", stamp.raw),
        None => format!("{}:{id}:message:u{user}", stamp.raw),
    };
    let actor = actor(user, &frame, group.is_some());
    let place = group.map(|group| place(group, frame.group_name.get()));
    let Parsed { elements, quote, to_bot, unknown } = message::parse(frame.message, &ear.own);
    if is_own {
        let person = frame.target_id.0.filter(|_| group.is_none());
        let said = Said { reply: quote.map(|quote| quote.message), elements };
        return Heard::Own(OwnMessage { group, person, id, at: stamp.at, said });
    }
    for kind in unknown {
        tracing::debug!(kind, "a segment of an unknown kind is shown by its name");
    }
    let to_bot = to_bot || group.is_none();
    Heard::Event(Box::new(Envelope {
        account: ear.account.clone(),
        key: key.into(),
        key_quality: stamp.quality(),
        at: stamp.at,
        group: place,
        actor: Some(actor),
        kind: EventKind::Message { id, elements: elements.into(), quote, to_bot },
        backfilled: false,
    }))
}

/// The group (`None` for a direct message) and the sender of a message.
fn whereabouts(frame: &Frame<'_>) -> Result<(Option<i64>, i64), Heard> {
    let kind = frame.message_type.get().unwrap_or(match frame.group_id {
        Id(Some(_)) => "group",
        Id(None) => "private",
    });
    let group = match (kind, frame.group_id) {
        ("group", Id(None)) => {
            return Err(Heard::Unreadable("a group message without `group_id`".to_owned()));
        }
        ("group", Id(group)) => group,
        // A temporary session names the group that it came from, but is no message of it.
        ("private", _) => None,
        (other, _) => return Err(Heard::Ignored(format!("message of a {other}"))),
    };
    // A hint of the platform, not a member's words.
    if frame.sub_type.as_str() == "notice" {
        return Err(Heard::Ignored("message `notice`".to_owned()));
    }
    match frame.user_id.0 {
        Some(user) => Ok((group, user)),
        None => Err(Heard::Unreadable("a message without `user_id`".to_owned())),
    }
}

/// The sender of a message, behind a mask where it is anonymous.
fn actor(user: i64, frame: &Frame<'_>, in_group: bool) -> Actor {
    let id = Ref::new(PLATFORM, user);
    if frame.anonymous.is_some() || frame.sub_type.as_str() == "anonymous" {
        let mask = frame.anonymous.as_ref().and_then(|mask| mask.name.get());
        let name = mask.unwrap_or("匿名").to_owned();
        return Actor { id, name, nickname: None, role: None, is_bot: true };
    }
    let sender = frame.sender.as_ref();
    let role = sender.and_then(|sender| role(sender.role.as_str()));
    Actor {
        id,
        name: sender.map_or("", |sender| sender.nickname.as_str()).to_owned(),
        nickname: sender.and_then(|sender| sender.card.get()).map(str::to_owned),
        role: role.filter(|_| in_group),
        is_bot: false,
    }
}

fn role(word: &str) -> Option<Role> {
    match word {
        "owner" => Some(Role::Owner),
        "admin" => Some(Role::Admin),
        "member" => Some(Role::Member),
        _ => None,
    }
}

/// A group as events name it.
pub fn place(group: i64, name: Option<&str>) -> Place {
    Place { id: Ref::new(PLATFORM, group), name: name.map(str::to_owned), community: None }
}

/// The beginning of the frame's hash, for what has no id.
pub fn fingerprint(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ear() -> Ear {
        let self_id = SelfId(10001);
        Ear { self_id, account: Ref::new(PLATFORM, self_id.0), own: Arc::from([self_id]) }
    }

    const FRAMES: &[&str] = &[
        include_str!("../../../tests/fixtures/onebot/napcat/group_message.json"),
        include_str!("../../../tests/fixtures/onebot/napcat/poke.json"),
        include_str!("../../../tests/fixtures/onebot/lagrange/group_message_string.json"),
        include_str!("../../../tests/fixtures/onebot/lagrange/heartbeat.json"),
        include_str!("../../../tests/fixtures/onebot/go-cqhttp/anonymous.json"),
        r#"{"status":"ok","retcode":0,"data":{"message_id":-5},"echo":"7"}"#,
    ];

    proptest! {
        #[test]
        fn nothing_that_comes_can_break_it(text in any::<String>()) {
            decode(&text, &ear(), 0);
        }

        #[test]
        fn nor_can_a_frame_that_was_damaged(
            frame in prop::sample::select(FRAMES),
            at in 0..2000_usize,
            length in 0..20_usize,
            instead in "[\\[\\]{}\"0-9,:ntf-]{0,4}",
        ) {
            let characters: Vec<char> = frame.chars().collect();
            let at = at.min(characters.len());
            let end = (at + length).min(characters.len());
            let damaged: String =
                characters[..at].iter().copied().chain(instead.chars()).chain(characters[end..].iter().copied()).collect();
            if let Heard::Event(envelope) = decode(&damaged, &ear(), 7) {
                prop_assert!(!envelope.key.is_empty());
            }
        }

        #[test]
        fn two_messages_that_differ_in_anything_differ_in_their_keys(
            a in (1..9_i64, 1..9_i64, 1..9_i64, 1..9_i64),
            b in (1..9_i64, 1..9_i64, 1..9_i64, 1..9_i64),
        ) {
            let key = |(time, group, user, id): (i64, i64, i64, i64)| {
                let frame = format!(
                    r#"{{"time":{time},"self_id":10001,"post_type":"message","message_type":"group",
                    "group_id":{group},"user_id":{user},"message_id":{id},"message":"x"}}"#
                );
                match decode(&frame, &ear(), 0) {
                    Heard::Event(envelope) => envelope.key,
                    other => panic!("no event: {other:?}"),
                }
            };
            prop_assert_eq!(key(a) == key(b), a == b);
        }
    }
}
