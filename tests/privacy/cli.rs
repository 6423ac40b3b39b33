//! The same from the command line: audit, export, forget.

use std::path::Path;

use qundao::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::program::run;
use crate::world::{Platform, Setup, group_ref, in_time, message, seed, shipped, sqlite};

const CONFIG: &str = "[bot]\nlocale = \"zh\"\n\n[adapters.console]\nenabled = true\n";

async fn lived_in(folder: &Path) {
    std::fs::write(folder.join("config.toml"), CONFIG).unwrap();
    let path = folder.join("data/qundao.db");
    let platform = Platform::willing();
    let scripts = vec![shipped("points"), shipped("checkin"), shipped("rules")];
    let bot = Setup::new(scripts).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    let admin = qundao::bot::SeedMember { role: qundao::value::Role::Admin, ..seed("管", 5, now) };
    bot.seed_members(&group_ref("g"), vec![admin, seed("小红", 20, now)]).await.unwrap();
    let texts = [("小红", "早上好"), ("小红", "签到"), ("管", "加积分 小红 5 谢谢")];
    for (n, (who, text)) in texts.iter().enumerate() {
        bot.inbox().offer(message(&format!("k{n}"), "g", who, text, now), None).await;
    }
    in_time("three turns", bot.settled()).await;
    bot.stop().await.unwrap();
}

fn answer(folder: &Path, args: &[&str]) -> (i32, String) {
    let done = run(folder, args, "");
    let told = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8(told).unwrap())
}

#[tokio::test]
async fn told_taken_away_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    lived_in(folder).await;
    let (code, told) = answer(folder, &["audit", "verify", "--json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &report["lines"], &report["broken"]), (0, &Value::from(1), &Value::Null));
    let head = report["head"].as_str().unwrap().to_owned();
    let (_, told) = answer(folder, &["audit", "--last", "5"]);
    assert!(told.contains("person:1  points") && told.contains("谢谢"), "{told}");

    let (code, told) = answer(folder, &["member", "export", "test:u-小红"]);
    let lines = answer(folder, &["audit", "--json"]).1;
    assert!(lines.contains("\"export\"") && lines.contains("operator"), "{lines}");
    let export: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(code, 0);
    assert_eq!(export["account"][0]["ref"], "test:u-小红");
    assert_eq!(export["event"][0]["text"], "早上好");
    assert_eq!(export["checkin"].as_array().unwrap().len(), 1);
    assert!(export["ledger_transfer"].as_array().unwrap().len() >= 3, "{export}");
    assert!(!told.contains("管"), "another member is in her export: {told}");
    let (code, _) = answer(folder, &["member", "export", "2", "--to", "her.json"]);
    assert_eq!((code, std::fs::read_to_string(folder.join("her.json")).unwrap()), (0, told));
    // A file that is there is not written over.
    assert_eq!(answer(folder, &["member", "export", "2", "--to", "her.json"]).0, 3);
    std::fs::remove_file(folder.join("her.json")).unwrap();

    let (code, told) = answer(folder, &["member", "forget", "test:u-小红"]);
    assert!(code == 0 && told.contains("--yes"), "{told}");
    assert_eq!(answer(folder, &["member", "export", "2"]).0, 0, "the dry run changed something");
    // Beside a bot that runs it refuses, and says what to do.
    let held = sqlite(&folder.join("data/qundao.db")).await;
    let (code, told) = answer(folder, &["member", "forget", "2", "--yes"]);
    assert!(code == 3 && told.contains("忘记我"), "{told}");
    drop(held);
    let (code, told) = answer(folder, &["member", "forget", "test:u-小红", "--yes"]);
    assert!(code == 0 && told.contains("was forgotten"), "{told}");
    let (code, told) = answer(folder, &["member", "forget", "test:u-小红", "--yes"]);
    assert!(code == 3 && told.contains("nobody is known"), "{told}");
    let bytes = std::fs::read(folder.join("data/qundao.db")).unwrap();
    for text in ["小红", "早上好"] {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    assert_eq!(answer(folder, &["ledger", "verify"]).0, 0);
    let (code, told) = answer(folder, &["audit", "verify", "--head", &head]);
    assert!(code == 0 && told.contains("6 lines, 1 of them erased"), "{told}");
    let other = head.replace("@1", "@9");
    let (code, told) = answer(folder, &["audit", "verify", "--head", &other]);
    assert!(code == 1 && told.contains("line 7"), "{told}");
    assert_eq!(answer(folder, &["audit", "verify", "--head", "abc"]).0, 2);
}
