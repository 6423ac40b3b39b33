//! The bot as a process of its own: this test binary, started again, on a file. What it sends, it
//! appends to another file, which is the world outside: a death takes nothing of it back.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use qundao::adapter::{Outcome, SendSafety};
use qundao::clock::{Clock, SystemClock};
use tokio::io::AsyncBufReadExt;

use crate::traffic::{GROUPS, MEMBERS, offer, scripts};
use crate::world::{Platform, Setup, group_ref, in_time, seed, sqlite};

const CHILD: &str = "QUNDAO_TEST_KILL9_FILE";
/// Where a point stands that only time reaches, it comes every so many lines.
const HOUSEKEEPING_LINES: usize = 40;

/// Where a file's deliveries go.
pub fn outside(file: &Path) -> std::path::PathBuf {
    file.with_extension("outside")
}

/// Whether this process is the bot.
pub fn is_child() -> bool {
    std::env::var(CHILD).is_ok()
}

/// Runs the bot on what the environment names; does nothing in the test's own process.
pub async fn run() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let path = Path::new(&path);
    let log = std::fs::File::options().create(true).append(true).open(outside(path)).unwrap();
    let log = Mutex::new(log);
    let mut next = 0;
    // What it has seen, it knows again, as platforms do that take a key with each message.
    let safety = SendSafety::Idempotent { window: Duration::from_secs(600) };
    let platform = Platform::with(&[], safety, move |request| {
        next += 1;
        // One write, so that a death leaves a line or none.
        log.lock().unwrap().write_all(format!("{}\n", request.key).as_bytes()).unwrap();
        Outcome::Done { id: Some(format!("m{next}")), degraded: Vec::new() }
    });
    let mut setup = Setup::new(scripts());
    setup.config.limits.commands = 1_000_000;
    let store = sqlite(path).await;
    let bot = setup.start(store.clone(), &platform).await;
    let now = SystemClock::default().now();
    for group in 0..GROUPS {
        let group_ref = group_ref(&format!("g{group}"));
        if !bot.knows_group(&group_ref) {
            let name = |n: usize| seed(&format!("g{group}-{n}"), 1_000_000, now);
            bot.seed_members(&group_ref, (0..MEMBERS).map(name).collect()).await.unwrap();
        }
    }
    println!("ready");
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    let mut count = 0;
    while let Some(line) = lines.next_line().await.unwrap() {
        count += 1;
        if count % HOUSEKEEPING_LINES == 0 {
            // Nothing is that old.
            store.housekeep(&qundao::store::Old::all_before(1)).await.unwrap();
        }
        let (key, accepted) = offer(&*bot.inbox(), &line, now).await;
        tokio::spawn(async move {
            if accepted.await {
                println!("ok {key}");
            }
        });
    }
    in_time("everything", bot.settled()).await;
    bot.stop().await.unwrap();
    println!("stopped");
}

/// A running bot as the test sees it.
pub struct Process {
    pub child: Child,
    input: Option<ChildStdin>,
    pub output: Receiver<String>,
}

impl Process {
    /// Starts it, with more in its environment; `None` if it ended before it was ready.
    pub fn try_start(file: &Path, environment: &[(&str, &str)]) -> Option<Self> {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, file)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if environment.is_empty() { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .unwrap();
        let input = child.stdin.take();
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
        loop {
            match process.line() {
                Some(line) if line.ends_with("ready") => return Some(process),
                Some(_) => {}
                None => {
                    process.child.wait().unwrap();
                    return None;
                }
            }
        }
    }

    pub fn start(file: &Path) -> Self {
        Self::try_start(file, &[]).expect("the bot starts")
    }

    /// What it says next; nothing when it has ended.
    pub fn line(&mut self) -> Option<String> {
        match self.output.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => Some(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(error) => panic!("the bot says nothing: {error}"),
        }
    }

    /// Says a line to it; one that has ended does not hear it.
    pub fn send(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}");
        }
    }

    /// Says nothing more, which ends it.
    pub fn close(&mut self) {
        self.input = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a failure; else it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
