//! OneBot v11 as a peer: the strict implementation that its own tests play too.

#[path = "../onebot/sim/mod.rs"]
mod sim;

use std::sync::{Arc, Mutex};

use qundao::adapter::onebot::{OneBot, SPEC, Surroundings};
use qundao::adapter::{Adapter, Inbox, Outcome, Request};
use qundao::clock::VirtualClock;
use qundao::config::AdapterConfig;
use qundao::effect::{Call, Destination};
use qundao::id::Ref;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::peer::{Peer, START, Taken};
use sim::{Message, Options, Sim};

const GROUP: i64 = 777;
const SOMEBODY: i64 = 20002;
const SOMEBODY_ELSE: i64 = 20003;

pub struct Implementation {
    sim: Sim,
    onebot: Arc<OneBot>,
    latest: Mutex<Option<Message>>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Implementation {
    /// Waits until calls can be made.
    async fn ready(&self) {
        let request = Request {
            key: "k".to_owned(),
            account: self.onebot.account(),
            answers: None,
            to: Destination::Group(self.group()),
            call: Call::Delete { message: "0".to_owned() },
            attempt: 1,
            since: START,
        };
        while let Outcome::Offline { .. } = self.onebot.send(&request, START).await {
            tokio::task::yield_now().await;
        }
    }

    fn tell(&self, message: Message) -> String {
        self.sim.report(&message);
        let id = message.id.to_string();
        *self.latest.lock().unwrap() = Some(message);
        id
    }
}

impl Drop for Implementation {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().unwrap().take() {
            running.abort();
        }
    }
}

impl Peer for Implementation {
    async fn new(clock: Arc<VirtualClock>) -> Self {
        let sim = Sim::with_group(Options { clock: clock.clone(), ..Options::default() });
        sim.world().join(GROUP, sim.self_id(), "机器人", "owner");
        let mut section = AdapterConfig { keys: SPEC.keys, ..AdapterConfig::default() };
        for (key, value) in [("connect", "ws://sim"), ("self_id", "10001")] {
            section.values.insert(key.to_owned(), toml::Value::String(value.to_owned()));
        }
        let surroundings = Surroundings { clock, seed: [1; 32], dial: Arc::new(sim.clone()) };
        let onebot = Arc::new(OneBot::new(&section, surroundings).unwrap());
        Self { sim, onebot, latest: Mutex::default(), running: Mutex::default() }
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        self.onebot.clone()
    }

    async fn run(&self, inbox: Arc<dyn Inbox>, by_bot: bool) {
        if !by_bot {
            let onebot = self.onebot.clone();
            let running = async move { onebot.run(inbox, CancellationToken::new()).await.unwrap() };
            *self.running.lock().unwrap() = Some(tokio::spawn(running));
        }
        self.ready().await;
    }

    fn group(&self) -> Ref {
        Ref::new("onebot", GROUP)
    }

    fn somebody(&self) -> Ref {
        Ref::new("onebot", SOMEBODY)
    }

    fn somebody_else(&self) -> Ref {
        Ref::new("onebot", SOMEBODY_ELSE)
    }

    async fn say(&self, text: &str) -> String {
        self.tell(self.sim.keep(GROUP, SOMEBODY, sim::script::text(text)))
    }

    async fn whisper(&self, text: &str) {
        self.sim.whisper(SOMEBODY, text);
    }

    async fn repeat(&self) -> bool {
        let latest = self.latest.lock().unwrap().clone().expect("something was said");
        self.sim.report(&latest);
        true
    }

    async fn say_late(&self, text: &str, ago_s: i64) -> bool {
        let mut message = self.sim.keep(GROUP, SOMEBODY, sim::script::text(text));
        message.time -= ago_s;
        self.tell(message);
        true
    }

    async fn reconnect(&self) -> bool {
        let made = self.sim.made();
        self.sim.disconnect().await;
        self.sim.until_made(made + 1, 1).await;
        self.ready().await;
        true
    }

    fn taken(&self, id: &str) -> Taken {
        let world = self.sim.world();
        let message = world.message(id.parse().unwrap()).expect("it was accepted");
        let texts = message.segments.iter().filter(|it| it["type"] == "text");
        let text = texts.filter_map(|it| it["data"]["text"].as_str()).collect();
        let others = |kind: &str| !["text", "at"].contains(&kind);
        let kinds = message.segments.iter().filter_map(|it| it["type"].as_str());
        let others = kinds.filter(|kind| others(kind)).count();
        Taken { text, pings: Some(message.mentions()), others }
    }

    fn said(&self) -> Vec<String> {
        self.sim.world().said(GROUP)
    }

    fn did(&self, call: &Call) -> bool {
        let world = self.sim.world();
        let number = |id: &Ref| id.local().parse().unwrap();
        let member = |id: &Ref| world.member(GROUP, number(id));
        match call {
            Call::Send { .. } | Call::Card { .. } => !world.said(GROUP).is_empty(),
            Call::Delete { message } => world.message(message.parse().unwrap()).is_none(),
            Call::Mute { member: id, until } => {
                member(id).is_some_and(|it| it.muted_until * 1000 == *until)
            }
            Call::Unmute { member: id } => member(id).is_some_and(|it| it.muted_until == 0),
            Call::Rename { member: id, name } => member(id).is_some_and(|it| it.card == *name),
            Call::SetAdmin { member: id, on } => {
                member(id).is_some_and(|it| it.role == if *on { "admin" } else { "member" })
            }
            Call::Kick { member: id } | Call::Ban { member: id } => member(id).is_none(),
            Call::Admit { token, .. } => {
                !world.requests.contains_key(token.split_once(':').unwrap().1)
            }
            Call::React { .. } | Call::Pin { .. } => false,
        }
    }

    async fn ask_to_join(&self) -> Option<String> {
        self.sim.ask_to_join(GROUP, 20099, "让我进去", "f1");
        Some("add:f1".to_owned())
    }
}

crate::conforms!(super::Implementation);
