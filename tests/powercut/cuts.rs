//! The power fails at any call, again and again, while the bot works.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use powercut::Disk;
use qundao::planted::{Bug, plant};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::books::look;
use crate::load::{Load, World};
use crate::world::number;
use crate::{ONE_AT_A_TIME, cycles, open, seed};

/// Cuts, unless `QUNDAO_CYCLES` says otherwise.
const CUTS: usize = 150;
/// Cuts of one run; the next goes on from what the last of them left.
const CUTS_OF_A_RUN: usize = 10;
/// Calls between two cuts, at most.
const CALLS: u64 = 400;

/// What the world knew when the power failed.
struct Cut {
    folder: PathBuf,
    acknowledged: BTreeSet<usize>,
    sent: HashSet<String>,
    unsynced: usize,
}

#[derive(Debug, Default)]
struct Outcome {
    broken: Vec<String>,
    cuts: usize,
    unsynced: usize,
    events: usize,
}

/// Cuts the power so often, and says what was wrong afterwards; stops when something was.
async fn cut(seed: u64, cuts: usize) -> Outcome {
    let mut root = tempfile::tempdir().unwrap();
    let mut outcome = Outcome::default();
    let mut world = World::new(seed);
    let mut luck = powercut::Chance::new(seed);
    let mut folder = root.path().join("first");
    std::fs::create_dir_all(&folder).unwrap();
    for run in 0.. {
        let made =
            run_once(&mut world, &mut luck, &folder, &root.path().join(run.to_string())).await;
        let next = made.last().expect("cuts were made").folder.clone();
        for cut in &made {
            outcome.cuts += 1;
            outcome.unsynced += cut.unsynced;
            let place = format!("cut {} of seed {seed}", outcome.cuts);
            check(&place, cut, &mut outcome.broken).await;
        }
        // What was acknowledged after the last cut was acknowledged by nobody.
        let last = made.into_iter().next_back().expect("cuts were made");
        *world.acknowledged.lock().unwrap() = last.acknowledged;
        // The bot gets what was left, and nobody needs the rest any more.
        let left = root.path().join(format!("left-{run}"));
        std::fs::rename(next, &left).unwrap();
        std::fs::remove_dir_all(root.path().join(run.to_string())).unwrap();
        std::fs::remove_dir_all(std::mem::replace(&mut folder, left)).unwrap();
        if outcome.cuts >= cuts || !outcome.broken.is_empty() {
            break;
        }
    }
    outcome.events = world.said.len();
    if outcome.broken.is_empty() {
        end(&mut world, &folder, &mut outcome).await;
    } else if std::env::var_os("QUNDAO_KEEP").is_some() {
        root.disable_cleanup(true);
        println!("what is left is in {}", root.path().display());
    }
    outcome
}

/// Runs a bot on a folder until the power has failed some times.
async fn run_once(
    world: &mut World,
    luck: &mut powercut::Chance,
    folder: &Path,
    into: &Path,
) -> Vec<Cut> {
    let disk = Arc::new(Disk::new());
    let made: Arc<Mutex<Vec<Cut>>> = Arc::default();
    // Known only once the bot runs; a cut before that has sent nothing.
    let platform: Arc<Mutex<Option<Arc<crate::world::Platform>>>> = Arc::default();
    let mut at = 0;
    for n in 0..CUTS_OF_A_RUN {
        at += 1 + luck.below(CALLS);
        let folder = into.join(n.to_string());
        let (made, platform) = (made.clone(), platform.clone());
        let acknowledged = world.acknowledged.clone();
        let mut luck = powercut::Chance::new(luck.number());
        disk.after(at, move |platter| {
            // Before the disk: what was acknowledged by now must be on it.
            let acknowledged = acknowledged.lock().unwrap().clone();
            let platform = platform.lock().unwrap().clone();
            let sent = platform.map(|platform| {
                let requests = platform.requests.lock().unwrap();
                requests.iter().map(|request| request.key.clone()).collect()
            });
            platter.cut(&mut luck, &folder);
            let unsynced = platter.unsynced();
            let sent = sent.unwrap_or_default();
            made.lock().unwrap().push(Cut { folder, acknowledged, sent, unsynced });
        });
    }
    let store = open(&folder.join("qundao.db"), &disk).await.unwrap();
    let load = Load::start(store).await.unwrap();
    *platform.lock().unwrap() = Some(load.platform.clone());
    load.bring_again(world).await;
    load.talk_until(world, |_| made.lock().unwrap().len() == CUTS_OF_A_RUN).await;
    drop(load);
    std::mem::take(&mut *made.lock().unwrap())
}

/// Looks at what a cut left, on a copy.
async fn check(place: &str, cut: &Cut, broken: &mut Vec<String>) {
    let copy = cut.folder.with_extension("looked");
    std::fs::create_dir_all(&copy).unwrap();
    for entry in std::fs::read_dir(&cut.folder).unwrap().flatten() {
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    // What cannot even be opened is broken too.
    let file = copy.join("qundao.db");
    let Ok(found) = std::panic::AssertUnwindSafe(look(&file)).catch_unwind().await else {
        broken.push(format!("{place}: it cannot be read"));
        return;
    };
    broken.extend(found.broken.into_iter().map(|what| format!("{place}: {what}")));
    let lost: Vec<&usize> = cut
        .acknowledged
        .iter()
        .filter(|number| !found.keys.contains(&format!("e{number}")))
        .collect();
    if !lost.is_empty() {
        broken.push(format!("{place}: acknowledged and lost: {lost:?}"));
    }
    let unknown: Vec<_> = cut.sent.iter().filter(|key| !found.deliveries.contains(*key)).collect();
    if !unknown.is_empty() {
        broken.push(format!("{place}: sent and in no book: {unknown:?}"));
    }
    std::fs::remove_dir_all(copy).unwrap();
}

/// The power stays on: everything is acknowledged in the end, and counts once.
async fn end(world: &mut World, folder: &Path, outcome: &mut Outcome) {
    let file = folder.join("qundao.db");
    let load = Load::start(open(&file, &Disk::new()).await.unwrap()).await.unwrap();
    load.bring_again(world).await;
    assert!(load.has_room(1).await, "everything is acknowledged");
    load.end().await;
    let found = look(&file).await;
    outcome.broken.extend(found.broken);
    if found.keys.len() != world.said.len() {
        let (has, said) = (found.keys.len(), world.said.len());
        outcome.broken.push(format!("{has} events of {said} are there"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_power_cut_takes_what_was_acknowledged() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(None);
    let (seed, wanted, mut done) = (seed(), cycles(CUTS), 0);
    // A file is read whole after each cut, so that it must not grow without end.
    while done < wanted {
        let outcome = cut(seed + done as u64, CUTS.min(wanted - done)).await;
        assert_eq!(outcome.broken, Vec::<String>::new());
        let Outcome { cuts, unsynced, events, .. } = outcome;
        assert!(unsynced > cuts, "cuts came when nothing could be lost: {unsynced} in {cuts}");
        println!("{cuts} power cuts, {unsynced} writes that were not synced, {events} events");
        done += cuts;
    }
    println!("{done} power cuts");
}

/// Opens what is there, or begins it.
async fn plain(file: &Path, disk: &Disk) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    options
        .synchronous(SqliteSynchronous::Full)
        .vfs(disk.name().to_owned())
        .connect()
        .await
        .unwrap()
}

/// SQLite opens the log only when it reads. A cut before that once took the log, and whoever looked
/// found a database that was broken.
#[tokio::test]
async fn a_cut_before_the_log_is_opened_leaves_it() {
    let root = tempfile::tempdir().unwrap();
    let [first, second, third] = ["1", "2", "3"].map(|name| root.path().join(name));
    std::fs::create_dir_all(&first).unwrap();
    let disk = Disk::new();
    let mut db = plain(&first.join("a.db"), &disk).await;
    db.execute("CREATE TABLE t(n); INSERT INTO t VALUES(7)").await.unwrap();
    disk.now(|platter| platter.cut(&mut powercut::Chance::new(1), &second));
    let disk = Disk::new();
    let into = third.clone();
    disk.after(1, move |platter| platter.cut(&mut powercut::Chance::new(1), &into));
    number(&mut plain(&second.join("a.db"), &disk).await, "SELECT n FROM t").await;
    let n = number(&mut plain(&third.join("a.db"), &Disk::new()).await, "SELECT n FROM t").await;
    assert_eq!(n, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_do_not_wait_for_the_disk_are_found() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(Some(Bug::SynchronousOff));
    let outcome = cut(seed(), CUTS).await;
    plant(None);
    let first = outcome.broken.first().expect("a power cut lost something").clone();
    println!("found after {} cuts: {first}", outcome.cuts);
}
