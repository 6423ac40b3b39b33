//! Everything that can happen, as closed enums without any platform's types.
//!
//! An adapter makes an [`Envelope`]; intake turns it into an [`Event`] by resolving who and where.
//! Timers are events too: there is no side door to state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId, GroupId, PersonId, Ref, ScriptName, TimerId};
use crate::value::{Role, Value};

/// How far the key of an event can be trusted to be the same when the platform sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyQuality {
    /// The platform's own id.
    Stable,
    /// Computed by the adapter from several fields.
    Derived,
    /// None to be had: a repeat would be taken for a new event.
    None,
}

/// One thing that happened, as an adapter tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The bot's own account that saw it, `platform:account`.
    pub account: Ref,
    /// Unique for this account; a second event with the same key changes nothing. It should begin
    /// with the time, so that keys that come one after the other lie beside each other.
    pub key: Arc<str>,
    /// How good the key is.
    pub key_quality: KeyQuality,
    /// When it happened, by the platform's clock, Unix ms.
    pub at: TimeMs,
    /// The group; `None` for a direct message.
    pub group: Option<Place>,
    /// Who did it; `None` for the platform itself.
    pub actor: Option<Actor>,
    /// What happened.
    pub kind: EventKind,
    /// Fetched after the fact (history), not seen live.
    pub backfilled: bool,
}

/// A group as a platform names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// `platform:id`.
    pub id: Ref,
    /// Its title, where known.
    pub name: Option<String>,
    /// The community that it is part of where the configuration does not say otherwise, as the
    /// platform names it (a Discord server); `None`: it is a community of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community: Option<Ref>,
}

/// A person as a platform names her.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// `platform:id`.
    pub id: Ref,
    /// Display name; empty where the platform does not say it with this event: what is known of
    /// her names stays then.
    pub name: String,
    /// Name in this group, where it differs; an empty one was taken away.
    pub nickname: Option<String>,
    /// Her authority here; `None` where the platform does not say with each event.
    pub role: Option<Role>,
    /// The account is a bot's, a webhook's or an anonymous admin's: never scored, never punished.
    pub is_bot: bool,
}

/// A part of a message, typed: text is always data, never markup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Element {
    /// Plain text.
    Text(String),
    /// A mention of one person.
    Mention {
        /// Whom.
        id: Ref,
        /// Her display name, for platforms and archives without ids.
        name: String,
    },
    /// A mention of everybody.
    MentionAll,
    /// A link.
    Link {
        /// The address.
        url: String,
        /// What is shown, where it differs.
        title: Option<String>,
    },
    /// An image, by address.
    Image {
        /// The address.
        url: String,
    },
    /// Audio, video or another file.
    File {
        /// The address.
        url: String,
        /// Its name.
        name: String,
    },
    /// An emoji or sticker.
    Emoji(String),
    /// A button with the value it sends when pressed; every button has a text that works too.
    Button {
        /// What is written on it.
        label: String,
        /// What a press sends, as if typed.
        value: String,
    },
    /// Code, shown as written.
    Code(String),
    /// A line break.
    Break,
}

/// The text of elements, without mentions, media and buttons.
pub fn plain_text(elements: &[Element]) -> String {
    let mut text = String::new();
    for element in elements {
        match element {
            Element::Text(part) | Element::Code(part) | Element::Emoji(part) => {
                text.push_str(part);
            }
            Element::Link { url, title } => text.push_str(title.as_deref().unwrap_or(url)),
            Element::Break => text.push('\n'),
            Element::Mention { .. }
            | Element::MentionAll
            | Element::Image { .. }
            | Element::File { .. }
            | Element::Button { .. } => {}
        }
    }
    text
}

/// A message that another one answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// The platform's id of the quoted message.
    pub message: String,
    /// Its author, where known.
    pub author: Option<Ref>,
    /// Its text, where known.
    pub text: String,
}

/// What happened. Subjects are named by the platform's reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EventKind {
    /// A message was sent.
    Message {
        /// The platform's id of the message.
        id: String,
        /// Its parts.
        elements: Arc<[Element]>,
        /// What it answers.
        quote: Option<Quote>,
        /// The bot was mentioned.
        to_bot: bool,
    },
    /// A message was changed.
    Edited {
        /// The platform's id of the message.
        id: String,
        /// Its new parts.
        elements: Arc<[Element]>,
    },
    /// A message was deleted.
    Deleted {
        /// The platform's id of the message.
        id: String,
    },
    /// A reaction was added or taken back.
    Reaction {
        /// The message.
        message: String,
        /// Which emoji.
        emoji: String,
        /// Added, or taken back.
        added: bool,
    },
    /// A button was pressed.
    Button {
        /// The message that carries it.
        message: String,
        /// The button's value.
        value: String,
    },
    /// Somebody joined; the actor is who joined.
    Joined {
        /// Who invited, where known.
        inviter: Option<Ref>,
    },
    /// Somebody left or was removed; the actor is who left.
    Left {
        /// Who removed her; `None` when she left herself.
        removed_by: Option<Ref>,
    },
    /// Role or name changed; the actor carries the new values.
    Updated,
    /// Somebody asks to join; the actor is who asks.
    JoinRequest {
        /// What the platform wants back with the answer.
        token: String,
        /// What she wrote.
        note: String,
    },
    /// The actor may not speak until then; `None`: she may speak again.
    Silenced {
        /// Until when, Unix ms.
        until: Option<TimeMs>,
        /// Who silenced her, where known.
        by: Option<Ref>,
    },
    /// The bot's own account came into the group.
    BotJoined {
        /// Who let it in, where known.
        by: Option<Ref>,
    },
    /// The bot's own account left the group or was removed from it.
    BotLeft {
        /// Who removed it; `None` when it left by itself.
        by: Option<Ref>,
    },
    /// A file was put into the group's folder.
    Uploaded {
        /// The platform's id of the file.
        id: String,
        /// Its name.
        name: String,
        /// Its length.
        bytes: u64,
    },
    /// The actor nudged somebody.
    Poked {
        /// Whom.
        whom: Ref,
    },
    /// The platform itself gave the actor a distinction.
    Honored {
        /// Its word for it.
        what: String,
    },
    /// The actor and the bot are friends now.
    Befriended,
    /// The account went online or offline.
    Online(bool),
    /// Events may be missing between two times.
    Gap {
        /// From, Unix ms.
        from: TimeMs,
        /// To, Unix ms.
        to: TimeMs,
        /// How many were fetched after the fact.
        filled: u32,
    },
    /// A stored timer came due. Made by the core, never by an adapter.
    Tick(Tick),
}

impl EventKind {
    /// One word, for the archive and the logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Edited { .. } => "edited",
            Self::Deleted { .. } => "deleted",
            Self::Reaction { .. } => "reaction",
            Self::Button { .. } => "button",
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
            Self::Updated => "updated",
            Self::JoinRequest { .. } => "join_request",
            Self::Silenced { .. } => "silenced",
            Self::BotJoined { .. } => "bot_joined",
            Self::BotLeft { .. } => "bot_left",
            Self::Uploaded { .. } => "uploaded",
            Self::Poked { .. } => "poked",
            Self::Honored { .. } => "honored",
            Self::Befriended => "befriended",
            Self::Online(_) => "online",
            Self::Gap { .. } => "gap",
            Self::Tick(_) => "tick",
        }
    }
}

/// A timer that came due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Which timer.
    pub timer: TimerId,
    /// The script that it belongs to.
    pub script: ScriptName,
    /// The name under which the script handles it.
    pub name: String,
    /// When it was due, Unix ms.
    pub due: TimeMs,
    /// What the script (or the domain) gave along.
    pub data: Value,
}

/// An accepted event: resolved, numbered, on its way through one community's lane.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number; also the id of its turn.
    pub id: EventId,
    /// Whose lane.
    pub community: CommunityId,
    /// Where; `None` for a direct message or a timer without a place.
    pub group: Option<GroupId>,
    /// Who.
    pub person: Option<PersonId>,
    /// When it was received, Unix ms.
    pub received_at: TimeMs,
    /// Seed of all chance in its turn.
    pub seed: u64,
    /// A direct message that could be for any of these communities: she is asked which.
    pub which: Vec<String>,
    /// Older than the staleness gate: state may change, nobody is answered.
    pub stale: bool,
    /// What the adapter said.
    pub envelope: Arc<Envelope>,
}
