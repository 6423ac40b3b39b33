//! Ids as types, so that a person can never be passed where a group is meant.
//!
//! Ids are numbers that this process hands out (see [`crate::store`]); what a platform calls a
//! thing is a [`Ref`] and stays text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

ids! {
    /// A community: members, points, rules and schedule in common.
    CommunityId;
    /// A chat with several people.
    GroupId;
    /// A human, whatever accounts she has.
    PersonId;
    /// Something that happened and was accepted; also the id of the turn that handled it.
    EventId;
    /// A red packet.
    PacketId;
    /// One outbound message or action.
    DeliveryId;
    /// A stored timer.
    TimerId;
    /// An account of the ledger.
    AccountId;
    /// A transfer of the ledger.
    TransferId;
}

/// What a platform calls something: `platform:id`, or `platform:account:kind:id` where one
/// platform has several accounts. Never a bare id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ref(Arc<str>);

impl Ref {
    /// Joins a platform's name and its id for the thing.
    pub fn new(platform: &str, id: impl fmt::Display) -> Self {
        Self(format!("{platform}:{id}").into())
    }

    /// Reads `platform:id`; `None` when either half is missing.
    pub fn parse(text: &str) -> Option<Self> {
        let (platform, id) = text.split_once(':')?;
        (!platform.is_empty() && !id.is_empty()).then(|| Self(text.into()))
    }

    /// The whole reference, as in config.toml.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon.
    pub fn platform(&self) -> &str {
        self.0.split_once(':').map_or("", |(platform, _)| platform)
    }

    /// The part after the first colon: what the platform itself understands.
    pub fn local(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(_, id)| id)
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({})", self.0)
    }
}

/// The name of a script: its file name without `.rhai`. State, timers and breakers belong to it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScriptName(Arc<str>);

impl ScriptName {
    /// Wraps a name; the loader has checked its form.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptName({})", self.0)
    }
}
