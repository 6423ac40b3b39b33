//! The prompt: reads lines with editing, history and completion, while the bot's answers appear
//! above the line being typed.
//!
//! The line editor blocks, so it has a thread of its own; a second thread prints, because a print
//! waits for the editor. Neither holds a lock while it waits.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::adapter::Inbox;

use super::Console;
use super::speak::{Heard, hear};
use super::terminal::Terminal;
use super::typed::WORDS;

/// Lines that the history keeps.
const HISTORY_LINES: usize = 1000;

/// Reads lines and offers what happened until the console is closed or told to stop.
pub async fn run(
    console: &Console,
    terminal: &Terminal,
    inbox: Arc<dyn Inbox>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let _restore = KeptMode::of_stdin();
    let names = Names::default();
    let (prompts, mut lines) = start_threads(terminal, names.clone())?;
    terminal.note("群岛 · 直接打字就是说话；/help 看能做什么，Tab 补全，/quit 退出");
    loop {
        let prompt = prepare(console, &names);
        if prompts.send(prompt.clone()).is_err() {
            return Ok(());
        }
        let line = tokio::select! {
            () = stop.cancelled() => {
                leave_line();
                return Ok(());
            }
            line = lines.recv() => line,
        };
        let Some(Line { text, columns, rows }) = line else { return Ok(()) };
        {
            let mut screen = terminal.screen();
            screen.resize(columns, rows);
            screen.typed(&prompt, &text);
        }
        let heard = hear(console, terminal, text.trim()).unwrap_or_else(|misread| {
            terminal.warn(&misread.0);
            Heard::Nothing
        });
        match heard {
            Heard::Quit => return Ok(()),
            Heard::Nothing => {}
            Heard::Events(envelopes) => {
                for envelope in envelopes {
                    inbox.offer(envelope, None).await;
                }
            }
        }
    }
}

/// Ends bracketed paste and the half-typed line, which the editor's thread cannot do any more.
fn leave_line() {
    use std::io::Write as _;
    let mut stdout = std::io::stdout();
    // Nothing is left to do about a terminal that is gone.
    let _ = stdout.write_all(b"\x1b[?2004l\r\n").and_then(|()| stdout.flush());
}

/// A line as it was typed, and the size of the terminal then.
struct Line {
    text: String,
    columns: usize,
    rows: usize,
}

fn start_threads(
    terminal: &Terminal,
    names: Names,
) -> anyhow::Result<(Sender<String>, mpsc::Receiver<Line>)> {
    let queue = terminal.take_queue().context("the console is in use already")?;
    let mut reader = Reader::open(terminal, names)?;
    let (columns, rows) = reader.size();
    terminal.screen().resize(columns, rows);
    let mut printer = reader.editor.create_external_printer().context("open the terminal")?;
    let print = move || {
        while let Ok(text) = queue.recv() {
            if printer.print(text).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("console-printer".into()).spawn(print)?;
    let (prompts, asked) = channel();
    let (typed, lines) = mpsc::channel(1);
    let read = move || reader.run(&asked, &typed);
    std::thread::Builder::new().name("console-prompt".into()).spawn(read)?;
    Ok((prompts, lines))
}

/// The prompt of whoever speaks; also tells the completion who is there.
fn prepare(console: &Console, names: &Names) -> String {
    let room = console.room();
    let known = room.members().map(|(name, _)| name.to_owned()).collect();
    *names.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    if room.groups().len() > 1 {
        format!("{}@{}> ", room.speaker(), room.here())
    } else {
        format!("{}> ", room.speaker())
    }
}

/// The line editor on its thread.
struct Reader {
    editor: Editor<Help, FileHistory>,
    history: Option<PathBuf>,
}

impl Reader {
    fn open(terminal: &Terminal, names: Names) -> anyhow::Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_LINES)?
            .auto_add_history(true)
            .build();
        let mut editor = Editor::with_config(config).context("open the terminal")?;
        editor.set_helper(Some(Help { names, prompt: terminal.prompt_paint() }));
        let history = terminal.history();
        if let Some(path) = history.as_ref().filter(|path| path.exists()) {
            // A history that cannot be read is worth a word, not the console.
            if let Err(error) = editor.load_history(path) {
                tracing::warn!(path = %path.display(), %error, "the console's history was not read");
            }
        }
        Ok(Self { editor, history })
    }

    fn size(&mut self) -> (usize, usize) {
        self.editor
            .dimensions()
            .map_or((80, 24), |(columns, rows)| (usize::from(columns), usize::from(rows)))
    }

    /// Reads a line for each prompt; ends on Ctrl-D, a second Ctrl-C, or when nobody listens.
    fn run(mut self, prompts: &Receiver<String>, typed: &mpsc::Sender<Line>) {
        let mut interrupted = false;
        while let Ok(prompt) = prompts.recv() {
            let text = loop {
                match self.editor.readline(&prompt) {
                    Ok(text) => break Some(text),
                    Err(ReadlineError::Interrupted) if !interrupted => interrupted = true,
                    Err(_) => break None,
                }
            };
            let Some(text) = text else { break };
            interrupted = false;
            let (columns, rows) = self.size();
            if typed.blocking_send(Line { text, columns, rows }).is_err() {
                break;
            }
        }
        if let Some(Err(error)) = self.history.map(|path| self.editor.save_history(&path)) {
            tracing::warn!(%error, "the console's history was not kept");
        }
    }
}

/// Names that can be completed; set by the room, read by the editor's thread.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

/// Completion and the prompt's colour.
struct Help {
    names: Names,
    prompt: fn(&str) -> String,
}

impl Completer for Help {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let names = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(candidates(line.get(..pos).unwrap_or(line), &names))
    }
}

/// What the typed beginning can become: a word of the console, or a name after `@` and after the
/// words that want one.
fn candidates(typed: &str, names: &[String]) -> (usize, Vec<Pair>) {
    if let Some(start) = typed.strip_prefix('/').filter(|rest| !rest.contains(' ')) {
        let fits = WORDS.iter().filter(|(word, ..)| word.starts_with(start));
        let pairs = fits.map(|(word, _, about)| Pair {
            display: format!("/{word:<9} {about}"),
            replacement: format!("/{word} "),
        });
        return (0, pairs.collect());
    }
    let wants_name = ["/as ", "/leave ", "/role "];
    let after_word =
        wants_name.iter().find(|word| typed.starts_with(**word)).map(|word| word.len());
    let start = after_word.or_else(|| typed.rfind('@').map(|at| at + 1));
    let Some(start) = start else { return (typed.len(), Vec::new()) };
    let fits = names.iter().filter(|name| name.starts_with(&typed[start..]));
    let pairs = fits.map(|name| Pair { display: name.clone(), replacement: format!("{name} ") });
    (start, pairs.collect())
}

impl Highlighter for Help {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _: bool,
    ) -> std::borrow::Cow<'b, str> {
        (self.prompt)(prompt).into()
    }
}

impl Hinter for Help {
    type Hint = String;
}

impl Validator for Help {}

impl Helper for Help {}

/// The terminal's settings from before the editor, put back at the end: when the bot is told to
/// stop, the editor's thread is still waiting for a key and cannot do it.
struct KeptMode(#[cfg(unix)] Option<nix::sys::termios::Termios>);

impl KeptMode {
    #[cfg(unix)]
    fn of_stdin() -> Self {
        Self(nix::sys::termios::tcgetattr(std::io::stdin()).ok())
    }

    #[cfg(not(unix))]
    fn of_stdin() -> Self {
        Self()
    }
}

impl Drop for KeptMode {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(mode) = &self.0 {
            use nix::sys::termios::{SetArg, tcsetattr};
            // Nothing is left to do about a terminal that is gone.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, mode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_words_and_names() {
        let names = ["小红".to_owned(), "小李".to_owned(), "阿明".to_owned()];
        let check = |typed: &str, expected: &[&str]| {
            let (_, pairs) = candidates(typed, &names);
            let found: Vec<&str> = pairs.iter().map(|pair| pair.replacement.as_str()).collect();
            assert_eq!(found, expected, "{typed}");
        };
        check("/cl", &["/clock "]);
        check("/as 小", &["小红 ", "小李 "]);
        check("你好 @阿", &["阿明 "]);
        check("你好", &[]);
        check("/签", &[]);
    }
}
