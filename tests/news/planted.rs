//! A planted mistake that the suite of addresses must find. The suite runs again in a process of its
//! own, because a planted bug is one for a whole process.

use std::process::Command;

/// Whether a test of this suite passes with a bug.
fn passes(test: &str, bug: Option<&str>) -> bool {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.args(["--exact", test]).env_remove("QUNDAO_PLANT");
    suite.envs(bug.map(|bug| ("QUNDAO_PLANT", bug)));
    let done = suite.output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(told.contains("running 1 test"), "{told}");
    done.status.success()
}

#[test]
fn a_guard_that_checks_numbers_alone_is_found() {
    let bug = Some("literal_address_only");
    for test in [
        "addresses::a_name_that_changes_its_mind_gains_nothing",
        "addresses::no_spelling_reaches_this_machine",
    ] {
        assert!(passes(test, None), "{test} without the bug");
        assert!(!passes(test, bug), "{test} does not find the bug");
    }
}
