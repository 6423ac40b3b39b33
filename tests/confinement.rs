//! What the process that runs scripts has: looked at from outside, while a bot runs.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Processes of a parent that serve scripts.
fn children_of(parent: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let folder = entry.path();
        let Ok(status) = std::fs::read_to_string(folder.join("status")) else { continue };
        let Ok(command) = std::fs::read_to_string(folder.join("cmdline")) else { continue };
        let is_child = status.lines().any(|line| line == format!("PPid:\t{parent}"));
        if is_child && command.contains("--is-limited") {
            found.push(folder);
        }
    }
    found
}

fn field(folder: &Path, file: &str, start: &str) -> String {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    line.trim_start_matches(start).split_whitespace().next().unwrap_or_default().to_owned()
}

/// What descriptors are open on, where this user may know.
fn descriptors(folder: &Path) -> Vec<String> {
    let Ok(open) = std::fs::read_dir(folder.join("fd")) else { return Vec::new() };
    let target =
        |entry: std::fs::DirEntry| Some(entry.path().read_link().ok()?.display().to_string());
    open.flatten().filter_map(target).collect()
}

#[test]
fn a_child_has_its_pipe_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[bot]\nlocale = \"zh\"\n[adapters.console]\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a token").unwrap();
    let pty = nix::pty::openpty(None, None).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    // A shell that forgets to close a file before it starts the bot.
    let mut bot = Command::new("sh")
        .args(["-c", "exec 9<secret; exec \"$0\"", env!("CARGO_BIN_EXE_qundao")])
        .current_dir(folder.path())
        .env("QUNDAO_TEST_TOKEN", "a token")
        .env("TERM", "xterm")
        .stdin(slave())
        .stdout(slave())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    let is_confined = |child: &PathBuf| field(child, "status", "Seccomp:") == "2";
    let mut children = Vec::new();
    while children.len() < 2 || !children.iter().all(is_confined) {
        assert!(Instant::now() < patience, "no confined children: {children:?}");
        assert!(bot.try_wait().unwrap().is_none(), "the bot has ended");
        std::thread::yield_now();
        children = children_of(bot.id());
    }
    for child in &children {
        assert_eq!(field(child, "status", "NoNewPrivs:"), "1");
        assert_eq!(field(child, "limits", "Max core file size"), "0");
        assert_eq!(field(child, "limits", "Max address space"), (512 << 20).to_string());
        assert_eq!(field(child, "limits", "Max open files"), "64");
        // A process that cannot be looked at does not let other users read these.
        let environment = std::fs::read(child.join("environ")).unwrap_or_default();
        assert_eq!(environment, b"");
        for target in descriptors(child) {
            let is_own = target.starts_with("socket:")
                || target.contains("memfd:")
                || target.ends_with("/schedstat");
            assert!(is_own, "a child holds {target}");
        }
    }
    bot.kill().unwrap();
    bot.wait().unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while children.iter().any(|child| child.exists()) {
        assert!(Instant::now() < patience, "a child outlived its bot");
        std::thread::yield_now();
    }
}
