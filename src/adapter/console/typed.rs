//! The grammar of one typed line, shared by the prompt, the pipe and transcripts.
//!
//! It knows shapes, not people: whether 小红 exists is for the room to say. One grammar in three
//! places is what lets a chat tried out by hand be saved as a test.

use crate::value::Role;

use super::span::parse_span;

/// What a line asks the console to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    /// Somebody says something.
    Say {
        /// Who; `None` is whoever speaks at the prompt.
        who: Option<String>,
        /// Where.
        to: Spot,
        /// The message that it answers.
        reply: Option<Pointer>,
        /// The words.
        text: String,
    },
    /// Somebody presses a button of the latest message that has it.
    Press {
        /// Who.
        who: Option<String>,
        /// In which group.
        to: Spot,
        /// What is written on the button.
        label: String,
    },
    /// Somebody reacts to a message.
    React {
        /// Who.
        who: Option<String>,
        /// In which group.
        to: Spot,
        /// With what.
        emoji: String,
        /// To which message; `None` is the latest.
        message: Option<Pointer>,
    },
    /// Somebody comes in.
    Join {
        /// Who.
        name: String,
        /// Where.
        to: Spot,
    },
    /// Somebody goes.
    Leave {
        /// Who.
        name: String,
        /// Where.
        to: Spot,
    },
    /// Somebody gets a role.
    Role {
        /// Who.
        name: String,
        /// Which.
        role: Role,
    },
    /// Time passes, ms.
    Clock(i64),
    /// Somebody else speaks from now on.
    As(String),
    /// Another group is in front from now on.
    Group(String),
    /// Who is here?
    Who,
    /// The latest messages with their numbers.
    Messages,
    /// What can be typed?
    Help,
    /// Enough.
    Quit,
}

/// Where something is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spot {
    /// In the group in front.
    #[default]
    Here,
    /// In another group.
    Group(String),
    /// With the bot alone.
    Bot,
}

/// How a line names an earlier message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// By its number on the screen.
    Number(u64),
    /// By how its text begins; the latest that fits.
    Starting(String),
}

/// A line that means nothing here: one sentence with the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misread(pub String);

/// The words after `/` that the console keeps for itself; every other `/word` goes to the bot.
pub const WORDS: &[(&str, &str, &str)] = &[
    ("as", "/as 小红", "speak as somebody else · 换人说话"),
    ("join", "/join 小红", "somebody comes in · 入群"),
    ("leave", "/leave 小红", "somebody goes · 退群"),
    ("role", "/role 小红 admin", "owner, admin, mod or member · 改身份"),
    ("clock", "/clock +1d", "let time pass, forward only · 时间前进"),
    ("dm", "/dm 积分", "write to the bot alone · 私聊机器人"),
    ("reply", "/reply 12 好的", "answer message 12 · 回复"),
    ("react", "/react 12 👍", "react to message 12 · 表态"),
    ("press", "/press 抢", "press a button · 点按钮"),
    ("group", "/group 二群", "talk in another group · 换群"),
    ("messages", "/messages", "the latest messages with their numbers · 消息编号"),
    ("who", "/who", "who is here · 群成员"),
    ("help", "/help", "this list · 说明"),
    ("quit", "/quit", "leave the console · 退出"),
];

/// Reads a line that begins with `/` or is a move of the clock; `None` when it is neither.
pub fn command(line: &str) -> Option<Result<Typed, Misread>> {
    if let Some(ms) = line.strip_prefix('+').and_then(parse_span) {
        return Some(Ok(Typed::Clock(ms)));
    }
    let (word, rest) = line
        .strip_prefix('/')?
        .split_once(char::is_whitespace)
        .map_or_else(|| (line.trim_start_matches('/'), ""), |(word, rest)| (word, rest.trim()));
    let shape = WORDS.iter().find(|(name, ..)| *name == word)?.1;
    Some(arguments(word, rest).ok_or_else(|| Misread(format!("Write it like this: `{shape}`."))))
}

fn arguments(word: &str, rest: &str) -> Option<Typed> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(match word {
        "as" => Typed::As(some(rest)?),
        "join" | "leave" => {
            let (name, to) = split_group(rest);
            let name = some(name)?;
            if word == "join" { Typed::Join { name, to } } else { Typed::Leave { name, to } }
        }
        "role" => {
            let (name, role) = rest.rsplit_once(char::is_whitespace)?;
            Typed::Role { name: some(name.trim())?, role: parse_role(role)? }
        }
        "clock" => Typed::Clock(parse_span(rest.strip_prefix('+')?)?),
        "dm" => Typed::Say { who: None, to: Spot::Bot, reply: None, text: some(rest)? },
        "reply" => {
            let (pointer, text) = split_pointer(rest)?;
            Typed::Say { who: None, to: Spot::Here, reply: Some(pointer), text: some(text)? }
        }
        "react" => {
            let (pointer, emoji) = split_pointer(rest)?;
            let message = Some(pointer);
            Typed::React { who: None, to: Spot::Here, emoji: some(emoji)?, message }
        }
        "press" => Typed::Press { who: None, to: Spot::Here, label: some(unquote(rest))? },
        "group" => Typed::Group(some(rest)?),
        "messages" => Typed::Messages,
        "who" => Typed::Who,
        "help" => Typed::Help,
        "quit" => Typed::Quit,
        _ => return None,
    })
}

/// Reads `name: text` and its relatives; `None` when the line has no such shape.
///
/// A name that is not `known` counts only without spaces, and before an ASCII colon only where a
/// space follows, so that `https://…` is not said by somebody called https.
pub fn named(line: &str, known: &[&str]) -> Option<Typed> {
    let (name, rest, is_known) = split_name(line, known)?;
    let (to, rest) = split_spot(rest);
    let who = Some(name.to_owned());
    if let Some(label) = rest.strip_prefix(" presses ") {
        return Some(Typed::Press { who, to, label: unquote(label.trim()).to_owned() });
    }
    if let Some(reaction) = rest.strip_prefix(" reacts ") {
        let (emoji, start) = reaction.trim().split_once(' ').unwrap_or((reaction.trim(), ""));
        let start = unquote(start.trim());
        let message = (!start.is_empty()).then(|| Pointer::Starting(start.to_owned()));
        return Some(Typed::React { who, to, emoji: emoji.to_owned(), message });
    }
    let (reply, rest) = split_reply(rest);
    let text = match rest.strip_prefix('：') {
        Some(text) => text,
        None => rest
            .strip_prefix(':')
            .filter(|text| is_known || text.is_empty() || text.starts_with(' '))?,
    };
    let text = text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned();
    Some(Typed::Say { who, to, reply, text })
}

/// The longest known name that the line begins with, or what stands before the first mark.
fn split_name<'a>(line: &'a str, known: &[&str]) -> Option<(&'a str, &'a str, bool)> {
    let marks = [":", "：", "@", ">", " (reply ", "(reply ", " presses ", " reacts "];
    let best = known
        .iter()
        .filter(|name| {
            let rest = line.strip_prefix(**name);
            rest.is_some_and(|rest| marks.iter().any(|mark| rest.starts_with(mark)))
        })
        .max_by_key(|name| name.len());
    if let Some(name) = best {
        return Some((&line[..name.len()], &line[name.len()..], true));
    }
    let end = marks.iter().filter_map(|mark| line.find(mark)).min()?;
    let name = &line[..end];
    let fits = !name.is_empty() && !name.contains(char::is_whitespace) && !name.starts_with('/');
    fits.then_some((name, &line[end..], false))
}

fn split_spot(rest: &str) -> (Spot, &str) {
    if let Some(rest) = rest.strip_prefix(">bot") {
        return (Spot::Bot, rest);
    }
    let Some(group) = rest.strip_prefix('@') else { return (Spot::Here, rest) };
    let ends = [":", "：", " (reply ", "(reply ", " presses ", " reacts "];
    let end = ends.iter().filter_map(|mark| group.find(mark)).min().unwrap_or(group.len());
    (Spot::Group(group[..end].to_owned()), &group[end..])
}

fn split_reply(rest: &str) -> (Option<Pointer>, &str) {
    let read = || {
        let inner = rest.trim_start().strip_prefix("(reply ")?.trim_start();
        let (start, rest) = split_quoted(inner)?;
        let rest = rest.trim_start().strip_prefix(')')?;
        Some((Pointer::Starting(start.to_owned()), rest))
    };
    read().map_or((None, rest), |(pointer, rest)| (Some(pointer), rest))
}

fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let (open, close) = if text.starts_with('“') { ('“', '”') } else { ('"', '"') };
    text.strip_prefix(open)?.split_once(close)
}

/// The text within quotation marks, or the text itself.
fn unquote(text: &str) -> &str {
    match split_quoted(text) {
        Some((inner, "")) => inner,
        _ => text,
    }
}

fn split_group(text: &str) -> (&str, Spot) {
    match text.split_once('@') {
        Some((name, group)) if !group.is_empty() => (name.trim(), Spot::Group(group.to_owned())),
        _ => (text, Spot::Here),
    }
}

fn split_pointer(rest: &str) -> Option<(Pointer, &str)> {
    if let Some((start, rest)) = split_quoted(rest) {
        return Some((Pointer::Starting(start.to_owned()), rest.trim()));
    }
    let (number, rest) = rest.split_once(char::is_whitespace)?;
    let number = number.trim_start_matches('#').parse().ok()?;
    Some((Pointer::Number(number), rest.trim()))
}

/// Reads a role in either language.
fn parse_role(word: &str) -> Option<Role> {
    match word {
        "群主" => Some(Role::Owner),
        "管理员" => Some(Role::Admin),
        "版主" => Some(Role::Mod),
        "成员" | "群员" => Some(Role::Member),
        _ => Role::parse(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(who: &str, to: Spot, reply: Option<&str>, text: &str) -> Option<Typed> {
        let reply = reply.map(|start| Pointer::Starting(start.to_owned()));
        Some(Typed::Say { who: Some(who.to_owned()), to, reply, text: text.to_owned() })
    }

    #[test]
    fn reads_every_way_to_speak() {
        let known = ["阿明", "Ann Lee"];
        let check = |line: &str, expected: Option<Typed>| {
            assert_eq!(named(line, &known), expected, "{line}");
        };
        check("阿明: 红包 100 3", say("阿明", Spot::Here, None, "红包 100 3"));
        check("阿明：早", say("阿明", Spot::Here, None, "早"));
        check("阿明:早", say("阿明", Spot::Here, None, "早"));
        check("Ann Lee: hi: there", say("Ann Lee", Spot::Here, None, "hi: there"));
        check("阿明@二群: 早", say("阿明", Spot::Group("二群".into()), None, "早"));
        check("阿明>bot: 积分", say("阿明", Spot::Bot, None, "积分"));
        check("阿明 (reply \"加我\"): 举报", say("阿明", Spot::Here, Some("加我"), "举报"));
        check("陌生人: 早", say("陌生人", Spot::Here, None, "早"));
        check("https://example.org/a", None);
        check("见 10:30 吧: 好", None);
        check("hello (world): x", None);
    }

    #[test]
    fn reads_presses_and_reactions() {
        let press = |label: &str| {
            let label = label.to_owned();
            Some(Typed::Press { who: Some("小红".into()), to: Spot::Here, label })
        };
        assert_eq!(named("小红 presses \"抢\"", &["小红"]), press("抢"));
        assert_eq!(named("小红 presses “抢”", &[]), press("抢"));
        let Some(Typed::React { emoji, message, .. }) = named("小红 reacts 👍 \"早\"", &[])
        else {
            panic!("not read as a reaction");
        };
        assert_eq!((emoji.as_str(), message), ("👍", Some(Pointer::Starting("早".into()))));
    }

    #[test]
    fn keeps_its_own_words_and_leaves_the_rest_to_the_bot() {
        assert_eq!(command("/签到"), None);
        assert_eq!(command("/points"), None);
        assert_eq!(command("+1"), None);
        assert_eq!(command("+24h"), Some(Ok(Typed::Clock(86_400_000))));
        assert_eq!(command("/clock +1d"), Some(Ok(Typed::Clock(86_400_000))));
        assert_eq!(
            command("/clock -1d"),
            Some(Err(Misread("Write it like this: `/clock +1d`.".into())))
        );
        assert_eq!(
            command("/role Ann Lee 管理员"),
            Some(Ok(Typed::Role { name: "Ann Lee".into(), role: Role::Admin }))
        );
        assert_eq!(
            command("/join 小新@二群"),
            Some(Ok(Typed::Join { name: "小新".into(), to: Spot::Group("二群".into()) }))
        );
    }
}
