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

use std::ops::RangeInclusive;
use std::time::Instant;

use attack::{Round, corpus};
use load::{Load, Pace};
use processes::Processes;
use program::{PATIENCE, Program, Shape};

/// Two at once, so that every script thread of a machine with two cores is under attack.
const ABREAST: usize = 2;
const SHOTS: usize = 4;
const COMMUNITIES: i64 = 20;
const PACE: Pace = Pace { per_second: 100, window: Some(3) };
/// So that what the engine allows can end the process.
const RAISED: &str = "script_string_bytes = 16777216\nscript_entries = 1000000\n\
    script_operations = 10000000000\nscript_handler_ms = 200\nscript_memory_mib = 384";
/// The main child and the spare.
const CHILDREN: usize = 2;
/// What the host may have gained when an attack is over, MiB.
const HOST_GAIN_MIB: u64 = 20;
/// What a child may have when an attack is over, MiB.
const CHILD_MIB: u64 = 128;
/// Descriptors that come and go: a file that is read, a child that is looked at.
const DESCRIPTORS_GAIN: usize = 8;

/// Waits until nothing of an attack is left; a cell may still be there.
async fn settled(
    program: &Program,
    load: &Load,
    before: &Processes,
    children: RangeInclusive<usize>,
) {
    let last = Instant::now() + PATIENCE;
    loop {
        let now = Processes::of(program.id());
        let is_normal = children.contains(&now.children.len())
            && now.host.own_mib <= before.host.own_mib + HOST_GAIN_MIB
            && now.largest_child() <= CHILD_MIB
            && now.descriptors <= before.descriptors + DESCRIPTORS_GAIN;
        if is_normal {
            return;
        }
        assert!(Instant::now() < last, "{before} before, {now} now");
        load.goes_on().await;
    }
}

/// Starts the program and the load, and looks at it when it has found its size.
async fn start(limits: &'static str) -> (Program, Load, Processes) {
    let shape = Shape { honest: COMMUNITIES, attacked: ABREAST as i64, limits };
    let program = Program::start(shape).await;
    let load = Load::start(&program.sim, COMMUNITIES, PACE);
    load.until("two hundred answers", |board| board.answered >= 200).await;
    let before = Processes::of(program.id());
    (program, load, before)
}

/// Everybody got every answer once and in order, and the program ends as it should.
async fn end(program: Program, load: Load) {
    let after = Processes::of(program.id());
    let board = load.finish().await;
    println!(
        "{} answers, the slowest after {:?}; {after}",
        board.answered,
        board.latencies.iter().max()
    );
    assert_eq!(board.wrong, [""; 0]);
    assert!(program.stop(), "it ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_cost_the_others_nothing() {
    let (mut program, load, before) = start("").await;
    let mut scripts = corpus("handlers");
    scripts.extend(corpus("toplevel"));
    let mut wrong = Vec::new();
    for scripts in scripts.chunks(ABREAST) {
        let round = Round { scripts, shots: SHOTS };
        let ended = round.play(&mut program, &load).await;
        println!("{}: {}", round.name(), ended.during);
        for (script, loaded) in scripts.iter().zip(ended.loaded) {
            if loaded != script.loads {
                wrong.push(format!("{}: in force: {loaded}", script.name));
            }
        }
        settled(&program, &load, &before, CHILDREN..=CHILDREN).await;
    }
    assert_eq!(wrong, [""; 0], "{:#?}", program.take_told());
    end(program, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_its_process_is_put_back_and_the_others_lose_nothing() {
    let (mut program, load, before) = start(RAISED).await;
    for script in corpus("killers") {
        let round = Round { scripts: std::slice::from_ref(&script), shots: 1 };
        let ended = round.play(&mut program, &load).await;
        println!("{}: {}", script.name, ended.during);
        assert_eq!(ended.loaded, [true], "{}", script.name);
        println!("{}", program.hear("the version before it is in force again").await);
        load.board().attacked.clear();
        load.say(0, "开火");
        load.all_alive(&[0], "后").await;
        let said: Vec<String> = load.board().attacked.drain(..).map(|(_, text)| text).collect();
        assert_eq!(said, ["砰", "在 后"], "{}", script.name);
        settled(&program, &load, &before, CHILDREN..=CHILDREN + 1).await;
    }
    settled(&program, &load, &before, CHILDREN..=CHILDREN).await;
    end(program, load).await;
}
