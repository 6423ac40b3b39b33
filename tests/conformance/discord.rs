//! Discord as a peer: the strict one that its own tests play too.

#[path = "../discord/sim/mod.rs"]
mod sim;

use std::sync::{Arc, Mutex};

use qundao::adapter::discord::{Discord, Pacing, SPEC, Surroundings};
use qundao::adapter::{Adapter, Inbox, Outcome, Request};
use qundao::clock::VirtualClock;
use qundao::config::{AdapterConfig, Secret};
use qundao::effect::{Call, Destination};
use qundao::event::Element;
use qundao::id::Ref;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::peer::{Peer, START, Taken};
use sim::gateway::Break;
use sim::world::{CHANNEL, SOMEBODY, SOMEBODY_ELSE, Said, seen};
use sim::{Options, Sim};

pub struct Server {
    sim: Sim,
    discord: Arc<Discord>,
    latest: Mutex<Option<Said>>,
    running: Mutex<Option<JoinHandle<()>>>,
    breaks: Mutex<usize>,
}

impl Server {
    fn tell(&self, said: Said) -> String {
        self.sim.tell(&said);
        let id = said.id.to_string();
        *self.latest.lock().unwrap() = Some(said);
        id
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().unwrap().take() {
            running.abort();
        }
    }
}

/// Where a ping stands in a text; nobody types it.
const PING: char = '\u{f8ff}';

impl Peer for Server {
    async fn new(clock: Arc<VirtualClock>) -> Self {
        let sim = Sim::start(Options { clock: clock.clone(), ..Options::default() }).await;
        let mut section = AdapterConfig { keys: SPEC.keys, ..AdapterConfig::default() };
        section.values.insert("base_url".to_owned(), toml::Value::String(sim.base_url()));
        section.secrets.insert("token".to_owned(), Secret::new(sim::TOKEN.to_owned()));
        let pacing = Pacing {
            spacing: std::time::Duration::ZERO,
            sessions_an_hour: 1_000,
            resumes_a_minute: 1_000,
            backs_off: false,
            calls_a_second: 100_000,
        };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let surroundings =
            Surroundings { clock, seed: [1; 32], client, rates_by_library: false, pacing };
        let discord = Arc::new(Discord::new(&section, surroundings).unwrap());
        Self {
            sim,
            discord,
            latest: Mutex::default(),
            running: Mutex::default(),
            breaks: Mutex::default(),
        }
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        self.discord.clone()
    }

    async fn run(&self, inbox: Arc<dyn Inbox>, by_bot: bool) {
        if !by_bot {
            let discord = self.discord.clone();
            let running =
                async move { discord.run(inbox, CancellationToken::new()).await.unwrap() };
            *self.running.lock().unwrap() = Some(tokio::spawn(running));
        }
        self.sim.until_alive(1).await;
        // Calls can be made once the server is known.
        let request = Request {
            key: "ready".to_owned(),
            account: self.discord.account(),
            answers: None,
            to: Destination::Group(self.group()),
            call: Call::Unmute { member: self.somebody() },
            attempt: 1,
            since: START,
        };
        while let Outcome::NotSent { .. } = self.discord.send(&request, START).await {
            tokio::task::yield_now().await;
        }
    }

    fn group(&self) -> Ref {
        Ref::new("discord", CHANNEL)
    }

    fn somebody(&self) -> Ref {
        Ref::new("discord", SOMEBODY)
    }

    fn somebody_else(&self) -> Ref {
        Ref::new("discord", SOMEBODY_ELSE)
    }

    async fn say(&self, text: &str) -> String {
        self.tell(self.sim.keep(CHANNEL, SOMEBODY, json!({ "content": text })))
    }

    async fn whisper(&self, text: &str) {
        self.sim.whisper(SOMEBODY, text);
    }

    async fn repeat(&self) -> bool {
        let latest = self.latest.lock().unwrap().clone().expect("something was said");
        self.sim.tell(&latest);
        true
    }

    async fn say_late(&self, text: &str, ago_s: i64) -> bool {
        let at = self.sim.inner.now() - ago_s * 1000;
        self.tell(self.sim.keep_at(CHANNEL, SOMEBODY, json!({ "content": text }), at));
        true
    }

    async fn reconnect(&self) -> bool {
        let (identified, resumed) = self.sim.made();
        let breaks = {
            let mut breaks = self.breaks.lock().unwrap();
            *breaks += 1;
            *breaks
        };
        let how = match breaks % 3 {
            0 => Break::Invalid { resumable: false },
            1 => Break::Drop,
            _ => Break::Reconnect,
        };
        self.sim.disturb(how).await;
        self.sim.until_alive(identified + resumed + 1).await;
        true
    }

    fn taken(&self, id: &str) -> Taken {
        self.sim.world(|world| {
            let said = world.message(id).expect("it was accepted");
            let (text, pings) = seen(&said.body);
            let count = |list: &serde_json::Value| list.as_array().map_or(0, Vec::len);
            let others = count(&said.body["components"]) + count(&said.body["embeds"]);
            Taken { text, pings: Some(pings), others }
        })
    }

    fn said(&self) -> Vec<String> {
        self.sim.world(|world| world.by_bot(CHANNEL))
    }

    /// Discord takes away what is empty at both ends.
    fn expected(&self, content: &[Element]) -> Taken {
        let (mut text, mut pings) = (String::new(), Vec::new());
        for element in content {
            match element {
                Element::Text(part) => text.push_str(part),
                Element::Mention { id, .. } => {
                    text.push(PING);
                    pings.push(id.local().to_owned());
                }
                Element::MentionAll => {
                    text.push(PING);
                    pings.push("all".to_owned());
                }
                other => panic!("the suite does not compare {other:?}"),
            }
        }
        let text = text.trim().replace(PING, "");
        Taken { text, pings: Some(pings), others: 0 }
    }

    fn did(&self, call: &Call) -> bool {
        let number = |id: &Ref| id.local().parse::<u64>().unwrap();
        self.sim.world(|world| match call {
            Call::Send { .. } | Call::Card { .. } => !world.by_bot(CHANNEL).is_empty(),
            Call::Delete { message } => world.message(message).is_none(),
            Call::React { message, emoji } => {
                let percent: String = emoji.bytes().map(|byte| format!("%{byte:02X}")).collect();
                world.message(message).is_some_and(|said| said.reactions.contains(&percent))
            }
            Call::Pin { message } => world.message(message).is_some_and(|said| said.pinned),
            Call::Mute { member, until } => {
                let wanted = chrono::DateTime::from_timestamp_millis(*until).unwrap().to_rfc3339();
                world.members[&number(member)].muted_until == Some(wanted)
            }
            Call::Unmute { member } => world.members[&number(member)].muted_until.is_none(),
            Call::Rename { member, name } => {
                world.members[&number(member)].nick.as_ref() == Some(name)
            }
            Call::Kick { member } => !world.members.contains_key(&number(member)),
            Call::Ban { member } => world.banned.contains(&number(member)),
            Call::SetAdmin { .. } | Call::Admit { .. } => false,
        })
    }

    async fn ask_to_join(&self) -> Option<String> {
        None
    }
}

crate::conforms!(super::Server);
