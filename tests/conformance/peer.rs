//! The other side of an adapter, as the suite sees it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::{Accepted, Adapter, BoxFuture, Inbox, Receipt};
use qundao::clock::{TimeMs, VirtualClock};
use qundao::effect::Call;
use qundao::event::{Element, Envelope, EventKind};
use qundao::id::Ref;
use tokio::sync::Notify;

/// What a platform took of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// The text that members see; where mentions can be told from text, without them.
    pub text: String,
    /// Who is pinged, `all` for everybody, in order; `None` where nobody can be.
    pub pings: Option<Vec<String>>,
    /// How many parts are neither text nor pings: pictures, buttons.
    pub others: usize,
}

/// A platform with a group, in which somebody and somebody else are ordinary members and the bot
/// may do what its adapter can.
pub trait Peer: Sized {
    /// What members type is markup here, so that their text is no plain data.
    const MARKUP: bool = false;

    /// Makes the platform and its adapter; nothing runs yet.
    async fn new(clock: Arc<VirtualClock>) -> Self;

    /// The adapter.
    fn adapter(&self) -> Arc<dyn Adapter>;

    /// Lets events come to this inbox, and waits until they can and calls can be made. A bot whose
    /// inbox it is has let the adapter run already.
    async fn run(&self, inbox: Arc<dyn Inbox>, by_bot: bool);

    /// The group.
    fn group(&self) -> Ref;

    /// An ordinary member.
    fn somebody(&self) -> Ref;

    /// Another one.
    fn somebody_else(&self) -> Ref;

    /// Somebody says something in the group; the id of the message.
    async fn say(&self, text: &str) -> String;

    /// Somebody writes to the bot alone.
    async fn whisper(&self, text: &str);

    /// Tells the latest message again, as it was; `false` where that never happens.
    async fn repeat(&self) -> bool;

    /// Tells a message that was said so long ago only now; `false` where that never happens.
    async fn say_late(&self, text: &str, ago_s: i64) -> bool;

    /// The connection breaks and comes back; `false` where there is none.
    async fn reconnect(&self) -> bool;

    /// What became of a message that the adapter sent.
    fn taken(&self, id: &str) -> Taken;

    /// Texts that the bot said in the group so far, in order.
    fn said(&self) -> Vec<String>;

    /// A message of these elements as it should be taken. A platform that can show less of a text
    /// says so here.
    fn expected(&self, content: &[Element]) -> Taken {
        let mut taken = Taken { text: String::new(), pings: Some(Vec::new()), others: 0 };
        for element in content {
            match element {
                Element::Text(text) => taken.text.push_str(text),
                Element::Mention { id, .. } => {
                    taken.pings.get_or_insert_default().push(id.local().to_owned());
                }
                Element::MentionAll => {
                    taken.pings.get_or_insert_default().push("all".to_owned());
                }
                other => panic!("the suite does not compare {other:?}"),
            }
        }
        taken
    }

    /// The platform shows that this call was made.
    fn did(&self, call: &Call) -> bool;

    /// Something that an admission could answer, if the platform has such a thing.
    async fn ask_to_join(&self) -> Option<String>;
}

/// Keeps every event.
#[derive(Default)]
pub struct Recorder {
    events: Mutex<Vec<Envelope>>,
    changed: Notify,
}

impl Recorder {
    /// Waits for so many messages; their envelopes in order.
    pub async fn messages(&self, count: usize) -> Vec<Envelope> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let messages = self.found();
                if messages.len() >= count {
                    return messages;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), wait).await {
            Ok(messages) => messages,
            Err(_) => panic!("{count} messages did not come: {:#?}", self.events.lock().unwrap()),
        }
    }

    fn found(&self) -> Vec<Envelope> {
        let is_message = |it: &&Envelope| matches!(it.kind, EventKind::Message { .. });
        self.events.lock().unwrap().iter().filter(is_message).cloned().collect()
    }
}

impl Inbox for Recorder {
    fn offer(&self, envelope: Envelope, receipt: Option<Receipt>) -> BoxFuture<'_, ()> {
        self.offer_all(vec![(envelope, receipt)])
    }

    fn offer_all(&self, events: Vec<(Envelope, Option<Receipt>)>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for (envelope, receipt) in events {
                self.events.lock().unwrap().push(envelope);
                if let Some(receipt) = receipt {
                    let _ = receipt.send(Accepted::New);
                }
            }
            self.changed.notify_waiters();
        })
    }
}

/// When every test begins.
pub const START: TimeMs = 1_795_000_000_000;
