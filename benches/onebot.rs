//! The whole bot over the wire: a OneBot implementation talks, the real program answers.
//!
//! `cargo bench --bench onebot [-- --seconds 8 --window 64]`
//!
//! Two workloads. W1: one message in ten is a command, answered by a script. W2: every message is
//! checked against a thousand words by a rule, one in a hundred is recalled, every message adds to
//! its author's count in the same commit as its archive row, commands are answered. The second runs
//! with both forms a rule can have. Beside them, in the same run, what wire and generator do with a
//! peer that does the least possible, and what SQLite does with the event rows alone: figures of one
//! machine mean little without.

#[path = "load/mod.rs"]
mod load;
#[path = "load/rows.rs"]
mod rows;

use std::time::Duration;

use load::process::{Program, cpu_s, memory_mib};
use load::{Load, Outcome, Pace, peer};

const ECHO: &str = "//! 回声\ncommand(\"echo <t:text>\", |c| c.reply(c.t));\n";
const WORDS: usize = 1000;
/// The two forms of the same rule.
const FORMS: [(&str, &str); 2] = [
    (
        "W2, on_message",
        "//! 禁词\non_message(|m| { if words::has(m, \"w2\") { m.delete(\"禁词\"); } });\n",
    ),
    ("W2, on_words", "//! 禁词\non_words(\"w2\", |m| m.delete(\"禁词\"));\n"),
];
/// Messages before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: &str| -> f64 {
        let at = args.iter().position(|arg| arg == name);
        let value = at.and_then(|at| args.get(at + 1)).map_or(default, String::as_str);
        value.parse().unwrap_or_else(|_| panic!("`{name}` is a number, not `{value}`"))
    };
    let time = Duration::from_secs_f64(option("--seconds", "8"));
    let window = option("--window", "64") as usize;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(time, window));
}

async fn run(time: Duration, window: usize) {
    let sqlite = rows::alone(time.min(Duration::from_secs(3))).await;
    println!("SQLite alone, {} event rows a commit: {sqlite:.0} events/s", rows::BATCH);
    let mut least = Load::connect(peer::start().await, Vec::new()).await;
    let wire = least.run(Pace::Closed(window), time).await;
    println!("the least possible peer, W1: {:.0} events/s", wire.rate());
    println!(
        "\n| | events/s | of the least peer | of SQLite alone | µs of processor an event | peak MiB | p50 / p99 ms at half | wrong |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let words: Vec<String> = (0..WORDS).map(|n| format!("禁词甲{n:04}乙")).collect();
    measure(
        "W1",
        &[("scripts/echo.rhai", ECHO)],
        Vec::new(),
        (time, window),
        (wire.rate(), sqlite),
    )
    .await;
    let list = words.join("\n");
    for (name, rule) in FORMS {
        let files = [
            ("scripts/echo.rhai", ECHO),
            ("rules/w2.rhai", rule),
            ("scripts/words/w2.txt", list.as_str()),
        ];
        measure(name, &files, words.clone(), (time, window), (wire.rate(), sqlite)).await;
    }
}

/// One workload on a bot of its own: its maximum, then half of that.
async fn measure(
    name: &str,
    files: &[(&str, &str)],
    words: Vec<String>,
    (time, window): (Duration, usize),
    (wire, sqlite): (f64, f64),
) {
    let program = Program::start(files);
    let mut load = Load::connect(program.port, words).await;
    load.run(Pace::Closed(window), WARM_UP).await;
    let before = cpu_s(program.id());
    let (most, mut peak) = watch(&program, load.run(Pace::Closed(window), time)).await;
    let cpu_us = (cpu_s(program.id()) - before) * 1e6 / most.sent as f64;
    let (mut half, later) = watch(&program, load.run(Pace::Open(most.rate() / 2.0), time)).await;
    peak = peak.max(later);
    let (p50, p99) = (half.percentile(0.5), half.percentile(0.99));
    let wrong: Vec<&String> = most.wrong.iter().chain(&half.wrong).collect();
    println!(
        "| {name} | {:.0} | {:.2} | {:.2} | {cpu_us:.1} | {peak:.0} | {p50:.1} / {p99:.1} | {} |",
        most.rate(),
        most.rate() / wire,
        most.rate() / sqlite,
        wrong.len()
    );
    for what in wrong.iter().take(5) {
        println!("    {what}");
    }
    rows::scores(&program.database()).await;
}

/// What came of it, with the most memory that the bot took meanwhile, MiB.
async fn watch(program: &Program, work: impl Future<Output = Outcome>) -> (Outcome, f64) {
    tokio::pin!(work);
    let (mut peak, mut tick) = (0.0_f64, tokio::time::interval(Duration::from_millis(200)));
    loop {
        tokio::select! {
            outcome = &mut work => return (outcome, peak),
            _ = tick.tick() => peak = peak.max(memory_mib(program.id())),
        }
    }
}
