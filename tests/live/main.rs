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
mod normal;
mod processes;
mod program;
#[path = "../onebot/sim/mod.rs"]
mod sim;

use std::time::Instant;

use attack::{RAISED, Round, corpus};
use load::{Load, Pace};
use normal::{CHILDREN, Normal};
use processes::Processes;
use program::{Program, Shape};
use tokio::sync::Mutex;

/// Two at once, so that every script thread of a machine with two cores is under attack.
const ABREAST: usize = 2;
const SHOTS: usize = 4;
const COMMUNITIES: i64 = 20;
const PACE: Pace = Pace { per_second: 100, window: Some(3) };
/// The tests of this file take turns: each wants the machine for itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// Starts the program and the load, and looks at it when it has found its size.
async fn start(limits: &'static str) -> (Program, Load, Normal) {
    let shape = Shape { honest: COMMUNITIES, attacked: ABREAST as i64, limits };
    let program = Program::start(shape).await;
    let load = Load::start(&program.sim, COMMUNITIES, PACE);
    load.until("two hundred answers", |board| board.answered >= 200).await;
    let normal = Normal(Processes::of(program.id()));
    println!("before: {}", normal.0);
    (program, load, normal)
}

/// Everybody got every answer once and in order, and the program ends as it should.
async fn end(program: Program, load: Load, after: Processes) {
    let board = load.finish().await;
    let slowest = board.latencies.iter().max();
    println!("{} answers, the slowest after {slowest:?}; after: {after}", board.answered);
    assert_eq!(board.wrong, [""; 0]);
    assert!(program.stop(), "it ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_cost_the_others_nothing() {
    let _turn = TURN.lock().await;
    let (mut program, load, normal) = start("").await;
    let mut scripts = corpus("handlers");
    scripts.extend(corpus("toplevel"));
    let (mut wrong, mut after) = (Vec::new(), normal.0.clone());
    for scripts in scripts.chunks(ABREAST) {
        let began = Instant::now();
        let ended = Round { scripts, shots: SHOTS }.play(&mut program, &load).await;
        for (script, loaded) in scripts.iter().zip(ended.loaded) {
            if loaded != script.loads {
                wrong.push(format!("{}: in force: {loaded}", script.name));
            }
        }
        let played = began.elapsed().as_millis();
        after = normal.again(&program, &load, CHILDREN..=CHILDREN).await;
        let took = began.elapsed().as_millis();
        println!("{}: {}; {played}, {took} ms", scripts[0].name, ended.during);
    }
    let told = program.take_told();
    let kills: Vec<&String> = told.iter().filter(|line| line.contains("was replaced")).collect();
    println!("{} scripts, replaced: {kills:#?}", scripts.len());
    assert_eq!(wrong, [""; 0], "{told:#?}");
    end(program, load, after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_its_process_is_put_back_and_the_others_lose_nothing() {
    let _turn = TURN.lock().await;
    let (mut program, load, normal) = start(RAISED).await;
    for script in corpus("killers") {
        let round = Round { scripts: std::slice::from_ref(&script), shots: 1 };
        let ended = round.play(&mut program, &load).await;
        println!("{}: {}", script.name, ended.during);
        assert_eq!(ended.loaded, [true], "{}", script.name);
        program.hear("the version before it is in force again").await;
        load.board().attacked.clear();
        load.say(0, "开火");
        load.all_alive(&[0], "后").await;
        let said: Vec<String> = load.board().attacked.drain(..).map(|(_, text)| text).collect();
        assert_eq!(said, ["砰", "在 后"], "{}", script.name);
        // A suspect was alone with a child, which is kept for a while.
        normal.again(&program, &load, CHILDREN..=CHILDREN + 1).await;
    }
    let after = normal.again(&program, &load, CHILDREN..=CHILDREN).await;
    end(program, load, after).await;
}
