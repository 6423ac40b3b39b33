//! What each step of the way can do alone, each beside a baseline of the same run.
//!
//! `cargo bench --bench stages [-- --seconds 3]`
//!
//! Reading: frames over a socket through the OneBot adapter, beside the same frames as mere JSON.
//! Then a bot in this process, without a platform's wire, with one part more in each line: turns,
//! the file, a rule, the rule in a process of its own; beside SQLite writing the same event rows.
//! `--bench onebot` measures the whole.

#[path = "load/inbox.rs"]
mod inbox;
#[path = "load/mod.rs"]
mod load;
#[path = "load/rows.rs"]
mod rows;
#[path = "../tests/world/mod.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use qundao::adapter::onebot::{OneBot, SPEC, Surroundings, Tcp};
use qundao::adapter::{Adapter, BoxFuture, Inbox, Receipt};
use qundao::child::{ChildHost, Program};
use qundao::clock::{Clock, SystemClock};
use qundao::config::AdapterConfig;
use qundao::event::Envelope;
use qundao::script::protocol::Source;
use qundao::store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use world::{Platform, Setup, memory, message, script, sqlite};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RULE: &str = "//! 长\non_message(|m| { if m.text.len() > 2000 { m.delete(\"长\"); } });\n";
const TEXT: &str = "今天天气真不错，有人一起打游戏吗，收到请回复";
const COMMUNITIES: usize = 50;
const MEMBERS: usize = 200;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == "--seconds");
    let seconds = at.and_then(|at| args.get(at + 1)).map_or("3", String::as_str);
    let time = Duration::from_secs_f64(seconds.parse().expect("--seconds is a number"));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(2))
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(stages(time));
}

async fn stages(time: Duration) {
    println!("| | events/s | of the baseline |\n|---|---|---|");
    let json = json_alone(time);
    line("frames as mere JSON (baseline)", json, json);
    line("frames through the adapter", frames(time).await, json);
    let sqlite_alone = rows::alone(time).await;
    line("SQLite alone (baseline)", sqlite_alone, sqlite_alone);
    let folder = tempfile::tempdir().expect("a folder");
    let rule = || vec![script("rule", RULE)];
    let file = |name: &str| folder.path().join(name);
    line("turns, in memory", turns(memory().await, vec![], false, time).await, sqlite_alone);
    let store = sqlite(&file("a.db")).await;
    line("turns, in a file", turns(store, vec![], false, time).await, sqlite_alone);
    let store = sqlite(&file("b.db")).await;
    line("the same with a rule on threads", turns(store, rule(), false, time).await, sqlite_alone);
    let store = sqlite(&file("c.db")).await;
    line("the same in its own process", turns(store, rule(), true, time).await, sqlite_alone);
}

fn line(name: &str, rate: f64, baseline: f64) {
    println!("| {name} | {rate:.0} | {:.2} |", rate / baseline);
}

/// Frames a second that are read as JSON of any kind.
fn json_alone(time: Duration) -> f64 {
    let (began, mut read) = (Instant::now(), 0_u64);
    while began.elapsed() < time {
        let frame = load::frame(read, 1, 1, TEXT);
        let value: serde_json::Value = serde_json::from_str(&frame).expect("JSON");
        assert!(value.is_object());
        read += 1;
    }
    read as f64 / began.elapsed().as_secs_f64()
}

/// Counts what comes.
#[derive(Default)]
struct Counter {
    count: AtomicUsize,
    changed: Notify,
}

impl Inbox for Counter {
    fn offer(&self, envelope: Envelope, receipt: Option<Receipt>) -> BoxFuture<'_, ()> {
        self.offer_all(vec![(envelope, receipt)])
    }

    fn offer_all(&self, events: Vec<(Envelope, Option<Receipt>)>) -> BoxFuture<'_, ()> {
        self.count.fetch_add(events.len(), Ordering::SeqCst);
        self.changed.notify_one();
        Box::pin(async {})
    }
}

/// Frames a second from the socket to the inbox.
async fn frames(time: Duration) -> f64 {
    let mut section = AdapterConfig { keys: SPEC.keys, ..AdapterConfig::default() };
    section.values.insert("listen".to_owned(), toml::Value::String("127.0.0.1:0".to_owned()));
    let clock = SystemClock::with_offset(0);
    let surroundings = Surroundings { clock, seed: [7; 32], dial: Arc::new(Tcp) };
    let onebot = Arc::new(OneBot::new(&section, surroundings).expect("a right section"));
    let (counter, stop) = (Arc::new(Counter::default()), CancellationToken::new());
    let (adapter, inbox, until) = (onebot.clone(), counter.clone(), stop.clone());
    let run = tokio::spawn(async move { adapter.run(inbox, until).await });
    let place = onebot.listening().await.expect("it listens");
    let mut load = load::Load::connect(&format!("ws://{place}/"), Vec::new()).await;
    let began = Instant::now();
    let sent = load.pour(time).await;
    // One more event says that the account is online.
    while counter.count.load(Ordering::SeqCst) < sent {
        counter.changed.notified().await;
    }
    let rate = sent as f64 / began.elapsed().as_secs_f64();
    stop.cancel();
    run.await.expect("it runs").expect("an orderly end");
    rate
}

/// Events a second from the door to their commit.
async fn turns(store: Arc<dyn Store>, rules: Vec<Source>, apart: bool, time: Duration) -> f64 {
    let mut setup = Setup::new(rules);
    if apart {
        let limits = setup.config.limits.script.clone();
        let program = Program::at(load::process::binary());
        let host = ChildHost::start(program, limits).await.expect("the scripts have a process");
        setup.host = Some(Arc::new(host));
    }
    let bot = setup.start(store, &Platform::willing()).await;
    let event = |n: usize| {
        let (group, person) = (n % COMMUNITIES, n / COMMUNITIES % MEMBERS);
        let (key, now) = (format!("{n:012}"), SystemClock::default().now());
        message(&key, &format!("g{group}"), &format!("{group}-{person}"), TEXT, now)
    };
    let known = COMMUNITIES * MEMBERS;
    inbox::offer_all(&bot, event, (known, Duration::from_secs(600))).await;
    let (sent, seconds) = inbox::offer_all(&bot, |n| event(known + n), (usize::MAX, time)).await;
    bot.stop().await.expect("an orderly end");
    sent as f64 / seconds
}
