//! What a score is given for.

use serde::{Deserialize, Serialize};

/// Kinds of entries in the log of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Her own messages of a day.
    Message,
    /// Somebody answered her.
    Reply,
    /// Somebody reacted to what she wrote.
    Like,
    /// She answered a question well.
    Answer,
    /// A proposal of hers was taken up.
    Proposal,
    /// She was on duty as a host.
    Host,
    /// She took part in a poll or a chain.
    Poll,
    /// She came to an event.
    Event,
    /// An order of hers was confirmed.
    Order,
    /// Somebody whom she invited stayed.
    Invite,
    /// Anything else.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Message,
        Self::Reply,
        Self::Like,
        Self::Answer,
        Self::Proposal,
        Self::Host,
        Self::Poll,
        Self::Event,
        Self::Order,
        Self::Invite,
        Self::Other,
    ];

    /// The word in the database and in scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Reply => "reply",
            Self::Like => "like",
            Self::Answer => "answer",
            Self::Proposal => "proposal",
            Self::Host => "host",
            Self::Poll => "poll",
            Self::Event => "event",
            Self::Order => "order",
            Self::Invite => "invite",
            Self::Other => "other",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Kinds that a script may add: the others are the core's own.
    pub fn is_for_scripts(self) -> bool {
        !matches!(self, Self::Message | Self::Reply | Self::Like)
    }
}
