//! kill -9 at a hundred random moments under load: every event that was acknowledged is there,
//! none counts twice, and the ledger verifies each time.
//!
//! The bot is a process of its own (this test binary, started again) on a file; its platform is
//! this test, which sends anew what was not acknowledged, as platforms do. What this cannot show
//! is a missing fsync: a killed process leaves the operating system's cache alone.

mod world;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use qundao::adapter::Accepted;
use qundao::clock::{Clock, SystemClock};
use tokio::io::AsyncBufReadExt;
use tokio::sync::oneshot;
use world::{Platform, Setup, in_time, message, number, peek, script, seed, shipped, sqlite};

const KILLS: usize = 100;
const GROUPS: usize = 5;
const MEMBERS: usize = 20;
/// Events that are on their way at once.
const WINDOW: usize = 100;
const CHILD: &str = "QUNDAO_TEST_KILL9_FILE";

/// Counts messages, so that one that is handled twice shows.
const COUNT: &str = "//! 数数\ncommand(\"数\", |c| {\n    \
    let n = state::incr(\"community\", \"n\");\n    \
    points::grant(c.member, 1, \"数\");\n    c.reply(`${n}`);\n});\n";

/// The bot's process. Does nothing unless the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let platform = Platform::willing();
    let mut setup =
        Setup::new(vec![script("count", COUNT), shipped("red_packet"), shipped("checkin")]);
    setup.config.limits.commands = 1_000_000;
    let bot = setup.start(sqlite(Path::new(&path)).await, &platform).await;
    let now = SystemClock::default().now();
    for group in 0..GROUPS {
        let group_ref = world::group_ref(&format!("g{group}"));
        if !bot.knows_group(&group_ref) {
            let name = |n: usize| seed(&format!("g{group}-{n}"), 1_000_000, now);
            bot.seed_members(&group_ref, (0..MEMBERS).map(name).collect()).await.unwrap();
        }
    }
    println!("ready");
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let mut parts = line.splitn(4, ' ');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let (key, group, person, text) = (next(), next(), next(), next());
        let (receipt, heard) = oneshot::channel();
        bot.inbox().offer(message(&key, &group, &person, &text, now), Some(receipt)).await;
        tokio::spawn(async move {
            if let Ok(Accepted::New | Accepted::Duplicate) = heard.await {
                println!("ok {key}");
            }
        });
    }
    in_time("everything", bot.settled()).await;
    bot.stop().await.unwrap();
    println!("stopped");
}

/// A running bot as the test sees it.
struct Process {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Process {
    fn start(file: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, input, output };
        process.wait_for("ready");
        process
    }

    fn line(&mut self) -> String {
        self.output.recv_timeout(Duration::from_secs(60)).expect("the bot says something")
    }

    fn wait_for(&mut self, word: &str) {
        while !self.line().ends_with(word) {}
    }

    /// `false` when the process is gone.
    fn send(&mut self, line: &str) -> bool {
        writeln!(self.input, "{line}").is_ok()
    }
}

/// Chance that is the same for the same start.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

fn event(chance: &mut Chance, number: usize) -> String {
    let group = chance.below(GROUPS);
    let text = match chance.below(20) {
        0 => "红包 60 6 大家好",
        1..=5 => "抢",
        6 => "签到",
        7 => "退红包",
        8..=9 => "随便说说",
        _ => "数",
    };
    format!("e{number} g{group} g{group}-{} {text}", chance.below(MEMBERS))
}

#[test]
fn a_hundred_kills_lose_nothing_and_double_nothing() {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    let seed = std::process::id() as u64;
    println!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut chance = Chance(seed);
    let mut sent = 0;
    // Not acknowledged yet, in the order of sending.
    let mut open: BTreeMap<usize, String> = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let mut process = Process::start(&file);
        for line in open.values() {
            process.send(line);
        }
        let stop_after = chance.below(300);
        let mut heard = 0;
        while heard < stop_after {
            while open.len() < WINDOW {
                let line = event(&mut chance, sent);
                process.send(&line);
                open.insert(sent, line);
                sent += 1;
            }
            let line = process.line();
            if let Some(key) = line.strip_prefix("ok e") {
                heard += usize::from(open.remove(&key.parse().unwrap()).is_some());
            }
        }
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        // What it said before it died counts.
        while let Ok(line) = process.output.recv() {
            if let Some(key) = line.strip_prefix("ok e") {
                heard += usize::from(open.remove(&key.parse().unwrap()).is_some());
            }
        }
        acknowledged += heard;
        let found = runtime.block_on(look(&file));
        assert_eq!(found.broken, Vec::<String>::new(), "round {round}, seed {seed}");
        assert!(found.events >= acknowledged as i64, "round {round}, seed {seed}: lost");
    }
    let mut process = Process::start(&file);
    for line in open.values() {
        process.send(line);
    }
    drop(process.input);
    let mut stopped = false;
    while let Ok(line) = process.output.recv_timeout(Duration::from_secs(60)) {
        stopped |= line == "stopped";
        if let Some(key) = line.strip_prefix("ok e") {
            open.remove(&key.parse().unwrap());
        }
    }
    assert!(process.child.wait().unwrap().success() && stopped);
    assert!(open.is_empty(), "never acknowledged: {open:?}");
    let found = runtime.block_on(look(&file));
    assert_eq!(found.broken, Vec::<String>::new());
    assert_eq!(found.events, sent as i64, "seed {seed}");
    println!("{KILLS} kills, {sent} events, {} transfers", found.transfers);
}

#[derive(Debug)]
struct Found {
    broken: Vec<String>,
    events: i64,
    transfers: i64,
}

/// Everything that must hold of the file, whatever happened.
async fn look(file: &Path) -> Found {
    let store = sqlite(file).await;
    let verified = store.verify().await.unwrap();
    let mut broken = verified.broken;
    drop(store);
    let mut db = peek(file).await;
    let checks = [
        (
            "counted otherwise than handled",
            "SELECT count(*) FROM (
            SELECT community, count(*) n FROM event WHERE text = '数' GROUP BY community) e
            JOIN script_state s ON s.community = e.community AND s.script = 'count'
            WHERE s.value <> json_object('Int', e.n)",
        ),
        (
            "paid otherwise than counted",
            "SELECT (SELECT count(*) FROM event WHERE text = '数')
            - (SELECT count(*) FROM ledger_transfer WHERE code = 'count')",
        ),
        (
            "answered otherwise than counted",
            "SELECT (SELECT count(*) FROM event WHERE text = '数')
            - (SELECT count(*) FROM delivery WHERE script = 'count')",
        ),
        ("waiting for nothing", "SELECT count(*) FROM event WHERE state = 2"),
        (
            "packets without their timer",
            "SELECT (SELECT count(*) FROM packet WHERE state = 'open')
            - (SELECT count(*) FROM timer WHERE name = 'red_packet.expired')",
        ),
    ];
    for (what, sql) in checks {
        let n = number(&mut db, sql).await;
        if n != 0 {
            broken.push(format!("{what}: {n}"));
        }
    }
    Found {
        broken,
        events: number(&mut db, "SELECT count(*) FROM event WHERE key LIKE 'e%'").await,
        transfers: verified.transfers,
    }
}
