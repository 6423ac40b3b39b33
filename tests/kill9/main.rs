//! kill -9 under load, at random moments and at every named point: every event that was
//! acknowledged is there, none counts twice, nothing was sent that is not in the book of deliveries,
//! and the ledger verifies each time.
//!
//! The bot is a process of its own (this test binary, started again) on a file; its platform is
//! this test, which sends anew what was not acknowledged, as platforms do. What this cannot show
//! is a missing fsync: a killed process leaves the operating system's cache alone.

mod books;
#[cfg(feature = "planted")]
mod points;
mod process;
mod traffic;
#[path = "../world/mod.rs"]
mod world;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use books::look;
use process::{Process, is_child, outside};
use traffic::{Chance, event};

/// How often, unless `QUNDAO_CYCLES` says otherwise.
const KILLS: usize = 100;
/// Events that are on their way at once.
const WINDOW: usize = 100;

/// The bot's process. Does nothing unless a test starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    process::run().await;
}

fn cycles(otherwise: usize) -> usize {
    std::env::var("QUNDAO_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// The platform and what it knows.
struct Outside {
    _folder: tempfile::TempDir,
    file: PathBuf,
    runtime: tokio::runtime::Runtime,
    chance: Chance,
    seed: u64,
    sent: usize,
    /// Not acknowledged yet, in the order of sending.
    open: BTreeMap<usize, String>,
    acknowledged: usize,
    /// Deliveries that were under way at a death: they may be made again.
    doubtful: HashSet<String>,
}

impl Outside {
    fn new(more: u64) -> Self {
        let seed = u64::from(std::process::id()) + more;
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        Self {
            file: folder.path().join("qundao.db"),
            _folder: folder,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            chance: Chance(seed),
            seed,
            sent: 0,
            open: BTreeMap::new(),
            acknowledged: 0,
            doubtful: HashSet::new(),
        }
    }

    /// Says again what was not acknowledged.
    fn repeat(&mut self, process: &mut Process) {
        for line in self.open.values() {
            process.send(line);
        }
    }

    /// Talks until so many are acknowledged, or the bot is gone.
    fn talk(&mut self, process: &mut Process, acknowledged: usize) {
        let enough = self.acknowledged + acknowledged;
        while self.acknowledged < enough {
            while self.open.len() < WINDOW {
                let line = event(&mut self.chance, self.sent);
                process.send(&line);
                self.open.insert(self.sent, line);
                self.sent += 1;
            }
            match process.line() {
                Some(line) => self.hear(&line),
                None => return,
            }
        }
    }

    fn hear(&mut self, line: &str) {
        if let Some(key) = line.strip_prefix("ok e") {
            self.acknowledged += usize::from(self.open.remove(&key.parse().unwrap()).is_some());
        }
    }

    /// The bot is dead: what it said before counts, and its file must hold.
    fn dead(&mut self, process: &mut Process, place: &str) {
        process.child.wait().unwrap();
        while let Ok(line) = process.output.recv() {
            self.hear(&line);
        }
        self.look(place);
    }

    fn look(&mut self, place: &str) -> books::Found {
        let found = self.runtime.block_on(look(&self.file));
        let place = format!("{place}, seed {}", self.seed);
        assert_eq!(found.broken, Vec::<String>::new(), "{place}");
        let missing: Vec<usize> = (0..self.sent)
            .filter(|number| !self.open.contains_key(number))
            .filter(|number| !found.keys.contains(&format!("e{number}")))
            .collect();
        assert!(missing.is_empty(), "{place}: acknowledged and lost: {missing:?}");
        self.doubtful.extend(found.under_way.iter().cloned());
        let mut made: HashMap<String, usize> = HashMap::new();
        for key in std::fs::read_to_string(outside(&self.file)).unwrap_or_default().lines() {
            *made.entry(key.to_owned()).or_default() += 1;
        }
        for (key, times) in &made {
            assert!(found.deliveries.contains(key), "{place}: {key} was sent and is in no book");
            assert!(
                *times == 1 || self.doubtful.contains(key),
                "{place}: {key} was sent {times} times, and was never in doubt"
            );
        }
        for key in &found.sent {
            assert!(made.contains_key(key), "{place}: {key} is recorded as sent and was not");
        }
        found
    }

    /// Ends as it should, after everything was acknowledged.
    fn end(mut self) {
        let mut process = Process::start(&self.file);
        self.repeat(&mut process);
        process.close();
        let mut stopped = false;
        while let Some(line) = process.line() {
            stopped |= line == "stopped";
            self.hear(&line);
        }
        assert!(process.child.wait().unwrap().success() && stopped);
        assert!(self.open.is_empty(), "never acknowledged: {:?}", self.open);
        let found = self.look("the end");
        assert_eq!(found.events, self.sent as i64, "seed {}", self.seed);
        assert!(found.under_way.is_empty(), "never ended: {:?}", found.under_way);
        println!(
            "{} events, {} transfers, {} deliveries, {} of them in doubt at a death",
            self.sent,
            found.transfers,
            found.deliveries.len(),
            self.doubtful.len()
        );
    }
}

#[test]
fn a_hundred_kills_lose_nothing_and_double_nothing() {
    if is_child() {
        return;
    }
    let (kills, mut done) = (cycles(KILLS), 0);
    // A file is read whole after each kill, so that it must not grow without end.
    while done < kills {
        let mut outside = Outside::new(done as u64);
        for _ in 0..KILLS.min(kills - done) {
            let mut process = Process::start(&outside.file);
            outside.repeat(&mut process);
            let until = outside.chance.below(300);
            outside.talk(&mut process, until);
            process.child.kill().unwrap();
            outside.dead(&mut process, &format!("round {done}"));
            done += 1;
        }
        println!("{done} kills");
        outside.end();
    }
}
