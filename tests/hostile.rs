//! Scripts that mean harm, each a rule of a small bot in a process of its own: how each one ends,
//! how long that takes, and what it costs in memory.
//!
//! `tests/hostile/handlers` attack when a member writes 开火, `tests/hostile/toplevel` when they
//! are loaded. Each says on its second line how it ends, in `// expect: …`: `limit NAME`,
//! `error`, `ok`, `refused` (does not load) or `kill` (only killing its process helps).
//! `QUNDAO_HOSTILE_ONLY=part` runs those whose file name contains it.

// Peaks of memory are read from /proc.
#![cfg(target_os = "linux")]

mod world;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use qundao::adapter::Outcome;
use qundao::bot::Bot;
use qundao::clock::{Clock, SystemClock};
use qundao::effect::Call;
use qundao::event::plain_text;
use qundao::report::Line;
use qundao::script::InlineHost;
use qundao::script::load::source;
use qundao::script::protocol::ScriptHost;
use world::{Platform, Setup, in_time, memory, message, script, seed};

const CHILD: &str = "QUNDAO_TEST_HOSTILE_FILE";
const ONLY: &str = "QUNDAO_HOSTILE_ONLY";
/// Two attacks and one honest message have so long; what takes longer hangs.
const CAP: Duration = Duration::from_secs(20);
/// Address space of one process, KiB: an attack must not take the machine with it.
const MEMORY_KIB: u64 = 4 * 1024 * 1024;
/// Peak of memory that anything but a `kill` may reach, KiB.
const PEAK_KIB: u64 = 300 * 1024;
/// Processes at once.
const ABREAST: usize = 2;
/// The tests of this file take turns, so that it stays at that.
static TURN: Mutex<()> = Mutex::new(());

/// Shows that the bot still listens.
const ALIVE: &str = "//! 在吗\ncommand(\"在吗\", |c| c.reply(\"在\"));\n";

/// The attacked process. Does nothing unless the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let source = source("attack", "rules/attack.rhai", true, &text);
    let mut setup = Setup::new(vec![script("alive", ALIVE)]);
    // Where it is not the clock that must end the attack, a busy machine must not.
    let by_clock = matches!(expected(&text).as_str(), "limit handler_ms" | "kill");
    setup.config.limits.script.handler_ms = if by_clock { 50 } else { 20_000 };
    let begun = Instant::now();
    let host = InlineHost::new(setup.config.limits.script.clone()).unwrap();
    if let Err(problems) = host.check(&source) {
        let first = problems.first().unwrap().to_string();
        say(&format!("ended\trefused\t{}\t{}", ms(begun), one_line(&first)));
        say(&format!("done\t{}", peak(std::process::id())));
        return;
    }
    drop(host);
    say(&format!("loaded\t{}", ms(begun)));
    setup.sources.push(source);
    attack(setup).await;
}

/// Loads the script, fires it twice, and asks whether anybody is still there.
async fn attack(setup: Setup) {
    let (heard, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let platform = Platform::answering(move |request| {
        if let Call::Send { content, .. } = &request.call {
            heard.send(plain_text(content)).ok();
        }
        Outcome::Done { id: Some("m".to_owned()), degraded: Vec::new() }
    });
    let bot = setup.start(memory().await, &platform).await;
    let now = SystemClock::default().now();
    let members = vec![seed("a", 1000, now), seed("b", 1000, now)];
    bot.seed_members(&world::group_ref("g"), members).await.unwrap();
    let begun = Instant::now();
    let (end, note) = fire(&bot, "m1", "开火").await;
    say(&format!("ended\t{end}\t{}\t{note}", ms(begun)));
    fire(&bot, "m2", "开火").await;
    fire(&bot, "m3", "在吗").await;
    while in_time("the answer", sent.recv()).await.expect("the platform is there") != "在" {}
    say(&format!("done\t{}", peak(std::process::id())));
}

/// One message and how its turn ended; timers of an attack may keep the bot busy beside it.
async fn fire(bot: &Bot, key: &str, text: &str) -> (String, String) {
    let (mut reports, mut notices) = (bot.reports(), bot.notices());
    let now = SystemClock::default().now();
    bot.inbox().offer(message(key, "g", "a", text, now), None).await;
    let report = loop {
        let report = in_time("the turn", reports.recv()).await.expect("the bot is there");
        if *report.event.envelope.key == *key {
            break report;
        }
    };
    let failed = report.lines.iter().find_map(|line| match line {
        Line::Failed { error } => Some(error),
        _ => None,
    });
    if let Some(error) = failed {
        let end = error.limit.as_ref().map_or("error".to_owned(), |name| format!("limit {name}"));
        return (end, one_line(&error.to_string()));
    }
    // A turn that is dropped fails without a line.
    let notice = std::iter::from_fn(|| notices.try_recv().ok()).find(|notice| notice.is_problem);
    notice.map_or(("ok".to_owned(), String::new()), |notice| {
        ("error".to_owned(), one_line(&notice.text))
    })
}

/// What a script says of its own end.
fn expected(text: &str) -> String {
    let line = text.lines().nth(1).and_then(|line| line.strip_prefix("// expect: "));
    line.unwrap_or("nothing").trim().to_owned()
}

fn ms(begun: Instant) -> u128 {
    begun.elapsed().as_millis()
}

fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// To the parent; the test's own output begins with no tab.
fn say(line: &str) {
    println!("\n\t{line}");
}

/// The most memory that a process has had, KiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// How one script ended.
struct Ended {
    name: String,
    expected: String,
    end: String,
    load_ms: String,
    run_ms: String,
    peak_kib: u64,
    note: String,
}

impl Ended {
    fn is_as_expected(&self) -> bool {
        self.end == self.expected && (self.end == "kill" || self.peak_kib <= PEAK_KIB)
    }
}

/// A process under attack, as the test sees it.
struct Process {
    child: Child,
    lines: Receiver<String>,
    begun: Instant,
    peak_kib: u64,
}

impl Process {
    fn start(file: &Path) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY_KIB}; ulimit -c 0; exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        listen(BufReader::new(stdout), sender.clone());
        listen(BufReader::new(stderr), sender);
        Self { child, lines, begun: Instant::now(), peak_kib: 0 }
    }

    /// The next line; an error when the process has ended or had its time.
    fn line(&mut self) -> Result<String, RecvTimeoutError> {
        loop {
            self.peak_kib = self.peak_kib.max(peak(self.child.id()));
            let left = CAP.saturating_sub(self.begun.elapsed());
            match self.lines.recv_timeout(left.min(Duration::from_millis(20))) {
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                heard => return heard,
            }
        }
    }
}

fn listen(from: impl BufRead + Send + 'static, to: std::sync::mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in from.lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// Runs one script in its process and says how it ended.
fn measure(file: &Path) -> Ended {
    let text = std::fs::read_to_string(file).unwrap();
    let mut ended = Ended {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        expected: expected(&text),
        end: String::new(),
        load_ms: "-".to_owned(),
        run_ms: "-".to_owned(),
        peak_kib: 0,
        note: String::new(),
    };
    let mut process = Process::start(file);
    let mut last = String::new();
    let finished = loop {
        let line = match process.line() {
            Ok(line) => line,
            Err(reason) => break Err(reason),
        };
        let words: Vec<&str> = line.trim_start_matches('\t').split('\t').collect();
        match (line.starts_with('\t'), words.as_slice()) {
            (true, ["loaded", ms]) => ended.load_ms = (*ms).to_owned(),
            (true, ["ended", end, ms, note]) => {
                (ended.end, ended.run_ms, ended.note) =
                    ((*end).to_owned(), (*ms).to_owned(), (*note).to_owned());
            }
            (true, ["done", peak]) => break Ok(peak.parse().unwrap_or(0)),
            _ if line.trim().is_empty() => {}
            _ => last = line,
        }
    };
    ended.peak_kib = process.peak_kib;
    match finished {
        Ok(peak) => ended.peak_kib = ended.peak_kib.max(peak),
        Err(reason) => killed(&mut ended, &mut process, reason, &last),
    }
    process.child.kill().ok();
    process.child.wait().unwrap();
    ended
}

/// The process did not come to the end of its attack.
fn killed(ended: &mut Ended, process: &mut Process, reason: RecvTimeoutError, last: &str) {
    let how = match reason {
        RecvTimeoutError::Timeout => format!("hangs for {} s", CAP.as_secs()),
        RecvTimeoutError::Disconnected => format!("{}", process.child.wait().unwrap()),
    };
    let before = if ended.end.is_empty() { String::new() } else { format!(" after {}", ended.end) };
    ended.note = format!("{how}{before}: {}", one_line(last));
    ended.end = "kill".to_owned();
    ended.run_ms = process.begun.elapsed().as_millis().to_string();
}

/// The scripts of one folder, in order.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(folder);
    let only = std::env::var(ONLY).unwrap_or_default();
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.to_string_lossy().contains(&only)).collect();
    files.sort();
    files
}

/// Measures all, a few at a time; in order.
fn measure_all(files: &[PathBuf]) -> Vec<Ended> {
    let (next, found) = (Mutex::new(0..files.len()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().unwrap().next() else { return };
                    let ended = measure(&files[index]);
                    found.lock().unwrap().push((index, ended));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, ended)| ended).collect()
}

fn table(all: &[Ended]) {
    println!("{:<34} {:<22} {:>7} {:>7} {:>5}  note", "script", "end", "load ms", "run ms", "MiB");
    for e in all {
        let mark = if e.is_as_expected() { ' ' } else { '!' };
        let (name, end, mib) = (&e.name, &e.end, e.peak_kib / 1024);
        println!(
            "{mark}{name:<33} {end:<22} {:>7} {:>7} {mib:>5}  {}",
            e.load_ms, e.run_ms, e.note
        );
    }
}

fn holds(folder: &str, least: usize) {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let files = corpus(folder);
    assert!(std::env::var(ONLY).is_ok() || files.len() >= least, "{} scripts", files.len());
    let all = measure_all(&files);
    table(&all);
    let wrong: Vec<String> = all
        .iter()
        .filter(|ended| !ended.is_as_expected())
        .map(|e| {
            format!(
                "{}: wanted {}, {} ({} MiB) {}",
                e.name,
                e.expected,
                e.end,
                e.peak_kib / 1024,
                e.note
            )
        })
        .collect();
    assert!(wrong.is_empty(), "these ended otherwise:\n  {}", wrong.join("\n  "));
}

#[test]
fn attacks_in_handlers_end_as_they_say() {
    holds("handlers", 60);
}

#[test]
fn attacks_at_the_top_level_end_as_they_say() {
    holds("toplevel", 12);
}
