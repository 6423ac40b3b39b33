//! Values that cross between scripts and the domain: plain data, fit for a wire.
//!
//! Not Rhai's `Dynamic`: that cannot leave its thread, let alone its process.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::TimeMs;
use crate::id::PersonId;

/// A map of values; ordered, so that a replay is the same to the byte.
pub type ValueMap = BTreeMap<String, Value>;

/// Anything a host call takes or gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    #[default]
    Unit,
    /// True or false.
    Bool(bool),
    /// A whole number; the only kind that value may be counted in.
    Int(i64),
    /// Scores and ratios only.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Named values.
    Map(ValueMap),
    /// A member; only the id counts when it is an argument.
    Member(Arc<MemberView>),
}

impl Value {
    /// A map from pairs.
    pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The kind of value, as scripts name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Unit => "()",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::List(_) => "array",
            Self::Map(_) => "map",
            Self::Member(_) => "Member",
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// What a script may see of a member; a snapshot of the moment when the turn (or the host call)
/// looked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Which person.
    pub id: PersonId,
    /// The platform's display name.
    pub name: Arc<str>,
    /// The name in this community, or `name` where she has none.
    pub nickname: Arc<str>,
    /// What she may do.
    pub role: Role,
    /// Trust level 0–4.
    pub trust: u8,
    /// Points that can be spent.
    pub points: i64,
    /// Tags given by scripts or staff.
    pub tags: Vec<String>,
    /// When the present stay began, Unix ms.
    pub joined_at: TimeMs,
    /// Messages counted so far in this community.
    pub messages: i64,
    /// Weight of warnings that have not expired.
    pub warnings: i64,
    /// Whether the account is a bot's.
    pub is_bot: bool,
    /// Activity score in whole points.
    pub score: i64,
    /// Level of that score.
    pub level: i64,
}

/// Authority in a community, ordered: `owner > admin > mod > member`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Anybody.
    #[default]
    Member,
    /// Keeps order.
    Mod,
    /// Runs the community.
    Admin,
    /// Owns it.
    Owner,
}

impl Role {
    /// The word used in scripts, configuration and the console.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Mod => "mod",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Member, Self::Mod, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == word)
    }

    /// Owner, admins and moderators: never on a leaderboard, never punished.
    pub fn is_staff(self) -> bool {
        self > Self::Member
    }
}
