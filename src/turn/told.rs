//! What effects look like in the report of a turn.

use super::Turn;
use crate::effect::{Destination, Effect};
use crate::event::{Element, plain_text};
use crate::id::{GroupId, PersonId, Ref};
use crate::report::Line;

impl Turn {
    /// The line of an effect that is performed, or would be.
    pub(super) fn line_of(&self, effect: &Effect) -> Option<Line> {
        let name = |person: &PersonId| self.name_of(*person);
        let here = |group: Option<GroupId>| {
            let to = self.places(group).ok().and_then(|places| places.into_iter().next());
            to.map_or_else(|| Ref::new("nowhere", 0), |to| to.reference().clone())
        };
        Some(match effect {
            Effect::Reply { content, private } => self.said(content, *private),
            Effect::Say { group, content, .. } => Line::Said {
                group: here(*group),
                text: shown(content),
                buttons: buttons(content),
                only_for: None,
            },
            Effect::Dm { person, content } => {
                Line::Wrote { member: name(person), text: shown(content) }
            }
            Effect::Card { content, .. } => {
                Line::Card { group: here(None), text: shown(content), buttons: buttons(content) }
            }
            Effect::Delete { reason } => Line::Deleted { reason: reason.clone() },
            Effect::React { emoji } => Line::Reacted { emoji: emoji.clone() },
            Effect::Pin => Line::Pinned,
            Effect::Warn { person, reason, .. } => {
                Line::Warned { member: name(person), reason: reason.clone() }
            }
            Effect::Mute { person, duration_ms, reason } => Line::Muted {
                member: name(person),
                duration_ms: *duration_ms,
                reason: reason.clone(),
            },
            Effect::Unmute { person } => Line::Unmuted { member: name(person) },
            Effect::Kick { person, reason } => {
                Line::Kicked { member: name(person), reason: reason.clone() }
            }
            Effect::Ban { person, reason } => {
                Line::Banned { member: name(person), reason: reason.clone() }
            }
            Effect::SetAdmin { person, on } => Line::AdminSet { member: name(person), on: *on },
            Effect::Rename { person, name: new } => {
                Line::Renamed { member: name(person), name: new.clone() }
            }
            Effect::Admit { yes, reason } => {
                let actor = self.event.envelope.actor.as_ref();
                let member = actor.map_or_else(String::new, |actor| actor.name.clone());
                Line::Admitted { member, yes: *yes, reason: reason.clone() }
            }
            Effect::Tag { person, tag } => Line::Tagged { member: name(person), tag: tag.clone() },
            Effect::Untag { person, tag } => {
                Line::Untagged { member: name(person), tag: tag.clone() }
            }
            Effect::Score { person, points, .. } => {
                Line::Scored { member: name(person), points: *points }
            }
            Effect::After { .. } => return None,
        })
    }

    /// The line of an answer.
    pub(super) fn said(&self, content: &[Element], private: bool) -> Line {
        let only_for =
            private.then_some(self.event.person).flatten().map(|person| self.name_of(person));
        match self.destination(None) {
            Ok(Destination::Group(group)) => {
                Line::Said { group, text: shown(content), buttons: buttons(content), only_for }
            }
            _ => {
                let member = self.event.person.map(|person| self.name_of(person));
                Line::Wrote { member: member.unwrap_or_default(), text: shown(content) }
            }
        }
    }
}

/// The text of an outgoing message with mentions spelled out.
pub(super) fn shown(content: &[Element]) -> String {
    let mut text = String::new();
    for element in content {
        match element {
            Element::Mention { name, .. } => {
                text.push('@');
                text.push_str(name);
            }
            Element::MentionAll => text.push_str("@all"),
            other => text.push_str(&plain_text(std::slice::from_ref(other))),
        }
    }
    text
}

fn buttons(content: &[Element]) -> Vec<String> {
    content
        .iter()
        .filter_map(|element| match element {
            Element::Button { label, .. } => Some(label.clone()),
            _ => None,
        })
        .collect()
}
