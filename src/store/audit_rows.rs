//! Rows of the audit log, and of who asked to be forgotten.

use serde::Serialize;

use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId, PersonId};

/// A line of the audit log. Actor and action stay for ever; all else can be erased.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// The turn, if one did it.
    pub event: Option<EventId>,
    /// Whose, if anybody's.
    pub community: Option<CommunityId>,
    /// When.
    pub at: TimeMs,
    /// Who decided: a script with its revision, `person:7`, `core` or `operator`; never a name.
    pub actor: String,
    /// Who made it happen.
    pub by: Option<PersonId>,
    /// Whom it concerns.
    pub about: Option<PersonId>,
    /// What was done.
    pub action: String,
    /// To whom or what.
    pub object: String,
    /// Why.
    pub detail: String,
    /// Chance, so that nobody can guess what was erased.
    pub salt: [u8; 16],
}

/// A wish to be forgotten, kept until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ForgetRow {
    /// Who.
    pub person: PersonId,
    /// Only what she wrote there; `None` forgets her altogether.
    pub community: Option<CommunityId>,
    /// The turn in which she asked; her words of later ones stay.
    pub event: EventId,
    /// When.
    pub at: TimeMs,
}
