//! Posting, writing to a member and timers: what works in any handler.

use rhai::{Dynamic, Map};

use crate::effect::Effect;
use crate::event::Element;

use super::super::convert::{from_script, text_of};
use super::super::fault::{Fault, Outcome};
use super::super::lint::nearest;
use super::super::types::{ButtonRef, GroupRef};
use super::{Call, Place, Row, Run, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    wish(
        "say",
        &[par("text", Ty::Text)],
        say,
        "Posts in the group of the event; in a timer, in the community's first group.",
    ),
    wish(
        "say",
        &[par("text", Ty::Text), par("options", Ty::Map)],
        say,
        "Posts with options: `slot` (text: a later post with the same slot replaces this one), `buttons`.",
    ),
    wish(
        "say",
        &[par("group", Ty::Group), par("text", Ty::Text)],
        say_in,
        "Posts in a group of this community.",
    ),
    wish(
        "card",
        &[par("key", Ty::Text), par("text", Ty::Text), opt("options", Ty::Map)],
        |call| Ok(Effect::Card { key: call.text(0), content: card_content(call)? }),
        "Shows or changes a living message, also from a timer. Options: `buttons`.",
    ),
    wish(
        "dm",
        &[par("member", Ty::Member), par("text", Ty::Text)],
        |call| Ok(Effect::Dm { person: call.member(0)?.id, content: content(call, 1)? }),
        "Writes to one member alone, where she allows it.",
    ),
    wish(
        "after",
        &[par("delay", Ty::Duration), par("name", Ty::Text), opt("data", Ty::Any)],
        after,
        "Wakes `on_timer(name, …)` of this script later, in a second at the soonest; `data` is what it gets as `t.data`.",
    ),
    Row::new(
        Place::Global,
        "button",
        &[par("label", Ty::Text), par("value", Ty::Text)],
        Run::Pure(|call| {
            let (label, value) = (call.text(0).into(), call.text(1).into());
            Ok(Dynamic::from(ButtonRef { label, value }))
        }),
        "A button for a message, which has at most 100; a press sends `value` as if it had been typed.",
    )
    .returns(Ty::Button),
];

const fn wish(
    name: &'static str,
    params: &'static [super::Par],
    wish: fn(&Call) -> Outcome<Effect>,
    doc: &'static str,
) -> Row {
    Row::new(Place::Global, name, params, Run::Effect(wish), doc)
}

/// Most buttons of a message: four times what Discord shows. Each takes as much room as a line.
const BUTTONS_MAX: usize = 100;

/// An argument as the content of a message. A line or a break is a hundred bytes in every queue that it
/// goes through, so a text of nothing but breaks is refused here.
pub(super) fn content(call: &Call, argument: usize) -> Outcome<Vec<Element>> {
    let elements = elements(&call.text(argument));
    let limit = call.session.limits.entries;
    if elements.len() > limit {
        return Fault::limit(
            "entries",
            format!(
                "this message has {} lines and breaks between them; at most {limit} are allowed: \
                 send it in parts",
                elements.len()
            ),
        );
    }
    Ok(elements)
}

/// Text as elements; a line break is an element of its own.
fn elements(text: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            elements.push(Element::Break);
        }
        if !line.is_empty() {
            elements.push(Element::Text(line.to_owned()));
        }
    }
    elements
}

/// Adds the option `buttons`.
pub(super) fn with_buttons(mut content: Vec<Element>, options: &Map) -> Outcome<Vec<Element>> {
    let Some(buttons) = options.get("buttons") else { return Ok(content) };
    let Ok(buttons) = buttons.as_array_ref() else {
        return Fault::wrong("the option `buttons` takes an array: `[button(\"抢\", \"抢 1\")]`");
    };
    if buttons.len() > BUTTONS_MAX {
        return Fault::wrong(format!(
            "a message has at most {BUTTONS_MAX} buttons, not {}: send the others in another one",
            buttons.len()
        ));
    }
    for button in buttons.iter() {
        let Some(button) = button.read_lock::<ButtonRef>() else {
            return Fault::wrong(
                "the option `buttons` takes buttons only: make them with `button(label, value)`",
            );
        };
        content.push(Element::Button {
            label: button.label.to_string(),
            value: button.value.to_string(),
        });
    }
    Ok(content)
}

/// Refuses an option that does not exist.
pub(super) fn check_options(call: &Call, options: &Map, known: &[&'static str]) -> Outcome<()> {
    let Some(name) = options.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let hint = nearest(name, known.iter().copied()).map_or_else(
        || format!("the options are {}", known.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Fault::wrong(format!("`{}` has no option `{name}`: {hint}", call.name()))
}

/// Content of `card(key, text, options)`.
pub(super) fn card_content(call: &Call) -> Outcome<Vec<Element>> {
    let options = call.map(2);
    check_options(call, &options, &["buttons"])?;
    with_buttons(content(call, 1)?, &options)
}

fn say(call: &Call) -> Outcome<Effect> {
    let options = call.map(1);
    check_options(call, &options, &["slot", "buttons"])?;
    let slot = options.get("slot").and_then(text_of);
    let content = with_buttons(content(call, 0)?, &options)?;
    Ok(Effect::Say { group: None, content, slot })
}

fn say_in(call: &Call) -> Outcome<Effect> {
    let group = call.arg(0).and_then(|value| value.read_lock::<GroupRef>()).map(|group| group.0.id);
    Ok(Effect::Say { group, content: content(call, 1)?, slot: None })
}

/// Shortest wait of a timer, ms: each one is an event that is kept, and timers can set timers.
const AFTER_MIN_MS: i64 = 1000;

fn after(call: &Call) -> Outcome<Effect> {
    let data = call.arg(2).map(from_script).transpose()?.unwrap_or_default();
    let delay_ms = call.duration(0)?;
    if delay_ms < AFTER_MIN_MS {
        return Fault::wrong("`after` waits at least a second: write for example \"10s\"");
    }
    Ok(Effect::After { delay_ms, name: call.text(1), data })
}
