//! How long other communities wait for their answers while hostile scripts run: the program under
//! a steady load that does not wait, every script of `tests/hostile` in turn.
//!
//! `cargo bench --bench hostile [-- --per-second 500 --communities 50 --shots 4 --abreast 1
//! --folders handlers,toplevel]`
//!
//! `QUNDAO_LIVE_PROGRAM=path` measures another build of the program than the one beside it. Ends
//! with 1 when an answer took longer than 250 ms, was lost, doubled or out of order. With
//! `killers`, whose limits are raised until they end their process, no such promise is judged.

#[path = "../tests/live/attack.rs"]
mod attack;
#[path = "../tests/live/load.rs"]
mod load;
#[path = "../tests/live/normal.rs"]
mod normal;
#[path = "../tests/live/processes.rs"]
mod processes;
#[path = "../tests/live/program.rs"]
mod program;
#[path = "../tests/onebot/sim/mod.rs"]
mod sim;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use attack::{RAISED, Round, corpus};
use load::{Load, Pace};
use normal::{CHILDREN, Normal};
use processes::Processes;
use program::{Program, Shape};

/// Longest that an answer to another community may take.
const PROMISE: Duration = Duration::from_millis(250);
const WORST: usize = 10;

struct Options {
    pace: Pace,
    communities: i64,
    shots: usize,
    abreast: usize,
    folders: String,
}

/// What was measured while one round lasted.
struct Measured {
    name: String,
    latencies: Vec<Duration>,
    /// Most that the load was late, which is no fault of the program.
    late: Duration,
    took: Duration,
    /// Not all scripts came into force as they say.
    is_odd: bool,
    /// Memory of the host and of the largest child when the last shot was answered, MiB.
    mib: (u64, u64),
}

impl Measured {
    fn slowest(&self) -> Duration {
        self.latencies.iter().copied().max().unwrap_or_default()
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: &str| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).cloned().unwrap_or_else(|| default.to_owned())
    };
    let number = |name: &str, default: &str| -> u32 {
        option(name, default).parse().unwrap_or_else(|_| panic!("{name} is a number"))
    };
    let options = Options {
        pace: Pace { per_second: number("--per-second", "500"), window: None },
        communities: number("--communities", "50").into(),
        shots: number("--shots", "4") as usize,
        abreast: number("--abreast", "1") as usize,
        folders: option("--folders", "handlers,toplevel"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let is_kept = runtime.expect("a runtime").block_on(measure(&options));
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(options: &Options) -> bool {
    let are_killers = options.folders.contains("killers");
    let limits = if are_killers { RAISED } else { "" };
    let shape = Shape { honest: options.communities, attacked: options.abreast as i64, limits };
    let mut program = Program::start(shape).await;
    let load = Load::start(&program.sim, options.communities, options.pace);
    load.until("the first thousand answers", |board| board.answered >= 1000).await;
    load.board().latencies.clear();
    load.until("a thousand answers in peace", |board| board.latencies.len() >= 1000).await;
    let peace = std::mem::take(&mut load.board().latencies);
    let normal = Normal(Processes::of(program.id()));
    println!("in peace: {}; {}", spread(peace), normal.0);
    let mut rounds = Vec::new();
    let scripts: Vec<_> = options.folders.split(',').flat_map(corpus).collect();
    for scripts in scripts.chunks(options.abreast) {
        let round = Round { scripts, shots: options.shots };
        let began = Instant::now();
        let ended = round.play(&mut program, &load).await;
        let mib = (ended.during.host.own_mib, ended.during.largest_child());
        let is_odd = scripts.iter().zip(ended.loaded).any(|(script, is_in)| script.loads != is_in);
        let (latencies, late) = {
            let mut board = load.board();
            (std::mem::take(&mut board.latencies), std::mem::take(&mut board.late))
        };
        let took = began.elapsed();
        let names: Vec<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
        let name = names.join(" and ");
        rounds.push(Measured { name, latencies, late, took, is_odd, mib });
        normal.again(&program, &load, CHILDREN..=CHILDREN + 1).await;
    }
    let after = Processes::of(program.id());
    let told = program.take_told();
    told.iter().filter(|line| line.contains("was replaced")).for_each(|kill| println!("{kill}"));
    let board = load.finish().await;
    let late: Vec<Duration> = board.latencies;
    let peak = |part: fn(&Measured) -> u64| rounds.iter().map(part).max().unwrap_or(0);
    let peaks = (peak(|round| round.mib.0), peak(|round| round.mib.1));
    let is_kept = tell(rounds, late);
    println!("after: {after}; at most {peaks:?} MiB in host and child");
    board.wrong.iter().for_each(|wrong| println!("wrong: {wrong}"));
    program.stop() && board.wrong.is_empty() && (is_kept || are_killers)
}

/// The table; whether the promise was kept.
fn tell(mut rounds: Vec<Measured>, late: Vec<Duration>) -> bool {
    for round in &rounds {
        let (host, child) = round.mib;
        println!(
            "{}{:<50} {:>6} ms  {}  load late {:>3} ms, host {host} MiB, child {child} MiB",
            if round.is_odd { '!' } else { ' ' },
            round.name,
            round.took.as_millis(),
            spread(round.latencies.clone()),
            round.late.as_millis()
        );
    }
    let all: Vec<Duration> =
        rounds.iter().flat_map(|round| &round.latencies).chain(&late).copied().collect();
    let over = all.iter().filter(|latency| **latency > PROMISE).count();
    println!("\nunder attack: {}; {over} over {PROMISE:?}", spread(all));
    rounds.sort_by_key(|round| std::cmp::Reverse(round.slowest()));
    println!("the worst:");
    for round in rounds.iter().take(WORST) {
        println!(
            "  {:>8.1} ms  {} (load late {} ms)",
            millis(round.slowest()),
            round.name,
            round.late.as_millis()
        );
    }
    over == 0
}

fn spread(mut latencies: Vec<Duration>) -> String {
    latencies.sort_unstable();
    let at = |part: f64| {
        let place = (latencies.len() as f64 * part) as usize;
        latencies.get(place.min(latencies.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    format!(
        "{:>6} answers, p50 {:>5.1} p99 {:>6.1} max {:>6.1} ms",
        latencies.len(),
        millis(at(0.5)),
        millis(at(0.99)),
        millis(at(1.0))
    )
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
