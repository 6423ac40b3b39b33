//! One call after the other fails: the bot says so, loses nothing, and goes on.

use std::path::Path;

use powercut::{Disk, Fault};
use qundao::planted::plant;
use qundao::store::StoreError;

use crate::books::look;
use crate::load::{Load, World};
use crate::{ONE_AT_A_TIME, cycles, open, seed};

/// Runs, unless `QUNDAO_CYCLES` says otherwise; with fewer than there are calls, the calls that fail
/// are so many apart.
const RUNS: usize = 30;
/// Events of a run.
const EVENTS: usize = 40;

/// Copies a database that has ended well.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(from.join("qundao.db"), to.join("qundao.db")).unwrap();
}

/// Starts a bot however often it takes, brings some events, and ends it.
async fn run(folder: &Path, disk: &Disk, world: &mut World) {
    let mut tries = 0;
    let load = loop {
        assert!(tries < 30, "it never starts");
        // A disk that fails at the start is a start that fails, with the reason.
        let store = match open(&folder.join("qundao.db"), disk).await {
            Ok(store) => store,
            // What began to start has not let go yet.
            Err(StoreError::InUse(_)) => {
                tokio::task::yield_now().await;
                continue;
            }
            Err(_) => {
                tries += 1;
                continue;
            }
        };
        match Load::start(store).await {
            Ok(load) => break load,
            Err(_) => tries += 1,
        }
    };
    load.bring_again(world).await;
    for _ in 0..EVENTS {
        load.say(world).await;
    }
    assert!(load.has_room(1).await, "not all is acknowledged: {}", disk.failed());
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_call_fails_nothing_is_lost_and_the_bot_goes_on() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(None);
    let (seed, runs) = (seed(), cycles(RUNS) as u64);
    let root = tempfile::tempdir().unwrap();
    let first = root.path().join("first");
    std::fs::create_dir_all(&first).unwrap();
    run(&first, &Disk::new(), &mut World::new(!seed)).await;
    // How many calls a run makes when all goes well.
    let folder = root.path().join("well");
    copy(&first, &folder);
    let disk = Disk::new();
    let before = World::new(!seed);
    let mut world = World { said: before.said, ..World::new(seed) };
    run(&folder, &disk, &mut world).await;
    let calls = disk.calls();
    let apart = calls.div_ceil(runs).max(1);
    let (mut done, mut failed) = (0, 0);
    for after in (0..calls).step_by(apart as usize) {
        let place = format!("seed {seed}, call {after} of {calls}");
        let folder = root.path().join(after.to_string());
        copy(&first, &folder);
        let disk = Disk::new();
        let fault = if after % 5 == 4 { Fault::Full } else { Fault::Io };
        // Once, or for a while.
        disk.fail(after, [1, 1, 3, 20][after as usize / apart as usize % 4], fault);
        let mut world = World::new(seed.wrapping_add(after));
        // The first run's events have the same keys.
        world.said = (0..EVENTS).map(|n| (n, String::new())).collect();
        *world.acknowledged.lock().unwrap() = (0..EVENTS).collect();
        run(&folder, &disk, &mut world).await;
        let found = look(&folder.join("qundao.db")).await;
        assert_eq!(found.broken, Vec::<String>::new(), "{place}");
        assert_eq!(found.keys.len(), world.said.len(), "{place}");
        failed += disk.failed();
        done += 1;
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert!(failed >= done / 2, "{failed} calls failed in {done} runs");
    println!("{done} runs, {failed} calls that failed, every {apart}th of {calls}");
}
