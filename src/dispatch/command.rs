//! Is this text a command, and with which arguments? Unknown text is nobody's business.

use super::Plan;
use super::args::{Flat, Word, read};
use crate::clock::TimeMs;
use crate::community::Community;
use crate::id::ScriptName;
use crate::script::protocol::{Command, HandlerId, ParamKind};
use crate::text;
use crate::value::ValueMap;

/// What a text asks for.
#[derive(Debug)]
pub enum Asked<'p> {
    /// Nothing: ordinary talk.
    Nothing,
    /// Said to the bot, but no command.
    Unknown,
    /// A command, written wrongly: how it is written.
    Usage(String),
    /// A command about somebody who is not here; all else fits.
    Stranger(&'p Command),
    /// A command with its arguments.
    Command {
        /// Which script.
        script: &'p ScriptName,
        /// Which handler.
        handler: HandlerId,
        /// The command.
        command: &'p Command,
        /// Its arguments.
        args: ValueMap,
    },
}

/// Reads a text. `to_bot`: the bot was mentioned.
pub(super) fn parse<'p>(
    plan: &'p Plan,
    community: &Community,
    flat: &Flat,
    to_bot: bool,
    now: TimeMs,
) -> Asked<'p> {
    // Most talk is no command, and its first word says so.
    let mut words = flat.words();
    let Some(first) = words.next().filter(|word| word.mention.is_none()) else {
        return Asked::Nothing;
    };
    let verb = first.text.trim_start_matches(['/', '!', '#']);
    let addressed = to_bot || first.text.starts_with('/');
    let Some((script, handler, command)) = plan.command(verb) else {
        return if addressed { Asked::Unknown } else { Asked::Nothing };
    };
    let words: Vec<Word> = words.collect();
    match arguments(command, &words, flat, community, now) {
        Ok(args) => Asked::Command { script, handler, command, args },
        Err(Misfit::Stranger) => Asked::Stranger(command),
        Err(Misfit::At(fitted)) if addressed || fitted > 0 => {
            Asked::Usage(usage(command, &plan.locale))
        }
        Err(_) => Asked::Nothing,
    }
}

/// Whether a text is ordinary talk, whoever says it and whoever is there: its first word is no
/// command's, and it is not said to the bot.
pub(super) fn is_talk(plan: &Plan, flat: &Flat, to_bot: bool) -> bool {
    match flat.words().next().filter(|word| word.mention.is_none()) {
        None => true,
        Some(first) if to_bot || first.text.starts_with('/') => false,
        Some(first) => plan.command(first.text.trim_start_matches(['/', '!', '#'])).is_none(),
    }
}

/// Why arguments do not fit.
enum Misfit {
    /// So many fitted, the next did not.
    At(usize),
    /// All fit but the name of a member.
    Stranger,
}

/// Reads the arguments.
fn arguments(
    command: &Command,
    words: &[Word],
    flat: &Flat,
    community: &Community,
    now: TimeMs,
) -> Result<ValueMap, Misfit> {
    let mut args = ValueMap::new();
    let mut words = words.iter();
    let mut is_stranger = false;
    for (index, param) in command.params.iter().enumerate() {
        let Some(word) = words.next() else {
            if param.required {
                return Err(Misfit::At(if is_stranger { 0 } else { index }));
            }
            continue;
        };
        if param.kind == ParamKind::Text {
            // The rest as it was written, line breaks and all.
            args.insert(param.name.clone(), flat.text[word.start..].trim_end().into());
            words = [].iter();
            continue;
        }
        match read(param.kind, word, community, now) {
            Some(value) => {
                args.insert(param.name.clone(), value);
            }
            None if param.kind == ParamKind::User => is_stranger = true,
            None => return Err(Misfit::At(if is_stranger { 0 } else { index })),
        }
    }
    match (words.next(), is_stranger) {
        (Some(_), true) => Err(Misfit::At(0)),
        (Some(_), false) => Err(Misfit::At(command.params.len())),
        (None, true) => Err(Misfit::Stranger),
        (None, false) => Ok(args),
    }
}

/// The word that members of this language know a command by: its verb in Chinese, elsewhere the
/// first other word in plain letters.
pub fn verb<'c>(command: &'c Command, locale: &str) -> &'c str {
    let latin = |word: &&String| locale != "zh" && word.is_ascii();
    std::iter::once(&command.verb).chain(&command.alias).find(latin).unwrap_or(&command.verb)
}

/// How a command is written, in the member's language: `红包 <总额> <个数> [祝福]`. A parameter that
/// the catalogue does not know keeps the name that its script gave it.
pub fn usage(command: &Command, locale: &str) -> String {
    let mut usage = verb(command, locale).to_owned();
    for param in &command.params {
        let (open, close) = if param.required { ('<', '>') } else { ('[', ']') };
        usage.push(' ');
        usage.push(open);
        let key = format!("param.{}", param.name);
        if text::exists(&key) {
            usage.push_str(&text::text(locale, &key, &ValueMap::new()));
        } else {
            usage.push_str(&param.name);
        }
        usage.push(close);
    }
    usage
}
