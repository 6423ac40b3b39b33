//! An implementation of OneBot v11 in a test: strict about what it is told, honest about what it
//! did, and as unreliable as the test wants.
//!
//! It plays NapCat, Lagrange or go-cqhttp for the program under test: it has accounts, groups and
//! members in memory, validates every action by the standard
//! (<https://github.com/botuniverse/onebot-11>), and brings events over forward and reverse
//! WebSocket and HTTP POST. It shares no code with the adapter.
#![allow(dead_code, reason = "each test target uses its own part")]

mod actions;
mod cq;
pub mod http;
pub mod script;
pub mod socket;
mod stream;
mod world;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use qundao::clock::{Clock, SystemClock};

pub use stream::{Allowance, Cut};
pub use world::{Message, World};

/// What an implementation is like.
#[derive(Clone)]
pub struct Options {
    pub self_id: i64,
    pub token: Option<String>,
    /// Signs what it posts.
    pub secret: Option<String>,
    /// Ids come as text, as from some implementations.
    pub string_ids: bool,
    /// Own messages are reported too.
    pub message_sent: bool,
    /// It has `get_group_msg_history` and `get_friend_msg_history`.
    pub history: bool,
    /// Messages come with CQ codes instead of segments.
    pub cq_strings: bool,
    /// A heartbeat this often.
    pub heartbeat: Option<Duration>,
    pub clock: Arc<dyn Clock>,
    /// Longest wait for anything.
    pub limit_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            self_id: 10001,
            token: None,
            secret: None,
            string_ids: false,
            message_sent: false,
            history: false,
            cq_strings: false,
            heartbeat: None,
            clock: SystemClock::with_offset(0),
            limit_s: 60,
        }
    }
}

/// One action that was asked for, and what came of it.
#[derive(Clone, Debug)]
pub struct Called {
    pub action: String,
    pub params: Value,
    pub echo: Value,
    pub retcode: i64,
    pub wording: String,
}

/// An implementation. Dropping it ends all its connections.
#[derive(Clone)]
pub struct Sim {
    pub(crate) inner: Arc<Inner>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    ports: Arc<Mutex<JoinSet<()>>>,
}

/// An answer that is held back, with the connection that it is for.
pub(crate) type Held = (mpsc::UnboundedSender<String>, String);

/// What its connections share.
pub(crate) struct Inner {
    pub options: Options,
    pub world: Mutex<World>,
    /// Connections that want events.
    pub listeners: Mutex<HashMap<usize, mpsc::UnboundedSender<String>>>,
    pub next: AtomicUsize,
    pub connected: AtomicUsize,
    pub called: Mutex<Vec<Called>>,
    /// Answers that were prepared instead of doing anything: by action.
    pub refusals: Mutex<HashMap<String, VecDeque<Value>>>,
    /// Answers wait here while they are held back.
    pub held: Mutex<Option<Vec<Held>>>,
    /// Nothing is answered or said any more, though the sockets stay open.
    pub is_silent: AtomicBool,
    pub offline: AtomicBool,
    /// Bytes from the program after which the next connections break.
    pub cut: Mutex<Option<usize>>,
    /// What the connections of now still carry.
    pub allowances: Mutex<Vec<Weak<Allowance>>>,
    pub changed: Notify,
}

impl Sim {
    pub fn new(options: Options) -> Self {
        let world = World::new(options.self_id);
        let inner = Inner {
            options,
            world: Mutex::new(world),
            listeners: Mutex::default(),
            next: AtomicUsize::new(1),
            connected: AtomicUsize::new(0),
            called: Mutex::default(),
            refusals: Mutex::default(),
            held: Mutex::default(),
            is_silent: AtomicBool::new(false),
            offline: AtomicBool::new(false),
            cut: Mutex::default(),
            allowances: Mutex::default(),
            changed: Notify::new(),
        };
        Self { inner: Arc::new(inner), tasks: Arc::default(), ports: Arc::default() }
    }

    /// The account 10001 as an admin of group 777 with three members.
    pub fn with_group(options: Options) -> Self {
        let sim = Self::new(options);
        let self_id = sim.inner.options.self_id;
        sim.world().add_group(777, "测试群");
        sim.world().join(777, self_id, "机器人", "admin");
        for (user, name, role) in
            [(20001, "阿明", "owner"), (20002, "小红", "member"), (20003, "老王", "member")]
        {
            sim.world().join(777, user, name, role);
        }
        sim
    }

    pub fn self_id(&self) -> i64 {
        self.inner.options.self_id
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap()
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        self.inner.options.clock.now() / 1000
    }

    /// Says something raw to every connection that wants events.
    pub fn raw(&self, event: &Value) {
        self.inner.tell(event);
    }

    /// The same, byte for byte.
    pub fn raw_text(&self, text: &str) {
        self.inner.tell_text(text.to_owned());
    }

    /// Everything that was asked so far.
    pub fn calls(&self) -> Vec<Called> {
        self.inner.called.lock().unwrap().clone()
    }

    /// Only what changes or sends something.
    pub fn deeds(&self) -> Vec<Called> {
        let asks = |called: &Called| called.action.starts_with("get_");
        self.calls().into_iter().filter(|called| !asks(called)).collect()
    }

    /// Waits until a condition holds; anything that happens here lets it be looked at again.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.inner.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        // Where the clock jumps, hours pass in no time.
        if tokio::time::timeout(Duration::from_secs(self.inner.options.limit_s), wait)
            .await
            .is_err()
        {
            panic!("{what} did not happen; asked so far: {:#?}", self.calls());
        }
    }

    /// Waits for so many connections.
    pub async fn until_connected(&self, count: usize) {
        self.until("the connection", |sim| sim.connections() == count).await;
    }

    /// Waits until so many connections have been made in all, and so many are left.
    pub async fn until_made(&self, made: usize, left: usize) {
        let what = format!("{made} connections made, {left} left");
        self.until(&what, |sim| sim.made() >= made && sim.connections() == left).await;
    }

    /// Connections that were ever made.
    pub fn made(&self) -> usize {
        self.inner.next.load(Ordering::SeqCst) - 1
    }

    pub fn connections(&self) -> usize {
        self.inner.connected.load(Ordering::SeqCst)
    }

    /// The next call of an action is answered in this way and does nothing.
    pub fn refuse(&self, action: &str, retcode: i64, wording: &str) {
        let answer =
            json!({ "status": "failed", "retcode": retcode, "data": null, "wording": wording });
        let mut refusals = self.inner.refusals.lock().unwrap();
        refusals.entry(action.to_owned()).or_default().push_back(answer);
    }

    /// From now on answers are held back, though everything is done.
    pub fn hold_answers(&self) {
        self.inner.held.lock().unwrap().get_or_insert_with(Vec::new);
    }

    /// The answers that were held back come now, in another order if the test wants.
    pub fn release_answers(&self, backwards: bool) {
        let mut held = self.inner.held.lock().unwrap().take().unwrap_or_default();
        if backwards {
            held.reverse();
        }
        for (to, text) in held {
            let _ = to.send(text);
        }
    }

    /// The answers that were held back never come.
    pub fn lose_answers(&self) {
        *self.inner.held.lock().unwrap() = None;
    }

    /// A process that hangs: sockets stay open, nothing is said.
    pub fn set_silent(&self, silent: bool) {
        self.inner.is_silent.store(silent, Ordering::SeqCst);
    }

    /// The account is logged out, and heartbeats say so.
    pub fn set_offline(&self, offline: bool) {
        self.inner.offline.store(offline, Ordering::SeqCst);
    }

    /// Connections made from now on break after so many bytes from the program.
    pub fn cut_after(&self, bytes: Option<usize>) {
        *self.inner.cut.lock().unwrap() = bytes;
    }

    /// The connections of now break after so many more bytes from the program, or to it.
    pub fn break_after(&self, heard: Option<usize>, said: Option<usize>) {
        for allowance in self.inner.allowances.lock().unwrap().iter().filter_map(Weak::upgrade) {
            allowance.set(heard, said);
        }
    }

    /// Somebody hears the events.
    pub fn is_heard(&self) -> bool {
        !self.inner.listeners.lock().unwrap().is_empty()
    }

    /// Breaks every connection at once, without a goodbye.
    pub async fn disconnect(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
    }

    /// Closes every port; connections stay.
    pub async fn close_ports(&self) {
        let mut ports = std::mem::take(&mut *self.ports.lock().unwrap());
        ports.abort_all();
        while ports.join_next().await.is_some() {}
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Inner {
    /// What a new connection carries.
    pub fn allowance(&self) -> Arc<Allowance> {
        let allowance = Allowance::new(*self.cut.lock().unwrap());
        let mut allowances = self.allowances.lock().unwrap();
        allowances.retain(|living| living.strong_count() > 0);
        allowances.push(Arc::downgrade(&allowance));
        allowance
    }

    /// An event, with ids as the options say.
    pub fn tell(&self, event: &Value) {
        self.tell_text(self.written(event.clone()).to_string());
    }

    pub fn tell_text(&self, text: String) {
        if self.is_silent.load(Ordering::SeqCst) {
            return;
        }
        for listener in self.listeners.lock().unwrap().values() {
            let _ = listener.send(text.clone());
        }
    }

    /// Ids as text, where that is asked for.
    pub fn written(&self, mut value: Value) -> Value {
        if self.options.string_ids {
            stringify(&mut value);
        }
        value
    }

    pub fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::SeqCst)
    }
}

fn stringify(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if (key.ends_with("_id") || key == "message_seq") && value.is_number() {
                    *value = json!(value.to_string());
                } else {
                    stringify(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(stringify),
        _ => {}
    }
}
