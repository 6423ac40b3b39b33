//! The bot, its script processes and its connection are killed at a hundred random moments while
//! forty groups talk: scores equal the messages that were accepted, the ledger verifies, an echo
//! has one answer, what had to go is gone, and nobody is left running.
//!
//! The bot is the real program on a real file; its platform is the simulated implementation of
//! OneBot, which connects to it (reverse WebSocket) and has a history. OneBot acknowledges nothing:
//! what was said into a dying connection is lost unless the history brings it back, so *accepted*
//! is what has a row in `event`. What comes out of the history only counts: it is too late to be
//! answered, and the record says so.
#![cfg(target_os = "linux")]

mod books;
mod host;
#[cfg(feature = "planted")]
mod points;
#[path = "../onebot/sim/mod.rs"]
mod sim;
mod stops;
mod traffic;
#[path = "../world/mod.rs"]
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use host::Host;
use sim::socket::Part;
use sim::{Options, Sim};
use tokio::sync::Mutex;
use traffic::{Chance, Traffic, WORDS};

const KILLS: usize = 100;
/// Kills of nothing but script processes, of one bot.
const CHILDREN_KILLED: usize = 30;
/// Answers that are waited for between two kills, at most.
const ANSWERS: usize = 60;
/// Bytes after which a connection breaks, at most.
const BYTES: usize = 20_000;
/// Nothing here takes so long. In slices, so that a machine that stands still for a while costs
/// one of them and no more.
const SLICES: usize = 600;
const SLICE: Duration = Duration::from_millis(100);
/// The same moments again.
const SEED: &str = "QUNDAO_TEST_SEED";

const RULE: &str = "//! 禁词撤回。\n\
    on_message(|m| { if words::has(m, \"w2\") { m.delete(\"禁词\"); } });\n";
const ECHO: &str = "//! 回声，每次一分。\n\
    command(\"echo <t:text>\", |c| { points::grant(c.member, 1, \"回声\"); c.reply(c.t); });\n";
/// OneBot knows no reactions, so that it does nothing but leave in the record why not: because the
/// event came too late, or because of that.
const MARK: &str = "//! 记下来晚了的。\n\
    on_message(|m| { if m.text.starts_with(\"echo \") { m.react(\"x\"); } });\n";

/// What was killed, and how often.
#[derive(Debug, Default)]
struct Killed {
    hosts: usize,
    children: usize,
    connections: usize,
    of_those_in_a_frame: usize,
}

impl Killed {
    fn all(&self) -> usize {
        self.hosts + self.children + self.connections
    }
}

/// A bot in its folder, and who talks to it.
struct Run {
    folder: tempfile::TempDir,
    port: SocketAddr,
    sim: Sim,
    host: Host,
    traffic: Traffic,
    chance: Chance,
    killed: Killed,
    seed: u64,
    began: Instant,
    /// For whoever reads a failure.
    place: String,
}

impl Run {
    async fn start(seed: u64) -> Self {
        host::adopt_orphans();
        let began = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        write_workspace(folder.path(), port);
        let sim = Sim::new(Options { history: true, limit_s: 600, ..Options::default() });
        let traffic = Traffic::new(&sim, seed);
        let host = Host::start(folder.path()).await;
        let (chance, killed) = (Chance::new(seed), Killed::default());
        let place = format!("seed {seed}, before the first kill");
        let mut run = Self { folder, port, sim, host, traffic, chance, killed, seed, began, place };
        run.connect().await;
        run
    }

    /// The implementation connects, as it does at once when its connection is gone.
    async fn connect(&mut self) {
        let connected = self.sim.connect(self.port, "/", Part::Universal).await;
        if let Err(error) = connected {
            self.fail(&format!("the bot takes no connection: {error}"));
        }
        self.sim.until("the connection", Sim::is_heard).await;
        self.traffic.forgive();
    }

    /// Talks until some more echoes are answered.
    async fn talk(&mut self, round: usize) {
        self.place = format!("seed {}, round {round}", self.seed);
        let answers = self.chance.below(ANSWERS);
        self.answered(answers).await;
    }

    async fn answered(&mut self, answers: usize) {
        let target = self.traffic.answered + answers;
        let talking = self.traffic.until(|traffic| traffic.answered >= target);
        if in_time(talking).await.is_none() {
            let left = target - self.traffic.answered;
            self.fail(&format!("{left} of {answers} answers did not come"));
        }
    }

    async fn kill(&mut self) {
        match self.chance.below(3) {
            0 => self.kill_host().await,
            1 => self.kill_child().await,
            _ => self.cut().await,
        }
    }

    async fn kill_child(&mut self) {
        while !self.host.kill_a_child(&mut self.chance) {
            // Two were killed within a second, and the next has to start.
            self.answered(1).await;
        }
        self.killed.children += 1;
    }

    async fn kill_host(&mut self) {
        self.host.kill().await;
        self.killed.hosts += 1;
        self.sim.until_connected(0).await;
        self.look().await;
        self.host = Host::start(self.folder.path()).await;
        self.connect().await;
    }

    /// Breaks the connection: between two frames, or wherever a frame is then.
    async fn cut(&mut self) {
        let bytes = self.chance.below(BYTES);
        match self.chance.below(3) {
            0 => self.sim.disconnect().await,
            1 => self.sim.break_after(Some(bytes), None),
            _ => self.sim.break_after(None, Some(bytes)),
        }
        self.killed.of_those_in_a_frame += usize::from(self.sim.connections() > 0);
        let sim = self.sim.clone();
        let talking = self.traffic.until(|_| sim.connections() == 0);
        if in_time(talking).await.is_none() {
            self.fail("the connection did not break");
        }
        self.killed.connections += 1;
        self.connect().await;
    }

    /// What must hold of the file at any moment.
    async fn look(&self) {
        let broken = books::look(&self.file()).await;
        if !broken.is_empty() {
            self.fail(&format!("{broken:#?}"));
        }
    }

    /// What was begun is ended, the bot is stopped, and both sides are compared.
    async fn end(&mut self) {
        self.talk(self.killed.all()).await;
        self.settle().await;
        self.look().await;
        let found = books::balance(&self.file(), &self.sim).await;
        if !found.broken.is_empty() {
            self.fail(&format!("{:#?}", found.broken));
        }
        println!("{:?}, {found}, {:.0} s", self.killed, self.began.elapsed().as_secs_f64());
    }

    async fn settle(&mut self) {
        let open = self.traffic.until_all_answered();
        if in_time(open).await.is_none() {
            let open = self.traffic.open();
            self.fail(&format!("never answered: {open:?}"));
        }
        let file = self.file();
        if in_time(books::until_settled(&file)).await.is_none() {
            self.fail("deliveries or events are still open");
        }
        if let Err(wrong) = self.host.stop().await {
            self.fail(&wrong);
        }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("data/qundao.db")
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{}: {what}\n{:?}\n{}", self.place, self.killed, self.host.last_words());
    }
}

/// Below those that the system gives to whoever connects, so that nobody has it while the bot is
/// down.
fn free_port() -> SocketAddr {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let addresses = (first..32_000).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut free = addresses.filter(|address| std::net::TcpListener::bind(address).is_ok());
    free.next().expect("one of thousands of ports is free")
}

fn write_workspace(folder: &Path, port: SocketAddr) {
    let config = format!(
        "[bot]\nlocale = \"zh\"\n\n[adapters.onebot]\nenabled = true\nlisten = \"{port}\"\n\
         messages_per_minute = 0\ngroup_messages_per_minute = 0\n\n[limits]\ncommands = 100000\ndisk_free_mb = 0\n\
         # A machine that is busy with other tests must not make honest handlers late.\n\
         script_handler_ms = 10000\n"
    );
    let words = WORDS.join("\n");
    for (name, text) in [
        ("bench.toml", &*config),
        ("rules/w2.rhai", RULE),
        ("scripts/echo.rhai", ECHO),
        ("scripts/mark.rhai", MARK),
        ("scripts/words/w2.txt", &*words),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// What a future comes to, unless it takes too long.
async fn in_time<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(future);
    for _ in 0..SLICES {
        if let Ok(value) = tokio::time::timeout(SLICE, &mut future).await {
            return Some(value);
        }
    }
    None
}

/// What `QUNDAO_CYCLES` says, or less.
fn cycles(otherwise: usize) -> usize {
    std::env::var("QUNDAO_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

fn seed() -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(u64::from(std::process::id()));
    println!("seed {seed}; {SEED}={seed} gives the same choices again");
    seed
}

/// Either test would make the other's bot slow, and what it leaves behind is seen by both.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_of_three_kinds_lose_no_score_and_double_no_answer() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut run = Run::start(seed()).await;
    for round in 0..cycles(KILLS) {
        run.talk(round).await;
        run.kill().await;
    }
    run.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_script_is_blamed_for_kills_from_outside() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut run = Run::start(seed()).await;
    for round in 0..cycles(CHILDREN_KILLED) {
        run.talk(round).await;
        run.kill_child().await;
    }
    // Whoever was blamed would be out of force by now, and neither recalled nor answered.
    run.end().await;
}
