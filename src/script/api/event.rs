//! What can be read of an event.

use std::sync::Arc;

use rhai::{Array, Dynamic, Map};

use crate::event::{Element, plain_text};

use super::super::convert::into_script;
use super::super::fault::Outcome;
use super::super::protocol::EventView;
use super::super::types::{GroupRef, MemberRef};
use super::{Call, Needs, Row, Ty};

pub(super) static ROWS: &[Row] = &[
    get(
        "text",
        Ty::Text,
        |call| read(call, |e| plain_text(&e.elements).into()),
        "The text of the message, without mentions and media.",
    )
    .needs(Needs::Content),
    get(
        "plain",
        Ty::Text,
        |call| read(call, plain),
        "The text on one line: spaces and line breaks run together, nothing at its ends.",
    )
    .needs(Needs::Content),
    get("links", Ty::Array, |call| read(call, links), "Addresses of the links in the message.")
        .needs(Needs::Content),
    get(
        "mentions",
        Ty::Array,
        |call| read(call, mentions),
        "The members that the message mentions.",
    )
    .needs(Needs::Content),
    get(
        "quote",
        Ty::Map,
        |call| read(call, quote),
        "What the message answers, `#{ text, message }`; `()` where it answers nothing.",
    )
    .needs(Needs::Content),
    get("images", Ty::Array, |call| read(call, images), "Addresses of the images in the message.")
        .needs(Needs::Content),
    get("member", Ty::MaybeMember, |call| read(call, member), "Who did it.").needs(Needs::Actor),
    get(
        "group",
        Ty::MaybeGroup,
        |call| read(call, group),
        "Where it happened; `()` in a direct message.",
    ),
    get("at", Ty::Int, |call| read(call, |e| e.at.into()), "When it happened, Unix milliseconds."),
    get(
        "id",
        Ty::Text,
        |call| read(call, |e| e.message.clone().map_or(Dynamic::UNIT, Into::into)),
        "The platform's id of the message.",
    )
    .needs(Needs::Message),
    get("emoji", Ty::Text, |call| read(call, value), "The emoji of the reaction.")
        .needs(Needs::Emoji),
    get("value", Ty::Text, |call| read(call, value), "The value of the button.")
        .needs(Needs::Value),
    get("note", Ty::Text, |call| read(call, value), "What was written with the join request.")
        .needs(Needs::Request),
    get("name", Ty::Text, |call| read(call, value), "The name of the timer.").needs(Needs::Timer),
    get(
        "data",
        Ty::Any,
        |call| read(call, |e| into_script(e.data.clone())),
        "What `after` gave along; `()` if nothing.",
    )
    .needs(Needs::Timer),
];

const fn get(
    name: &'static str,
    returns: Ty,
    get: fn(&Call) -> Outcome<Dynamic>,
    doc: &'static str,
) -> Row {
    Row::getter(Ty::Event, name, returns, get, doc)
}

fn read(call: &Call, get: fn(&EventView) -> Dynamic) -> Outcome<Dynamic> {
    Ok(get(&call.event()?.frame.event))
}

fn plain(event: &EventView) -> Dynamic {
    plain_text(&event.elements).split_whitespace().collect::<Vec<_>>().join(" ").into()
}

fn links(event: &EventView) -> Dynamic {
    let mut links: Array = Vec::new();
    for element in event.elements.iter() {
        match element {
            Element::Link { url, .. } => links.push(url.clone().into()),
            // Most platforms leave links in the text.
            Element::Text(text) => {
                links.extend(text.split_whitespace().filter_map(address).map(Dynamic::from));
            }
            _ => {}
        }
    }
    links.into()
}

/// The part of a word that is an address; Chinese text is written up to it without a space.
fn address(word: &str) -> Option<String> {
    let start = ["https://", "http://"].iter().filter_map(|scheme| word.find(scheme)).min()?;
    let end = |c: char| c.is_whitespace() || !c.is_ascii() || matches!(c, '"' | '<' | '>' | '`');
    let found = word.get(start..)?.split(end).next()?;
    Some(found.trim_end_matches(['.', ',', ';', ')', ']', '!', '?']).to_owned())
}

fn images(event: &EventView) -> Dynamic {
    let images: Array = event
        .elements
        .iter()
        .filter_map(|element| match element {
            Element::Image { url } => Some(url.clone().into()),
            _ => None,
        })
        .collect();
    images.into()
}

fn mentions(event: &EventView) -> Dynamic {
    let members = event.mentions.iter().map(|member| Dynamic::from(MemberRef(Arc::clone(member))));
    members.collect::<Array>().into()
}

fn quote(event: &EventView) -> Dynamic {
    let Some(quote) = &event.quote else { return Dynamic::UNIT };
    let mut map = Map::new();
    map.insert("text".into(), quote.text.clone().into());
    map.insert("message".into(), quote.message.clone().into());
    map.into()
}

fn member(event: &EventView) -> Dynamic {
    event.member.clone().map_or(Dynamic::UNIT, |member| Dynamic::from(MemberRef(member)))
}

fn group(event: &EventView) -> Dynamic {
    event.group.clone().map_or(Dynamic::UNIT, |group| Dynamic::from(GroupRef(group)))
}

fn value(event: &EventView) -> Dynamic {
    event.value.clone().into()
}
