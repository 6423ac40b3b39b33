//! A Discord that the tests play: gateway and interface on loopback, with Discord's own rules, and
//! as unreliable as it can be.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod gateway;
pub mod rest;
pub mod world;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use qundao::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use gateway::{Break, Session, Wire};
use world::{APPLICATION, CHANNEL, GUILD, Said, World};

/// The first part names the account, `world::BOT`.
pub const TOKEN: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.a-secret-that-is-never-logged";

/// What a test decides about it.
pub struct Options {
    pub clock: Arc<dyn Clock>,
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// Rates of channels are kept.
    pub limits: bool,
    pub limit_period: Duration,
    /// Sessions that are left today.
    pub sessions_left: u64,
    /// The bot may read what it asks for.
    pub intents_allowed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: SystemClock::with_offset(0),
            heartbeat: Duration::from_secs(40),
            limits: false,
            limit_period: Duration::from_secs(5),
            sessions_left: 1000,
            intents_allowed: true,
        }
    }
}

/// A call that came, and what it was answered.
#[derive(Clone, Debug)]
pub struct Called {
    pub method: String,
    pub path: String,
    pub status: u16,
    pub body: Value,
}

/// An answer that a test prepared.
#[derive(Clone, Copy, Debug)]
pub enum Forced {
    /// The connection breaks, nothing is done.
    Break,
    /// It is done, and then the connection breaks.
    DoneThenBreak,
    /// Too many calls.
    TooMany { retry_after_s: f64, global: bool },
    /// A status with Discord's code.
    Status(u16, i64),
}

pub struct Interaction {
    pub id: u64,
    pub channel: u64,
    pub is_button: bool,
    pub asked_at: Instant,
    /// Taken, and whether aside.
    pub acknowledged: Option<bool>,
    /// The sign of thinking, and the message that it became.
    pub original: Option<Option<String>>,
    pub is_expired: bool,
}

pub struct Inner {
    pub options: Options,
    world: Mutex<World>,
    calls: Mutex<Vec<Called>>,
    prepared: Mutex<VecDeque<(String, String, Forced)>>,
    pub buckets: Mutex<HashMap<String, (u32, Instant)>>,
    pub interactions: Mutex<HashMap<String, Interaction>>,
    pub sessions: Mutex<HashMap<String, Session>>,
    pub wires: watch::Sender<Wire>,
    gateway: Mutex<Option<SocketAddr>>,
    /// What it found wrong with the gateway's client.
    pub complaints: Mutex<Vec<String>>,
}

impl Inner {
    pub fn now(&self) -> i64 {
        self.options.clock.now()
    }

    pub fn world_mut<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }

    pub fn gateway_url(&self) -> String {
        format!("ws://{}", self.gateway.lock().unwrap().unwrap())
    }

    pub fn note(&self, method: &str, path: &str, status: u16, body: Value) {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.calls.lock().unwrap().push(Called { method, path, status, body });
    }

    pub fn forced(&self, method: &str, path: &str) -> Option<Forced> {
        let mut prepared = self.prepared.lock().unwrap();
        let at = prepared.iter().position(|(its, end, _)| its == method && path.ends_with(end))?;
        prepared.remove(at).map(|(_, _, forced)| forced)
    }

    pub fn complain(&self, what: impl Into<String>) {
        self.complaints.lock().unwrap().push(what.into());
    }
}

#[derive(Clone)]
pub struct Sim {
    pub inner: Arc<Inner>,
    pub address: SocketAddr,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Sim {
    pub async fn start(options: Options) -> Self {
        let inner = Arc::new(Inner {
            options,
            world: Mutex::new(World::new()),
            calls: Mutex::default(),
            prepared: Mutex::default(),
            buckets: Mutex::default(),
            interactions: Mutex::default(),
            sessions: Mutex::default(),
            wires: watch::Sender::new(Wire::default()),
            gateway: Mutex::default(),
            complaints: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = inner.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(rest::serve(serving.clone(), stream));
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *inner.gateway.lock().unwrap() = Some(listener.local_addr().unwrap());
        tasks.spawn(gateway::serve(inner.clone(), listener));
        Self { inner, address, tasks: Arc::new(Mutex::new(tasks)) }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.inner.world_mut(look)
    }

    pub fn calls(&self) -> Vec<Called> {
        self.inner.calls.lock().unwrap().clone()
    }

    /// Calls whose path ends so.
    pub fn calls_to(&self, method: &str, end: &str) -> Vec<Called> {
        let is = |it: &Called| it.method == method && it.path.ends_with(end);
        self.calls().into_iter().filter(is).collect()
    }

    /// The next such call is answered so.
    pub fn prepare(&self, method: &str, end: &str, forced: Forced) {
        let entry = (method.to_owned(), end.to_owned(), forced);
        self.inner.prepared.lock().unwrap().push_back(entry);
    }

    pub fn complaints(&self) -> Vec<String> {
        self.inner.complaints.lock().unwrap().clone()
    }

    /// Keeps a message in the history; nothing is told.
    pub fn keep(&self, channel: u64, author: u64, body: Value) -> Said {
        let now = self.inner.now();
        self.keep_at(channel, author, body, now)
    }

    pub fn keep_at(&self, channel: u64, author: u64, body: Value, at: i64) -> Said {
        self.world(|world| {
            let id = world.snowflake(at);
            let said = Said {
                id,
                channel,
                author,
                body,
                nonce: None,
                ephemeral: false,
                pinned: false,
                reactions: Vec::new(),
            };
            world.said.push(said.clone());
            said
        })
    }

    /// Tells a message over the gateway.
    pub fn tell(&self, said: &Said) {
        let told = self.world(|world| world.told(said, true));
        self.dispatch("MESSAGE_CREATE", told);
    }

    /// A member says something.
    pub fn say(&self, channel: u64, author: u64, text: &str) -> Said {
        let said = self.keep(channel, author, json!({ "content": text }));
        self.tell(&said);
        said
    }

    /// Somebody writes to the bot alone.
    pub fn whisper(&self, author: u64, text: &str) -> Said {
        let channel = self.world(|world| *world.direct.entry(author).or_insert(author + 500_000));
        self.say(channel, author, text)
    }

    /// An event, to whoever is connected, and kept for whoever resumes.
    pub fn dispatch(&self, kind: &str, data: Value) {
        gateway::dispatch(&self.inner, kind, data);
    }

    /// A slash command; its token.
    pub fn slash(&self, user: u64, name: &str, options: Value, resolved: Value) -> String {
        let data = json!({
            "id": "555", "name": name, "type": 1, "options": options, "resolved": resolved,
            "guild_id": GUILD.to_string(),
        });
        self.interact(2, user, data, None)
    }

    /// A press of a button; its token.
    pub fn press(&self, user: u64, message: &str, value: &str) -> String {
        let message = self.world(|world| {
            let said = world.message(message).cloned().expect("it is there");
            world.told(&said, true)
        });
        let data = json!({ "custom_id": value, "component_type": 2 });
        self.interact(3, user, data, Some(message))
    }

    fn interact(&self, kind: u8, user: u64, data: Value, message: Option<Value>) -> String {
        let now = self.inner.now();
        let (id, member) = self.world(|world| (world.snowflake(now), world.whole_member(user)));
        let token = format!("token-{id}");
        let interaction = Interaction {
            id,
            channel: CHANNEL,
            is_button: kind == 3,
            asked_at: Instant::now(),
            acknowledged: None,
            original: None,
            is_expired: false,
        };
        self.inner.interactions.lock().unwrap().insert(token.clone(), interaction);
        let mut member = member;
        member["permissions"] = "0".into();
        let mut event = json!({
            "id": id.to_string(), "application_id": APPLICATION.to_string(), "type": kind,
            "data": data, "guild_id": GUILD.to_string(), "channel_id": CHANNEL.to_string(),
            "channel": { "id": CHANNEL.to_string(), "type": 0, "name": "大厅", "permissions": "0" },
            "member": member, "token": token, "version": 1, "app_permissions": "0",
            "locale": "zh-CN", "guild_locale": "zh-CN", "entitlements": [],
            "authorizing_integration_owners": { "0": GUILD.to_string() }, "context": 0,
            "attachment_size_limit": 524_288,
        });
        if let Some(message) = message {
            event["message"] = message;
        }
        self.dispatch("INTERACTION_CREATE", event);
        token
    }

    pub fn interaction<T>(&self, token: &str, look: impl FnOnce(&mut Interaction) -> T) -> T {
        look(self.inner.interactions.lock().unwrap().get_mut(token).expect("it was asked"))
    }

    /// Breaks the connection.
    pub async fn disturb(&self, how: Break) {
        gateway::disturb(&self.inner, how).await;
    }

    /// How often somebody identified, resumed.
    pub fn made(&self) -> (usize, usize) {
        let wire = self.inner.wires.borrow();
        (wire.identified, wire.resumed)
    }

    /// Waits until so many connections in all were brought to life, and the last of them lives.
    pub async fn until_alive(&self, count: usize) {
        let mut wires = self.inner.wires.subscribe();
        let wait = wires.wait_for(|wire| wire.is_alive && wire.identified + wire.resumed >= count);
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it connects").unwrap();
    }
}
