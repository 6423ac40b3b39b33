//! The real program as a process: started, killed, stopped, and its children with it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::in_time;
use crate::traffic::Chance;

/// Lines of its log that a failure shows.
const SHOWN: usize = 40;

/// From now on whoever loses its parent becomes a child of this process, so that whatever a killed
/// bot leaves behind is seen.
pub fn adopt_orphans() {
    nix::sys::prctl::set_child_subreaper(true).expect("Linux has had it since 3.4");
}

/// A running bot.
pub struct Host {
    process: Child,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Host {
    /// Starts it and waits until it can be connected to.
    pub async fn start(folder: &Path) -> Self {
        let (host, is_listening) = Self::try_start(folder, &[]).await;
        if !is_listening {
            panic!("the bot did not start:\n{}", host.last_words());
        }
        host
    }

    /// With more in its environment; says whether it got so far.
    pub async fn try_start(folder: &Path, environment: &[(&str, &str)]) -> (Self, bool) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_qundao"))
            .args(["--config", "bench.toml"])
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let errors = BufReader::new(process.stderr.take().expect("piped"));
        let log: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let (sender, lines) = unbounded_channel();
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                if kept.len() >= SHOWN {
                    kept.pop_front();
                }
                kept.push_back(line.clone());
                // Only the start is listened to.
                let _ = sender.send(line);
            }
        });
        let host = Self { process, log };
        let is_listening = in_time(listening(lines)).await == Some(true);
        (host, is_listening)
    }

    /// kill -9, and all that it had started must end too.
    pub async fn kill(&mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("a child");
        nobody_is_left(self).await;
    }

    /// kill -9 of one of its script processes, whichever; `false` where it has none just then.
    pub fn kill_a_child(&self, chance: &mut Chance) -> bool {
        let children = living(self.id());
        if children.is_empty() {
            return false;
        }
        // It may have ended by itself a moment ago.
        let _ = kill(children[chance.below(children.len())], Signal::SIGKILL);
        true
    }

    pub fn id(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    /// Asks it to stop.
    pub async fn stop(&mut self) -> Result<(), String> {
        self.ask_to_stop()?;
        match self.ended().await? {
            WaitStatus::Exited(_, 0) => Ok(()),
            ended => Err(format!("it ended with {ended:?}")),
        }
    }

    /// Says so, and does not wait.
    pub fn ask_to_stop(&self) -> Result<(), String> {
        kill(self.id(), Signal::SIGTERM).map_err(|error| error.to_string())
    }

    /// How it ended, with all that it had started.
    pub async fn ended(&mut self) -> Result<WaitStatus, String> {
        let id = self.id();
        let ended = tokio::task::spawn_blocking(move || waitpid(id, None));
        let ended = match in_time(ended).await {
            Some(Ok(Ok(ended))) => ended,
            Some(ended) => return Err(format!("it ended with {ended:?}")),
            None => return Err("it does not end".to_owned()),
        };
        nobody_is_left(self).await;
        Ok(ended)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = self.log.lock().unwrap();
        log.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // After a failure; else it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a process has ended, which whoever waits for it will still hear.
#[cfg(feature = "planted")]
pub fn has_ended(id: Pid) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::StillAlive))
}

async fn listening(mut lines: UnboundedReceiver<String>) -> bool {
    while let Some(line) = lines.recv().await {
        if line.contains("waiting for implementations") {
            return true;
        }
    }
    false
}

/// Waits for the end of every script process that a bot has left to us.
async fn nobody_is_left(host: &Host) {
    for (orphan, name) in children(Pid::this()) {
        let ended = tokio::task::spawn_blocking(move || waitpid(orphan, None));
        if in_time(ended).await.is_none() {
            panic!("the bot is gone, and {name} {orphan} still runs:\n{}", host.last_words());
        }
    }
}

/// Children of a process that have not ended.
fn living(of: Pid) -> Vec<Pid> {
    children(of).into_iter().filter(|(_, name)| !name.is_empty()).map(|(id, _)| id).collect()
}

/// Children of a process with their command lines; that of a process that has ended and was not
/// waited for is empty.
fn children(of: Pid) -> Vec<(Pid, String)> {
    let entries = std::fs::read_dir("/proc").expect("Linux has it");
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let numbers = entries.flatten().filter_map(number).map(Pid::from_raw);
    let name = |id: Pid| std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    numbers.filter(|id| parent(*id) == Some(of)).map(|id| (id, name(id))).collect()
}

/// The parent of a process (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
fn parent(id: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold anything, a `)` too.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    fields.nth(1)?.parse().ok().map(Pid::from_raw)
}
