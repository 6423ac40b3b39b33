//! Seeds that must hold: 500 of them in a test, or as many as `QUNDAO_SEEDS` says.

use std::time::Duration;

use qundao_sim::op::Plan;
use qundao_sim::run::{Seeds, run, run_all};
use qundao_sim::shrink::shrink;

const SEEDS: u64 = 500;
const OPS: usize = 150;
/// Those above that have found a bug.
const FOUND_ONE: [u64; 3] = [1701, 4285, 17853];

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn nothing_is_lost_doubled_or_late_in_any_world() {
    let count = std::env::var("QUNDAO_SEEDS").ok().and_then(|count| count.parse().ok());
    let seeds = Seeds { from: 1, count: count.unwrap_or(SEEDS), ops: OPS, threads: threads() };
    let (mut failed, mut done, mut turns) = (None, 0, 0);
    run_all(seeds, |outcome| {
        done += 1;
        turns += outcome.figures.turns;
        if outcome.violation.is_some() {
            failed = Some(outcome);
        }
        failed.is_none()
    });
    if let Some(outcome) = failed {
        let violation = outcome.violation.unwrap();
        let plan = Plan::of(outcome.seed, OPS);
        let small = shrink(&plan, violation.oracle, Duration::from_secs(60));
        panic!(
            "seed {} (qundao-sim --seed {} --ops {OPS}): {}: {}\n{:#?}",
            outcome.seed, outcome.seed, violation.oracle, violation.text, small.ops
        );
    }
    println!("{done} seeds, {turns} turns");
    assert!(turns > done * 50, "{turns} turns in {done} worlds");
}

#[test]
fn seeds_that_have_found_a_bug_hold() {
    for seed in FOUND_ONE {
        let outcome = run(&Plan::of(seed, OPS), false);
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
    }
}

/// O10.
#[test]
fn the_same_seed_writes_the_same_log() {
    for seed in 1..=12 {
        let plan = Plan::of(seed, OPS);
        let (one, two) = (run(&plan, true), run(&plan, true));
        let (one_log, two_log) = (one.log.unwrap(), two.log.unwrap());
        for (one, two) in one_log.lines().zip(two_log.lines()) {
            assert_eq!(one, two, "seed {seed}");
        }
        assert_eq!(one.hash, two.hash, "seed {seed}");
    }
}
