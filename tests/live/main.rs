//! The program itself under attack while other communities use it: every hostile script in turn is
//! a rule of one community, and the others lose nothing; afterwards processes, memory and
//! descriptors are what they were.
//!
//! How long the others wait is measured by `benches/hostile.rs` with the same code: a test on a
//! busy machine must not judge milliseconds.

// Processes and memory are read from /proc.
#![cfg(target_os = "linux")]

mod attack;
mod load;
mod processes;
mod program;
#[path = "../onebot/sim/mod.rs"]
mod sim;

use attack::{Round, Script, corpus};
use load::{Load, Pace};
use processes::Processes;
use program::{Program, Shape};

/// Two at once, so that every script thread of a machine with two cores is under attack.
const ABREAST: usize = 2;
const SHOTS: usize = 4;
const COMMUNITIES: i64 = 20;
const PACE: Pace = Pace { per_second: 100, window: Some(3) };
/// The main child and the spare.
const CHILDREN: usize = 2;
/// What the host may have gained when an attack is over, MiB.
const HOST_GAIN_MIB: u64 = 20;
/// What a child may have when an attack is over, MiB.
const CHILD_MIB: u64 = 128;
/// Descriptors that come and go: a file that is read, a child that is looked at.
const DESCRIPTORS_GAIN: usize = 8;

/// Nothing of an attack is left.
fn is_normal(now: &Processes, before: &Processes) -> bool {
    now.children.len() == CHILDREN
        && now.host.own_mib <= before.host.own_mib + HOST_GAIN_MIB
        && now.largest_child() <= CHILD_MIB
        && now.descriptors <= before.descriptors + DESCRIPTORS_GAIN
}

/// Waits until everything is as before.
async fn settled(program: &Program, load: &Load, before: &Processes) {
    let mut now = Processes::of(program.id());
    let what = format!("before: {before}; that again");
    load.until(&what, |_| {
        now = Processes::of(program.id());
        is_normal(&now, before)
    })
    .await;
}

async fn hold(scripts: &[Script]) {
    let shape = Shape { honest: COMMUNITIES, attacked: ABREAST as i64, limits: "" };
    let mut program = Program::start(shape).await;
    let load = Load::start(&program.sim, COMMUNITIES, PACE);
    load.until("three hundred answers", |board| board.answered >= 300).await;
    let before = Processes::of(program.id());
    println!("before: {before}");
    let mut wrong = Vec::new();
    for scripts in scripts.chunks(ABREAST) {
        let round = Round { scripts, shots: SHOTS };
        let began = std::time::Instant::now();
        let ended = round.play(&mut program, &load).await;
        println!("{} {:?} {} {} ms", round.name(), ended.loaded, ended.during, began.elapsed().as_millis());
        for (script, loaded) in scripts.iter().zip(ended.loaded) {
            if loaded != script.loads {
                wrong.push(format!("{}: in force: {loaded}", script.name));
            }
        }
        settled(&program, &load, &before).await;
    }
    println!("after: {}", Processes::of(program.id()));
    println!("told: {:#?}", program.take_told());
    let board = load.finish().await;
    println!("{} answers, slowest {:?}", board.answered, board.latencies.iter().max());
    assert_eq!(board.wrong, [""; 0]);
    assert_eq!(wrong, [""; 0]);
    assert!(program.stop(), "it ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_cost_the_others_nothing() {
    let mut scripts = corpus("handlers");
    scripts.extend(corpus("toplevel"));
    hold(&scripts).await;
}
