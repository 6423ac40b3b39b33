//! An adapter on the simulated Discord, and an inbox that keeps what comes.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::discord::{Discord, Pacing, SPEC, Surroundings};
use qundao::adapter::{Accepted, Adapter, BoxFuture, Inbox, Outcome, Receipt, Request};
use qundao::clock::{Clock, SystemClock};
use qundao::config::{AdapterConfig, Secret};
use qundao::effect::{Answers, Call, Destination};
use qundao::event::{Element, Envelope, EventKind, plain_text};
use qundao::id::Ref;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::sim::{Sim, TOKEN};

/// Keeps every event.
#[derive(Default)]
pub struct Kept {
    events: Mutex<Vec<Envelope>>,
    changed: Notify,
}

impl Kept {
    pub fn all(&self) -> Vec<Envelope> {
        self.events.lock().unwrap().clone()
    }

    pub fn of(&self, word: &str) -> Vec<Envelope> {
        self.all().into_iter().filter(|it| it.kind.word() == word).collect()
    }

    /// Waits for so many events of a kind.
    pub async fn wait(&self, word: &str, count: usize) -> Vec<Envelope> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let found = self.of(word);
                if found.len() >= count {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), wait).await {
            Ok(found) => found,
            Err(_) => panic!("{count} × {word} did not come: {:#?}", self.all()),
        }
    }
}

impl Inbox for Kept {
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

/// In a hurry: no waits between sessions.
pub fn hurried() -> Pacing {
    Pacing {
        spacing: Duration::ZERO,
        sessions_an_hour: 1_000,
        resumes_a_minute: 1_000,
        backs_off: false,
        calls_a_second: 100_000,
    }
}

pub fn section(base_url: &str) -> AdapterConfig {
    let mut section = AdapterConfig { keys: SPEC.keys, ..AdapterConfig::default() };
    section.values.insert("base_url".to_owned(), toml::Value::String(base_url.to_owned()));
    section.secrets.insert("token".to_owned(), Secret::new(TOKEN.to_owned()));
    section
}

pub fn discord(sim: &Sim, clock: Arc<dyn Clock>, pacing: Pacing) -> Arc<Discord> {
    with(&section(&sim.base_url()), clock, pacing)
}

pub fn with(section: &AdapterConfig, clock: Arc<dyn Clock>, pacing: Pacing) -> Arc<Discord> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let surroundings =
        Surroundings { clock, seed: [1; 32], client, rates_by_library: false, pacing };
    Arc::new(Discord::new(section, surroundings).unwrap())
}

pub struct Rig {
    pub discord: Arc<Discord>,
    pub inbox: Arc<Kept>,
    pub stop: CancellationToken,
    pub run: JoinHandle<anyhow::Result<()>>,
}

impl Rig {
    /// Connected, in a hurry.
    pub async fn on(sim: &Sim) -> Self {
        let rig = Self::paced(sim, hurried());
        sim.until_alive(1).await;
        rig.until_known(sim).await;
        rig
    }

    pub fn paced(sim: &Sim, pacing: Pacing) -> Self {
        Self::of(discord(sim, SystemClock::with_offset(0), pacing))
    }

    pub fn of(discord: Arc<Discord>) -> Self {
        let (inbox, stop) = (Arc::new(Kept::default()), CancellationToken::new());
        let (adapter, to, until) = (discord.clone(), inbox.clone(), stop.clone());
        let run = tokio::spawn(async move { adapter.run(to, until).await });
        Self { discord, inbox, stop, run }
    }

    /// Waits until the server is known: what comes before is in order before this.
    pub async fn until_known(&self, sim: &Sim) {
        let count = self.inbox.of("message").len();
        sim.say(crate::sim::world::CHANNEL, crate::sim::world::OWNER, "开始");
        self.inbox.wait("message", count + 1).await;
        self.inbox.events.lock().unwrap().clear();
    }

    pub async fn send(&self, to: Destination, call: Call) -> Outcome {
        self.send_keyed("k", 1, to, call).await
    }

    pub async fn send_keyed(
        &self,
        key: &str,
        attempt: u32,
        to: Destination,
        call: Call,
    ) -> Outcome {
        let now = SystemClock::default().now();
        let request = Request {
            key: key.to_owned(),
            account: self.discord.account(),
            answers: None,
            to,
            call,
            attempt,
            since: 7,
        };
        self.discord.send(&request, now).await
    }

    pub async fn answer(&self, event: &Envelope, personal: bool, text: &str) -> Outcome {
        let group = event.group.as_ref().expect("in a group");
        let request = Request {
            key: format!("{}-{text}", event.key),
            account: self.discord.account(),
            answers: Some(Answers { event: event.key.clone(), is_personal: personal }),
            to: Destination::Group(group.id.clone()),
            call: say(text),
            attempt: 1,
            since: 7,
        };
        self.discord.send(&request, SystemClock::default().now()).await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
        self.run.abort();
    }
}

pub fn channel(id: u64) -> Destination {
    Destination::Group(Ref::new("discord", id))
}

pub fn person(id: u64) -> Ref {
    Ref::new("discord", id)
}

pub fn say(text: &str) -> Call {
    let content = vec![Element::Text(text.to_owned())];
    Call::Send { content, reply_to: None, only_for: None, slot: None }
}

/// The words of a message.
pub fn words(envelope: &Envelope) -> String {
    match &envelope.kind {
        EventKind::Message { elements, .. } | EventKind::Edited { elements, .. } => {
            plain_text(elements)
        }
        other => panic!("no words in {other:?}"),
    }
}

/// The id of what was done.
pub fn done(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Done { id, .. } => id,
        other => panic!("not done: {other:?}"),
    }
}

/// Waits until something holds; nothing tells of it, so it is looked at again and again.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    crate::world::in_time(what, wait).await;
}
