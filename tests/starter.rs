//! What `qundao init` writes is a bot that checks, tests and runs without another word.

mod program;

use std::process::Output;

use program::run;

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[test]
fn a_fresh_folder_checks_tests_and_runs() {
    let parent = tempfile::tempdir().expect("a folder");
    let init = run(parent.path(), &["init", "my group"], "");
    assert_eq!(init.status.code(), Some(0), "{}", text(&init));
    let said = text(&init);
    assert!(said.contains("config.toml") && said.contains("cd \"my group\""), "{said}");

    let folder = parent.path().join("my group");
    let check = run(&folder, &["check"], "");
    assert_eq!(check.status.code(), Some(0), "{}", text(&check));
    let test = run(&folder, &["test"], "");
    assert_eq!(test.status.code(), Some(0), "{}", text(&test));
    let chat = run(&folder, &[], "阿明: 签到\n");
    assert_eq!(chat.status.code(), Some(0), "{}", text(&chat));
    assert!(text(&chat).contains("points 阿明 +"), "{}", text(&chat));
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let parent = tempfile::tempdir().expect("a folder");
    let config = parent.path().join("config.toml");
    std::fs::write(&config, "mine").expect("writable");
    let init = run(parent.path(), &["init", "."], "");
    assert_eq!(init.status.code(), Some(1), "{}", text(&init));
    assert_eq!(std::fs::read_to_string(&config).expect("there"), "mine");
    let files = std::fs::read_dir(parent.path()).expect("readable").count();
    assert_eq!(files, 1, "nothing else was written");
}
