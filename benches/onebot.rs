//! The whole bot over the wire: a OneBot implementation talks, the real program answers.
//!
//! `cargo bench --bench onebot [-- --seconds 8 --window 64]`
//!
//! Two workloads. W1: one message in ten is a command, answered by a script. W2: every message is
//! checked against a thousand words by a rule, one in a hundred is recalled, every message adds to
//! its author's count in the same commit as its archive row, commands are answered. The second runs
//! with each form that a rule can have. Beside them, in the same run, what wire and generator do with
//! a peer that does the least possible, and what SQLite does with the event rows alone: figures of
//! one machine mean little without.
//!
//! `… -- --connect ws://HOST:PORT/PATH [--pid PID] [--w1]` measures a bot of any kind that runs already, and
//! `… -- --print-words` prints the words that it must recall; see docs/benchmarks.md.

#[path = "load/mod.rs"]
mod load;
#[path = "load/rows.rs"]
mod rows;

use std::time::Duration;

use load::process::{Program, cpu_s, memory_mib};
use load::{Load, Outcome, Pace, peer};

/// Answers commands.
const ECHO: &str = "//! 回声\ncommand(\"echo <t:text>\", |c| c.reply(c.t));\n";
const WORDS: usize = 1000;
/// Messages before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// What the command line asks for.
struct Options(Vec<String>);

impl Options {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|arg| arg == name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let value = self.text(name)?;
        Some(value.parse().unwrap_or_else(|_| panic!("`{name}` is a number, not `{value}`")))
    }
}

fn main() {
    let options = Options(std::env::args().collect());
    if options.has("--print-words") {
        println!("{}", words().join("\n"));
        return;
    }
    let time = Duration::from_secs_f64(options.number("--seconds").unwrap_or(8.0));
    let window = options.number("--window").unwrap_or(64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match options.text("--connect") {
        Some(url) => {
            let words = if options.has("--w1") { Vec::new() } else { words() };
            runtime.block_on(foreign(url, options.number("--pid"), words, (time, window)));
        }
        None => runtime.block_on(run(time, window)),
    }
}

fn words() -> Vec<String> {
    (0..WORDS).map(|n| format!("禁词甲{n:04}乙")).collect()
}

/// The forms of the same rule, with their names.
fn forms() -> [(&'static str, String); 3] {
    let head = "//! 禁词\n";
    let quoted: Vec<String> = words().iter().map(|word| format!("\"{word}\"")).collect();
    // A literal may be as long as `script_entries` says.
    let rule =
        |some: &[String]| format!("on_keyword([{}], |m| m.delete(\"禁词\"));\n", some.join(","));
    let by_keyword: String = quoted.chunks(WORDS / 4).map(rule).collect();
    [
        (
            "W2, `on_message`",
            format!(
                "{head}on_message(|m| {{ if words::has(m, \"w2\") {{ m.delete(\"禁词\"); }} }});\n"
            ),
        ),
        ("W2, `on_words`", format!("{head}on_words(\"w2\", |m| m.delete(\"禁词\"));\n")),
        ("W2, `on_keyword`", format!("{head}{by_keyword}")),
    ]
}

/// What the figures are compared with.
struct Beside {
    /// Events a second of the least possible peer.
    wire: f64,
    /// Event rows a second of SQLite alone.
    sqlite: f64,
}

async fn run(time: Duration, window: usize) {
    let sqlite = rows::alone(time.min(Duration::from_secs(3))).await;
    println!("SQLite alone, {} event rows a commit: {sqlite:.0} events/s", rows::BATCH);
    let beside = Beside { wire: least(time, window).await, sqlite };
    println!("the least possible peer, W1: {:.0} events/s\n", beside.wire);
    head();
    let echo = ("scripts/echo.rhai", ECHO);
    own("W1", &[echo], Vec::new(), (time, window), &beside).await;
    let list = words().join("\n");
    for (name, rule) in forms() {
        let files = [echo, ("rules/w2.rhai", &*rule), ("scripts/words/w2.txt", &*list)];
        own(name, &files, words(), (time, window), &beside).await;
    }
}

async fn least(time: Duration, window: usize) -> f64 {
    let mut load = Load::connect(&peer::start(), Vec::new()).await;
    load.run(Pace::Closed(window), time).await.rate()
}

fn head() {
    println!(
        "| | events/s | of the least peer | of SQLite alone | µs of processor an event | peak MiB | \
         p50 / p99 ms at half | wrong |\n|---|---|---|---|---|---|---|---|"
    );
}

/// A bot that runs already.
async fn foreign(url: &str, pid: Option<u32>, words: Vec<String>, how: (Duration, usize)) {
    let beside = Beside { wire: least(how.0, how.1).await, sqlite: f64::NAN };
    println!("the least possible peer, W1: {:.0} events/s\n", beside.wire);
    head();
    let name = if words.is_empty() { "W1" } else { "W2" };
    measure(name, (url, pid), words, how, &beside).await;
}

/// Our own, started for it.
async fn own(
    name: &str,
    files: &[(&str, &str)],
    words: Vec<String>,
    how: (Duration, usize),
    beside: &Beside,
) {
    let program = Program::start(files);
    measure(name, (&program.url(), Some(program.id())), words, how, beside).await;
    rows::scores(&program.database()).await;
}

/// One workload: the maximum of a bot, then half of that.
async fn measure(
    name: &str,
    (url, pid): (&str, Option<u32>),
    words: Vec<String>,
    (time, window): (Duration, usize),
    beside: &Beside,
) {
    let mut load = Load::connect(url, words).await;
    load.run(Pace::Closed(window), WARM_UP).await;
    let cpu = || pid.map_or(f64::NAN, cpu_s);
    let before = cpu();
    let (most, mut peak) = watch(pid, load.run(Pace::Closed(window), time)).await;
    let cpu_us = (cpu() - before) * 1e6 / most.sent as f64;
    let (mut half, later) = watch(pid, load.run(Pace::Open(most.rate() / 2.0), time)).await;
    peak = peak.max(later);
    let (p50, p99) = (half.percentile(0.5), half.percentile(0.99));
    let wrong: Vec<&String> = most.wrong.iter().chain(&half.wrong).collect();
    println!(
        "| {name} | {:.0} | {:.2} | {:.2} | {cpu_us:.1} | {peak:.0} | {p50:.1} / {p99:.1} | {} |",
        most.rate(),
        most.rate() / beside.wire,
        most.rate() / beside.sqlite,
        wrong.len()
    );
    for what in wrong.iter().take(5) {
        println!("    {what}");
    }
}

/// What came of it, with the most memory that the bot took meanwhile, MiB.
async fn watch(pid: Option<u32>, work: impl Future<Output = Outcome>) -> (Outcome, f64) {
    tokio::pin!(work);
    let (mut peak, mut tick) = (0.0_f64, tokio::time::interval(Duration::from_millis(200)));
    loop {
        tokio::select! {
            outcome = &mut work => return (outcome, peak),
            _ = tick.tick() => peak = peak.max(pid.map_or(f64::NAN, memory_mib)),
        }
    }
}
