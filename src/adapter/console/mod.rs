//! The console: a group chat in the terminal, with several members, as a platform like any other.
//!
//! The same room, grammar and encoding serve three faces: the prompt of a terminal, a pipe and
//! the transcripts. The latter two are driven by [`crate::workbench::transcript`], which owns the
//! clock there; the prompt is driven from here.

mod decode;
mod encode;
mod plain;
mod prompt;
mod room;
mod screen;
mod span;
mod speak;
mod terminal;
mod typed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{
    Adapter, AdapterDefault, AdapterKey, AdapterKind, AdapterSpec, BoxFuture, Capabilities, Inbox,
    Outcome, Redelivery, Request, Risk, RoleSource, SendSafety, Visibility,
};
use crate::clock::TimeMs;
use crate::event::Element;
use crate::id::Ref;

pub use decode::decode;
pub use plain::{plain, plain_line};
pub use room::{Guest, HOME, Room, check_name};
pub use span::{parse_span, show_span};
pub use terminal::{Terminal, TerminalSettings, history};
pub use typed::{Misread, Pointer, Spot, Typed, command, named};

/// People who are there at the start, so that there is somebody to give points to.
const NEIGHBOURS: [&str; 3] = ["小红", "老王", "小李"];

/// The line in the table of adapters.
pub const SPEC: AdapterSpec = AdapterSpec {
    name: "console",
    about: "a group chat in this terminal, with several members",
    log: "",
    keys: &[AdapterKey {
        name: "member",
        kind: AdapterKind::Text,
        default: AdapterDefault::Text("阿明"),
        about: "Who you are at the start.",
    }],
    build: |section| {
        let member = section.text("member").unwrap_or("阿明").to_owned();
        Ok(Arc::new(Console::at_terminal(TerminalSettings { member, ..Default::default() })))
    },
};

/// The longest text; a screenful of screenfuls, so that nothing is cut that anybody would read.
const TEXT_CHARS: usize = 16_384;

/// The console as an adapter.
pub struct Console {
    room: Mutex<Room>,
    face: Face,
}

/// Who watches.
enum Face {
    /// Nobody; whoever drives it reads the reports of turns.
    Headless,
    /// Somebody at a terminal.
    Terminal(Box<Terminal>),
}

impl Console {
    /// A console without a screen, for transcripts and pipes.
    pub fn headless(room: Room) -> Self {
        Self { room: Mutex::new(room), face: Face::Headless }
    }

    /// A console at a terminal: its owner and a few neighbours.
    pub fn at_terminal(settings: TerminalSettings) -> Self {
        let mut room = Room::new(&settings.run_id, &[]);
        room.admit(&settings.member, crate::value::Role::Owner, false, &[]);
        for name in NEIGHBOURS.into_iter().filter(|name| *name != settings.member) {
            room.admit(name, crate::value::Role::Member, false, &[]);
        }
        room.set_speaker(&settings.member);
        let face = Face::Terminal(Box::new(Terminal::new(settings)));
        Self { room: Mutex::new(room), face }
    }

    /// The room, for whoever drives the console.
    pub fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing in a room can be half done, so a panic elsewhere does not spoil it.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the owner a notice; without a screen it is dropped.
    pub fn notice(&self, text: &str, is_problem: bool) {
        if let Face::Terminal(terminal) = &self.face {
            if is_problem {
                terminal.warn(text);
            } else {
                terminal.tell(text);
            }
        }
    }

    /// Wakes whoever must fire the timers after `/clock`; never without a screen.
    pub async fn clock_moved(&self) {
        match &self.face {
            Face::Headless => std::future::pending().await,
            Face::Terminal(terminal) => terminal.clock_moved().await,
        }
    }

    /// Resolves when whoever sat at the terminal has left; never without a screen.
    pub async fn closed(&self) {
        match &self.face {
            Face::Headless => std::future::pending().await,
            Face::Terminal(terminal) => terminal.closed().await,
        }
    }
}

impl Adapter for Console {
    fn account(&self) -> Ref {
        Room::account()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            actions: &[
                "card",
                "delete",
                "react",
                "pin",
                "mute",
                "unmute",
                "kick",
                "ban",
                "set_admin",
                "edit",
                "private",
            ],
            mute_max: None,
            elements: encode::ELEMENTS,
            text_chars: TEXT_CHARS,
            rates: Vec::new(),
            proactive: true,
            reply_window: None,
            visibility: Visibility::All,
            // A repeat would be shown twice: the room does not remember keys.
            send_safety: SendSafety::None,
            redelivery: Redelivery::AtMostOnce,
            roles: RoleSource::Inline,
            risk: Risk::Official,
        }
    }

    fn run(
        &self,
        inbox: Arc<dyn Inbox>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            match &self.face {
                Face::Headless => {
                    stop.cancelled().await;
                    Ok(())
                }
                Face::Terminal(terminal) => {
                    let ended = prompt::run(self, terminal, inbox, stop).await;
                    terminal.close();
                    ended
                }
            }
        })
    }

    fn length(&self, content: &[Element]) -> usize {
        encode::encode(content).text.chars().count()
    }

    fn send<'a>(&'a self, request: &'a Request, now: TimeMs) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (outcome, shown, here) = {
                let mut room = self.room();
                let (outcome, shown) = encode::perform(&mut room, request, now);
                (outcome, shown, room.here().to_owned())
            };
            if let (Face::Terminal(terminal), Some(shown)) = (&self.face, shown) {
                terminal.show(&shown, &here);
            }
            outcome
        })
    }
}
