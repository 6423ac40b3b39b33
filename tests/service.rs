//! The built program at a terminal: files changed under it, signals, a second one beside it.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const CONFIG: &str = "[bot]\nlocale = \"zh\"\n\n[adapters.console]\nenabled = true\n";
const ECHO: &str = "//! 回声。\ncommand(\"喊\", |c| c.reply(\"一版\"));\n";
const CHAT: &str = "+++\n[member.\"阿明\"]\n+++\n阿明: 喊\n    > 一版\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// The program at a terminal of its own.
struct Program {
    child: Child,
    keyboard: File,
    screen: Receiver<String>,
    seen: String,
}

impl Program {
    fn start(folder: &Path) -> Self {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let child = Command::new(env!("CARGO_BIN_EXE_qundao"))
            .args(["--color", "never"])
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .env("TERM", "xterm")
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("the program starts");
        drop(pty.slave);
        let keyboard = File::from(pty.master);
        let mut output = keyboard.try_clone().expect("a descriptor");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end: nobody holds the other side any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen, seen: String::new() }
    }

    /// Waits until something stands on the screen.
    fn see(&mut self, text: &str) {
        let last = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = last.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.seen.push_str(&more),
                Err(error) => panic!("`{text}` did not come ({error}):\n{}", self.seen),
            }
        }
        self.seen.clear();
    }

    fn type_line(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\r").as_bytes()).expect("a terminal");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([format!("-{name}"), id]).status();
        assert!(sent.expect("kill").success());
    }

    fn end(&mut self) -> ExitStatus {
        let last = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < last, "the program does not end:\n{}", self.seen);
            // The end of the screen comes with the end of the program.
            let _ = self.screen.recv_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
    std::fs::write(path, text).expect("writable");
}

#[test]
fn lives_through_changed_files_and_ends_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write(folder, "config.toml", CONFIG);
    write(folder, "scripts/echo.rhai", ECHO);
    write(folder, "scripts/echo.chat", CHAT);
    let mut program = Program::start(folder);
    program.type_line("喊");
    program.see("一版");

    // A script whose transcript fails, then with its transcript mended.
    write(folder, "scripts/echo.rhai", &ECHO.replace("版", "号"));
    program.see("echo.chat:4: the transcript went otherwise");
    program.type_line("喊");
    program.see("一版");
    write(folder, "scripts/echo.chat", &CHAT.replace("版", "号"));
    program.see("重新加载：脚本 echo");
    program.type_line("喊");
    program.see("一号");

    // A bad configuration, and a reload by signal of a good one.
    write(folder, "config.toml", &CONFIG.replace("zh", "zz"));
    program.see("config.toml:2:");
    write(folder, "config.toml", CONFIG);
    program.signal("HUP");
    program.see("重新加载：没有变化");

    let beside = Command::new(env!("CARGO_BIN_EXE_qundao"))
        .arg("doctor")
        .current_dir(folder)
        .output()
        .expect("the program starts");
    assert!(String::from_utf8_lossy(&beside.stdout).contains("in use"), "{beside:?}");
    let mut second = Program::start(folder);
    second.see("another qundao is running on `");
    assert_eq!(second.end().code(), Some(3));

    program.signal("TERM");
    assert_eq!(program.end().code(), Some(0));
    let log = std::fs::read_to_string(folder.join("data/qundao.log")).expect("a log");
    assert!(log.contains("the transcript went otherwise"), "{log}");
    let doctor = Command::new(env!("CARGO_BIN_EXE_qundao"))
        .args(["doctor", "--json"])
        .current_dir(folder)
        .output()
        .expect("the program starts");
    let checks: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let names: Vec<&str> =
        checks.as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
    assert!(names.contains(&"backlog"), "{names:?}");
}
