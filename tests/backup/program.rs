//! The built program: a backup while it runs, a start on it, and a second bot on one folder.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qundao"));
    command.args(args).current_dir(folder).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    program(folder, args).output().expect("the program starts")
}

/// A bot that waits for an implementation of OneBot.
struct Service {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Service {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = program(folder, args).stderr(Stdio::piped()).spawn().expect("it starts");
        let errors = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut service = Self { child, log, seen: Vec::new() };
        service.see("waiting for implementations");
        service
    }

    /// Waits for a line of its log, unless it is there already.
    fn see(&mut self, what: &str) {
        while !self.seen.iter().any(|line| line.contains(what)) {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("`{what}` did not come ({error}): {:?}", self.seen),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it runs");
    }

    fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.child.wait().expect("a child").code(), Some(0));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // After a failure; else it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[bot]\nlocale = \"zh\"\n[limits]\ndisk_free_mb = 0\n[adapters.onebot]\n\
        enabled = true\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(folder.path().join("config.toml"), config).expect("writable");
    folder
}

#[test]
fn a_backup_of_a_running_bot_starts_when_it_is_told_that_it_is_one() {
    let folder = workspace();
    let folder = folder.path();
    let nothing = run(folder, &["backup", "a.db"]);
    assert_eq!(nothing.status.code(), Some(3), "{nothing:?}");

    let service = Service::start(folder, &[]);
    let done = run(folder, &["backup", "a.db", "--json"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(answer["found"]["broken"], serde_json::json!([]));
    let again = run(folder, &["backup", "a.db"]);
    assert_eq!(again.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");
    let shown = run(folder, &["backup", "b.db"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("--after-restore"), "{shown:?}");
    service.stop();

    std::fs::rename(folder.join("a.db"), folder.join("data/qundao.db")).expect("renamed");
    let refused = run(folder, &[]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--after-restore"), "{refused:?}");
    let doctor = run(folder, &["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("this is a backup"), "{doctor:?}");
    let mut service = Service::start(folder, &["run", "--after-restore"]);
    service.see("restored from the backup of");
    service.stop();
    Service::start(folder, &[]).stop();
}

#[test]
fn a_second_bot_is_refused_even_while_the_first_stands_still() {
    let folder = workspace();
    let folder = folder.path();
    let service = Service::start(folder, &[]);
    let refused = |what: &str| {
        let second = run(folder, &[]);
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(3), "{what}: {said}");
        assert!(said.contains("another qundao is running on"), "{what}: {said}");
    };
    refused("it runs");
    service.signal(Signal::SIGSTOP);
    refused("it stands still");
    service.signal(Signal::SIGCONT);
    refused("it runs again");
    service.stop();
    Service::start(folder, &[]).stop();
}
