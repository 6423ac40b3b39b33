//! The process ends at each named point in turn, the first time or a later one.

use qundao::planted::Point;

use crate::process::{Process, is_child};
use crate::{Outside, cycles};

/// Deaths at each point, unless `QUNDAO_CYCLES` says otherwise.
const DEATHS: usize = 2;
/// A point that is not reached until so many events were acknowledged is none of this traffic's.
const ENOUGH: usize = 6000;

/// How late a death is at most. Some points every event passes, others only some.
fn latest(point: Point) -> usize {
    match point {
        Point::Received | Point::BeforeCommit | Point::AfterCommit | Point::BeforeCounts => 60,
        Point::Turned | Point::Acked => 300,
        Point::BeforeSend | Point::AfterSend | Point::Settled => 40,
        Point::BeforeCheckpoint => 2,
        Point::TimerDue => 1,
        Point::Housekeeping => 3,
        Point::Stopping => 1,
    }
}

#[test]
fn a_death_at_every_point_loses_nothing_and_doubles_nothing() {
    if is_child() {
        return;
    }
    let mut outside = Outside::new(0);
    let deaths = cycles(DEATHS);
    let mut late = 0;
    for point in Point::ALL {
        for death in 0..deaths {
            let nth = if death == 0 { 1 } else { 1 + outside.chance.below(latest(*point)) };
            let at = format!("{}:{nth}", point.word());
            die(&mut outside, *point, &at);
            late += usize::from(nth > 1);
        }
    }
    println!(
        "{} deaths at {} points, {late} not at once",
        Point::ALL.len() * deaths,
        Point::ALL.len()
    );
    outside.end();
}

fn die(outside: &mut Outside, point: Point, at: &str) {
    let Some(mut process) = Process::try_start(&outside.file, &[("QUNDAO_DIE_AT", at)]) else {
        // It died while it took up what the death before had left.
        outside.look(at);
        return;
    };
    outside.repeat(&mut process);
    if point == Point::Stopping {
        outside.talk(&mut process, 50);
        process.close();
        while let Some(line) = process.line() {
            outside.hear(&line);
        }
    } else {
        outside.talk(&mut process, ENOUGH);
    }
    // Its output has ended, or it still runs.
    let is_gone = process.output.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected);
    assert!(is_gone, "{at} was never reached");
    assert!(!process.child.wait().unwrap().success(), "{at}: it ended well");
    outside.dead(&mut process, at);
}
