//! The console as a peer: a room that the test looks into.

use std::sync::{Arc, Mutex};

use qundao::adapter::console::{Console, HOME, Room, Spot, Typed, decode, plain, plain_line};
use qundao::adapter::{Adapter, Inbox};
use qundao::clock::{Clock as _, VirtualClock};
use qundao::effect::Call;
use qundao::event::{Element, Envelope};
use qundao::id::Ref;
use qundao::value::Role;

use crate::peer::{Peer, START, Taken};

pub struct Headless {
    console: Arc<Console>,
    clock: Arc<VirtualClock>,
    inbox: Mutex<Option<Arc<dyn Inbox>>>,
}

impl Headless {
    /// Types a line as a member.
    async fn type_as(&self, to: Spot, text: &str) -> Envelope {
        let (who, text) = (Some("小红".to_owned()), text.to_owned());
        let typed = Typed::Say { who, to, reply: None, text };
        let envelope = decode(&mut self.console.room(), &typed, self.clock.now());
        let envelope = envelope.expect("fits").expect("an event");
        let inbox = self.inbox.lock().unwrap().clone();
        if let Some(inbox) = inbox {
            inbox.offer(envelope.clone(), None).await;
        }
        envelope
    }
}

impl Peer for Headless {
    /// `@小红`, addresses and pictures are read from the line.
    const MARKUP: bool = true;

    async fn new(clock: Arc<VirtualClock>) -> Self {
        let mut room = Room::new("t", &[]);
        room.admit("阿明", Role::Owner, false, &[]);
        room.admit("小红", Role::Member, false, &[]);
        room.admit("老王", Role::Member, false, &[]);
        let console = Arc::new(Console::headless(room));
        Self { console, clock, inbox: Mutex::default() }
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        self.console.clone()
    }

    async fn run(&self, inbox: Arc<dyn Inbox>, _by_bot: bool) {
        *self.inbox.lock().unwrap() = Some(inbox);
    }

    fn group(&self) -> Ref {
        Room::reference(HOME)
    }

    fn somebody(&self) -> Ref {
        Room::reference("小红")
    }

    fn somebody_else(&self) -> Ref {
        Room::reference("老王")
    }

    async fn say(&self, text: &str) -> String {
        match self.type_as(Spot::Here, text).await.kind {
            qundao::event::EventKind::Message { id, .. } => id,
            other => panic!("no message: {other:?}"),
        }
    }

    async fn whisper(&self, text: &str) {
        self.type_as(Spot::Bot, text).await;
    }

    async fn repeat(&self) -> bool {
        false
    }

    async fn say_late(&self, _text: &str, _ago_s: i64) -> bool {
        false
    }

    async fn reconnect(&self) -> bool {
        false
    }

    fn taken(&self, id: &str) -> Taken {
        let mut room = self.console.room();
        let posted = room.message_mut(id).expect("it was shown");
        Taken { text: posted.text.clone(), pings: None, others: posted.buttons.len() }
    }

    fn said(&self) -> Vec<String> {
        let room = self.console.room();
        let mut said: Vec<_> = room
            .latest(1000)
            .filter(|it| it.author.is_none())
            .map(|it| (it.number, &it.text))
            .collect();
        said.sort();
        said.into_iter().map(|(_, text)| text.clone()).collect()
    }

    /// A terminal pings nobody: a mention is its name, and what a terminal would obey is left out.
    fn expected(&self, content: &[Element]) -> Taken {
        let show = |element: &Element| match element {
            Element::Text(text) => plain(text),
            Element::Mention { name, .. } => format!("@{}", plain_line(name)),
            Element::MentionAll => "@全体成员".to_owned(),
            other => panic!("the suite does not compare {other:?}"),
        };
        Taken { text: content.iter().map(show).collect(), pings: None, others: 0 }
    }

    fn did(&self, call: &Call) -> bool {
        let mut room = self.console.room();
        match call {
            Call::Send { .. } | Call::Card { .. } => true,
            Call::React { message, .. } | Call::Pin { message } => {
                room.message_mut(message).is_some()
            }
            Call::Delete { message } => room.message_mut(message).is_none(),
            Call::Mute { member, until } => {
                room.guest(member.local()).is_some_and(|guest| guest.muted_until == *until)
            }
            Call::Unmute { member } => {
                room.guest(member.local()).is_some_and(|guest| guest.muted_until <= START)
            }
            Call::Kick { member } | Call::Ban { member } => {
                room.guest(member.local()).is_some_and(|guest| guest.groups.is_empty())
            }
            Call::SetAdmin { member, on } => {
                let role = if *on { Role::Admin } else { Role::Member };
                room.guest(member.local()).is_some_and(|guest| guest.role == role)
            }
            Call::Rename { .. } | Call::Admit { .. } => false,
        }
    }

    async fn ask_to_join(&self) -> Option<String> {
        None
    }
}

crate::conforms!(super::Headless);
