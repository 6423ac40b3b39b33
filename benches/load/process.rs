//! The program under test, as a process in a folder of its own, and what it costs.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Clock ticks a second in /proc, on every Linux.
const TICKS: f64 = 100.0;

/// A running bot. Dropping it kills it.
pub struct Program {
    child: Child,
    port: u16,
    pub folder: tempfile::TempDir,
}

impl Program {
    /// Starts the bot with these files beside its configuration, and waits until it listens.
    pub fn start(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let config = format!(
            "[bot]\nlocale = \"zh\"\n[adapters.onebot]\nenabled = true\n\
             listen = \"127.0.0.1:{port}\"\nmessages_per_minute = 0\n\
             group_messages_per_minute = 0\n[limits]\ncommands = 100000\n"
        );
        for (path, text) in files.iter().copied().chain([("bench.toml", config.as_str())]) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let log = std::fs::File::create(folder.path().join("log.txt")).expect("a file");
        let mut command = Command::new(binary());
        command.args(["--config", "bench.toml"]).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.spawn().expect("the bot starts");
        let program = Self { child, port, folder };
        program.until_it_listens();
        program
    }

    fn until_it_listens(&self) {
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("log.txt"));
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the bot does not listen; it said: {}",
                log.unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where an implementation connects to.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("data/qundao.db")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program: the one of this build, or the one that `QUNDAO_LIVE_PROGRAM` names.
pub fn binary() -> PathBuf {
    std::env::var_os("QUNDAO_LIVE_PROGRAM")
        .map_or_else(|| Path::new(env!("CARGO_BIN_EXE_qundao")).to_owned(), PathBuf::from)
}

/// Processor time of a process and its children so far, s.
pub fn cpu_s(process: u32) -> f64 {
    family(process).iter().map(|id| cpu_ticks(*id)).sum::<f64>() / TICKS
}

/// Memory of a process and its children now, MiB; pages that they share count in each.
pub fn memory_mib(process: u32) -> f64 {
    let kib = |id: &u32| field(&format!("/proc/{id}/status"), "VmRSS:");
    family(process).iter().map(kib).sum::<f64>() / 1024.0
}

fn family(process: u32) -> Vec<u32> {
    let mut ids = vec![process];
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        ids.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    ids
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn cpu_ticks(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    // `utime` and `stime`, counted from behind the name: proc(5).
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
}

fn field(path: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}
