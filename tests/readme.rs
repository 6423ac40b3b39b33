//! What the READMEs say can be done is done here, to the letter, in both languages.

mod program;

use std::path::Path;
use std::process::Output;

use program::run as qundao;

const READMES: [&str; 2] = ["README.md", "README.zh-CN.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("readable").replace("\r\n", "\n")
}

/// The blocks between fences, each with the line before its fence and the word behind it.
fn blocks(text: &str) -> Vec<(String, String, String)> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(word) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((before.to_owned(), word.to_owned(), body.join("\n") + "\n"));
        }
        before = line;
    }
    blocks
}

/// The block under `<!-- mark -->`.
fn marked(text: &str, mark: &str) -> String {
    let mark = format!("<!-- {mark} -->");
    let found = blocks(text).into_iter().find(|(before, ..)| *before == mark);
    found.unwrap_or_else(|| panic!("no block under `{mark}`")).2
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// A folder as `qundao init` writes it, with the first rule of a README in it.
fn with_the_first_rule(readme: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let init = qundao(folder.path(), &["init", "."], "");
    assert!(init.status.success(), "{}", said(&init));
    for name in ["rules/when.rhai", "rules/when.chat"] {
        let text = marked(readme, &format!("file: {name}"));
        std::fs::write(folder.path().join(name), text).expect("writable");
    }
    folder
}

#[test]
fn the_first_rule_does_what_is_said() {
    for name in READMES {
        let readme = read(name);
        let folder = with_the_first_rule(&readme);
        let path = folder.path();

        let test = qundao(path, &["test", "rules/when.chat"], "");
        let expected = "2 passed, 0 failed";
        assert!(said(&test).contains(expected), "{name}: {}", said(&test));
        assert!(readme.contains(&format!("`{expected}`")), "{name} says what comes out");

        // Step 3: another hour in the transcript is shown as a difference.
        let chat = path.join("rules/when.chat");
        let text = std::fs::read_to_string(&chat).expect("there");
        let other = text.replace("eight", "nine").replace("八点", "九点");
        assert_ne!(text, other, "{name}");
        std::fs::write(&chat, other).expect("writable");
        let test = qundao(path, &["test", "rules/when.chat"], "");
        assert_eq!(test.status.code(), Some(1), "{name}: {}", said(&test));
        let accept = qundao(path, &["test", "--accept", "rules/when.chat"], "");
        assert!(accept.status.success(), "{name}: {}", said(&accept));
        assert_eq!(std::fs::read_to_string(&chat).expect("there"), text, "{name}");
    }
}

#[test]
fn the_first_rule_takes_its_setting_and_a_mistake_in_it_is_shown() {
    for name in READMES {
        let readme = read(name);
        let folder = with_the_first_rule(&readme);
        let path = folder.path();
        let blocks = blocks(&readme);
        let (.., section) = blocks.iter().find(|(_, word, _)| word == "toml").expect("a section");
        let config = std::fs::read_to_string(path.join("config.toml")).expect("there");
        for mode in ["", "mode = \"shadow\"\n"] {
            let text = format!("{config}\n{section}{mode}");
            std::fs::write(path.join("config.toml"), text).expect("writable");
            let check = qundao(path, &["check"], "");
            assert!(check.status.success(), "{name}: {}", said(&check));
        }

        let rule = path.join("rules/when.rhai");
        let wrong = std::fs::read_to_string(&rule).expect("there").replace("m.reply(", "m.rply(");
        std::fs::write(&rule, wrong).expect("writable");
        let check = qundao(path, &["check"], "");
        assert_eq!(check.status.code(), Some(1), "{name}: {}", said(&check));
        let what = said(&check);
        assert!(what.contains("when.rhai:6:7") && what.contains("`reply`"), "{name}: {what}");
    }
}

#[test]
fn both_name_the_same_two_commands() {
    let [first, second] = READMES.map(|name| marked(&read(name), "commands"));
    assert_eq!(first, second);
    let commands: Vec<&str> = first.lines().collect();
    assert_eq!(commands.len(), 2, "two commands: {commands:?}");
    for command in commands {
        match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["bash", script] => assert!(root().join(script).is_file(), "{script} is missing"),
            ["cargo", "run", ..] => {}
            _ => panic!("nobody checks `{command}`"),
        }
    }
}

#[test]
fn the_chat_from_a_pipe_is_played() {
    for name in READMES {
        let readme = read(name);
        let line = readme.lines().find(|line| line.starts_with("printf '")).expect("a pipe");
        let chat = line.trim_start_matches("printf '").split('\'').next().expect("a chat");
        let folder = with_the_first_rule(&readme);
        let output = qundao(folder.path(), &[], &chat.replace("\\n", "\n"));
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert!(said(&output).contains("    > "), "{name}: {}", said(&output));
    }
}

#[test]
fn every_command_and_link_exists() {
    let help = said(&qundao(root(), &["--help"], ""));
    let command = regex::Regex::new(r"`qundao ([a-z]+)").expect("a pattern");
    let link = regex::Regex::new(r"\]\(([^)#:]+)\)").expect("a pattern");
    for name in READMES.into_iter().chain(["ARCHITECTURE.md", "CHANGELOG.md"]) {
        let text = read(name);
        for found in command.captures_iter(&text) {
            let listed = help.lines().any(|line| line.trim_start().starts_with(&found[1]));
            assert!(listed, "{name}: `{}` is no command", &found[0]);
        }
        for found in link.captures_iter(&text) {
            assert!(root().join(&found[1]).exists(), "{name}: {} is missing", &found[1]);
        }
    }
}
