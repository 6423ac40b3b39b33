//! What a line typed at the prompt does: somebody speaks, or the console itself is asked.

use crate::event::Envelope;

use super::decode::decode;
use super::plain::plain_line;
use super::room::{Place, Room};
use super::terminal::Terminal;
use super::typed::{Misread, Spot, Typed, WORDS, command, named};
use super::{Console, HOME};

/// So many messages are listed by `/messages`.
const LISTED: usize = 15;

/// What came of a line.
#[derive(Debug)]
pub enum Heard {
    /// Nothing that the bot must know.
    Nothing,
    /// Events, in order.
    Events(Vec<Envelope>),
    /// The console is to be closed.
    Quit,
}

/// Does what a line says.
///
/// # Errors
/// The line makes no sense here; the sentence says what to do.
pub fn hear(console: &Console, terminal: &Terminal, line: &str) -> Result<Heard, Misread> {
    if line.is_empty() {
        return Ok(Heard::Nothing);
    }
    let mut room = console.room();
    let say = || Typed::Say { who: None, to: Spot::Here, reply: None, text: line.to_owned() };
    let typed = command(line).unwrap_or_else(|| Ok(by_name(&room, line).unwrap_or_else(say)))?;
    match &typed {
        Typed::Quit => return Ok(Heard::Quit),
        Typed::Help => terminal.note(&help()),
        Typed::Who => terminal.note(&who(&room)),
        Typed::Messages => terminal.note(&messages(&room)),
        Typed::Clock(ms) => {
            let ahead = terminal.advance(*ms).map_err(|error| Misread(format!("{error:#}.")))?;
            terminal.note(&format!("⏩ 时钟比真实时间快 {ahead}"));
        }
        Typed::Group(name) => {
            super::room::check_name(name)?;
            let is_new = room.set_here(name);
            let speaker = room.speaker().to_owned();
            if is_new || !room.guest(&speaker).is_some_and(|guest| guest.groups.contains(name)) {
                return join(&mut room, terminal, &speaker);
            }
        }
        Typed::As(name) => return speak_as(&mut room, terminal, name),
        Typed::Say { .. }
        | Typed::Press { .. }
        | Typed::React { .. }
        | Typed::Join { .. }
        | Typed::Leave { .. }
        | Typed::Role { .. } => {
            let envelope = decode(&mut room, &typed, terminal.now())?;
            return Ok(Heard::Events(envelope.into_iter().collect()));
        }
    }
    Ok(Heard::Nothing)
}

/// A line like those of a transcript, `小红: 抢`, where there is somebody of that name: one line as
/// somebody else without changing who speaks.
fn by_name(room: &Room, line: &str) -> Option<Typed> {
    let known: Vec<&str> = room.members().map(|(name, _)| name).collect();
    named(line, &known).filter(|typed| match typed {
        Typed::Say { who, .. } | Typed::Press { who, .. } | Typed::React { who, .. } => {
            who.as_deref().is_some_and(|who| known.contains(&who))
        }
        _ => false,
    })
}

/// Lets somebody else speak, who comes in if she is not there.
fn speak_as(room: &mut Room, terminal: &Terminal, name: &str) -> Result<Heard, Misread> {
    let is_here = room.guest(name).is_some_and(|guest| guest.groups.contains(room.here()));
    let heard = if is_here { Heard::Nothing } else { join(room, terminal, name)? };
    room.set_speaker(name);
    Ok(heard)
}

/// Lets somebody into the group in front.
fn join(room: &mut Room, terminal: &Terminal, name: &str) -> Result<Heard, Misread> {
    let typed = Typed::Join { name: name.to_owned(), to: Spot::Here };
    let envelope = decode(room, &typed, terminal.now())?;
    terminal.note(&format!("→ {} 加入了 {}", plain_line(name), plain_line(room.here())));
    Ok(Heard::Events(envelope.into_iter().collect()))
}

fn help() -> String {
    let lines = WORDS.iter().map(|(_, shape, about)| format!("  {shape:<18} {about}"));
    let mut text = vec!["直接打字就是说话；别的：".to_owned()];
    text.extend(lines);
    text.push(
        "  小红: 抢 替小红说一句；@小红 提到成员，@群岛 提到机器人；问机器人会什么：帮助"
            .to_owned(),
    );
    text.join("\n")
}

fn who(room: &Room) -> String {
    let lines = room.members().map(|(name, guest)| {
        let groups: Vec<&str> = guest.groups.iter().map(String::as_str).collect();
        let place = if groups.is_empty() { "不在群里".to_owned() } else { groups.join(", ") };
        let mark = if name == room.speaker() { "*" } else { " " };
        format!("{mark} {name} · {} · {place}", guest.role.as_str())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn messages(room: &Room) -> String {
    let lines = room.latest(LISTED).map(|posted| {
        let author = posted.author.as_deref().unwrap_or(HOME);
        let place = match &posted.place {
            Place::Group(name) if name == room.here() => String::new(),
            Place::Group(name) => format!("[{name}] "),
            Place::Direct(name) => format!("[私聊 {name}] "),
        };
        format!("#{} {place}{author}: {}", posted.number, plain_line(&posted.text))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "还没有消息".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use crate::adapter::console::{Face, TerminalSettings};
    use crate::event::EventKind;

    use super::*;

    fn words(console: &Console, line: &str) -> Vec<&'static str> {
        let Face::Terminal(terminal) = &console.face else { panic!("a terminal") };
        match hear(console, terminal, line).expect(line) {
            Heard::Events(events) => events.iter().map(|event| event.kind.word()).collect(),
            Heard::Nothing => Vec::new(),
            Heard::Quit => vec!["quit"],
        }
    }

    #[test]
    fn speaks_as_several_members() {
        let console = Console::at_terminal(TerminalSettings::default());
        assert_eq!(words(&console, "早"), ["message"]);
        assert_eq!(words(&console, "/as 小新"), ["joined"]);
        assert_eq!(console.room().speaker(), "小新");
        assert_eq!(words(&console, "/签到"), ["message"]);
        assert_eq!(words(&console, "/as 阿明"), [""; 0]);
        assert_eq!(words(&console, "/role 小红 admin"), ["updated"]);
        assert_eq!(words(&console, "/reply 2 好"), ["message"]);
        assert_eq!(words(&console, "/react 1 👍"), ["reaction"]);
        assert_eq!(words(&console, "/group 二群"), ["joined"]);
        assert_eq!(words(&console, "/leave 阿明"), ["left"]);
        assert_eq!(words(&console, "/quit"), ["quit"]);
    }

    #[test]
    fn a_line_by_name_is_said_by_who_is_there() {
        let console = Console::at_terminal(TerminalSettings::default());
        let Face::Terminal(terminal) = &console.face else { panic!("a terminal") };
        assert_eq!(words(&console, "/join 小新"), ["joined"]);
        for (line, name, said) in [
            ("小新: 抢", "小新", "抢"),
            ("陌生人: 抢", "阿明", "陌生人: 抢"),
            ("注意:早", "阿明", "注意:早"),
        ] {
            let Ok(Heard::Events(events)) = hear(&console, terminal, line) else {
                panic!("{line}")
            };
            let EventKind::Message { elements, .. } = &events[0].kind else { panic!("{line}") };
            let actor = events[0].actor.as_ref().expect("somebody");
            assert_eq!(
                (actor.name.as_str(), crate::event::plain_text(elements).as_str()),
                (name, said)
            );
        }
        assert_eq!(console.room().speaker(), "阿明");
    }

    #[test]
    fn says_what_it_cannot_do() {
        let console = Console::at_terminal(TerminalSettings::default());
        let Face::Terminal(terminal) = &console.face else { panic!("a terminal") };
        let error = |line: &str| hear(&console, terminal, line).expect_err(line).0;
        assert_eq!(error("/press 抢"), "There is no button `抢`: no message here has buttons.");
        assert_eq!(
            error("/as a@b"),
            "`a@b` cannot be a name here: use 1 to 32 characters without : @ > / and quotes."
        );
        assert_eq!(error("/clock +1d"), "this console has no clock to move.");
    }

    #[test]
    fn an_answer_carries_its_quote() {
        let console = Console::at_terminal(TerminalSettings::default());
        let Face::Terminal(terminal) = &console.face else { panic!("a terminal") };
        hear(&console, terminal, "加我").expect("said");
        let Ok(Heard::Events(events)) = hear(&console, terminal, "/reply 1 举报") else {
            panic!("not an event");
        };
        let EventKind::Message { quote: Some(quote), .. } = &events[0].kind else {
            panic!("no quote")
        };
        assert_eq!(quote.text, "加我");
    }
}
