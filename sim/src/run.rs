//! Runs a world from its beginning to its end, and many of them beside each other.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once, mpsc};

use qundao::store::sqlite::Sqlite;
use tokio::runtime::Builder;

use crate::op::{Plan, at};
use crate::process::{End, Machine};
use crate::scripts::Version;
use crate::world::{Figures, Violation, World};
use crate::{block, deed};

/// What came of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What is wrong, if anything is.
    pub violation: Option<Violation>,
    /// How much happened.
    pub figures: Figures,
    /// Hash of its log.
    pub hash: String,
    /// The log, where it was kept.
    pub log: Option<String>,
}

thread_local! {
    /// What panicked on this thread since it was last asked.
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
    /// A world is being run on this thread.
    static IS_WORLD: Cell<bool> = const { Cell::new(false) };
}

/// Panics of a world's thread are violations, also those that the runtime catches.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_WORLD.get() {
                return others(info);
            }
            PANICKED.with_borrow_mut(|panicked| {
                panicked.get_or_insert_with(|| info.to_string());
            });
        }));
    });
}

/// Runs a plan.
pub fn run(plan: &Plan, keeps_log: bool) -> Outcome {
    listen_to_panics();
    PANICKED.take();
    IS_WORLD.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| run_to_its_end(plan, keeps_log)));
    IS_WORLD.set(false);
    let panicked = PANICKED.take().map(|text| Violation::new("panic", text));
    let mut outcome = outcome.unwrap_or_else(|_| Outcome {
        seed: plan.seed,
        violation: None,
        figures: Figures::default(),
        hash: String::new(),
        log: None,
    });
    outcome.violation = outcome.violation.or(panicked);
    outcome
}

fn run_to_its_end(plan: &Plan, keeps_log: bool) -> Outcome {
    qundao::blocking::on_the_spot(true);
    let world = World::new(plan.clone(), keeps_log);
    let disk = block::on(Sqlite::memory()).expect("a database in memory");
    let mut machine = Machine { world: world.clone(), disk, next: 0, version: Version::default() };
    loop {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without threads");
        let end = runtime.block_on(machine.live());
        // All tasks of the process go with it, wherever they are.
        drop(runtime);
        world.set_calm(true);
        world.state().platforms.iter_mut().for_each(|platform| platform.process_ended());
        match end {
            End::Over => break,
            End::Down(ms) => down(&world, &mut machine, ms),
        }
    }
    let mut figures = world.state().figures;
    figures.passed_ms = world.clock.real() - plan.cast.begin;
    let violation = world.state().violation.clone();
    let (hash, log) = world.take_log();
    Outcome { seed: plan.seed, violation, figures, hash, log }
}

/// Nobody is there for a while; members go on.
fn down(world: &Arc<World>, machine: &mut Machine, ms: i64) {
    crate::oracle::database::limit_pages(&machine.disk, false);
    let verdict = crate::oracle::database::check(&machine.disk, world);
    world.judge(verdict);
    let until = world.clock.real() + ms;
    while let Some(op) = world.plan.ops.get(machine.next) {
        let wait = at(&world.plan.cast, op) - world.clock.real();
        if world.clock.real() + wait.max(0) > until {
            break;
        }
        world.clock.pass(wait.max(0));
        machine.next += 1;
        if !deed::happen(world, op, false) {
            match op.what {
                crate::op::What::Jump { by_ms } => world.clock.jump(by_ms),
                crate::op::What::Correct => world.clock.correct(),
                _ => {}
            }
        }
    }
    world.clock.pass((until - world.clock.real()).max(0));
}

/// A world and the thread of its database take turns, and to wake somebody on another core costs
/// more than most of what they do: on one core a seed takes a third of the time.
#[cfg(target_os = "linux")]
pub fn stay_on_one_core(thread: usize) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let itself = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(itself) else { return };
    let is_allowed = |core: &usize| allowed.is_set(*core).unwrap_or(false);
    let cores: Vec<usize> = (0..CpuSet::count()).filter(is_allowed).collect();
    let mut one = CpuSet::new();
    let chosen = cores.get(thread % cores.len().max(1));
    if chosen.is_some_and(|core| one.set(*core).is_ok()) {
        // Slower otherwise, and right all the same.
        let _ = sched_setaffinity(itself, &one);
    }
}

/// Only Linux is asked for it.
#[cfg(not(target_os = "linux"))]
pub fn stay_on_one_core(_: usize) {}

/// Seeds to run.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// Operations of each, about.
    pub ops: usize,
    /// Threads.
    pub threads: usize,
}

/// Runs seeds, a world on each thread; `hear` gets each as it ends and says whether to go on.
pub fn run_all(seeds: Seeds, mut hear: impl FnMut(Outcome) -> bool) {
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sender, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..seeds.threads.max(1) {
            let (sender, next, is_over) = (sender.clone(), &next, &is_over);
            scope.spawn(move || {
                stay_on_one_core(thread);
                while !is_over.load(Ordering::SeqCst) {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= seeds.count {
                        break;
                    }
                    let plan = Plan::of(seeds.from + at, seeds.ops);
                    if sender.send(run(&plan, false)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        while let Ok(outcome) = ends.recv() {
            if !hear(outcome) {
                is_over.store(true, Ordering::SeqCst);
                break;
            }
        }
    });
}
