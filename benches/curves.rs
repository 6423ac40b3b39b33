//! What a message costs as a bot grows: in words to look for, in rules that look at every message,
//! in communities.
//!
//! `cargo bench --bench curves [-- --seconds 3 --write docs]` prints tables, and with `--write`
//! draws them into `curves.svg` in that folder. Scripts run in their own process, the store is a file
//! with `synchronous=FULL`; processor time and memory are those of both processes.

#[path = "load/inbox.rs"]
mod inbox;
#[path = "curves/picture.rs"]
mod picture;
#[path = "load/process.rs"]
mod process;
#[path = "../tests/world/mod.rs"]
mod world;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use qundao::child::{ChildHost, Program};
use qundao::clock::{Clock, SystemClock};
use qundao::event::Envelope;
use qundao::moderation::WordLists;
use qundao::script::protocol::Source;
use world::{Platform, Setup, message, script, sqlite};

use picture::Curve;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TEXT: &str = "今天天气真不错，有人一起打游戏吗，收到请回复";
const MEMBERS: usize = 20;

/// One bot to measure.
struct Case {
    size: usize,
    communities: usize,
    rules: Vec<Source>,
    words: usize,
}

/// What a message costs in it.
pub struct Cost {
    /// Words, rules or communities.
    pub size: usize,
    /// Messages a second, at most.
    pub rate: f64,
    /// Processor time of a message, µs.
    pub cpu_us: f64,
    /// Of all processes, at the end.
    pub memory_mib: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).map(String::as_str)
    };
    let seconds = option("--seconds").unwrap_or("3").parse().expect("--seconds is a number");
    let time = Duration::from_secs_f64(seconds);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(2))
        .enable_all()
        .build()
        .expect("a runtime");
    let curves = runtime.block_on(curves(time));
    let mut tables = String::new();
    for curve in &curves {
        let _ =
            writeln!(tables, "\n| {} | events/s | µs of processor an event | MiB |", curve.axis);
        tables.push_str("|---|---|---|---|\n");
        for cost in &curve.costs {
            let Cost { size, rate, cpu_us, memory_mib } = cost;
            let _ = writeln!(tables, "| {size} | {rate:.0} | {cpu_us:.1} | {memory_mib:.0} |");
        }
    }
    println!("{tables}");
    if let Some(folder) = option("--write") {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("curves.svg");
        std::fs::write(&path, picture::draw(&curves)).expect("the picture is written");
        println!("wrote {}", path.display());
    }
}

async fn curves(time: Duration) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (axis, sizes, case) in [
        ("words in a list", &[10, 100, 1000, 10_000][..], words as fn(usize) -> Case),
        ("rules with `on_message`", &[1, 5, 10, 20, 50], looking),
        ("rules with `on_keyword`", &[1, 5, 10, 20, 50], waiting),
        ("communities", &[50, 500, 5000, 50_000], communities),
    ] {
        let mut costs = Vec::new();
        for size in sizes {
            eprintln!("{axis}: {size}");
            costs.push(measure(case(*size), time).await);
        }
        curves.push(Curve { axis, costs });
    }
    curves
}

fn words(size: usize) -> Case {
    let rule = "//! 词\non_message(|m| { if words::has(m, \"list\") { m.delete(\"词\"); } });\n";
    Case { size, communities: 50, rules: vec![script("words", rule)], words: size }
}

/// Rules whose code runs for every message.
fn looking(size: usize) -> Case {
    let rule = |n| {
        let text = format!(
            "//! 规则 {n}\non_message(|m| {{ if m.text.len() > {} {{ m.react(\"👀\"); }} }});\n",
            200 + n
        );
        script(&format!("rule-{n}"), &text)
    };
    Case { size, communities: 50, rules: (0..size).map(rule).collect(), words: 0 }
}

/// Rules that wait for words of their own.
fn waiting(size: usize) -> Case {
    let rule = |n| {
        let text = format!(
            "//! 规则 {n}\non_keyword([\"关键词{n}\", \"口令{n}\"], |m| m.reply(\"收到\"));\n"
        );
        script(&format!("rule-{n}"), &text)
    };
    Case { size, communities: 50, rules: (0..size).map(rule).collect(), words: 0 }
}

fn communities(size: usize) -> Case {
    Case { communities: size, ..words(1000) }.sized(size)
}

impl Case {
    fn sized(self, size: usize) -> Self {
        Self { size, ..self }
    }
}

async fn measure(case: Case, time: Duration) -> Cost {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sqlite(&folder.path().join("curve.db")).await;
    let mut setup = Setup::new(case.rules);
    setup.words = lists(folder.path(), case.words);
    let binary = Program::at(process::binary());
    let host = ChildHost::start(binary, setup.config.limits.script.clone()).await;
    setup.host = Some(Arc::new(host.expect("the scripts have a process")));
    let platform = Platform::willing();
    let bot = setup.start(store, &platform).await;
    let communities = case.communities;
    let unlimited = Duration::from_secs(3600);
    // Everybody has spoken once, so that the state of all is in memory as far as it stays there.
    let warm = communities * 2;
    inbox::offer_all(&bot, |n| event(n, communities), (warm, unlimited)).await;
    let me = std::process::id();
    let before = process::cpu_s(me);
    let (sent, seconds) =
        inbox::offer_all(&bot, |n| event(warm + n, communities), (usize::MAX, time)).await;
    let cost = Cost {
        size: case.size,
        rate: sent as f64 / seconds,
        cpu_us: (process::cpu_s(me) - before) * 1e6 / sent as f64,
        memory_mib: process::memory_mib(me),
    };
    bot.stop().await.expect("an orderly end");
    cost
}

fn lists(folder: &std::path::Path, words: usize) -> WordLists {
    let list: Vec<String> = (0..words).map(|n| format!("禁词甲{n:05}乙")).collect();
    let folder = folder.join("words");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("list.txt"), list.join("\n")).expect("a list");
    WordLists::load(&folder).0
}

fn event(n: usize, communities: usize) -> Envelope {
    let (group, person) = (n % communities, n / communities % MEMBERS);
    let now = SystemClock::default().now();
    message(&format!("{now}:{n}"), &format!("g{group}"), &format!("{group}-{person}"), TEXT, now)
}
