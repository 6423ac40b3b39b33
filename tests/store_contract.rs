//! The store keeps its word when the code is bypassed: durability is asserted, constraints refuse
//! what no code may do, verification finds what was broken by force, and a file has one master.

mod world;

use qundao::clock::{Clock, SystemClock};
use qundao::store::StoreError;
use qundao::store::sqlite::Sqlite;
use sqlx::SqliteConnection;
use tempfile::TempDir;
use world::{Platform, Setup, in_time, message, number, peek, seed, shipped, sqlite};

/// A file with an open packet, a grab, a check-in, a budget, a correction and a hold-free ledger.
async fn lived_in() -> (TempDir, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let scripts = vec![shipped("red_packet"), shipped("checkin"), shipped("points")];
    let bot = Setup::new(scripts).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    let mut members = ["a", "b", "c"].map(|name| seed(name, 100, now));
    members[2].role = qundao::value::Role::Admin;
    bot.seed_members(&world::group_ref("g"), members.to_vec()).await.unwrap();
    let inbox = bot.inbox();
    for (key, who, text) in [
        ("1", "a", "红包 30 2"),
        ("2", "b", "抢"),
        ("3", "c", "签到"),
        ("4", "c", "加预算 春节 100 活动"),
        ("5", "c", "加积分 b 3 试"),
        ("6", "c", "冲正 7 试错"),
    ] {
        inbox.offer(message(key, "g", who, text, now), None).await;
    }
    in_time("all turns", bot.settled()).await;
    bot.stop().await.unwrap();
    let db = peek(&path).await;
    (folder, db)
}

/// What the database says to a statement that no code would send.
async fn refusal(db: &mut SqliteConnection, sql: &'static str) -> String {
    match sqlx::query(sql).execute(db).await {
        Ok(done) => panic!("{sql} went through ({} rows)", done.rows_affected()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn the_database_refuses_what_no_code_may_do() {
    let (_folder, mut db) = lived_in().await;
    for (sql, because) in [
        ("UPDATE ledger_account SET credits = credits + 1 WHERE kind = 'member'", "by a transfer only"),
        ("UPDATE ledger_account SET debits = 0, credits = 0, last_transfer = last_transfer + 1",
            "by a transfer only"),
        ("DELETE FROM ledger_account", "never deleted"),
        ("DELETE FROM ledger_transfer", "never deleted"),
        ("UPDATE ledger_transfer SET amount = 1", "never changed"),
        ("INSERT INTO ledger_account(id, community, kind, owner, credits) VALUES(999, 1, 'member', 99, 5)",
            "opens empty"),
        // More than b has.
        ("INSERT INTO ledger_transfer SELECT 900, 1, a.id, m.id, 1000000, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK constraint failed"),
        // Nothing, and less than nothing.
        ("INSERT INTO ledger_transfer SELECT 901, 1, a.id, m.id, 0, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK constraint failed"),
        ("INSERT INTO ledger_transfer SELECT 902, 1, a.id, m.id, -5, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK constraint failed"),
        // To oneself.
        ("INSERT INTO ledger_transfer SELECT 903, 1, a.id, a.id, 5, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a WHERE a.kind = 'member' LIMIT 1", "CHECK constraint failed"),
        // A key that was used.
        ("INSERT INTO ledger_transfer SELECT 904, 1, debit, credit, 1, 'post', NULL, key, 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer WHERE kind = 'post' LIMIT 1", "UNIQUE constraint failed"),
        // Into another community.
        ("INSERT INTO ledger_transfer SELECT 905, 77, debit, credit, 1, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer LIMIT 1", "FOREIGN KEY constraint failed"),
        // Without an event.
        ("INSERT INTO ledger_transfer SELECT 906, 1, debit, credit, 1, 'post', NULL, 'x', 'x', '', NULL, 99999, 0,
          NULL, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "FOREIGN KEY constraint failed"),
        // Resolving what was never set aside.
        ("INSERT INTO ledger_transfer SELECT 907, 1, debit, credit, amount, 'post_pending', id, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer LIMIT 1", "no such pending transfer"),
        // A budget that is spent, caps, lots, corrections.
        ("INSERT INTO ledger_account(id, community, kind, owner) VALUES(998, 1, 'bank', 1)",
            "CHECK constraint failed"),
        ("INSERT INTO ledger_transfer SELECT 908, 1, c.id, m.id, 101, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account c, ledger_account m WHERE c.kind = 'campaign'
          AND m.kind = 'member' LIMIT 1", "CHECK constraint failed"),
        ("UPDATE ledger_quota SET amount = cap + 1", "CHECK constraint failed"),
        ("INSERT INTO ledger_lot SELECT 1, id, 5, -1 FROM ledger_account LIMIT 1", "CHECK constraint failed"),
        ("INSERT INTO ledger_lot VALUES(1, 4711, 5, 1)", "FOREIGN KEY constraint failed"),
        ("INSERT INTO ledger_transfer SELECT 909, 1, debit, credit, amount, 'post', NULL, 'x', 'x', '', NULL, 1,
          0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "mirrors what it corrects"),
        ("INSERT INTO ledger_transfer SELECT 910, 1, credit, debit, amount - 1, 'post', NULL, 'x', 'x', '', NULL,
          1, 0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "mirrors what it corrects"),
        ("INSERT INTO ledger_transfer SELECT 911, 1, credit, debit, amount, 'post', NULL, 'x', 'x', '', NULL,
          1, 0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'turn:%' AND debit IN
          (SELECT id FROM ledger_account WHERE kind = 'mint') AND id IN (SELECT corrects FROM ledger_transfer)",
            "UNIQUE constraint failed"),
        ("UPDATE packet_share SET person = 1 WHERE person IS NOT NULL", "taken once"),
        ("UPDATE packet_share SET amount = amount + 1", "taken once"),
        ("UPDATE packet_share SET taken_at = 1, person = (SELECT s.person FROM packet_share s
          WHERE s.person IS NOT NULL) WHERE person IS NULL", "UNIQUE constraint failed"),
        ("UPDATE packet SET total = total + 1", "cut once"),
        ("INSERT INTO checkin SELECT community, person, day, 9, 9 FROM checkin", "UNIQUE constraint failed"),
        ("INSERT INTO event SELECT id + 1000, community, grp, person, account, key, kind, at, received_at,
          seed, state, n, text, body, outcome, counted FROM event", "UNIQUE constraint failed"),
    ] {
        let said = refusal(&mut db, sql).await;
        assert!(said.contains(because), "{sql}\nsaid {said}, not {because}");
    }
    assert_eq!(number(&mut db, "SELECT sum(credits - debits) FROM ledger_account").await, 0);
}

#[tokio::test]
async fn verification_names_what_was_broken_by_force() {
    for (name, break_it) in [
        ("L1", "UPDATE ledger_account SET credits = credits + 7 WHERE kind = 'member'"),
        ("L2", "UPDATE ledger_account SET debits = credits + 1 WHERE kind = 'member'"),
        ("L3", "UPDATE ledger_transfer SET amount = amount + 1 WHERE key LIKE 'seed:%'"),
        ("L4", "UPDATE packet_share SET amount = amount + 1 WHERE person IS NULL"),
        ("L4", "UPDATE ledger_transfer SET key = 'other' WHERE key LIKE 'grab:%'"),
        ("L6", "UPDATE packet SET state = 'refunded'"),
        ("L6", "UPDATE packet SET state = 'exhausted'"),
        ("L6", "UPDATE packet SET state = 'refunded', expires_at = 0"),
        ("L8", "UPDATE ledger_transfer SET kind = 'void_pending', pending = (SELECT min(id) FROM ledger_transfer)
          WHERE key LIKE 'checkin:%'"),
        ("L10", "UPDATE ledger_quota SET amount = amount + 1 WHERE kind = 'minted'"),
        ("L10", "UPDATE ledger_quota SET amount = cap + 1 WHERE kind = 'packets'"),
        ("L10", "DELETE FROM ledger_quota WHERE kind = 'earned'"),
        ("L13", "INSERT INTO ledger_lot SELECT 1, id, 5, 1 FROM ledger_account WHERE kind = 'member'"),
        ("L13", "UPDATE ledger_transfer SET corrects = (SELECT min(id) FROM ledger_transfer) WHERE corrects > 0"),
        ("L9", "UPDATE ledger_transfer SET event = 4711"),
        ("file", "UPDATE event SET community = 4711 WHERE kind = 0"),
    ] {
        let (folder, mut db) = lived_in().await;
        sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut db).await.unwrap();
        sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut db).await.unwrap();
        for trigger in [
            "ledger_account_balance",
            "ledger_transfer_fixed",
            "packet_share_taken",
            "packet_ends_once",
        ] {
            let sql = sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}"));
            sqlx::query(sql).execute(&mut db).await.unwrap();
        }
        let done = sqlx::query(break_it).execute(&mut db).await.unwrap();
        assert!(done.rows_affected() > 0, "{break_it} changed nothing");
        drop(db);
        let store = sqlite(&folder.path().join("qundao.db")).await;
        let found = store.verify().await.unwrap();
        assert!(found.broken.iter().any(|what| what.starts_with(name)), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn an_untouched_file_verifies_and_is_durable() {
    let (folder, db) = lived_in().await;
    drop(db);
    let path = folder.path().join("qundao.db");
    let store = sqlite(&path).await;
    let found = store.verify().await.unwrap();
    assert_eq!(found.broken, Vec::<String>::new());
    assert!(found.transfers >= 5 && found.packets == 1, "{found:?}");
    // The second process is refused by name, and the first goes on.
    let Err(StoreError::InUse(why)) = Sqlite::open(&path).await else {
        panic!("two processes on one file");
    };
    assert!(why.contains("another qundao is running") && why.contains("stop it first"), "{why}");
    store.verify().await.unwrap();
    drop(store);
    Sqlite::open(&path).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _db) = lived_in().await;
    let mode = std::fs::metadata(folder.path().join("qundao.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

/// The ledger's migration changes a constraint in place, which is worth a look at a file with rows in it.
#[tokio::test]
async fn a_file_of_the_version_before_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    std::fs::create_dir(&old).unwrap();
    let all = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations/sqlite");
    for file in std::fs::read_dir(all).unwrap().flatten() {
        if *file.file_name() < *"0005" {
            std::fs::copy(file.path(), old.join(file.file_name())).unwrap();
        }
    }
    let path = folder.path().join("qundao.db");
    std::fs::File::create(&path).unwrap();
    let mut db = peek(&path).await;
    let before = sqlx::migrate::Migrator::new(old.as_path()).await.unwrap();
    before.run(&mut db).await.unwrap();
    for sql in [
        "INSERT INTO community(id, key) VALUES(1, 'test:g')",
        "INSERT INTO bot_account(id, ref) VALUES(1, 'test:bot')",
        "INSERT INTO event(id, community, account, key, kind, at, received_at, seed, state)
         VALUES(1, 1, 1, 'k', 0, 0, 0, 0, 0)",
        "INSERT INTO ledger_account(id, community, kind, owner) VALUES(1, 1, 'mint', 0), (2, 1, 'member', 7)",
        "INSERT INTO ledger_transfer VALUES(1, 1, 1, 2, 30, 'post', NULL, 'seed:7', 'seed', '', NULL, 1, 0)",
    ] {
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
    let refused = refusal(
        &mut db,
        "INSERT INTO ledger_account(id, community, kind, owner)
        VALUES(3, 1, 'campaign', 1)",
    )
    .await;
    assert!(refused.contains("CHECK constraint failed"), "{refused}");
    drop(db);
    let store = sqlite(&path).await;
    let found = store.verify().await.unwrap();
    assert_eq!((found.transfers, found.broken), (1, Vec::new()));
    let mut db = peek(&path).await;
    let budget =
        "INSERT INTO ledger_account(id, community, kind, owner) VALUES(3, 1, 'campaign', 1)";
    sqlx::query(budget).execute(&mut db).await.unwrap();
    let refused = refusal(&mut db, "UPDATE ledger_account SET credits = 1 WHERE id = 3").await;
    assert!(refused.contains("by a transfer only"), "{refused}");
}
