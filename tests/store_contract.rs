//! The store keeps its word when the code is bypassed: durability is asserted, constraints refuse
//! what no code may do, verification finds what was broken by force, and a database has one master.
//! One suite over SQLite and PostgreSQL.

mod world;

use qundao::clock::{Clock, SystemClock};
use qundao::store::StoreError;
use world::{Database, Peek, Platform, Setup, in_time, message, seed, shipped};

over_both! {
    the_database_refuses_what_no_code_may_do;
    verification_names_what_was_broken_by_force;
    an_untouched_database_verifies_and_has_one_master;
}

/// An open packet, a grab, a check-in, a budget, a correction and a hold-free ledger.
async fn lived_in(database: &Database) -> Peek {
    let platform = Platform::willing();
    let scripts = vec![shipped("red_packet"), shipped("checkin"), shipped("points")];
    let bot = Setup::new(scripts).start(database.open().await, &platform).await;
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
    database.peek().await
}

/// What the database says to a statement that no code would send.
async fn refusal(db: &mut Peek, sql: &str) -> String {
    match db.run(sql).await {
        Ok(rows) => panic!("{sql} went through ({rows} rows)"),
        Err(said) => said,
    }
}

/// How each database says that a rule was broken.
fn words<'a>(db: &Peek, because: &'a str) -> &'a str {
    match (db, because) {
        (Peek::Sqlite(_), "CHECK") => "CHECK constraint failed",
        (Peek::Sqlite(_), "UNIQUE") => "UNIQUE constraint failed",
        (Peek::Sqlite(_), "FOREIGN KEY") => "FOREIGN KEY constraint failed",
        (Peek::Postgres(_), "CHECK") => "violates check constraint",
        (Peek::Postgres(_), "UNIQUE") => "violates unique constraint",
        (Peek::Postgres(_), "FOREIGN KEY") => "violates foreign key constraint",
        (Peek::Sqlite(_) | Peek::Postgres(_), said) => said,
    }
}

async fn the_database_refuses_what_no_code_may_do(database: Database) {
    let mut db = lived_in(&database).await;
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
            "CHECK"),
        // Nothing, and less than nothing.
        ("INSERT INTO ledger_transfer SELECT 901, 1, a.id, m.id, 0, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK"),
        ("INSERT INTO ledger_transfer SELECT 902, 1, a.id, m.id, -5, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK"),
        // To oneself.
        ("INSERT INTO ledger_transfer SELECT 903, 1, a.id, a.id, 5, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a WHERE a.kind = 'member' LIMIT 1", "CHECK"),
        // A key that was used.
        ("INSERT INTO ledger_transfer SELECT 904, 1, debit, credit, 1, 'post', NULL, key, 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer WHERE kind = 'post' LIMIT 1", "UNIQUE"),
        // Into another community.
        ("INSERT INTO ledger_transfer SELECT 905, 77, debit, credit, 1, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer LIMIT 1", "FOREIGN KEY"),
        // Without an event.
        ("INSERT INTO ledger_transfer SELECT 906, 1, debit, credit, 1, 'post', NULL, 'x', 'x', '', NULL, 99999, 0,
          NULL, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "FOREIGN KEY"),
        // Resolving what was never set aside.
        ("INSERT INTO ledger_transfer SELECT 907, 1, debit, credit, amount, 'post_pending', id, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer LIMIT 1", "no such pending transfer"),
        // A budget that is spent, caps, lots, corrections.
        ("INSERT INTO ledger_account(id, community, kind, owner) VALUES(998, 1, 'bank', 1)",
            "CHECK"),
        ("INSERT INTO ledger_transfer SELECT 908, 1, c.id, m.id, 101, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account c, ledger_account m WHERE c.kind = 'campaign'
          AND m.kind = 'member' LIMIT 1", "CHECK"),
        ("UPDATE ledger_quota SET amount = cap + 1", "CHECK"),
        ("INSERT INTO ledger_lot SELECT 1, id, 5, -1 FROM ledger_account LIMIT 1", "CHECK"),
        ("INSERT INTO ledger_lot VALUES(1, 4711, 5, 1)", "FOREIGN KEY"),
        ("INSERT INTO ledger_transfer SELECT 909, 1, debit, credit, amount, 'post', NULL, 'x', 'x', '', NULL, 1,
          0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "mirrors what it corrects"),
        ("INSERT INTO ledger_transfer SELECT 910, 1, credit, debit, amount - 1, 'post', NULL, 'x', 'x', '', NULL,
          1, 0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "mirrors what it corrects"),
        ("INSERT INTO ledger_transfer SELECT 911, 1, credit, debit, amount, 'post', NULL, 'x', 'x', '', NULL,
          1, 0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'turn:%' AND debit IN
          (SELECT id FROM ledger_account WHERE kind = 'mint') AND id IN (SELECT corrects FROM ledger_transfer)",
            "UNIQUE"),
        ("UPDATE packet_share SET person = 1 WHERE person IS NOT NULL", "taken once"),
        ("UPDATE packet_share SET amount = amount + 1", "taken once"),
        ("UPDATE packet_share SET taken_at = 1, person = (SELECT s.person FROM packet_share s
          WHERE s.person IS NOT NULL) WHERE person IS NULL", "UNIQUE"),
        ("UPDATE packet SET total = total + 1", "cut once"),
        ("INSERT INTO checkin SELECT community, person, day, 9, 9 FROM checkin", "UNIQUE"),
        ("INSERT INTO event SELECT id + 1000, community, grp, person, account, key, kind, at, received_at,
          seed, state, n, text, body, outcome, counted FROM event", "UNIQUE"),
        ("UPDATE ledger_transfer SET reason = 'other' WHERE reason <> 'other'", "never changed"),
        ("INSERT INTO ledger_freeze VALUES(4711, 0, 'x')", "FOREIGN KEY"),
        // The audit log.
        ("UPDATE audit SET actor = 'x'", "never changed"),
        ("UPDATE audit SET payload = '{}'", "never changed"),
        ("UPDATE audit SET salt = NULL", "never changed"),
        ("DELETE FROM audit", "never deleted"),
        ("INSERT INTO audit SELECT n + 100, at, actor, action, digest, hash, salt, payload FROM audit",
            "without gaps"),
    ] {
        let said = refusal(&mut db, sql).await;
        let because = words(&db, because);
        assert!(said.contains(because), "{sql}\nsaid {said}, not {because}");
    }
    let sum = "SELECT CAST(sum(credits - debits) AS BIGINT) FROM ledger_account";
    assert_eq!(db.number(sum).await, 0);
}

async fn verification_names_what_was_broken_by_force(database: Database) {
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
        let database = database.another();
        let mut db = lived_in(&database).await;
        switch_constraints_off(&mut db).await;
        let rows = db.run(break_it).await.unwrap();
        assert!(rows > 0, "{break_it} changed nothing");
        drop(db);
        let found = database.open().await.verify().await.unwrap();
        assert!(found.broken.iter().any(|what| what.starts_with(name)), "{name}: {found:?}");
    }
}

async fn switch_constraints_off(db: &mut Peek) {
    let all: Vec<String> = match db {
        Peek::Sqlite(_) => {
            let triggers = [
                "ledger_account_balance",
                "ledger_transfer_fixed",
                "packet_share_taken",
                "packet_ends_once",
            ];
            let off = ["PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"];
            let triggers = triggers.map(|trigger| format!("DROP TRIGGER {trigger}"));
            off.map(str::to_owned).into_iter().chain(triggers).collect()
        }
        Peek::Postgres(_) => {
            let check = "DO $$ DECLARE c RECORD; BEGIN
              FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
                WHERE contype = 'c' AND conrelid = ANY(ARRAY['ledger_account', 'ledger_quota']::regclass[])
              LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP;
              END $$";
            vec!["SET session_replication_role = replica".to_owned(), check.to_owned()]
        }
    };
    for sql in all {
        db.run(&sql).await.unwrap();
    }
}

async fn an_untouched_database_verifies_and_has_one_master(database: Database) {
    drop(lived_in(&database).await);
    let store = database.open().await;
    let found = store.verify().await.unwrap();
    assert_eq!(found.broken, Vec::<String>::new());
    assert!(found.transfers >= 5 && found.packets == 1, "{found:?}");
    // The second process is refused by name, and the first goes on.
    let Err(StoreError::InUse(why)) = database.try_open().await else {
        panic!("two processes on one database");
    };
    assert!(why.contains("another qundao is running") && why.contains("stop it first"), "{why}");
    store.verify().await.unwrap();
    drop(store);
    database.open().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let database = Database::sqlite();
    lived_in(&database).await;
    let mode = std::fs::metadata(database.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
