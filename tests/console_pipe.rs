//! The built program with a chat from a pipe: what goes in as lines comes out as a transcript.
//!
//! It proves the whole way, from the arguments to the exit code, without a network or a terminal.

mod program;

use program::run;

const CONFIG: &str = "[bot]\nlocale = \"zh\"\n\n[adapters.console]\nenabled = true\n";

const RULE: &str = r#"//! 打招呼。

on_keyword(["早"], |m| {
    m.reply("早，" + m.member.name);
});
"#;

const CHAT: &str = "\
+++
[member.\"阿明\"]
+++
## 打招呼
阿明: 早
    > 早，[…]
阿明: 在吗
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
        std::fs::write(path, text).expect("writable");
    };
    write("config.toml", CONFIG);
    write("rules/greet.rhai", RULE);
    write("rules/greet.chat", CHAT);
    std::fs::create_dir_all(folder.path().join("scripts")).expect("writable");
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_chat_comes_out_as_a_transcript() {
    let folder = folder();
    let input = "阿明: 早\n在吗\n/join 小新\n/as 小红\n早\n+1d\n";
    let output = run(folder.path(), &[], input);
    let expected = "阿明: 早\n    > 早，阿明\n阿明: 在吗\n/join 小新\n# /as 小红\n\
                    小红: 早\n    > 早，小红\n+1d\n";
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
    assert!(!folder.path().join("data").exists(), "a pipe leaves nothing behind");
}

#[test]
fn what_came_out_goes_in_again() {
    let folder = folder();
    let head = "+++\nrules = [\"greet\"]\n[member.\"阿明\"]\n+++\n";
    let first = run(folder.path(), &[], &format!("{head}阿明: 早\n"));
    let second = run(folder.path(), &[], &text(&first.stdout));
    assert_eq!(text(&first.stdout), text(&second.stdout));
    std::fs::write(folder.path().join("rules/again.chat"), &first.stdout).expect("writable");
    let tested = run(folder.path(), &["test", "rules/again.chat"], "");
    assert_eq!(tested.status.code(), Some(0), "{}", text(&tested.stdout));
}

#[test]
fn a_line_that_makes_no_sense_is_a_problem_and_the_rest_is_played() {
    let folder = folder();
    let output = run(folder.path(), &[], "阿明 presses \"抢\"\n阿明: 早\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("stdin:1: There is no button `抢`"));
    assert!(text(&output.stdout).ends_with("    > 早，阿明\n"));
}

#[test]
fn escapes_do_not_come_through() {
    let folder = folder();
    let output = run(folder.path(), &[], "小\u{1b}[2J红: 早\n阿明: 早\u{1b}]0;x\u{7}\n");
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

#[test]
fn transcripts_pass_fail_and_are_accepted() {
    let folder = folder();
    let passed = run(folder.path(), &["test"], "");
    assert!(text(&passed.stdout).starts_with("1 passed, 0 failed in "));
    let path = folder.path().join("rules/greet.chat");
    std::fs::write(&path, CHAT.replace("    > 早，[…]\n", "")).expect("writable");
    let failed = run(folder.path(), &["test"], "");
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stdout).contains("+     > 早，阿明"), "{}", text(&failed.stdout));
    let accepted = run(folder.path(), &["test", "--accept"], "");
    assert_eq!(accepted.status.code(), Some(0));
    let fresh = std::fs::read_to_string(&path).expect("there");
    assert_eq!(fresh, CHAT.replace("[…]", "阿明"));
}

#[test]
fn exit_codes_tell_what_happened() {
    let folder = folder();
    assert_eq!(run(folder.path(), &["dance"], "").status.code(), Some(2));
    assert_eq!(run(folder.path(), &["check"], "").status.code(), Some(0));
    std::fs::write(folder.path().join("rules/bad.rhai"), "on_message(|m| {").expect("writable");
    assert_eq!(run(folder.path(), &["check"], "").status.code(), Some(1));
}
