//! Makes a failing world smaller: operations are left out as long as it still fails alike.

use std::time::{Duration, Instant};

use crate::op::Plan;
use crate::run::run;

/// The smallest plan that still fails by the same oracle, found within a time.
pub fn shrink(plan: &Plan, oracle: &'static str, within: Duration) -> Plan {
    let begin = Instant::now();
    let mut best = plan.clone();
    let mut size = (best.ops.len() / 2).max(1);
    loop {
        let mut at = 0;
        while at < best.ops.len() {
            if begin.elapsed() > within {
                return best;
            }
            let mut tried = best.clone();
            let end = (at + size).min(tried.ops.len());
            tried.ops.drain(at..end);
            let found = run(&tried, false).violation;
            if found.is_some_and(|found| found.oracle == oracle) {
                best = tried;
            } else {
                at = end;
            }
        }
        if size == 1 {
            return best;
        }
        size /= 2;
    }
}
