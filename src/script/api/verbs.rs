//! What can be done about an event.

use rhai::Map;

use crate::effect::Effect;

use super::super::fault::Outcome;
use super::effect::{card_content, check_options, content, with_buttons};
use super::{Call, Needs, Place, Row, Run, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    verb("reply", &[par("text", Ty::Text)], reply, "Answers where it happened.").needs(Needs::Actor),
    verb("reply", &[par("text", Ty::Text), par("options", Ty::Map)], reply, "Answers with options: `buttons` (array of `button(label, value)`), `private` (bool: shown to the actor alone where the platform can).")
        .needs(Needs::Actor),
    verb("card", &[par("key", Ty::Text), par("text", Ty::Text), opt("options", Ty::Map)], card, "Shows or changes a living message: one message for each key in a group, edited where the platform can. Options: `buttons`.")
        .needs(Needs::Actor),
    verb("delete", &[opt("reason", Ty::Text)], |call| Ok(Effect::Delete { reason: call.text(0) }), "Deletes the message.")
        .needs(Needs::Message),
    verb("react", &[par("emoji", Ty::Text)], |call| Ok(Effect::React { emoji: call.text(0) }), "Reacts to the message.")
        .needs(Needs::Message),
    verb("approve", &[], |_| Ok(Effect::Admit { yes: true, reason: String::new() }), "Lets in who asks to join.")
        .needs(Needs::Request),
    verb("deny", &[opt("reason", Ty::Text)], |call| Ok(Effect::Admit { yes: false, reason: call.text(0) }), "Turns down who asks to join.")
        .needs(Needs::Request),
    verb("pin", &[], |_| Ok(Effect::Pin), "Pins the message.").needs(Needs::Message),
];

const fn verb(
    name: &'static str,
    params: &'static [super::Par],
    wish: fn(&Call) -> Outcome<Effect>,
    doc: &'static str,
) -> Row {
    Row::new(Place::On(Ty::Event), name, params, Run::Effect(wish), doc)
}

fn reply(call: &Call) -> Outcome<Effect> {
    let options: Map = call.map(1);
    check_options(call, &options, &["buttons", "private"])?;
    let private = options.get("private").is_some_and(|value| value.as_bool().unwrap_or(false));
    Ok(Effect::Reply { content: with_buttons(content(call, 0)?, &options)?, private })
}

fn card(call: &Call) -> Outcome<Effect> {
    Ok(Effect::Card { key: call.text(0), content: card_content(call)? })
}
