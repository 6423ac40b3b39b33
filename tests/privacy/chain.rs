//! The audit log in the file: what a bot writes holds, and what is done to it by force is named.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use qundao::clock::{Clock, SystemClock};
use qundao::event::EventKind;
use qundao::id::{CommunityId, EventId, PersonId};
use qundao::store::chain::Head;
use qundao::store::{AuditRow, Store, Write};
use qundao::value::Role;
use sqlx::{Connection as _, SqliteConnection};

use crate::world::{
    Database, Peek, Platform, Setup, event, group_ref, in_time, message, peek, script, seed,
    shipped, sqlite,
};

crate::over_both! {
    the_database_refuses_what_no_code_may_do;
    a_long_chain_is_walked_quickly;
    a_commit_that_fails_leaves_no_gap;
    what_must_have_a_line_has_one;
    lines_of_before_are_taken_into_the_chain;
}

/// Lines that were written one after the other, in commits of different sizes.
async fn written(database: &Database, lines: usize) -> Arc<dyn Store> {
    let store = database.open().await;
    let line = |n: usize| AuditRow {
        event: Some(EventId(n as i64)),
        community: Some(CommunityId(1)),
        at: n as i64,
        actor: "no-ads@5f1c".to_owned(),
        by: Some(PersonId(3)),
        about: Some(PersonId(n as i64 % 50)),
        action: "delete".to_owned(),
        object: format!("m{n}"),
        detail: "广告".to_owned(),
        salt: [n as u8; 16],
    };
    let all: Vec<Write> = (0..lines).map(|n| Write::Audit(Box::new(line(n)))).collect();
    for batch in all.chunks(if lines > 1000 { 10_000 } else { 7 }) {
        store.commit(batch).await.unwrap();
    }
    store
}

async fn without_guards(path: &Path) -> SqliteConnection {
    let mut db = peek(path).await;
    for trigger in ["audit_follows", "audit_fixed", "audit_stays"] {
        let sql = sqlx::AssertSqlSafe(format!("DROP TRIGGER IF EXISTS {trigger}"));
        sqlx::query(sql).execute(&mut db).await.unwrap();
    }
    db
}

#[tokio::test]
async fn whatever_is_done_by_force_is_named() {
    let database = Database::sqlite();
    let store = written(&database, 60).await;
    let head = store.audit_head().await.unwrap();
    assert_eq!(store.verify_audit(Some(head)).await.unwrap().broken, None);
    store.close().await;
    drop(store);
    let path = database.file();
    let whole = std::fs::read(&path).unwrap();
    for (way, sql, is_cut) in [
        ("at", "UPDATE audit SET at = at + 1 WHERE n = $1", false),
        ("actor", "UPDATE audit SET actor = 'person:3' WHERE n = $1", false),
        ("action", "UPDATE audit SET action = 'pin' WHERE n = $1", false),
        (
            "payload",
            "UPDATE audit SET payload = replace(payload, '广告', '误删') WHERE n = $1",
            false,
        ),
        ("salt", "UPDATE audit SET salt = payload WHERE n = $1", false),
        ("digest", "UPDATE audit SET digest = hash WHERE n = $1", false),
        ("hash", "UPDATE audit SET hash = digest WHERE n = $1", false),
        ("type", "UPDATE audit SET actor = x'00ff' WHERE n = $1", false),
        ("delete", "DELETE FROM audit WHERE n = $1", false),
        ("swap", "UPDATE audit SET n = CASE n WHEN $1 THEN -1 ELSE n END WHERE n = $1", false),
        ("cut", "DELETE FROM audit WHERE n >= $1", true),
    ] {
        for n in [1, 2, 17, 30, 59, 60] {
            std::fs::write(&path, &whole).unwrap();
            let mut db = without_guards(&path).await;
            sqlx::query(sql).bind(n).execute(&mut db).await.unwrap();
            if way == "swap" && n < 60 {
                for sql in [
                    "UPDATE audit SET n = $1 WHERE n = $1 + 1",
                    "UPDATE audit SET n = $1 + 1 WHERE n = -1",
                ] {
                    sqlx::query(sql).bind(n).execute(&mut db).await.unwrap();
                }
            }
            db.close().await.unwrap();
            let store = sqlite(&path).await;
            let alone = store.verify_audit(None).await.unwrap().broken.map(|broken| broken.n);
            let broken = store.verify_audit(Some(head)).await.unwrap().broken;
            // The last line can go without a trace, unless somebody wrote the head down.
            let wanted = (way == "swap" && n == 60).then_some(-1).map_or(Some(n), |_| Some(1));
            assert_eq!(broken.map(|broken| broken.n), wanted, "{way} at {n}");
            if !is_cut && n < 60 {
                assert_eq!(alone, Some(n), "{way} at {n} without a head");
            }
            store.close().await;
        }
    }
}

async fn the_database_refuses_what_no_code_may_do(database: Database) {
    let store = written(&database, 9).await;
    let mut db = database.peek().await;
    for (sql, because) in [
        ("DELETE FROM audit WHERE n = 3", "never deleted"),
        ("UPDATE audit SET actor = 'x' WHERE n = 3", "never changed"),
        ("UPDATE audit SET payload = '{}' WHERE n = 3", "never changed"),
        (
            "INSERT INTO audit SELECT 20, at, actor, action, digest, hash, salt, payload FROM audit
          WHERE n = 9",
            "without gaps",
        ),
    ] {
        let said = db.run(sql).await.unwrap_err();
        assert!(said.contains(because), "{sql}: {said}");
    }
    let erase = "UPDATE audit SET payload = NULL, salt = NULL WHERE n = 3";
    db.run(erase).await.unwrap();
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!((report.lines, report.erased, report.broken), (9, 1, None));
}

/// Processor time of this process, ms; the wall says little where other tests run beside it.
#[cfg(unix)]
fn cpu_ms() -> i64 {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
}

#[cfg(not(unix))]
fn cpu_ms() -> i64 {
    0
}

/// How long a walk takes, by `QUNDAO_AUDIT_LINES`.
async fn a_long_chain_is_walked_quickly(database: Database) {
    let lines = std::env::var("QUNDAO_AUDIT_LINES").ok().and_then(|n| n.parse().ok());
    let lines = lines.unwrap_or(20_000);
    let store = written(&database, lines).await;
    let (began, cpu) = (Instant::now(), cpu_ms());
    let report = store.verify_audit(None).await.unwrap();
    let (took, cpu) = (began.elapsed(), cpu_ms() - cpu);
    println!("{lines} lines in {took:?}, {cpu} ms of processor time");
    assert_eq!((report.lines, report.broken), (lines as i64, None));
}

async fn a_commit_that_fails_leaves_no_gap(database: Database) {
    let store = written(&database, 3).await;
    let line = |at| AuditRow {
        event: None,
        community: None,
        at,
        actor: "core".to_owned(),
        by: None,
        about: None,
        action: "reload".to_owned(),
        object: String::new(),
        detail: String::new(),
        salt: [1; 16],
    };
    let event = qundao::event::Event {
        id: EventId(1),
        community: CommunityId(77),
        group: None,
        person: None,
        received_at: 0,
        seed: 0,
        which: Vec::new(),
        stale: false,
        envelope: std::sync::Arc::new(message("k", "g", "a", "x", 0)),
    };
    // The community is not there, so that the batch is refused.
    let row = qundao::turn::event_row(&event, qundao::store::EventState::Done);
    let turn = Write::Turn(Box::new(qundao::store::TurnRows::new(row)));
    let batch = [Write::Audit(Box::new(line(1))), turn];
    store.commit(&batch).await.unwrap_err();
    store.commit(&batch[..1]).await.unwrap();
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!((report.lines, report.broken), (4, None));
}

async fn what_must_have_a_line_has_one(database: Database) {
    let platform = Platform::willing();
    let rule = "//! 守\non_keyword([\"广告\"], |m| { m.delete(\"广告\"); m.member.warn(\"广告\"); \
                m.member.mute(\"1h\", \"广告\"); m.member.kick(\"广告\"); m.member.ban(\"广告\"); });";
    let scripts =
        vec![shipped("points"), shipped("rules"), shipped("privacy"), script("guard", rule)];
    let bot = Setup::new(scripts).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    let admin = qundao::bot::SeedMember { role: Role::Admin, ..seed("管", 50, now) };
    bot.seed_members(&group_ref("g"), vec![admin, seed("小红", 10, now)]).await.unwrap();
    let inbox = bot.inbox();
    for (n, (who, text)) in [
        ("小红", "广告"),
        ("管", "加积分 小红 5 谢谢"),
        ("管", "减积分 小红 3 抱歉"),
        ("管", "群规设置 友善"),
    ]
    .iter()
    .enumerate()
    {
        inbox.offer(message(&format!("a{n}"), "g", who, text, now), None).await;
    }
    let mut promoted = event("b", "g", "小红", EventKind::Updated, now);
    promoted.actor.as_mut().unwrap().role = Some(Role::Mod);
    inbox.offer(promoted, None).await;
    in_time("every turn", bot.settled()).await;
    bot.reload(bot.config(), vec![shipped("points"), shipped("privacy")], None).await.unwrap();
    bot.note("operator", "start", "0.1.0".to_owned(), String::new());
    inbox.offer(message("c", "g", "小红", "忘记我 确认", now), None).await;
    in_time("the rest", bot.settled()).await;
    let mut lines = bot.store().audit_log(100).await.unwrap();
    lines.reverse();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let detail = line.payload.as_ref().map_or("(erased)", |payload| &payload.detail);
            let actor = line.actor.split('@').next().unwrap();
            format!("{actor} {} {detail}", line.action)
        })
        .collect();
    let wanted = [
        "guard delete (erased)",
        "guard warn (erased)",
        "guard mute (erased)",
        "guard kick (erased)",
        "guard ban (erased)",
        "person:1 points (erased)",
        "person:1 points (erased)",
        "person:1 rules.set ",
        "core role (erased)",
        "core reload gone: guard, rules",
        "operator start ",
        "core forget ",
    ];
    assert_eq!(told, wanted);
    let head = bot.store().audit_head().await.unwrap();
    assert_eq!(bot.store().verify_audit(Some(head)).await.unwrap().broken, None);
    bot.stop().await.unwrap();
}

/// A database of the release before: its lines are taken in, names only where they can be erased.
async fn lines_of_before_are_taken_into_the_chain(database: Database) {
    drop(database.open().await);
    let mut db = database.peek().await;
    let (table, fixed) = match &db {
        Peek::Sqlite(_) => (
            "CREATE TABLE audit(id INTEGER PRIMARY KEY, event INTEGER NOT NULL,
               community INTEGER NOT NULL REFERENCES community, at INTEGER NOT NULL,
               actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL)",
            "CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
             BEGIN SELECT RAISE(ABORT, 'audit: lines are never changed'); END",
        ),
        Peek::Postgres(_) => (
            "CREATE TABLE audit(id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
               event BIGINT NOT NULL, community BIGINT NOT NULL REFERENCES community,
               at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,
               detail TEXT NOT NULL)",
            "CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
             FOR EACH ROW EXECUTE FUNCTION refuse('audit: lines are never changed')",
        ),
    };
    if matches!(db, Peek::Postgres(_)) {
        db.run("DROP FUNCTION audit_follows() CASCADE").await.unwrap();
    }
    for sql in [
        "DROP TABLE audit",
        "DROP TABLE forgetting",
        "DELETE FROM _sqlx_migrations WHERE version = 6",
        table,
        fixed,
        "INSERT INTO community VALUES(1, 'test:g')",
        "INSERT INTO audit(event, community, at, actor, action, object, detail) VALUES
           (1, 1, 5, 'no-ads@5f1c', 'delete', 'm1', '广告'),
           (2, 1, 6, '小红', 'rules.set', 'version 1', ''),
           (3, 1, 7, '张@三', 'rules.set', 'version 2', '')",
    ] {
        db.run(sql).await.unwrap();
    }
    drop(db);
    let store = database.open().await;
    let report = store.verify_audit(None).await.unwrap();
    assert_eq!((report.lines, report.broken), (3, None));
    let lines = store.audit_log(10).await.unwrap();
    let actors: Vec<&str> = lines.iter().rev().map(|line| line.actor.as_str()).collect();
    assert_eq!(actors, ["no-ads@5f1c", "person", "person"]);
    assert_eq!(lines[1].payload.as_ref().unwrap().detail, "小红");
    let left = database.peek().await.run("SELECT * FROM audit_before").await;
    assert!(left.is_err(), "the table of before is there");
    assert!(Head::parse(&report.head).is_some());
}
