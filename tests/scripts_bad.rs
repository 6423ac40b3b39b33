//! Bad scripts, and exactly what a person sees for each: the wording is part of the product.

use std::path::Path;

use qundao::script::InlineHost;
use qundao::script::diagnostic::render;
use qundao::script::load::source;
use qundao::script::protocol::{ScriptHost, ScriptLimits};

#[test]
fn bad_scripts_say_what_is_wrong_and_what_to_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_scripts");
    let host = InlineHost::new(ScriptLimits::default()).expect("a thread");
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .expect("the fixtures")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert!(files.len() >= 20);
    for file in files {
        let text = std::fs::read_to_string(folder.join(&file)).expect("a fixture");
        let name = file.trim_end_matches(".rhai");
        let problems = host
            .check(&source(name, &format!("scripts/{file}"), false, &text))
            .expect_err(&format!("{file} must not pass"));
        let shown: Vec<String> =
            problems.iter().map(|problem| render(&text, problem, false)).collect();
        insta::assert_snapshot!(name, shown.join("\n\n"));
    }
}

#[test]
fn who_writes_too_many_words_into_a_script_is_told_where_they_belong() {
    let host = InlineHost::new(ScriptLimits::default()).expect("a thread");
    let check = |count: usize| {
        let words: Vec<String> = (0..count).map(|number| format!("\"词{number}\"")).collect();
        let text =
            format!("//! 禁词\non_keyword([{}], |m| m.delete(\"禁词\"));\n", words.join(", "));
        host.check(&source("words", "rules/words.rhai", false, &text)).map(drop)
    };
    check(ScriptLimits::default().entries - 1).expect("as many as an array may have");
    let problems = check(ScriptLimits::default().entries).expect_err("one more");
    let said = problems[0].to_string();
    assert!(said.contains("1000 entries or more"), "{said}");
    assert!(said.contains("`scripts/words/LIST.txt`, for `on_words(\"LIST\", …)`"), "{said}");
}
