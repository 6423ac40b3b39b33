//! Registration: what a script's top level may say.

use super::super::convert::{from_script, text_of};
use super::super::fault::{Fault, Outcome};
use super::super::manifest::Registry;
use super::super::pattern;
use super::super::protocol::Trigger;
use super::{Call, Place, Row, Run, Ty, command, every, opt, par};

pub(super) static ROWS: &[Row] = &[
    row(
        "command",
        &[par("pattern", Ty::Text), par("handler", Ty::Handler)],
        command::plain,
        "Answers a command: `command(\"抢 [id:text]\", |c| { … })`. Types of parameters: int number text word user group duration date; `<required:int>`, `[optional:text]`.",
    ),
    row(
        "command",
        &[par("pattern", Ty::Text), par("options", Ty::Map), par("handler", Ty::Handler)],
        command::with_options,
        "The same with options: `alias` (text or array), `help` (a text, or a key of the catalogue), `slash`, `role` (\"member\" \"mod\" \"admin\" \"owner\"), `trust` (0–4), `cooldown` (\"60s\"), `quiet` (bool).",
    ),
    row(
        "on_message",
        &[par("handler", Ty::Handler)],
        |call, registry| registry.add(call, 0, Trigger::Message),
        "Runs on every message. Prefer `on_keyword` where the words are known: it costs nothing when they do not occur.",
    ),
    row(
        "on_keyword",
        &[par("words", Ty::Texts), par("handler", Ty::Handler)],
        on_keyword,
        "Runs on a message that contains one of the words.",
    ),
    row(
        "on_words",
        &[par("list", Ty::Text), par("handler", Ty::Handler)],
        |call, registry| {
            let list = call.text(0);
            registry.add(call, 1, Trigger::Words(list.into()))
        },
        "Runs on a message with words of a list (scripts/words/LIST.txt), also where they are written with spaces, in full width or with invisible characters between.",
    ),
    row(
        "on_regex",
        &[par("pattern", Ty::Text), par("handler", Ty::Handler)],
        on_regex,
        "Runs on a message that matches. The syntax is that of Rust's `regex`: no look-around and no back-references, so no pattern can be slow.",
    ),
    row(
        "on_join",
        &[par("handler", Ty::Handler)],
        |call, registry| registry.add(call, 0, Trigger::Join),
        "Runs when somebody joined.",
    ),
    row(
        "on_leave",
        &[par("handler", Ty::Handler)],
        |call, registry| registry.add(call, 0, Trigger::Leave),
        "Runs when somebody left or was removed.",
    ),
    row(
        "on_join_request",
        &[par("handler", Ty::Handler)],
        |call, registry| registry.add(call, 0, Trigger::JoinRequest),
        "Runs when somebody asks to join.",
    ),
    row(
        "on_reaction",
        &[par("handler", Ty::Handler)],
        |call, registry| registry.add(call, 0, Trigger::Reaction(Vec::new())),
        "Runs on any reaction.",
    ),
    row(
        "on_reaction",
        &[par("emoji", Ty::Texts), par("handler", Ty::Handler)],
        |call, registry| {
            let emoji = texts(call, 0)?;
            registry.add(call, 1, Trigger::Reaction(emoji))
        },
        "Runs on a reaction with this emoji, or one of these.",
    ),
    row(
        "on_button",
        &[par("handler", Ty::Handler)],
        |call, registry| registry.add(call, 0, Trigger::Button),
        "Runs when a button is pressed whose value is no command.",
    ),
    row(
        "on_timer",
        &[par("name", Ty::Text), par("handler", Ty::Handler)],
        |call, registry| {
            let name = call.text(0);
            registry.add(call, 1, Trigger::Timer(name))
        },
        "Runs when a timer set with `after(delay, name)` comes due.",
    ),
    row(
        "every",
        &[par("times", Ty::Text), par("handler", Ty::Handler)],
        every::plain,
        "Runs at set times: five fields as in crontab(5), `\"30 8 * * 1-5\"`, or `@daily` and its kin, on the clock of the community; or the name of a setting that holds them, so that config.toml can change them.",
    ),
    row(
        "every",
        &[par("times", Ty::Text), par("options", Ty::Map), par("handler", Ty::Handler)],
        every::with_options,
        "The same with options: `name` (needed where a script has several), `missed` (\"once\" \"skip\" \"all\"), `window` (\"2h\": how late it may run), `not_after` (\"22:30\"), `overlap` (\"skip\" \"queue_one\" \"allow\"), `jitter` (\"5m\"), `kind` (what it posts unasked, such as \"news\"; it keeps to the slots and the budget of `[posting]`), `priority` (0–9).",
    ),
    row(
        "setting",
        &[par("name", Ty::Text), opt("default", Ty::Any)],
        setting,
        "Declares a setting with its default; config.toml sets it, `cfg(name)` reads it.",
    ),
];

/// A row of this chapter.
const fn row(
    name: &'static str,
    params: &'static [super::Par],
    register: fn(&Call, &mut Registry) -> Outcome<()>,
    doc: &'static str,
) -> Row {
    Row::new(Place::Global, name, params, Run::Register(register), doc)
}

/// A text or an array of texts, none of them empty.
pub(super) fn texts(call: &Call, index: usize) -> Outcome<Vec<String>> {
    let Some(value) = call.arg(index) else { return Ok(Vec::new()) };
    let found: Option<Vec<String>> = match value.as_array_ref() {
        Ok(items) => items.iter().map(text_of).collect(),
        Err(_) => text_of(value).map(|text| vec![text]),
    };
    match found {
        Some(found) if !found.is_empty() && found.iter().all(|text| !text.trim().is_empty()) => {
            Ok(found)
        }
        _ => Fault::wrong(format!(
            "`{}` takes a text or an array of texts, none of them empty",
            call.row.name
        )),
    }
}

fn on_keyword(call: &Call, registry: &mut Registry) -> Outcome<()> {
    let words = texts(call, 0)?;
    registry.add(call, 1, Trigger::Keyword(words))
}

fn on_regex(call: &Call, registry: &mut Registry) -> Outcome<()> {
    let pattern = call.text(0);
    if let Err(error) = pattern::regex(&pattern) {
        registry.problem(call, regex_message(&error));
    }
    registry.add(call, 1, Trigger::Regex(pattern))
}

/// The last line of a regex error says what is wrong; the lines before draw the pattern.
fn regex_message(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "this pattern becomes too large: write smaller numbers in its `{…}`, or check the text in the handler instead".to_owned();
    }
    let next = if reason.contains("look-around") || reason.contains("backreferences") {
        "check the text in the handler instead"
    } else {
        "put a `\\\\` before a character that is meant as itself"
    };
    format!("this pattern cannot be compiled: {reason}; {next}")
}

fn setting(call: &Call, registry: &mut Registry) -> Outcome<()> {
    let Some(default) = call.arg(1) else {
        registry.problem(
            call,
            format!(
                "`setting(\"{}\")` needs a default: it also says what type the setting has",
                call.text(0)
            ),
        );
        return Ok(());
    };
    registry.setting(call, call.text(0), from_script(default)?)
}
