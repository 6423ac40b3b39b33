//! The adapter alone, between a simulated implementation and an inbox that keeps what it is given.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::onebot::{ByteStream, Dial, Dropped, OneBot, SPEC, Surroundings, Tcp};
use qundao::adapter::{Accepted, Adapter, BoxFuture, Inbox, Outcome, Receipt, Request, Seen};
use qundao::clock::{Clock, SystemClock};
use qundao::config::{AdapterConfig, Secret};
use qundao::effect::{Call, Destination};
use qundao::event::{Element, Envelope, EventKind, plain_text};
use qundao::id::Ref;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::sim::Sim;

/// Keeps every event, and says of each that it is committed, unless it is told to wait.
pub struct Recorder {
    events: Mutex<Vec<Envelope>>,
    receipts: Mutex<Vec<Receipt>>,
    /// Sizes of what came together.
    pub batches: Mutex<Vec<usize>>,
    waits: AtomicBool,
    /// Longest wait for anything; more where the clock stands still and jumps.
    pub limit_s: AtomicU64,
    changed: Notify,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            receipts: Mutex::default(),
            batches: Mutex::default(),
            waits: AtomicBool::new(false),
            limit_s: AtomicU64::new(60),
            changed: Notify::new(),
        }
    }
}

impl Recorder {
    pub fn events(&self) -> Vec<Envelope> {
        self.events.lock().unwrap().clone()
    }

    /// Commits nothing from now on; or everything that waits, and goes on.
    pub fn hold_commits(&self, hold: bool) {
        self.waits.store(hold, Ordering::SeqCst);
        if !hold {
            for receipt in std::mem::take(&mut *self.receipts.lock().unwrap()) {
                let _ = receipt.send(Accepted::New);
            }
        }
    }

    /// Waits until what came satisfies a condition.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&[Envelope]) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(&self.events()) {
                    return;
                }
                changed.await;
            }
        };
        let limit = self.limit_s.load(Ordering::SeqCst);
        if tokio::time::timeout(Duration::from_secs(limit), wait).await.is_err() {
            panic!("{what} did not happen; events so far: {:#?}", self.events());
        }
    }

    /// Waits for so many messages, and gives their texts in order.
    pub async fn texts(&self, count: usize) -> Vec<String> {
        self.until(&format!("{count} messages"), |events| texts(events).len() >= count).await;
        texts(&self.events())
    }

    fn take(&self, items: Vec<(Envelope, Option<Receipt>)>) {
        self.batches.lock().unwrap().push(items.len());
        for (envelope, receipt) in items {
            self.events.lock().unwrap().push(envelope);
            match receipt {
                Some(receipt) if self.waits.load(Ordering::SeqCst) => {
                    self.receipts.lock().unwrap().push(receipt);
                }
                Some(receipt) => drop(receipt.send(Accepted::New)),
                None => {}
            }
        }
        self.changed.notify_waiters();
    }
}

/// Texts of messages, in order.
pub fn texts(events: &[Envelope]) -> Vec<String> {
    let text = |envelope: &Envelope| match &envelope.kind {
        EventKind::Message { elements, .. } => Some(plain_text(elements)),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

impl Inbox for Recorder {
    fn offer(&self, envelope: Envelope, receipt: Option<Receipt>) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.take(vec![(envelope, receipt)]) })
    }

    fn offer_all(&self, events: Vec<(Envelope, Option<Receipt>)>) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.take(events) })
    }
}

/// The wall clock of a test whose timers jump: both move together.
pub struct JumpingClock {
    start: tokio::time::Instant,
}

impl JumpingClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: tokio::time::Instant::now() })
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> i64 {
        1_795_000_000_000 + self.start.elapsed().as_millis() as i64
    }

    fn flows(&self) -> bool {
        true
    }
}

/// Several implementations, by the host that the section names.
pub struct Net(pub HashMap<&'static str, Sim>);

impl Dial for Net {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>> {
        match self.0.get(host) {
            Some(sim) => sim.dial(host, port),
            None => Box::pin(async { Err(io::Error::other("no such host")) }),
        }
    }
}

/// A section with these keys; `token` and `secret` are secrets.
pub fn section(keys: &[(&str, &str)]) -> AdapterConfig {
    let mut section = AdapterConfig { keys: SPEC.keys, ..AdapterConfig::default() };
    for (key, value) in keys {
        match (*key, value.parse::<i64>()) {
            ("token" | "secret", _) => {
                section.secrets.insert((*key).to_owned(), Secret::new((*value).to_owned()));
            }
            ("timeout_s" | "messages_per_minute" | "group_messages_per_minute", Ok(number)) => {
                section.values.insert((*key).to_owned(), toml::Value::Integer(number));
            }
            _ => {
                section.values.insert((*key).to_owned(), toml::Value::String((*value).to_owned()));
            }
        }
    }
    section
}

/// A running adapter.
pub struct Rig {
    pub onebot: Arc<OneBot>,
    pub inbox: Arc<Recorder>,
    pub stop: CancellationToken,
    pub run: JoinHandle<anyhow::Result<()>>,
}

impl Rig {
    /// Over TCP.
    pub fn over_tcp(keys: &[(&str, &str)]) -> Self {
        Self::with(keys, Arc::new(Tcp), SystemClock::with_offset(0))
    }

    /// To one implementation in memory, wherever the section says it is.
    pub fn to(sim: &Sim, keys: &[(&str, &str)]) -> Self {
        let clock = sim.inner.options.clock.clone();
        Self::with(keys, Arc::new(sim.clone()), clock)
    }

    pub fn with(keys: &[(&str, &str)], dial: Arc<dyn Dial>, clock: Arc<dyn Clock>) -> Self {
        let surroundings = Surroundings { clock, seed: [7; 32], dial };
        let onebot = OneBot::new(&section(keys), surroundings).expect("a right section");
        let (onebot, inbox) = (Arc::new(onebot), Arc::new(Recorder::default()));
        let stop = CancellationToken::new();
        let (adapter, to, until) = (onebot.clone(), inbox.clone(), stop.clone());
        let run = tokio::spawn(async move { adapter.run(to, until).await });
        Self { onebot, inbox, stop, run }
    }

    /// The same where the clock jumps: waits may be long.
    pub fn jumping(sim: &Sim, keys: &[(&str, &str)]) -> Self {
        let rig = Self::to(sim, keys);
        rig.inbox.limit_s.store(100_000, Ordering::SeqCst);
        rig
    }

    /// Where it listens.
    pub async fn port(&self) -> SocketAddr {
        self.onebot.listening().await.expect("it listens")
    }

    /// Waits until calls can be made: in halves they connect after events.
    pub async fn until_callable(&self, sim: &Sim) {
        let callable = async {
            let call = Call::Delete { message: "0".to_owned() };
            while let Outcome::Offline { .. } = self.send(group(1), call.clone()).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), callable).await.expect("calls can be made");
        sim.inner.called.lock().unwrap().clear();
    }

    pub async fn send(&self, to: Destination, call: Call) -> Outcome {
        self.send_as(10001, to, call).await
    }

    pub async fn send_as(&self, account: i64, to: Destination, call: Call) -> Outcome {
        let request = request(account, to, call);
        let now = SystemClock::default().now();
        self.onebot.send(&request, now).await
    }

    pub async fn read_back(&self, to: Destination, call: Call, since: i64) -> Seen {
        let request = Request { since, ..request(10001, to, call) };
        self.onebot.read_back(&request).await
    }

    pub fn dropped(&self, why: Dropped) -> u64 {
        self.onebot.dropped(why)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
        self.run.abort();
    }
}

pub fn request(account: i64, to: Destination, call: Call) -> Request {
    let account = Ref::new("onebot", account);
    Request { key: "k".to_owned(), account, answers: None, to, call, attempt: 1, since: 0 }
}

pub fn group(id: i64) -> Destination {
    Destination::Group(Ref::new("onebot", id))
}

pub fn person(id: i64) -> Destination {
    Destination::Direct(Ref::new("onebot", id))
}

/// A message of plain text.
pub fn say(text: &str) -> Call {
    answer(text, None)
}

/// The same as an answer.
pub fn answer(text: &str, reply_to: Option<i64>) -> Call {
    let content = vec![Element::Text(text.to_owned())];
    let reply_to = reply_to.map(|id| id.to_string());
    Call::Send { content, reply_to, only_for: None, slot: None }
}

/// The id of what was done.
pub fn done(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Done { id, .. } => id,
        other => panic!("not done: {other:?}"),
    }
}
