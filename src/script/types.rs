//! What scripts hold in their hands: cheap handles around views, with getters from the API table.

use std::rc::Rc;
use std::sync::Arc;

use crate::refusal::Refusal;
use crate::value::MemberView;

use super::api::Shape;
use super::protocol::{Frame, GroupView, Trigger};

/// The event of a handler: `m`, `c`, `j`, `t`.
#[derive(Clone)]
pub(super) struct EventRef {
    /// The frame that it came with.
    pub frame: Rc<Frame>,
    /// Which run of the frame.
    pub run: usize,
    /// Names of the command's parameters, present or not.
    pub params: Rc<[String]>,
    /// What kind of handler it was given to.
    pub shape: Shape,
}

/// A member.
#[derive(Clone)]
pub(super) struct MemberRef(pub Arc<MemberView>);

/// A group.
#[derive(Clone)]
pub(super) struct GroupRef(pub GroupView);

/// A button on its way into a message. Copies share its texts, as copies of a text do.
#[derive(Clone)]
pub(super) struct ButtonRef {
    /// What is written on it.
    pub label: Rc<str>,
    /// What a press sends.
    pub value: Rc<str>,
}

/// A refusal in a `catch`.
#[derive(Clone)]
pub(super) struct RefusalRef(pub Rc<Refusal>);

impl Shape {
    /// The shape of the event that a trigger's handler gets.
    pub fn of(trigger: &Trigger) -> Self {
        match trigger {
            Trigger::Command(_) => Self::Command,
            Trigger::Message | Trigger::Keyword(_) | Trigger::Words(_) | Trigger::Regex(_) => {
                Self::Message
            }
            Trigger::Join => Self::Join,
            Trigger::Leave => Self::Leave,
            Trigger::JoinRequest => Self::JoinRequest,
            Trigger::Reaction(_) => Self::Reaction,
            Trigger::Button => Self::Button,
            Trigger::Timer(_) | Trigger::Every(_) => Self::Timer,
        }
    }
}
