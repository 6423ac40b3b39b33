//! `command(pattern, options, handler)`: its options, each checked, all problems reported.

use rhai::{Dynamic, Map};

use crate::value::Role;

use super::super::convert::{text_of, type_name};
use super::super::duration;
use super::super::fault::Outcome;
use super::super::lint::nearest;
use super::super::manifest::Registry;
use super::super::pattern;
use super::super::protocol::{Command, Trigger};
use super::Call;

/// The options in the order in which they are documented.
const OPTIONS: [&str; 7] = ["alias", "help", "slash", "role", "trust", "cooldown", "quiet"];

/// `command(pattern, handler)`
pub(super) fn plain(call: &Call, registry: &mut Registry) -> Outcome<()> {
    register(call, registry, &Map::new(), 1)
}

/// `command(pattern, options, handler)`
pub(super) fn with_options(call: &Call, registry: &mut Registry) -> Outcome<()> {
    register(call, registry, &call.map(1), 2)
}

fn register(call: &Call, registry: &mut Registry, options: &Map, handler: usize) -> Outcome<()> {
    let (verb, params) = match pattern::parse(&call.text(0)) {
        Ok(parsed) => parsed,
        Err(problem) => {
            registry.problem(call, problem);
            return Ok(());
        }
    };
    let mut command = Command {
        verb,
        alias: Vec::new(),
        params,
        help: String::new(),
        slash: None,
        role: Role::Member,
        trust: 0,
        cooldown_ms: 0,
        quiet: false,
    };
    for (name, value) in options {
        if let Err(problem) = set(&mut command, name, value) {
            registry.problem(call, problem);
        }
    }
    registry.add(call, handler, Trigger::Command(command))
}

/// Sets one option.
fn set(command: &mut Command, name: &str, value: &Dynamic) -> Result<(), String> {
    match name {
        "alias" => command.alias = alias(value)?,
        "help" => command.help = text(name, value)?,
        "slash" => command.slash = Some(slash(&text(name, value)?)?),
        "role" => command.role = role(&text(name, value)?)?,
        "trust" => command.trust = trust(value)?,
        "cooldown" => command.cooldown_ms = cooldown(value)?,
        "quiet" => {
            command.quiet = value.as_bool().map_err(|_| wrong(name, "true or false", value))?;
        }
        _ => {
            let hint = nearest(name, OPTIONS).map_or_else(
                || format!("the options are {}", OPTIONS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(format!("`command` has no option `{name}`: {hint}"));
        }
    }
    Ok(())
}

fn wrong(name: &str, expected: &str, value: &Dynamic) -> String {
    format!("the option `{name}` takes {expected}, got {}", type_name(value))
}

fn text(name: &str, value: &Dynamic) -> Result<String, String> {
    text_of(value).ok_or_else(|| wrong(name, "a text", value))
}

fn alias(value: &Dynamic) -> Result<Vec<String>, String> {
    let found: Option<Vec<String>> = match value.as_array_ref() {
        Ok(items) => items.iter().map(text_of).collect(),
        Err(_) => text_of(value).map(|alias| vec![alias]),
    };
    let found = found.ok_or_else(|| wrong("alias", "a text or an array of texts", value))?;
    found.iter().try_for_each(|alias| pattern::check_verb(alias))?;
    Ok(found)
}

fn role(word: &str) -> Result<Role, String> {
    const ROLES: [&str; 4] = ["member", "mod", "admin", "owner"];
    Role::parse(word).ok_or_else(|| {
        let hint = nearest(word, ROLES).map_or_else(
            || "roles are member, mod, admin, owner".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        format!("\"{word}\" is not a role: {hint}")
    })
}

fn trust(value: &Dynamic) -> Result<u8, String> {
    let level = value.as_int().ok().and_then(|level| u8::try_from(level).ok());
    level
        .filter(|level| *level <= 4)
        .ok_or_else(|| format!("the option `trust` takes a level from 0 to 4, got `{value}`"))
}

fn cooldown(value: &Dynamic) -> Result<i64, String> {
    let ms = match text_of(value) {
        Some(text) => duration::parse(&text),
        None => value.as_int().ok().filter(|ms| (0..=duration::MAX_MS).contains(ms)),
    };
    ms.ok_or_else(|| {
        format!("the option `cooldown` takes a duration such as \"60s\", got `{value}`")
    })
}

/// Discord's rule for names of slash commands, which is the strictest.
fn slash(name: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&name.chars().count())
        && name.chars().all(|c| c == '-' || c == '_' || (c.is_alphanumeric() && !c.is_uppercase()));
    if fits {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "`{name}` cannot be a slash command: use up to 32 lower-case letters, digits, `-` and `_`"
        ))
    }
}
