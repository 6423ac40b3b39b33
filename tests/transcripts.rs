//! Every shipped transcript, played by the built program; and proof that the runner bites.

mod program;

use std::path::{Path, PathBuf};

use program::run;

/// Each case but the first is wrong in one way, which its name says.
const WRONG: &str = r#"+++
start = "2026-11-23 09:00"
seed = 7
features = ["red_packet", "points"]
[member."阿明"]
points = 200
[member."小红"]
[member."老王"]
[member."小李"]
+++
## passes
阿明: 红包 100 3 大家早
    points 阿明 -100
    card 🧧 阿明 的红包：100 积分，3 份，24 小时有效
    | 大家早
    | 发送「抢」领取 · 1 号 · 凭证 […]
## a wrong expectation
小红: 抢
    refuse empty
## a missing line
小红: 排行榜
    points 小红 +1
    > 🏆 积分排行榜
    | 1. 阿明 200
## an effect too many
小红: 积分
## a wrong amount
阿明: 红包 100 3 大家早
    points 阿明 -99
    card 🧧 阿明 的红包：100 积分，3 份，24 小时有效
    | 大家早
    | 发送「抢」领取 · 1 号 · 凭证 […]
## a refund that is forgotten
阿明: 红包 100 3
    points 阿明 -100
    card 🧧 阿明 […]
    | […]
    | […]
+24h
    card […] 已过期，剩余 100 积分退回 […]
    | 还没有人领
## another order in one place
阿明: 积分
    > 阿明：200 积分 · 第 1 名
+1s
    > 阿明：200 积分 · 第 1 名
## silence where something was promised
小红: 今天抢到了票
    > 恭喜
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Scripts, rules, lists and configuration as they are shipped, in a folder of their own.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["scripts", "scripts/words", "rules", "."] {
        let to = folder.path().join(name);
        std::fs::create_dir_all(&to).expect("writable");
        for entry in std::fs::read_dir(root().join(name)).expect("there").flatten() {
            let from = entry.path();
            let wanted = ["rhai", "txt"].map(Some).contains(&ending(&from))
                || from.file_name().is_some_and(|file| file == "config.toml");
            if wanted {
                std::fs::copy(&from, to.join(entry.file_name())).expect("copied");
            }
        }
    }
    folder
}

fn ending(path: &Path) -> Option<&str> {
    path.extension().and_then(|ending| ending.to_str())
}

fn transcripts(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("there").flatten();
    entries.map(|entry| entry.path()).filter(|path| ending(path) == Some("chat")).collect()
}

#[test]
fn every_shipped_transcript_passes() {
    let output = run(root(), &["test"], "");
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let cases: usize = ["scripts", "rules"]
        .iter()
        .flat_map(|folder| transcripts(folder))
        .map(|path| std::fs::read_to_string(path).expect("readable"))
        .map(|chat| chat.lines().filter(|line| line.starts_with("## ")).count())
        .sum();
    let counted = format!("{cases} passed, 0 failed in ");
    assert!(text(&output.stdout).starts_with(&counted), "{}", text(&output.stdout));
}

#[test]
fn every_shipped_script_has_a_transcript() {
    for folder in ["scripts", "rules"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("there").flatten() {
            let path = entry.path();
            let is_script = ending(&path) == Some("rhai") && !path.ends_with("api.d.rhai");
            assert!(!is_script || path.with_extension("chat").exists(), "{}", path.display());
        }
    }
}

#[test]
fn no_shipped_transcript_expects_an_error() {
    for path in ["scripts", "rules"].iter().flat_map(|folder| transcripts(folder)) {
        let chat = std::fs::read_to_string(&path).expect("readable");
        assert!(!chat.contains("\n    error "), "{}", path.display());
    }
}

#[test]
fn the_runner_bites() {
    let folder = copy();
    std::fs::write(folder.path().join("scripts/wrong.chat"), WRONG).expect("writable");
    let output = run(folder.path(), &["test", "scripts/wrong.chat"], "");
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    let (shown, time) = shown.rsplit_once(" in ").expect("the time");
    assert!(time.ends_with(" s\n"), "{time}");
    insta::assert_snapshot!(shown);
}

/// The wall time of a handler is for the live bot: on a busy machine it would fail cases at random.
#[test]
fn a_case_does_not_depend_on_the_speed_of_the_machine() {
    let folder = copy();
    let path = folder.path().join("config.toml");
    let config = std::fs::read_to_string(&path).expect("readable");
    let slow = config.replace("# script_handler_ms = 50", "script_handler_ms = 1");
    assert_ne!(config, slow);
    std::fs::write(&path, slow).expect("writable");
    let name = "scripts/red_packet.chat";
    std::fs::copy(root().join(name), folder.path().join(name)).expect("copied");
    let output = run(folder.path(), &["test", name], "");
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Each changed amount or dropped line of a transcript that passes must be noticed.
#[test]
fn every_amount_and_every_line_counts() {
    let folder = copy();
    let path = folder.path().join("scripts/red_packet.chat");
    let good = std::fs::read_to_string(root().join("scripts/red_packet.chat")).expect("readable");
    let end = good.match_indices("\n## ").nth(3).expect("some cases").0;
    let lines: Vec<&str> = good[..end].lines().collect();
    let expected = (0..lines.len()).filter(|at| lines[*at].starts_with("    "));
    let mut tried = 0;
    for at in expected {
        let changed = match lines[at].strip_prefix("    points ") {
            Some(points) => format!("    points {points}0"),
            None => String::new(),
        };
        let mut bad: Vec<&str> = lines.clone();
        bad[at] = &changed;
        std::fs::write(&path, bad.join("\n")).expect("writable");
        let output = run(folder.path(), &["test", "scripts/red_packet.chat"], "");
        assert_eq!(output.status.code(), Some(1), "line {}: {}", at + 1, lines[at]);
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

/// A day of a group, from a pipe: what comes out is the very transcript that went in.
#[test]
fn a_life_comes_out_as_it_is_written() {
    let chat = std::fs::read_to_string(root().join("tests/life.chat")).expect("readable");
    let output = run(root(), &[], &chat);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), chat);
    let bare: Vec<&str> = chat.lines().filter(|line| !line.starts_with("    ")).collect();
    let again = run(root(), &[], &(bare.join("\n") + "\n"));
    assert_eq!(text(&again.stdout), chat, "without its expectations");
}
