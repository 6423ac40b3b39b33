//! A chat from a pipe: lines in, a transcript out.
//!
//! Nothing is kept and time only passes between lines, so the output is a test in the making:
//! every line followed by what the bot did. Expectations in the input are left out, what happened
//! stands in their place.

use std::collections::VecDeque;
use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use crate::adapter::console::{Misread, Room, Spot, Typed, command, named, plain, plain_line};
use crate::report::Line;

use super::front::{FrontMatter, Home};
use super::session::{Make, Session, Trouble};
use super::show::{indent, show};

/// Who speaks where nobody is named.
const FIRST_SPEAKER: &str = "阿明";

/// Longest line that is read, bytes; what is longer ends the reading.
const LINE_BYTES: usize = 64 * 1024;

/// Plays every line; says whether all went well. Lines that could not be played are reported on
/// `errors`.
///
/// # Errors
/// The bot could not be started or stopped, or a stream failed.
pub async fn run<R, W, E>(
    input: R,
    mut output: W,
    mut errors: E,
    make: &Make<'_>,
) -> anyhow::Result<bool>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    let mut input = Input { reader: BufReader::new(input), ahead: VecDeque::new(), number: 0 };
    let (head, echoed) = input.head().await?;
    output.write_all(plain(&echoed).as_bytes()).await?;
    let front = match &head {
        Some(toml) => FrontMatter::read("stdin", toml, 0, 2)?,
        None => FrontMatter::default_head(),
    };
    let home = head.map(|_| Home::Features);
    let open = || Session::open(&front, home, PathBuf::from("stdin"), make);
    let mut session = open().await?;
    let mut is_well = true;
    while let Some(line) = input.line().await? {
        if line.starts_with("## ") {
            session.close().await?;
            session = open().await?;
        }
        let played = play(&mut session, &line).await;
        match played {
            Ok(Played::Quit) => break,
            Ok(Played::Text(text, went_well)) => {
                is_well &= went_well;
                output.write_all(text.as_bytes()).await?;
            }
            Err(trouble) => {
                is_well = false;
                // As a comment, so that the output stays a transcript.
                output.write_all(format!("# {}\n", plain_line(&line)).as_bytes()).await?;
                let what = plain_line(&trouble.to_string());
                let text = format!("stdin:{}: {what}\n", input.number);
                errors.write_all(text.as_bytes()).await?;
                errors.flush().await?;
            }
        }
        output.flush().await?;
    }
    session.close().await?;
    Ok(is_well)
}

/// What a line came to.
enum Played {
    /// Text to print, and whether no script failed.
    Text(String, bool),
    /// The end.
    Quit,
}

async fn play(session: &mut Session, line: &str) -> Result<Played, Trouble> {
    let same = || Ok(Played::Text(format!("{}\n", plain_line(line)), true));
    if line.is_empty() || line.starts_with('#') {
        return same();
    }
    if line.starts_with([' ', '\t']) {
        return Ok(Played::Text(String::new(), true));
    }
    let typed = read(session, line)?;
    if typed == Typed::Quit {
        return Ok(Played::Quit);
    }
    if prepare(session, &typed).await? {
        return Ok(Played::Text(format!("# {}\n", plain_line(line)), true));
    }
    let mut text = written(&session.console().room(), &typed, line);
    let here = session.place(&typed);
    let lines = session.play(&typed).await?;
    let went_well = !lines.iter().any(|line| matches!(line, Line::Failed { .. }));
    for line in &lines {
        text.push_str(&indent(&show(line, &here).text));
        text.push('\n');
    }
    Ok(Played::Text(text, went_well))
}

/// Puts whom the line needs into the room; says whether that was all there was to do.
async fn prepare(session: &Session, typed: &Typed) -> Result<bool, Trouble> {
    match typed {
        Typed::As(name) => {
            session.admit(name).await?;
            session.console().room().set_speaker(name);
            return Ok(true);
        }
        Typed::Group(name) => {
            let mut room = session.console().room();
            if !room.groups().contains(name) {
                let what = format!("There is no group `{name}`; name it in the head.");
                return Err(Misread(what).into());
            }
            room.set_here(name);
            return Ok(true);
        }
        Typed::Who | Typed::Messages | Typed::Help => {
            return Err(Misread("This works only at the prompt.".into()).into());
        }
        Typed::Say { who, .. } | Typed::Press { who, .. } | Typed::React { who, .. } => {
            let speaker = session.console().room().speaker().to_owned();
            let name = who.clone().unwrap_or(speaker);
            session.admit(if name.is_empty() { FIRST_SPEAKER } else { &name }).await?;
        }
        Typed::Role { name, .. } => session.admit(name).await?,
        Typed::Join { .. } | Typed::Leave { .. } | Typed::Clock(_) | Typed::Quit => {}
    }
    Ok(false)
}

fn read(session: &Session, line: &str) -> Result<Typed, Misread> {
    let room = session.console().room();
    let known: Vec<&str> = room.members().map(|(name, _)| name).collect();
    if let Some(typed) = command(line).or_else(|| named(&unfold(line), &known).map(Ok)) {
        return typed;
    }
    let text = unfold(line);
    Ok(Typed::Say { who: None, to: Spot::Here, reply: None, text })
}

/// The text of a message without the marks of continuation.
fn unfold(line: &str) -> String {
    let lines = line.split('\n').enumerate().map(|(index, part)| match index {
        0 => part,
        _ => part.strip_prefix("| ").or_else(|| part.strip_prefix('|')).unwrap_or(part),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The line as a transcript has it: with the speaker's name.
fn written(room: &Room, typed: &Typed, line: &str) -> String {
    let at = if room.groups().first().is_some_and(|first| first != room.here()) {
        format!("@{}", room.here())
    } else {
        String::new()
    };
    let speaker = room.speaker();
    let lines: Vec<String> = line.split('\n').map(plain_line).collect();
    let line = lines.join("\n");
    match typed {
        Typed::Say { who: None, to: Spot::Here, reply: None, .. } => {
            format!("{speaker}{at}: {line}\n")
        }
        Typed::Say { who: None, to: Spot::Bot, text, .. } => {
            format!("{speaker}>bot: {}\n", plain_line(text))
        }
        Typed::Press { who: None, label, .. } => {
            format!("{speaker}{at} presses \"{}\"\n", plain_line(label))
        }
        _ => format!("{line}\n"),
    }
}

/// Lines of the input, with those that were read ahead to find a head.
struct Input<R> {
    reader: BufReader<R>,
    ahead: VecDeque<String>,
    number: usize,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// The head's TOML where the input begins with one, and the lines to echo for it.
    async fn head(&mut self) -> anyhow::Result<(Option<String>, String)> {
        let Some(first) = self.raw().await? else { return Ok((None, String::new())) };
        if first != "+++" {
            self.ahead.push_back(first);
            return Ok((None, String::new()));
        }
        self.number += 1;
        let mut toml = String::new();
        while let Some(line) = self.raw().await? {
            self.number += 1;
            if line == "+++" {
                let echoed = format!("+++\n{toml}+++\n");
                return Ok((Some(toml), echoed));
            }
            toml.push_str(&line);
            toml.push('\n');
        }
        anyhow::bail!("`+++` opens the head and nothing closes it; add `+++`")
    }

    /// The next line, with the lines that continue it where they have arrived already: who types
    /// by hand or by program must not wait for an answer until the next line is there.
    async fn line(&mut self) -> anyhow::Result<Option<String>> {
        let first = match self.ahead.pop_front() {
            Some(line) => Some(line),
            None => self.raw().await?,
        };
        let Some(mut line) = first else { return Ok(None) };
        self.number += 1;
        while self.reader.buffer().first() == Some(&b'|') {
            let Some(more) = self.raw().await? else { break };
            self.number += 1;
            line.push('\n');
            line.push_str(&more);
        }
        Ok(Some(line))
    }

    async fn raw(&mut self) -> anyhow::Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut limited = tokio::io::AsyncReadExt::take(&mut self.reader, LINE_BYTES as u64);
        if limited.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(None);
        }
        if bytes.len() == LINE_BYTES && bytes.last() != Some(&b'\n') {
            anyhow::bail!("line {} is longer than {LINE_BYTES} bytes", self.number + 1);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    }
}
