//! What a committed turn did, for people: transcripts, the console's pipe, explain.
//!
//! One [`TurnReport`] a turn, given out after its commit. Names are already looked up, so that a
//! reader needs no state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::id::{CommunityId, Ref, ScriptName};
use crate::script::protocol::ScriptError;

/// A committed turn.
#[derive(Clone, Debug)]
pub struct TurnReport {
    /// The event that was handled.
    pub event: Arc<Event>,
    /// What was done, in order.
    pub lines: Vec<Line>,
}

/// One thing that a turn did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Line {
    /// A message to a group: an answer or a post.
    Said {
        /// The group.
        group: Ref,
        /// The text with mentions as `@name`; buttons are not part of it.
        text: String,
        /// Labels of its buttons.
        buttons: Vec<String>,
        /// Shown to this member alone (where the platform can).
        only_for: Option<String>,
    },
    /// A message to one member alone.
    Wrote {
        /// To whom.
        member: String,
        /// The text.
        text: String,
    },
    /// A living message was shown or changed.
    Card {
        /// The group.
        group: Ref,
        /// The text.
        text: String,
        /// Labels of its buttons.
        buttons: Vec<String>,
    },
    /// Points of a member changed.
    Points {
        /// Whose.
        member: String,
        /// By how much.
        delta: i64,
        /// Why, as in 积分明细.
        reason: String,
    },
    /// A script added to the activity score of a member.
    Scored {
        /// Whose.
        member: String,
        /// How much.
        points: i64,
    },
    /// The domain or the dispatcher refused.
    Refused {
        /// The refusal's code.
        code: String,
    },
    /// The message of the event was deleted.
    Deleted {
        /// Why.
        reason: String,
    },
    /// A reaction to the message of the event.
    Reacted {
        /// With what.
        emoji: String,
    },
    /// The message of the event was pinned.
    Pinned,
    /// A warning.
    Warned {
        /// Whom.
        member: String,
        /// Why.
        reason: String,
    },
    /// Silenced.
    Muted {
        /// Whom.
        member: String,
        /// How long, ms.
        duration_ms: i64,
        /// Why.
        reason: String,
    },
    /// May speak again.
    Unmuted {
        /// Whom.
        member: String,
    },
    /// Removed.
    Kicked {
        /// Whom.
        member: String,
        /// Why.
        reason: String,
    },
    /// Removed for good.
    Banned {
        /// Whom.
        member: String,
        /// Why.
        reason: String,
    },
    /// Made an admin of the group, or no longer one.
    AdminSet {
        /// Whom.
        member: String,
        /// Made, or unmade.
        on: bool,
    },
    /// Got another name in the group.
    Renamed {
        /// Whom.
        member: String,
        /// The name.
        name: String,
    },
    /// A join request was answered.
    Admitted {
        /// Who asked.
        member: String,
        /// Let in, or not.
        yes: bool,
        /// Why not.
        reason: String,
    },
    /// Got a tag.
    Tagged {
        /// Whom.
        member: String,
        /// Which.
        tag: String,
    },
    /// Lost a tag.
    Untagged {
        /// Whom.
        member: String,
        /// Which.
        tag: String,
    },
    /// Wanted, but not done: immunity, a missing capability, a stale event.
    Skipped {
        /// The word of the effect.
        effect: String,
        /// Why not.
        reason: String,
    },
    /// A rule in shadow mode would have done this.
    Shadow {
        /// Which script.
        script: ScriptName,
        /// What.
        line: Box<Line>,
    },
    /// A script failed.
    Failed {
        /// Where and why.
        error: ScriptError,
    },
}

/// Something that the people who run the bot should know; members never see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Where, if it concerns one community.
    pub community: Option<CommunityId>,
    /// One sentence with place, reason and next step.
    pub text: String,
    /// Something is wrong, as opposed to merely done.
    pub is_problem: bool,
}
