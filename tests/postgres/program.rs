//! The commands of the program with a database on a server, and what they never show.

use std::path::Path;
use std::process::{Command, Output};

use crate::turns::{beginning, paying};
use crate::world::Database;

/// A folder with a configuration that names the variable.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = "[store]\nurl = \"${STORE}\"\n[adapters.console]\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    for name in ["scripts", "rules"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    folder
}

fn qundao(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qundao"));
    command.args(arguments).current_dir(folder).env("STORE", url).output().unwrap()
}

fn all_of(output: &Output) -> String {
    format!(
        "{} {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_on_a_server_too() {
    let (database, folder) = (Database::postgres(), folder());
    let url = database.url();
    let run = |arguments: &[&str]| qundao(folder.path(), &url, arguments);
    // Nothing is there yet, and nobody minds.
    for arguments in [&["runs"][..], &["schedule"]] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", all_of(&output));
    }
    let store = database.open().await;
    store.commit(&beginning(2)).await.unwrap();
    store.commit(&[paying(2, 1), paying(3, 2)]).await.unwrap();
    // Beside a bot that works: questions are answered, what wants it alone is refused.
    for arguments in [
        &["runs", "--json"][..],
        &["schedule", "--json"],
        &["ledger", "verify"],
        &["audit"],
        &["audit", "verify"],
        &["deliveries", "--json"],
        &["member", "export", "1"],
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", all_of(&output));
    }
    let refused = run(&["member", "compact"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(all_of(&refused).contains("another qundao is running on this database"));
    store.close().await;
    drop(store);

    let compacted = run(&["member", "compact"]);
    assert!(compacted.status.success(), "{}", all_of(&compacted));
    let backup = run(&["backup", "today.db"]);
    assert!(!backup.status.success() && all_of(&backup).contains("pg_dump"), "{}", all_of(&backup));
    let verified = run(&["ledger", "verify", "--json"]);
    assert!(verified.status.success(), "{}", all_of(&verified));
    assert!(all_of(&verified).contains("\"transfers\":2"), "{}", all_of(&verified));
    let doctor = all_of(&run(&["doctor", "--json"]));
    assert!(doctor.contains("file and ledger are sound: 1 communities, 2 transfers"), "{doctor}");
    let copied = run(&["store", "copy", "${STORE}", "sqlite:moved.db", "--json"]);
    assert!(copied.status.success(), "{}", all_of(&copied));
    assert!(all_of(&copied).contains("[\"ledger_transfer\",2]"), "{}", all_of(&copied));
    assert!(folder.path().join("data/moved.db").exists());
}

#[test]
fn a_password_is_shown_nowhere() {
    let folder = folder();
    // Nobody listens on the first, the second is no address, the third has a parameter too many.
    for url in [
        "postgres://qundao:hunter2@127.0.0.1:1/qundao",
        "postgres://qundao:hunter2@127.0.0.1:port/qundao",
        "postgres://127.0.0.1:1/qundao?user=qundao&password=hunter2&sslmode=wrong",
        "mysql://qundao:hunter2@127.0.0.1:1/qundao",
    ] {
        for arguments in [
            &["ledger", "verify"][..],
            &["doctor"],
            &["doctor", "--json"],
            &["runs"],
            &["check"],
            &["store", "copy", "${STORE}", "sqlite:x.db"],
            &["store", "copy", url, url],
        ] {
            let said = all_of(&qundao(folder.path(), url, arguments));
            assert!(!said.contains("hunter2"), "{arguments:?} with {url}: {said}");
        }
    }
}
