//! What a reader may rely on in every file of this repository, checked as text.

use std::path::{Path, PathBuf};

/// Lines of a file in src/, its tests at the bottom not counted.
const LINES_MAX: usize = 500;

/// A file of the repository.
struct Text {
    /// Its path from the root, with `/`.
    name: String,
    text: String,
}

impl Text {
    /// The part that is in the program: everything before the tests at the bottom.
    fn production(&self) -> &str {
        match self.text.find("#[cfg(test)]\nmod ") {
            // `mod tests;` names a folder of tests and hides nothing that follows.
            Some(at) if !is_declaration(&self.text[at..]) => &self.text[..at],
            _ => &self.text,
        }
    }

    /// Numbered lines of the program, comments and documentation left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.production().lines().enumerate();
        lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, l)| (at + 1, l))
    }

    fn is_test(&self) -> bool {
        self.name.starts_with("tests/") || self.name.contains("/tests/")
    }
}

fn is_declaration(rest: &str) -> bool {
    rest.lines().nth(1).is_some_and(|line| line.trim_end().ends_with(';'))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder, in order, whose names end so.
fn files(folder: &str, ending: &str) -> Vec<Text> {
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    found.into_iter().map(|path| read(&path)).collect()
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Text {
    let name = path.strip_prefix(root()).expect("in the repository");
    let name = name.to_string_lossy().replace('\\', "/");
    let text = std::fs::read_to_string(path).expect("readable").replace("\r\n", "\n");
    Text { name, text }
}

/// The program: src/ without folders of tests.
fn program() -> Vec<Text> {
    files("src", ".rs").into_iter().filter(|file| !file.is_test()).collect()
}

fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Places where code of the program has one of these, outside the folders that may.
fn places(needles: &[&str], allowed: &[&str]) -> Vec<String> {
    let regex = regex::Regex::new(&needles.join("|")).expect("a pattern");
    let mut found = Vec::new();
    for file in program() {
        if allowed.iter().any(|folder| file.name.starts_with(folder)) {
            continue;
        }
        let hits = file.code().filter(|(_, line)| regex.is_match(line));
        found.extend(hits.map(|(at, line)| format!("{}:{at}: {}", file.name, line.trim())));
    }
    found
}

#[test]
fn every_file_says_what_it_is() {
    let mut found = Vec::new();
    for file in files("src", ".rs").iter().chain(&files("tests", ".rs")) {
        if !file.text.starts_with("//! ") {
            found.push(file.name.clone());
        }
    }
    none("these do not open with `//!`", found);
}

#[test]
fn no_file_is_too_long_to_read() {
    let too_long = program().into_iter().filter_map(|file| {
        let lines = file.production().lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines}", file.name))
    });
    none("split these", too_long.collect());
}

#[test]
fn sql_stays_in_the_store() {
    let sql = [r"\bSELECT\b", r"\bINSERT INTO\b", r"\bUPDATE \w+ SET\b", r"\bDELETE FROM\b"];
    none("SQL outside src/store", places(&sql, &["src/store/"]));
    none("sqlx outside src/store", places(&[r"\bsqlx\b"], &["src/store/"]));
}

#[test]
fn types_of_a_platform_stay_in_its_adapter() {
    // The command line and the workbench drive the console themselves: it is their terminal.
    let console = [r"adapter::console\b", r"\bconsole::[A-Za-z{]"];
    let allowed = ["src/adapter/", "src/cli/", "src/workbench/"];
    none("the console's types outside its adapter", places(&console, &allowed));
    let onebot = [r"adapter::onebot\b", r"\bonebot::[A-Za-z{]"];
    none("QQ's types outside their adapter", places(&onebot, &["src/adapter/"]));
    let discord = [r"\bserenity\b", r"\breqwest\b", r"\bdiscord::[A-Za-z{]"];
    none("Discord's types outside their adapter", places(&discord, &["src/adapter/"]));
}

#[test]
fn an_adapter_never_touches_the_store_and_a_script_does_no_input_or_output() {
    let adapters: Vec<_> = places(&[r"crate::store\b"], &[]);
    let adapters = adapters.into_iter().filter(|place| place.starts_with("src/adapter/"));
    none("an adapter that knows the store", adapters.collect());

    let outside = [r"std::(fs|net|process|env)\b", r"tokio::(fs|net|process)\b", r"crate::store\b"];
    let scripts = places(&outside, &["src/script/load.rs"]).into_iter();
    let scripts = scripts.filter(|place| place.starts_with("src/script/"));
    none("input or output beside the scripts", scripts.collect());
}

#[test]
fn the_domain_is_pure() {
    let outside = [r"std::(fs|net|process|env)\b", r"\btokio::", r"\bSystemTime\b", r"Utc::now"];
    let domain = ["src/ledger/", "src/community/", "src/turn/", "src/dispatch/"];
    let found = places(&outside, &[]).into_iter();
    let found = found.filter(|place| domain.iter().any(|folder| place.starts_with(folder)));
    none("clock, files or tasks in the domain", found.collect());
}

#[test]
fn nothing_is_unwrapped_in_the_program() {
    let hasty = [r"\.unwrap\(\)", r"\btodo!\(", r"\bunimplemented!\(", r"\bdbg!\("];
    none("say why with `expect`, or handle it", places(&hasty, &[]));
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut found = Vec::new();
    for file in files("src", "").iter().chain(&files("tests", ".rs")).chain(&scripts()) {
        for (at, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.name, at + 1, line.trim()));
            }
        }
    }
    none("do it, or open an issue", found);
}

#[test]
fn no_test_is_left_out() {
    let mut found = Vec::new();
    for file in files("src", ".rs").iter().chain(&files("tests", ".rs")) {
        for (at, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("#[ignore") {
                found.push(format!("{}:{}", file.name, at + 1));
            }
        }
    }
    none("tests that do not run", found);
}

#[test]
fn no_unsafe_code_can_be_added() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("there");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let unsafe_code = &manifest["lints"]["rust"]["unsafe_code"];
    assert_eq!(unsafe_code.as_str(), Some("forbid"));
}

/// Scripts of the shipped folders; the reference of the API is none.
fn scripts() -> Vec<Text> {
    let mut scripts = files("scripts", ".rhai");
    scripts.extend(files("rules", ".rhai"));
    scripts.retain(|file| !file.name.ends_with(".d.rhai"));
    scripts
}

#[test]
fn every_shipped_script_has_a_transcript_beside_it() {
    let missing = scripts().into_iter().filter_map(|file| {
        let transcript = Path::new(&file.name).with_extension("chat");
        (!root().join(&transcript).exists()).then(|| transcript.display().to_string())
    });
    none("transcripts that are missing", missing.collect());
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let folder = root().join("src/store/migrations");
    let mut sets = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let mut names: Vec<String> = std::fs::read_dir(&path)
            .expect("a folder of one database")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for (at, name) in names.iter().enumerate() {
            let number = format!("{:04}_", at + 1);
            assert!(name.starts_with(&number), "{}: wants {number}", path.join(name).display());
        }
        sets.push(names);
    }
    assert!(sets.windows(2).all(|pair| pair[0] == pair[1]), "the databases differ: {sets:?}");
}

/// Places that a page names as `path::test`, and which are not there.
fn missing_places(page: &str) -> Vec<String> {
    let text = read(&root().join(page)).text;
    let place = regex::Regex::new(r"`([\w/-]+\.(?:rs|chat))(?:::(\w+))?`").expect("a pattern");
    let is_there = |path: &str, test: Option<&str>| {
        let whole = root().join(path);
        let whole = if whole.exists() { whole } else { root().join("src").join(path) };
        whole.exists()
            && test.is_none_or(|test| {
                let text = read(&whole).text;
                text.contains(&format!("fn {test}(")) || text.contains(&format!("fn {test}<"))
            })
    };
    place
        .captures_iter(&text)
        // Names without a folder are files of the module that the row is about.
        .filter(|found| found[1].contains('/'))
        .filter(|found| !is_there(&found[1], found.get(2).map(|test| test.as_str())))
        .map(|found| format!("{page}: {}", &found[0]))
        .collect()
}

#[test]
fn pages_name_tests_that_exist() {
    let pages = ["ARCHITECTURE.md", "TESTING.md", "docs/security.md", "docs/privacy.md"];
    none("these are named and not there", pages.into_iter().flat_map(missing_places).collect());
}

#[test]
fn every_planted_bug_has_its_suite() {
    let page = read(&root().join("TESTING.md")).text;
    let named = |bug: &&qundao::planted::Bug| page.contains(&format!("| `{}` | ", bug.word()));
    let missing = qundao::planted::Bug::ALL.iter().filter(|bug| !named(bug));
    none("TESTING.md has no suite for", missing.map(|bug| bug.word().to_owned()).collect());
}

#[test]
fn no_file_names_a_place_that_others_do_not_have() {
    // Pages of the design and folders of one machine mean nothing to who reads this elsewhere.
    let pages = ["stack", "reliability", "decisions", "operations", "platforms", "peers"];
    let pages = pages.map(|page| [page, ".md"].concat());
    let folders = [["/ro", "ot/"].concat(), ["../sha", "red"].concat()];
    let mut all = files("src", "");
    all.extend(files("tests", ".rs"));
    all.extend(scripts());
    for name in [
        "README.md",
        "README.zh-CN.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "TESTING.md",
        "config.toml",
    ] {
        all.push(read(&root().join(name)));
    }
    let mut found = Vec::new();
    for file in &all {
        for (at, line) in file.text.lines().enumerate() {
            if pages.iter().chain(&folders).any(|needle| line.contains(needle.as_str())) {
                found.push(format!("{}:{}: {}", file.name, at + 1, line.trim()));
            }
        }
    }
    none("these name what a reader does not have", found);
}
