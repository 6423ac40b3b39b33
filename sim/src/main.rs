//! `qundao-sim`: runs seeds, tells what fails and how much happened.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use qundao_sim::op::Plan;
use qundao_sim::run::{Outcome, Seeds, run, run_all, stay_on_one_core};
use qundao_sim::shrink::shrink;
use qundao_sim::world::Figures;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The whole bot on a simulated world.
#[derive(Parser)]
struct Options {
    /// So many seeds.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One seed alone, with its log.
    #[arg(long)]
    seed: Option<u64>,
    /// Operations of each world, about.
    #[arg(long, default_value_t = 300)]
    ops: usize,
    /// Worlds beside each other.
    #[arg(long)]
    threads: Option<usize>,
    /// Figures as JSON.
    #[arg(long)]
    json: bool,
    /// Does not look for a smaller list of operations.
    #[arg(long)]
    no_shrink: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.seed {
        Some(seed) => one(&options, seed),
        None => many(&options),
    }
}

fn one(options: &Options, seed: u64) -> ExitCode {
    stay_on_one_core(0);
    let outcome = run(&Plan::of(seed, options.ops), true);
    print!("{}", outcome.log.as_deref().unwrap_or_default());
    println!("{} {}", outcome.hash, figures(&outcome.figures));
    if outcome.violation.is_some() {
        explain(options, &outcome);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn many(options: &Options) -> ExitCode {
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let seeds = Seeds { from: options.from, count: options.seeds, ops: options.ops, threads };
    let begin = Instant::now();
    let (mut sum, mut done, mut failed) = (Figures::default(), 0_u64, Vec::new());
    let mut told = Instant::now();
    run_all(seeds, |outcome| {
        add(&mut sum, &outcome.figures);
        done += 1;
        if let Some(violation) = &outcome.violation {
            eprintln!("seed {} {}: {}", outcome.seed, violation.oracle, violation.text);
            failed.push(outcome);
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("{done}/{} seeds, {} failed", options.seeds, failed.len());
        }
        failed.len() < 20
    });
    let seconds = begin.elapsed().as_secs_f64();
    if options.json {
        let numbers: Vec<u64> = failed.iter().map(|outcome| outcome.seed).collect();
        println!(
            "{}",
            serde_json::json!({
                "seeds": done, "failed": numbers, "seconds": seconds, "offered": sum.offered,
                "turns": sum.turns, "calls": sum.calls, "faults": sum.faults, "starts": sum.starts,
                "slots": sum.slots, "days": sum.passed_ms / 86_400_000,
            })
        );
    } else {
        println!(
            "{done} seeds in {seconds:.1} s ({:.1}/s), {} failed: {}",
            done as f64 / seconds,
            failed.len(),
            figures(&sum)
        );
    }
    match failed.first() {
        None => ExitCode::SUCCESS,
        Some(outcome) => {
            explain(options, outcome);
            ExitCode::FAILURE
        }
    }
}

fn add(sum: &mut Figures, more: &Figures) {
    sum.offered += more.offered;
    sum.turns += more.turns;
    sum.calls += more.calls;
    sum.faults += more.faults;
    sum.starts += more.starts;
    sum.passed_ms += more.passed_ms;
    sum.slots += more.slots;
}

fn figures(of: &Figures) -> String {
    format!(
        "{} events brought, {} turns, {} calls, {} faults, {} starts, {} times of routines, {:.1} days",
        of.offered,
        of.turns,
        of.calls,
        of.faults,
        of.starts,
        of.slots,
        of.passed_ms as f64 / 86_400_000.0
    )
}

/// The smallest list of operations that still fails so.
fn explain(options: &Options, outcome: &Outcome) {
    let Some(violation) = &outcome.violation else { return };
    eprintln!("seed {}: {}: {}", outcome.seed, violation.oracle, violation.text);
    eprintln!("again: qundao-sim --seed {} --ops {}", outcome.seed, options.ops);
    if options.no_shrink {
        return;
    }
    let plan = Plan::of(outcome.seed, options.ops);
    stay_on_one_core(0);
    let small = shrink(&plan, violation.oracle, Duration::from_secs(60));
    eprintln!("{} of {} operations are enough:", small.ops.len(), plan.ops.len());
    for op in &small.ops {
        eprintln!("  {} +{} ms {:?}", op.id, op.after_ms, op.what);
    }
}
