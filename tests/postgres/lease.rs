//! One process a database: a second is refused, a dead one is replaced at once, one that stopped
//! answering after its lease, and what it still wants to commit then is refused.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qundao::store::postgres::Postgres;
use qundao::store::{Store as _, StoreError, TurnRows, Write};

use crate::turns::{beginning, event, paying};
use crate::world::{Database, in_time};

/// Address for the process that holds a database.
const HOLD: &str = "QUNDAO_TEST_HOLD";
/// Short, so that the test is.
const LEASE_MS: u64 = 1500;
/// A process that was killed is replaced within this.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Events of who takes over, far from those of the holder.
const LATER: i64 = 1_000_000;

/// Not a test by itself: the other process, which commits one event after the other.
#[tokio::test]
async fn holder() {
    let Ok(url) = std::env::var(HOLD) else { return };
    let store = Postgres::open(&url, LEASE_MS).await.unwrap();
    store.commit(&beginning(1)).await.unwrap();
    let mut id = 2;
    loop {
        match store.commit(&[paying(id, 1)]).await {
            Ok(()) => {
                println!("\ncommitted {id}");
                id += 1;
            }
            // As the bot does: once more.
            Err(StoreError::Io(_)) => {}
            Err(error) => {
                println!("\nrefused {id}: {error}");
                std::process::exit(7);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process that holds a database.
struct Holder {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Holder {
    fn start(url: &str, planted: Option<&str>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "lease::holder", "--nocapture"]).env(HOLD, url);
        if let Some(bug) = planted {
            command.env("QUNDAO_PLANT", bug);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for a line that begins so; gives what follows.
    fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.lines.next().expect("the holder ended").unwrap();
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A holder is stopped, replaced, and woken up again; what it says to that, and how many of its
/// events are there from after it was replaced.
async fn stopped_and_woken(planted: Option<&'static str>) -> (String, i64) {
    let database = Database::postgres();
    let url = database.url();
    let mut holder = Holder::start(&url, planted);
    holder.until("committed 20");

    let Err(StoreError::InUse(why)) = Postgres::open(&url, LEASE_MS).await else {
        panic!("two processes on one database");
    };
    let process = format!("process {}", holder.child.id());
    assert!(why.contains("another qundao is running") && why.contains(&process), "{why}");

    holder.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let store = loop {
        match Postgres::open(&url, LEASE_MS).await {
            Ok(store) => break store,
            Err(StoreError::InUse(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    };
    let took = began.elapsed();
    assert!(took > Duration::from_millis(LEASE_MS / 2), "it was replaced while it lived: {took:?}");
    println!("a stopped process was replaced after {took:?}, lease {LEASE_MS} ms");
    let mut db = database.peek().await;
    let last = db.number("SELECT max(id) FROM event").await;
    // No transfer, so that nothing but the fence stands between the two.
    let later = |id: i64| [Write::Turn(Box::new(TurnRows::new(event(id, "later"))))];
    in_time("a commit", store.commit(&later(LATER))).await.unwrap();
    holder.signal(Signal::SIGCONT);
    let waiting = tokio::task::spawn_blocking(move || {
        // With the fence it is refused; without it, it goes on as if nothing had been.
        loop {
            let line = holder.lines.next().expect("the holder ended").unwrap();
            let committed = line.strip_prefix("committed ").map(|id| id.parse::<i64>().unwrap());
            if line.starts_with("refused") || committed.is_some_and(|id| id > last) {
                return (line, holder);
            }
        }
    });
    let (said, holder) = in_time("the answer", waiting).await.unwrap();
    let more = format!("SELECT count(*) FROM event WHERE id > {last} AND id < {LATER}");
    let more = db.number(&more).await;
    in_time("a commit", store.commit(&later(LATER + 1))).await.unwrap();
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    drop(holder);
    (said, more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_stopped_is_replaced_and_its_commits_are_refused() {
    let (said, more) = stopped_and_woken(None).await;
    assert!(said.starts_with("refused") && said.contains("has taken over"), "{said}");
    assert_eq!(more, 0, "events of who had been replaced");
}

#[cfg(feature = "planted")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_the_same_would_be_noticed() {
    // It may notice by itself that its lease is over before it commits anything: that is luck, which
    // the fence does without.
    for _ in 0..6 {
        let (said, more) = stopped_and_woken(Some("drop_fence")).await;
        if said.starts_with("committed") && more > 0 {
            return;
        }
    }
    panic!("nothing was committed after the other took over, six times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_killed_is_replaced_at_once_and_lost_nothing() {
    let database = Database::postgres();
    for round in 0..crate::cycles(3) {
        let database = database.another();
        let mut holder = Holder::start(&database.url(), None);
        holder.until(&format!("committed {}", 10 + round));
        holder.signal(Signal::SIGKILL);
        let began = Instant::now();
        let store = Postgres::open(&database.url(), LEASE_MS).await.unwrap();
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        // What it said is there; one more may have been committed and not said.
        let mut said = 0;
        while let Some(Ok(line)) = holder.lines.next() {
            if let Some(id) = line.strip_prefix("committed ") {
                said = id.parse().unwrap();
            }
        }
        let mut db = database.peek().await;
        let last = db.number("SELECT max(id) FROM event").await;
        assert!(last == said || last == said + 1 || said == 0, "{last} there, {said} said");
        crate::turns::told(&store, &mut db, last).await;
    }
}
