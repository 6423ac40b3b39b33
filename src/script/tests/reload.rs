//! Reload: what works goes in, what fails leaves the old version in force.

use std::path::Path;

use super::{InlineHost, ScriptLimits};
use crate::id::ScriptName;
use crate::script::load::{InForce, prepare, read, source};
use crate::script::protocol::ScriptHost as _;
use crate::script::protocol::Source;

fn feature(name: &str, text: &str) -> Source {
    source(name, &format!("scripts/{name}.rhai"), false, text)
}

fn host() -> InlineHost {
    InlineHost::new(ScriptLimits::default()).expect("a thread")
}

#[test]
fn a_script_that_fails_keeps_its_old_version() {
    let host = host();
    let good = "command(\"a\", |c| { c.reply(\"1\"); });";
    let first = prepare(
        &|source| host.check(source),
        &InForce::new(),
        vec![feature("x", good), feature("y", "on_message(")],
    );
    assert_eq!(first.changed, [ScriptName::new("x")]);
    assert!(
        first.problems[0].message.ends_with("; the script is left out until it is mended"),
        "{:?}",
        first.problems
    );

    let bad = "command(\"a\", |c| { c.replay(\"1\"); });";
    let second = prepare(&|source| host.check(source), &first.in_force, vec![feature("x", bad)]);
    assert!(second.changed.is_empty());
    assert_eq!(&*second.in_force[&ScriptName::new("x")].0.text, good);
    assert!(
        second.problems[0].message.ends_with("; the old version stays in use"),
        "{:?}",
        second.problems
    );

    let third = prepare(&|source| host.check(source), &second.in_force, Vec::new());
    assert_eq!(third.changed, [ScriptName::new("x")]);
    assert!(third.in_force.is_empty());
}

#[test]
fn a_verb_belongs_to_who_had_it() {
    let host = host();
    let (z, a) = ("command(\"抢\", |c| { });", "command(\"领\", #{ alias: \"抢\" }, |c| { });");
    let first = prepare(&|source| host.check(source), &InForce::new(), vec![feature("z", z)]);
    let second = prepare(
        &|source| host.check(source),
        &first.in_force,
        vec![feature("a", a), feature("z", z)],
    );
    assert_eq!(second.in_force.keys().map(ScriptName::as_str).collect::<Vec<_>>(), ["z"]);
    assert!(
        second.problems[0].message.contains("the command `抢` belongs to scripts/z.rhai:1 already"),
        "{:?}",
        second.problems
    );
}

#[test]
fn folders_are_read_and_bad_names_are_problems() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scripts, rules) = (folder.path().join("scripts"), folder.path().join("rules"));
    std::fs::create_dir(&scripts).expect("create");
    for name in ["b.rhai", "api.d.rhai", "Bad Name.rhai", "notes.txt"] {
        std::fs::write(scripts.join(name), "").expect("write");
    }
    let (sources, problems) = read(&scripts, &rules);
    assert_eq!(sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("rename the file"));
    assert_eq!(read(Path::new("/nonexistent"), &rules).0, []);
}
