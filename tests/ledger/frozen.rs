//! What does not hold freezes its ledger and nothing else, is told once, written down, and ends when
//! somebody has repaired it.

use std::path::Path;

use qundao::report::Line;

use crate::books::{Chat, refused};
use crate::program;
use crate::world::{Setup, number, peek, script, shipped, unaudited};

async fn open(folder: &Path) -> Chat {
    let scripts = vec![
        shipped("points"),
        shipped("checkin"),
        shipped("red_packet"),
        script("talk", "//! 说\ncommand(\"你好\", |c| c.reply(\"好\"));\n"),
    ];
    let mut setup = Setup::new(scripts);
    setup.config.bot.data = folder.join("data");
    Chat::open(unaudited(&folder.join("data/qundao.db")).await, setup).await
}

/// Changes what no code could change.
async fn by_force(file: &Path, sql: &'static str) {
    let mut db = peek(file).await;
    sqlx::query("DROP TRIGGER IF EXISTS ledger_account_balance").execute(&mut db).await.unwrap();
    let done = sqlx::query(sql).execute(&mut db).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

const BREAK: &str = "UPDATE ledger_account SET credits = credits + 7 WHERE kind = 'member'
    AND id = (SELECT min(id) FROM ledger_account WHERE kind = 'member')";
const REPAIR: &str = "UPDATE ledger_account SET credits = credits - 7 WHERE kind = 'member'
    AND id = (SELECT min(id) FROM ledger_account WHERE kind = 'member')";

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[tokio::test]
async fn what_does_not_hold_stops_that_ledger_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/qundao.db");
    std::fs::write(folder.path().join("config.toml"), "[bot]\n").unwrap();
    let mut chat = open(folder.path()).await;
    chat.seed("g", 100).await;
    chat.seed("h", 100).await;
    chat.say("g", "a", "平均红包 30 3").await;
    assert_eq!(chat.bot.audit().await.unwrap(), 0);
    by_force(&file, BREAK).await;
    assert_eq!(chat.bot.audit().await.unwrap(), 1);
    let told = chat.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`test:g`") && told[0].contains("L1: "), "{told:?}");
    // Once is enough.
    assert_eq!(chat.bot.audit().await.unwrap(), 1);
    assert_eq!(chat.told(), Vec::<String>::new());
    the_others_go_on(&mut chat).await;
    the_dump_is_there(&folder.path().join("data/forensics"));
    chat.bot.stop().await.unwrap();
    commands_say_it(folder.path());
    // A restart changes nothing.
    let mut chat = open(folder.path()).await;
    assert!(refused(&chat.say("g", "b", "签到").await, "ledger_frozen"));
    chat.bot.stop().await.unwrap();
    by_force(&file, REPAIR).await;
    let thawed = program::run(folder.path(), &["ledger", "thaw", "test:g"], "");
    assert!(thawed.status.success(), "{thawed:?}");
    let verified = program::run(folder.path(), &["ledger", "verify"], "");
    assert!(verified.status.success(), "{verified:?}");
    let mut chat = open(folder.path()).await;
    assert_eq!(chat.bot.audit().await.unwrap(), 0);
    assert!(!chat.say("g", "b", "签到").await.is_empty());
    // What should have ended meanwhile ends now.
    chat.pass(26 * 3_600_000).await;
    let mut db = peek(&file).await;
    let open = "SELECT count(*) FROM packet WHERE state = 'open'";
    assert_eq!(number(&mut db, open).await, 0);
    assert_eq!(chat.bot.audit().await.unwrap(), 0);
    chat.bot.stop().await.unwrap();
}

async fn the_others_go_on(chat: &mut Chat) {
    for (who, text) in [("b", "签到"), ("b", "抢"), ("boss", "加积分 b 5 试"), ("c", "红包 10 2")]
    {
        let lines = chat.say("g", who, text).await;
        assert!(refused(&lines, "ledger_frozen"), "{text}: {lines:?}");
    }
    assert_eq!(Chat::text(&chat.say("g", "b", "你好").await), "好");
    assert!(Chat::text(&chat.say("g", "b", "积分").await).contains("100"));
    assert!(Chat::text(&chat.say("h", "b", "签到").await).contains("+6"));
    // A packet whose time has come waits with the rest.
    let lines = chat.pass(25 * 3_600_000).await;
    assert!(!lines.iter().any(|line| matches!(line, Line::Points { .. })), "{lines:?}");
    assert!(Chat::text(&chat.say("g", "b", "签到").await).contains("正在核对"));
}

#[cfg(unix)]
fn the_dump_is_there(dumps: &Path) {
    let found: Vec<_> = std::fs::read_dir(dumps).unwrap().flatten().map(|it| it.path()).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(mode(&found[0]), 0o600);
    let dump: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&found[0]).unwrap()).unwrap();
    assert_eq!(dump["key"], "test:g");
    assert!(dump["audit"]["broken"][0].as_str().unwrap().starts_with("L1: "), "{dump}");
    let tables = dump["rows"]["tables"].as_array().unwrap();
    let rows = |name: &str| {
        let table = tables.iter().find(|table| table[0] == name).unwrap();
        table[1].as_array().unwrap().len()
    };
    assert_eq!((rows("ledger_transfer"), rows("packet"), rows("packet_share")), (5, 1, 3));
    assert!(rows("ledger_account") >= 6);
}

fn commands_say_it(folder: &Path) {
    let verify = program::run(folder, &["ledger", "verify"], "");
    let text = String::from_utf8_lossy(&verify.stdout).into_owned();
    assert_eq!(verify.status.code(), Some(1));
    assert!(text.contains("✗ L1: ") && text.contains("is frozen: L1: "), "{text}");
    let doctor = program::run(folder, &["doctor"], "");
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains("1 ledgers are frozen") && text.contains("✗ store"), "{text}");
    let thaw = program::run(folder, &["ledger", "thaw", "test:g"], "");
    let text = String::from_utf8_lossy(&thaw.stdout).into_owned();
    assert_eq!(thaw.status.code(), Some(1));
    assert!(text.contains("stays frozen until this holds"), "{text}");
    let lost = program::run(folder, &["ledger", "thaw", "nowhere"], "");
    let text = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(lost.status.code() == Some(3) && text.contains("test:g"), "{text}");
}
