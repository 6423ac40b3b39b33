//! Commands of scripts as slash commands, and a slash command as if it had been typed
//! (<https://discord.com/developers/docs/interactions/application-commands>).

use std::collections::HashMap;

use serde_json::{Value, json};
use serenity::model::application::{CommandData, CommandDataOptionValue, CommandDataResolved};
use serenity::model::id::UserId;

use super::message::person;
use crate::adapter::CommandOffer;
use crate::event::Element;
use crate::script::protocol::ParamKind;

/// So many commands an application may have.
const COMMANDS_MAX: usize = 100;
/// So many parameters a command may have.
const OPTIONS_MAX: usize = 25;
const DESCRIPTION_CHARS: usize = 100;
const NAME_CHARS: usize = 32;
/// What Discord calls our languages.
const LOCALES: &[(&str, &str)] = &[("zh", "zh-CN")];

/// Commands in force, by their slash name.
#[derive(Clone, Debug, Default)]
pub struct Offers(HashMap<String, Offered>);

/// What a slash command stands for.
#[derive(Clone, Debug)]
pub struct Offered {
    /// What members type instead.
    pub verb: String,
    /// Its answers are for the member alone.
    pub quiet: bool,
}

impl Offers {
    /// From the commands in force.
    pub fn new(commands: &[CommandOffer]) -> Self {
        let named = commands.iter().filter_map(|it| Some((it.slash.clone()?, it)));
        let offered = |it: &CommandOffer| Offered { verb: it.verb.clone(), quiet: it.quiet };
        Self(named.map(|(name, it)| (name, offered(it))).collect())
    }

    /// The command of a slash name.
    pub fn get(&self, name: &str) -> Option<&Offered> {
        self.0.get(name)
    }
}

/// What Discord is told of the commands; one name once, in the order of names.
pub fn written(commands: &[CommandOffer]) -> Value {
    let mut named: Vec<(&String, &CommandOffer)> =
        commands.iter().filter_map(|it| Some((it.slash.as_ref()?, it))).collect();
    named.sort_by_key(|(name, _)| *name);
    named.dedup_by_key(|(name, _)| *name);
    named.truncate(COMMANDS_MAX);
    named.into_iter().map(|(name, command)| one(name, command)).collect()
}

fn one(name: &str, command: &CommandOffer) -> Value {
    let line = |locale: &str| {
        let found = command.about.iter().find(|(its, _)| *its == locale);
        let text = found.map(|(_, text)| text.as_str()).filter(|text| !text.trim().is_empty());
        text.unwrap_or(&command.verb).chars().take(DESCRIPTION_CHARS).collect::<String>()
    };
    let names = is_name(&command.verb).then(|| json!({ "zh-CN": command.verb }));
    let lines = LOCALES.iter().map(|(ours, theirs)| ((*theirs).to_owned(), line(ours).into()));
    // Discord wants those that must be given first.
    let mut params: Vec<_> = command.params.iter().take(OPTIONS_MAX).collect();
    params.sort_by_key(|param| !param.required);
    let options: Vec<Value> = params
        .into_iter()
        .map(|param| {
            let mut option = json!({
                "type": kind(param.kind),
                "name": param.name.to_lowercase(),
                "description": param.name,
                "required": param.required,
            });
            if param.kind == ParamKind::Int {
                option["min_value"] = 1.into();
            }
            option
        })
        .collect();
    json!({
        "type": 1,
        "name": name,
        "name_localizations": names,
        "description": line("en"),
        "description_localizations": Value::Object(lines.collect()),
        "options": options,
    })
}

/// Whether Discord takes this as a name.
fn is_name(name: &str) -> bool {
    let is_fine = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_');
    (1..=NAME_CHARS).contains(&name.chars().count()) && name.chars().all(is_fine)
}

fn kind(kind: ParamKind) -> u8 {
    match kind {
        ParamKind::Int => 4,
        ParamKind::Number => 10,
        ParamKind::User => 6,
        ParamKind::Text
        | ParamKind::Word
        | ParamKind::Group
        | ParamKind::Duration
        | ParamKind::Date => 3,
    }
}

/// Whether what Discord has differs from what it should have; it adds fields of its own.
pub fn differs(there: &Value, wanted: &Value) -> bool {
    const FIELDS: [&str; 6] = [
        "type",
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "options",
    ];
    let key = |list: &Value| {
        let mut lines: Vec<String> = list
            .as_array()
            .into_iter()
            .flatten()
            .map(|command| FIELDS.map(|field| plain(&command[field]).to_string()).join(" "))
            .collect();
        lines.sort();
        lines
    };
    key(there) != key(wanted)
}

/// Without what means the same as nothing.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(name, value)| (name.clone(), plain(value)));
            kept.filter(|(_, value)| !is_nothing(value)).collect()
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Number(number) => number.as_f64().map_or(Value::Null, |it| json!(it)),
        other => other.clone(),
    }
}

fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
        || value.as_object().is_some_and(|it| it.is_empty())
}

/// A slash command as if it had been typed: the verb, then what was given, in order.
pub fn typed(data: &CommandData, offers: &Offers) -> Vec<Element> {
    let verb = offers.get(&data.name).map_or(data.name.as_str(), |offered| offered.verb.as_str());
    let mut elements = Vec::new();
    let mut text = format!("/{verb}");
    for option in &data.options {
        text.push(' ');
        match &option.value {
            CommandDataOptionValue::User(user) => {
                elements.push(Element::Text(std::mem::take(&mut text)));
                elements.push(mention(*user, &data.resolved));
            }
            CommandDataOptionValue::Integer(number) => text += &number.to_string(),
            CommandDataOptionValue::Number(number) => text += &number.to_string(),
            CommandDataOptionValue::String(given) => text += given,
            CommandDataOptionValue::Boolean(given) => text += &given.to_string(),
            CommandDataOptionValue::Channel(channel) => text += &channel.to_string(),
            // Kinds that our commands do not have.
            _ => {}
        }
    }
    if !text.is_empty() {
        elements.push(Element::Text(text));
    }
    elements
}

fn mention(user: UserId, resolved: &CommandDataResolved) -> Element {
    let known = resolved.users.get(&user);
    let name = known.map(|user| user.global_name.as_ref().unwrap_or(&user.name).clone());
    Element::Mention { id: person(user), name: name.unwrap_or_default() }
}
