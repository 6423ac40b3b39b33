//! Which community a direct message is for: the sender's own, or the one that she names first.

use std::sync::Arc;

use crate::event::{Element, Envelope, EventKind};
use crate::id::CommunityId;

/// A community with the names by which a member may call it; the first one is shown.
pub(super) struct Named {
    pub(super) id: CommunityId,
    pub(super) names: Vec<String>,
}

/// Decides for one direct message. Where the sender is in several communities and names none, the
/// answer holds their names, and the message is only for asking her.
pub(super) fn choose(
    envelope: &mut Envelope,
    communities: &[Named],
) -> Option<(CommunityId, Vec<String>)> {
    let first = communities.first()?;
    if communities.len() == 1 {
        return Some((first.id, Vec::new()));
    }
    for community in communities {
        if community.names.iter().any(|name| take_name(envelope, name)) {
            return Some((community.id, Vec::new()));
        }
    }
    let shown = communities.iter().filter_map(|community| community.names.first().cloned());
    Some((first.id, shown.collect()))
}

/// Takes a name off the beginning of a message, if it stands there.
fn take_name(envelope: &mut Envelope, name: &str) -> bool {
    let EventKind::Message { elements, .. } = &mut envelope.kind else { return false };
    let Some(Element::Text(text)) = Arc::make_mut(elements).first_mut() else { return false };
    let Some(rest) = text.trim_start().strip_prefix(name) else { return false };
    let separator = |c: char| c.is_whitespace() || matches!(c, ':' | '：' | ',' | '，');
    if !rest.is_empty() && !rest.starts_with(separator) {
        return false;
    }
    *text = rest.trim_start_matches(separator).to_owned();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{KeyQuality, plain_text};
    use crate::id::Ref;

    fn decide(text: &str, names: &[&[&str]]) -> (Option<(CommunityId, Vec<String>)>, String) {
        let elements = [Element::Text(text.to_owned())].into();
        let kind = EventKind::Message { id: "1".to_owned(), elements, quote: None, to_bot: true };
        let mut envelope = Envelope {
            account: Ref::new("test", "bot"),
            key: "1".into(),
            key_quality: KeyQuality::Stable,
            at: 0,
            group: None,
            actor: None,
            kind,
            backfilled: false,
        };
        let communities: Vec<Named> = names
            .iter()
            .zip(1..)
            .map(|(names, id)| Named {
                id: CommunityId(id),
                names: names.iter().map(|name| (*name).to_owned()).collect(),
            })
            .collect();
        let choice = choose(&mut envelope, &communities);
        let EventKind::Message { elements, .. } = &envelope.kind else { unreachable!() };
        (choice, plain_text(elements))
    }

    #[test]
    fn one_community_needs_no_name() {
        let (choice, text) = decide("积分", &[&["群岛"]]);
        assert_eq!((choice, text.as_str()), (Some((CommunityId(1), Vec::new())), "积分"));
        assert_eq!(decide("积分", &[]).0, None);
    }

    #[test]
    fn of_several_the_named_one_is_meant_or_she_is_asked() {
        let names: &[&[&str]] = &[&["群岛"], &["读书会", "书友群"]];
        let second = Some((CommunityId(2), Vec::new()));
        for text in ["读书会 积分", "书友群：积分", " 读书会，积分"] {
            assert_eq!(decide(text, names), (second.clone(), "积分".to_owned()), "{text}");
        }
        let asked = Some((CommunityId(1), vec!["群岛".to_owned(), "读书会".to_owned()]));
        for text in ["积分", "读书会真好", ""] {
            assert_eq!(decide(text, names), (asked.clone(), text.to_owned()), "{text}");
        }
    }
}
