//! From an event to its committed effect, in one process: events a second, latency, memory.
//!
//! `cargo bench --bench pipeline [-- --communities 1000,10000 --seconds 5]`
//!
//! Ten rules look at every message, one message in ten is answered, scripts run on threads, the
//! store is a file with `synchronous=FULL`. Figures of one machine mean little, so each run also
//! tells what this disk and SQLite can do without us: the same event rows, written in the same
//! batches by one loop.

#[path = "load/rows.rs"]
mod rows;
#[path = "../tests/world/mod.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use qundao::adapter::{Accepted, Inbox};
use qundao::bot::Bot;
use qundao::clock::{Clock, SystemClock};
use tokio::sync::{Semaphore, oneshot};
use world::{Platform, Setup, message, script, seed, shipped, sqlite};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RULES: usize = 10;
const MEMBERS: usize = 20;
/// Events under way in the closed loop.
const WINDOW: usize = 2048;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: &str| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).cloned().unwrap_or_else(|| default.to_owned())
    };
    let seconds: f64 = option("--seconds", "5").parse().expect("--seconds is a number");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let baseline = runtime.block_on(rows::alone(Duration::from_secs_f64(seconds.min(3.0))));
    println!("SQLite alone, {} event rows a commit: {baseline:.0} events/s", rows::BATCH);
    for count in option("--communities", "1000,10000").split(',') {
        let count: usize = count.parse().expect("--communities is a list of numbers");
        runtime.block_on(measure(count, seconds, baseline));
    }
    runtime.block_on(grabs());
}

/// Ten thousand members grab one packet of a hundred shares at once.
async fn grabs() {
    const MEMBERS: usize = 10_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (platform, now) = (Platform::willing(), SystemClock::default().now());
    let store = sqlite(&folder.path().join("grabs.db")).await;
    let bot = Setup::new(vec![shipped("red_packet")]).start(store, &platform).await;
    let mut members = vec![seed("sender", 1000, now)];
    members.extend((0..MEMBERS).map(|n| seed(&format!("m{n}"), 0, now)));
    bot.seed_members(&world::group_ref("g"), members).await.expect("seeded");
    bot.inbox().offer(message("send", "g", "sender", "红包 1000 100", now), None).await;
    bot.settled().await;
    let commits = bot.figures().commits.load(Ordering::Relaxed);
    let began = Instant::now();
    let mut offers = tokio::task::JoinSet::new();
    for n in 0..MEMBERS {
        let inbox = bot.inbox();
        offers.spawn(async move {
            let grab = message(&format!("grab-{n}"), "g", &format!("m{n}"), "抢", now);
            inbox.offer(grab, None).await;
        });
    }
    offers.join_all().await;
    bot.settled().await;
    let seconds = began.elapsed().as_secs_f64();
    let commits = bot.figures().commits.load(Ordering::Relaxed) - commits;
    let found = bot.store().verify().await.expect("a sound store");
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    println!("{MEMBERS} grabs on 100 shares: {seconds:.2} s, {commits} commits");
    bot.stop().await.expect("an orderly end");
}

/// The rules: half of them wait for a word, half of them look at every message.
fn rules() -> Vec<qundao::script::protocol::Source> {
    (0..RULES)
        .map(|n| {
            let text = if n % 2 == 0 {
                format!("on_keyword([\"关键词{n}\", \"口令{n}\"], |m| m.reply(\"收到 {n}\"));")
            } else {
                format!(
                    "on_message(|m| {{ if m.text.len() > {} && m.member.trust < 1 {{ \
                     m.react(\"👀\"); }} }});",
                    200 + n
                )
            };
            script(&format!("rule-{n}"), &format!("//! 规则 {n}\n{text}\n"))
        })
        .collect()
}

fn text(n: usize) -> String {
    if n.is_multiple_of(10) {
        format!("大家好,关键词{} 在这里", (n / 10 % 5) * 2)
    } else {
        format!("今天天气不错,我们去公园走走吧 {n}")
    }
}

async fn measure(communities: usize, seconds: f64, baseline: f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let platform = Platform::willing();
    let store = sqlite(&folder.path().join("bench.db")).await;
    let bot = Setup::new(rules()).start(store, &platform).await;
    // Every community speaks once, so that its state is in memory.
    closed_loop(&bot, communities, 0, communities * 2, None).await;
    let warm = rss_mib();
    let began = Instant::now();
    let done = closed_loop(&bot, communities, 1 << 32, usize::MAX, Some(seconds)).await;
    let rate = done as f64 / began.elapsed().as_secs_f64();
    let full = rss_mib();
    let latencies = open_loop(&bot, communities, rate / 2.0, seconds).await;
    let (p50, p99, worst) = percentiles(latencies);
    let found = bot.store().verify().await.expect("a sound store");
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    println!(
        "{communities} communities, {RULES} rules: {rate:.0} events/s ({:.2} of SQLite alone); at \
         half of that p50 {p50:.2} ms, p99 {p99:.2} ms, worst {worst:.1} ms; {warm} MiB loaded, \
         {full} MiB under load",
        rate / baseline
    );
    bot.stop().await.expect("an orderly end");
}

/// Keeps a window of events under way; returns how many were committed.
async fn closed_loop(
    bot: &Bot,
    communities: usize,
    first: usize,
    count: usize,
    seconds: Option<f64>,
) -> usize {
    let (inbox, window) = (bot.inbox(), Arc::new(Semaphore::new(WINDOW)));
    let began = Instant::now();
    let mut sent = 0;
    while sent < count && seconds.is_none_or(|limit| began.elapsed().as_secs_f64() < limit) {
        let permit = window.clone().acquire_owned().await.expect("is never closed");
        let receipt = offer(&inbox, first + sent, communities).await;
        tokio::spawn(async move {
            assert_eq!(receipt.await, Ok(Accepted::New));
            drop(permit);
        });
        sent += 1;
    }
    bot.settled().await;
    sent
}

/// Offers at a steady rate, whatever comes back; returns the time to each commit, ms.
async fn open_loop(bot: &Bot, communities: usize, rate: f64, seconds: f64) -> Vec<f64> {
    let inbox = bot.inbox();
    let (began, mut sent, mut waits) = (Instant::now(), 0, tokio::task::JoinSet::new());
    while began.elapsed().as_secs_f64() < seconds {
        let due = (began.elapsed().as_secs_f64() * rate) as usize;
        while sent < due {
            let at = Instant::now();
            let receipt = offer(&inbox, (2 << 32) + sent, communities).await;
            waits.spawn(async move {
                assert_eq!(receipt.await, Ok(Accepted::New));
                at.elapsed().as_secs_f64() * 1000.0
            });
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    waits.join_all().await
}

async fn offer(
    inbox: &Arc<dyn Inbox>,
    n: usize,
    communities: usize,
) -> oneshot::Receiver<Accepted> {
    let (receipt, heard) = oneshot::channel();
    let (group, person) = (n % communities, n / communities % MEMBERS);
    let now = SystemClock::default().now();
    let group = format!("g{group}");
    let message = message(&n.to_string(), &group, &format!("{group}-{person}"), &text(n), now);
    inbox.offer(message, Some(receipt)).await;
    heard
}

fn percentiles(mut ms: Vec<f64>) -> (f64, f64, f64) {
    ms.sort_by(f64::total_cmp);
    let at = |part: f64| ms.get((ms.len() as f64 * part) as usize).copied().unwrap_or_default();
    (at(0.5), at(0.99), ms.last().copied().unwrap_or_default())
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
