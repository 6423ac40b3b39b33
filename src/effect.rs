//! What a handler asks for, and what becomes of it outside.
//!
//! Scripts ask with an [`Effect`]; the turn checks it and, where it concerns the world outside,
//! makes a [`Delivery`] that is committed before anything is sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::TimeMs;
use crate::community::score::Kind;
use crate::event::Element;
use crate::id::{CommunityId, DeliveryId, EventId, GroupId, PersonId, Ref, ScriptName};
use crate::value::Value;

/// A wish of a handler, buffered in the script host and judged by the turn.
///
/// `Reply`, `Delete`, `React` and `Pin` concern the message of the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Answer where the event happened.
    Reply {
        /// The text.
        content: Vec<Element>,
        /// Shown to the actor alone where the platform can; elsewhere an ordinary answer.
        private: bool,
    },
    /// Post in a group of this community; `None` is the group of the event.
    Say {
        /// Where.
        group: Option<GroupId>,
        /// The text.
        content: Vec<Element>,
        /// A later post with the same slot in that group replaces this one: the old is deleted.
        slot: Option<String>,
    },
    /// Write to one member alone.
    Dm {
        /// To whom.
        person: PersonId,
        /// The text.
        content: Vec<Element>,
    },
    /// Show or change a living message: one message for each key in a group.
    Card {
        /// Which card.
        key: String,
        /// Its new text.
        content: Vec<Element>,
    },
    /// Delete the message of the event.
    Delete {
        /// Why.
        reason: String,
    },
    /// React to the message of the event.
    React {
        /// With which emoji.
        emoji: String,
    },
    /// Pin the message of the event.
    Pin,
    /// Note a warning against a member.
    Warn {
        /// Whom.
        person: PersonId,
        /// Why.
        reason: String,
        /// How much it counts.
        weight: i64,
    },
    /// Silence a member for a time.
    Mute {
        /// Whom.
        person: PersonId,
        /// How long.
        duration_ms: i64,
        /// Why.
        reason: String,
    },
    /// End a silence.
    Unmute {
        /// Whom.
        person: PersonId,
    },
    /// Remove a member.
    Kick {
        /// Whom.
        person: PersonId,
        /// Why.
        reason: String,
    },
    /// Remove a member for good.
    Ban {
        /// Whom.
        person: PersonId,
        /// Why.
        reason: String,
    },
    /// Make a member an admin of the group, or an admin a member again.
    SetAdmin {
        /// Whom.
        person: PersonId,
        /// Made, or unmade.
        on: bool,
    },
    /// Give a member another name in the group.
    Rename {
        /// Whom.
        person: PersonId,
        /// The name; empty takes it away.
        name: String,
    },
    /// Answer the join request of the event.
    Admit {
        /// Let in, or not.
        yes: bool,
        /// Why not, for who asked.
        reason: String,
    },
    /// Give a tag.
    Tag {
        /// Whom.
        person: PersonId,
        /// Which tag.
        tag: String,
    },
    /// Take a tag away.
    Untag {
        /// Whom.
        person: PersonId,
        /// Which tag.
        tag: String,
    },
    /// Add to a member's activity score.
    Score {
        /// Whose.
        person: PersonId,
        /// Points.
        points: i64,
        /// For what.
        kind: Kind,
        /// For people.
        reason: String,
    },
    /// Wake `on_timer(name, …)` of the same script later. A timer of the same script, name and
    /// `key` replaces the one that waits.
    After {
        /// How long from now.
        delay_ms: i64,
        /// Name of the handler.
        name: String,
        /// What it gets.
        data: Value,
    },
}

impl Effect {
    /// The word under which `[limits]` counts it and transcripts show it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::Say { .. } => "say",
            Self::Dm { .. } => "dm",
            Self::Card { .. } => "card",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::Pin => "pin",
            Self::Warn { .. } => "warn",
            Self::Mute { .. } => "mute",
            Self::Unmute { .. } => "unmute",
            Self::Kick { .. } => "kick",
            Self::Ban { .. } => "ban",
            Self::SetAdmin { .. } => "set_admin",
            Self::Rename { .. } => "rename",
            Self::Admit { .. } => "admit",
            Self::Tag { .. } => "tag",
            Self::Untag { .. } => "untag",
            Self::Score { .. } => "score",
            Self::After { .. } => "after",
        }
    }

    /// Somebody would see it: too late for an event that is old.
    pub fn is_visible(&self) -> bool {
        matches!(
            self,
            Self::Reply { .. }
                | Self::Say { .. }
                | Self::Dm { .. }
                | Self::Card { .. }
                | Self::React { .. }
                | Self::Pin
        )
    }

    /// Whom it punishes by itself.
    pub fn punishes(&self) -> Option<PersonId> {
        match self {
            Self::Warn { person, .. }
            | Self::Mute { person, .. }
            | Self::Kick { person, .. }
            | Self::Ban { person, .. } => Some(*person),
            Self::Reply { .. }
            | Self::Say { .. }
            | Self::Dm { .. }
            | Self::Card { .. }
            | Self::Delete { .. }
            | Self::React { .. }
            | Self::Pin
            | Self::Unmute { .. }
            | Self::SetAdmin { .. }
            | Self::Rename { .. }
            | Self::Admit { .. }
            | Self::Tag { .. }
            | Self::Untag { .. }
            | Self::Score { .. }
            | Self::After { .. } => None,
        }
    }
}

/// Where a delivery goes, as the platform names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Destination {
    /// A group.
    Group(Ref),
    /// One person alone.
    Direct(Ref),
}

impl Destination {
    /// The reference within.
    pub fn reference(&self) -> &Ref {
        match self {
            Self::Group(id) | Self::Direct(id) => id,
        }
    }
}

/// One call that an adapter makes of its platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Send a message.
    Send {
        /// Its parts.
        content: Vec<Element>,
        /// The platform's id of the message it answers.
        reply_to: Option<String>,
        /// Show it to this person alone where the platform can.
        only_for: Option<Ref>,
        /// The earlier message of this slot is deleted once this one is sent.
        slot: Option<String>,
    },
    /// Send a living message, or edit it where `message` is known.
    Card {
        /// Which card, unique in its group.
        key: String,
        /// Its parts.
        content: Vec<Element>,
        /// The platform's id of the message to edit; filled in by the outbox.
        message: Option<String>,
    },
    /// Delete a message.
    Delete {
        /// The platform's id.
        message: String,
    },
    /// React to a message.
    React {
        /// The platform's id.
        message: String,
        /// With which emoji.
        emoji: String,
    },
    /// Pin a message.
    Pin {
        /// The platform's id.
        message: String,
    },
    /// Silence a member.
    Mute {
        /// Whom.
        member: Ref,
        /// Until when, Unix ms; absolute, so that a retry does not lengthen it.
        until: TimeMs,
    },
    /// End a silence.
    Unmute {
        /// Whom.
        member: Ref,
    },
    /// Remove a member.
    Kick {
        /// Whom.
        member: Ref,
    },
    /// Remove a member for good.
    Ban {
        /// Whom.
        member: Ref,
    },
    /// Make a member an admin of the group, or an admin a member again.
    SetAdmin {
        /// Whom.
        member: Ref,
        /// Made, or unmade.
        on: bool,
    },
    /// Give a member another name in the group.
    Rename {
        /// Whom.
        member: Ref,
        /// The name; empty takes it away.
        name: String,
    },
    /// Answer a join request.
    Admit {
        /// What the platform gave with the request.
        token: String,
        /// Let in, or not.
        yes: bool,
        /// Why not, for who asked.
        reason: String,
    },
}

impl Call {
    /// One word, for capabilities, logs and the deliveries table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::Card { .. } => "card",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
            Self::Pin { .. } => "pin",
            Self::Mute { .. } => "mute",
            Self::Unmute { .. } => "unmute",
            Self::Kick { .. } => "kick",
            Self::Ban { .. } => "ban",
            Self::SetAdmin { .. } => "set_admin",
            Self::Rename { .. } => "rename",
            Self::Admit { .. } => "admit",
        }
    }
}

/// What to do when nobody can say whether a send arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Send again: may show twice.
    Retry,
    /// Leave it: may be lost.
    Drop,
}

impl Policy {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Drop => "drop",
        }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its time.
    Queued,
    /// Handed to the adapter, or about to be.
    Sending,
    /// The platform has it.
    Sent,
    /// The platform refused it, or retries ran out; the reason says which.
    Failed,
    /// It may or may not have arrived.
    Unknown,
    /// Not sent on purpose; the reason says why.
    Skipped,
}

impl DeliveryState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Sending, Self::Sent, Self::Failed, Self::Unknown, Self::Skipped]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// The event that a delivery follows from: a platform that waits for an answer to a question
/// recognises it by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The key of the event.
    pub event: Arc<str>,
    /// It concerns who asked and nobody else: shown to her alone where the platform can answer so.
    pub is_personal: bool,
}

/// One outbound message or action with its fate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// One key for each effect: what a platform with idempotency gets to hear.
    pub key: String,
    /// The turn that wanted it.
    pub event: EventId,
    /// What it answers, while this process knows it.
    #[serde(skip)]
    pub answers: Option<Answers>,
    /// Whose.
    pub community: CommunityId,
    /// The script that wanted it; `None` for the core.
    pub script: Option<ScriptName>,
    /// The account that sends it.
    pub account: Ref,
    /// Where to.
    pub to: Destination,
    /// What.
    pub call: Call,
    /// When in doubt.
    pub policy: Policy,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it stands there, for a human.
    pub reason: Option<String>,
    /// Not before, Unix ms.
    pub not_before: TimeMs,
    /// Not after, Unix ms.
    pub expires_at: TimeMs,
    /// Tries so far.
    pub attempts: u32,
    /// The platform's id of what was sent.
    pub platform_id: Option<String>,
}
