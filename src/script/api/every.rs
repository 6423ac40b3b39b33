//! `every(times, options, handler)`: a routine's times and options, each checked.

use rhai::{Dynamic, Map};

use super::super::convert::{text_of, type_name};
use super::super::duration;
use super::super::fault::Outcome;
use super::super::lint::nearest;
use super::super::manifest::Registry;
use super::super::protocol::Trigger;
use super::Call;
use crate::routine::spec::day_minute;
use crate::routine::{Cron, Missed, Overlap, RoutineSpec, Times};
use crate::value::Value;

/// The options in the order in which they are documented.
const OPTIONS: [&str; 8] =
    ["name", "missed", "window", "not_after", "overlap", "jitter", "kind", "priority"];
/// Routines of one script.
const ROUTINES_MAX: usize = 50;
/// Nothing that a script does comes more often, minutes.
const PERIOD_MIN: u32 = 5;
/// Longest name, characters.
const NAME_MAX: usize = 40;
/// Longest jitter, ms.
const JITTER_MAX_MS: i64 = 3_600_000;

/// `every(times, handler)`
pub(super) fn plain(call: &Call, registry: &mut Registry) -> Outcome<()> {
    register(call, registry, &Map::new(), 1)
}

/// `every(times, options, handler)`
pub(super) fn with_options(call: &Call, registry: &mut Registry) -> Outcome<()> {
    register(call, registry, &call.map(1), 2)
}

fn register(call: &Call, registry: &mut Registry, options: &Map, handler: usize) -> Outcome<()> {
    let times = match times(&call.text(0), registry) {
        Ok(times) => times,
        Err(problem) => {
            registry.problem(call, problem);
            return Ok(());
        }
    };
    let mut spec = RoutineSpec::new(registry.manifest.name.to_string(), times);
    for (name, value) in options {
        if let Err(problem) = set(&mut spec, name, value) {
            registry.problem(call, problem);
        }
    }
    let others: Vec<&str> = registry
        .manifest
        .handlers
        .iter()
        .filter_map(|handler| match &handler.trigger {
            Trigger::Every(other) => Some(other.name.as_str()),
            _ => None,
        })
        .collect();
    if others.len() >= ROUTINES_MAX {
        registry.problem(call, format!("a script has at most {ROUTINES_MAX} routines"));
        return Ok(());
    }
    if others.contains(&spec.name.as_str()) {
        let problem = format!(
            "another routine of this script is `{}` already: give each a `name` of its own, as in \
             `#{{ name: \"morning\" }}`",
            spec.name
        );
        registry.problem(call, problem);
        return Ok(());
    }
    registry.add(call, handler, Trigger::Every(Box::new(spec)))
}

/// An expression, or the name of a setting that holds one.
fn times(text: &str, registry: &Registry) -> Result<Times, String> {
    let setting = registry.manifest.settings.iter().find(|setting| setting.name == text);
    let Some(setting) = setting else {
        let is_name = !text.contains([' ', '@', '*']) && !text.is_empty();
        check(text).map_err(|problem| {
            if is_name {
                format!("{problem}; nor is `{text}` a setting that stands above")
            } else {
                problem
            }
        })?;
        return Ok(Times::Cron(text.to_owned()));
    };
    match &setting.default {
        Value::Text(default) => {
            check(default).map_err(|problem| format!("the setting `{text}`: {problem}"))?;
            Ok(Times::Setting(text.to_owned()))
        }
        _ => Err(format!("the setting `{text}` holds no times: give it a text as its default")),
    }
}

/// Times of a routine of a script: read, and not too many.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let cron = Cron::parse(text)?;
    if cron.shortest_minutes() < PERIOD_MIN {
        return Err(format!("`{text}` comes more often than every {PERIOD_MIN} minutes"));
    }
    Ok(())
}

/// Sets one option.
fn set(spec: &mut RoutineSpec, name: &str, value: &Dynamic) -> Result<(), String> {
    match name {
        "name" => spec.name = routine_name(&text(name, value)?)?,
        "missed" => spec.missed = word(name, value, &Missed::WORDS)?,
        "window" => spec.window_ms = Some(length(name, value)?),
        "not_after" => {
            let text = text(name, value)?;
            let minute = day_minute(&text);
            spec.not_after = Some(minute.ok_or_else(|| {
                format!(
                    "the option `not_after` takes a time of day such as \"22:30\", got `{text}`"
                )
            })?);
        }
        "overlap" => spec.overlap = word(name, value, &Overlap::WORDS)?,
        "jitter" => {
            spec.jitter_ms = length(name, value)?;
            if spec.jitter_ms > JITTER_MAX_MS {
                return Err("the option `jitter` takes an hour at most".to_owned());
            }
        }
        "kind" => spec.kind = Some(routine_name(&text(name, value)?)?),
        "priority" => {
            let priority = value.as_int().ok().filter(|priority| (0..=9).contains(priority));
            spec.priority = priority
                .ok_or_else(|| format!("the option `priority` takes 0 to 9, got `{value}`"))?;
        }
        _ => {
            let hint = nearest(name, OPTIONS).map_or_else(
                || format!("the options are {}", OPTIONS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(format!("`every` has no option `{name}`: {hint}"));
        }
    }
    Ok(())
}

fn text(name: &str, value: &Dynamic) -> Result<String, String> {
    text_of(value)
        .ok_or_else(|| format!("the option `{name}` takes a text, got {}", type_name(value)))
}

fn routine_name(name: &str) -> Result<String, String> {
    let fits =
        (1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(char::is_whitespace);
    if fits {
        return Ok(name.to_owned());
    }
    Err(format!("`{name}` is no name for a routine: up to {NAME_MAX} characters without spaces"))
}

fn word<T: Copy>(name: &str, value: &Dynamic, words: &[(&'static str, T); 3]) -> Result<T, String> {
    let text = text(name, value)?;
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("the option `{name}` takes {}, got \"{text}\"", all.join(", "))
    })
}

fn length(name: &str, value: &Dynamic) -> Result<i64, String> {
    let ms = match text_of(value) {
        Some(text) => duration::parse(&text),
        None => value.as_int().ok().filter(|ms| (0..=duration::MAX_MS).contains(ms)),
    };
    ms.ok_or_else(|| format!("the option `{name}` takes a duration such as \"2h\", got `{value}`"))
}
