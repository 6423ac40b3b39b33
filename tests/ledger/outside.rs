//! Anybody can verify a split: the program of docs/red-packet.md, in another language, cuts every
//! packet as this one does, and `qundao ledger packet` prints what it needs.

use std::path::Path;
use std::process::Command;

use qundao::bot::secret_from;
use qundao::clock::{Clock, SystemClock};
use qundao::ledger::{commitment, split_equal, split_lucky};

use crate::program;
use crate::world::{Platform, Setup, group_ref, in_time, message, seed, shipped, sqlite};

/// The program that the page shows.
fn program_of_the_page() -> String {
    let page = include_str!("../../docs/red-packet.md").replace("\r\n", "\n");
    let (_, rest) = page.split_once("<!-- file: packet.py -->\n```python\n").expect("the program");
    rest.split_once("\n```").expect("its end").0.to_owned()
}

fn python(file: &Path, mode: &str, total: i64, count: i64, seed: &str) -> String {
    let (total, count) = (total.to_string(), count.to_string());
    let mut python = Command::new("python3");
    let done = python.arg(file).args([mode, &total, &count, seed]).output().expect("python3");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn other_tools_cut_a_packet_as_the_bot_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("packet.py");
    std::fs::write(&file, program_of_the_page()).unwrap();
    for (number, (total, count)) in
        [(100, 3), (20, 10), (1000, 100), (1, 1), (7, 7), (10_000, 61)].into_iter().enumerate()
    {
        let seed = secret_from(number as u64);
        for (mode, shares) in [
            ("lucky", split_lucky(total, count, &seed).unwrap()),
            ("equal", split_equal(total, count).unwrap()),
        ] {
            let shown: Vec<String> = shares.iter().map(i64::to_string).collect();
            let expected = format!(
                "shares {}\nproof  {}\n",
                shown.join(" "),
                commitment(&seed, total, &shares)
            );
            assert_eq!(python(&file, mode, total, count, &hex(&seed)), expected);
        }
    }
}

#[tokio::test]
async fn the_command_line_prints_what_an_outside_check_needs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), "[bot]\n").unwrap();
    let path = folder.path().join("data/qundao.db");
    let setup = Setup::new(vec![shipped("red_packet")]);
    let bot = setup.start(sqlite(&path).await, &Platform::willing()).await;
    let now = SystemClock::default().now();
    let members = ["a", "b", "c"].map(|name| seed(name, 100, now));
    bot.seed_members(&group_ref("g"), members.into()).await.unwrap();
    let say = async |key: &str, who: &str, text: &str| {
        bot.inbox().offer(message(key, "g", who, text, now), None).await;
        in_time("the turn", bot.settled()).await;
    };
    say("1", "a", "红包 40 2").await;
    // Beside the bot that runs; amounts and seed are nobody's business yet.
    let open = program::run(folder.path(), &["ledger", "packet", "1", "--json"], "");
    let open: serde_json::Value = serde_json::from_slice(&open.stdout).unwrap();
    assert_eq!(
        (&open["state"], open.get("seed"), open.get("amounts")),
        (&"open".into(), None, None)
    );
    say("2", "b", "抢").await;
    say("3", "c", "抢").await;
    let ended = program::run(folder.path(), &["ledger", "packet", "1", "--json"], "");
    assert!(ended.status.success());
    let ended: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&ended["is_right"], &ended["state"]), (&true.into(), &"exhausted".into()));
    assert_eq!(ended["commitment"], open["commitment"]);
    let verified = program::run(folder.path(), &["ledger", "verify", "--json"], "");
    let verified: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((&verified["packets"], &verified["broken"]), (&1.into(), &serde_json::json!([])));
    let file = folder.path().join("packet.py");
    std::fs::write(&file, program_of_the_page()).unwrap();
    let said = python(&file, "lucky", 40, 2, ended["seed"].as_str().unwrap());
    assert!(said.contains(ended["commitment"].as_str().unwrap()), "{said}");
    let none = program::run(folder.path(), &["ledger", "packet", "9"], "");
    assert_eq!(none.status.code(), Some(1));
    let text = program::run(folder.path(), &["ledger", "packet", "1"], "");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("✓ seed, amounts and commitment agree"), "{text}");
    bot.stop().await.unwrap();
}
