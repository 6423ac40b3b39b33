//! Planted bugs are found: each within so many seeds. Alone in its process, because a planted bug is
//! everywhere in it.
#![cfg(feature = "planted")]

use qundao::planted::{Bug, plant};
use qundao_sim::run::{Seeds, run_all};

const SEEDS: u64 = 200;
const OPS: usize = 150;

/// Bugs that show in a world, and which oracle must see them. The others are for other suites.
const BUGS: [(Bug, &str); 13] = [
    (Bug::SkipDedupe, "O1"),
    (Bug::AckBeforeCommit, "O1"),
    (Bug::SendBeforeSending, "O4"),
    (Bug::SharedNonce, "O4"),
    (Bug::GrabTwice, "O"),
    (Bug::RefundWithoutKey, "O3"),
    (Bug::FoldIgnored, "O5"),
    (Bug::RoutinesDoubled, "O5"),
    (Bug::RetryUnknown, "O4"),
    (Bug::StalenessOff, "O7"),
    (Bug::EarlyRetry, "O9"),
    (Bug::SavepointOff, "O3"),
    (Bug::ExpiryOff, "O6"),
];

#[test]
fn every_planted_bug_is_found() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut missed = Vec::new();
    for (bug, oracle) in BUGS {
        plant(Some(bug));
        let (mut tried, mut found) = (0, None);
        run_all(Seeds { from: 1, count: SEEDS, ops: OPS, threads }, |outcome| {
            tried += 1;
            found = outcome.violation.map(|violation| (outcome.seed, violation));
            found.is_none()
        });
        match found {
            Some((seed, violation)) => {
                println!(
                    "{}: seed {seed} after {tried}: {}: {}",
                    bug.word(),
                    violation.oracle,
                    violation.text
                );
                if !violation.oracle.starts_with(oracle) {
                    missed.push(format!("{} by {}", bug.word(), violation.oracle));
                }
            }
            None => missed.push(bug.word().to_owned()),
        }
    }
    plant(None);
    assert!(missed.is_empty(), "not found: {missed:?}");
}
