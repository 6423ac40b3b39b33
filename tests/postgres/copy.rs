//! A community moves from SQLite to PostgreSQL and back: everything is there, and goes on.

use qundao::clock::{Clock, SystemClock};
use qundao::store::{Address, copy};

use crate::world::{Database, Platform, Setup, in_time, message, seed, shipped};

const LEASE_MS: u64 = 5000;

async fn talk(database: &Database, round: i64, lines: &[(&str, &str)]) -> Vec<String> {
    let platform = Platform::willing();
    let scripts = ["red_packet", "checkin", "points", "activity"];
    let scripts = scripts.iter().map(|name| shipped(name)).collect();
    let bot = Setup::new(scripts).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    if round == 0 {
        let mut members = ["a", "b", "c", "d"].map(|name| seed(name, 100, now));
        members[2].role = qundao::value::Role::Admin;
        bot.seed_members(&crate::world::group_ref("g"), members.to_vec()).await.unwrap();
    }
    for (n, (who, text)) in lines.iter().enumerate() {
        bot.inbox().offer(message(&format!("{round}-{n}"), "g", who, text, now), None).await;
        in_time("a turn", bot.settled()).await;
    }
    bot.stop().await.unwrap();
    platform.said().into_iter().map(|(_, text)| text).collect()
}

fn address(database: &Database) -> Address {
    Address::read(&database.url(), std::path::Path::new("/"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_community_moves_there_and_back() {
    let (file, server) = (Database::sqlite(), Database::postgres());
    let lines = [
        ("a", "红包 30 3"),
        ("b", "抢"),
        ("c", "签到"),
        ("a", "早上好"),
        ("b", "a\0\\u0000"),
        ("c", "加预算 春节 100 活动"),
        ("c", "加积分 b 3 a\0\\u0000"),
        ("c", "冲正 7 试错"),
    ];
    talk(&file, 0, &lines).await;
    let mut told = 0;
    let mut tell = |_: &str, _: u64, _: u64| told += 1;
    let copied = copy(&address(&file), &address(&server), LEASE_MS, &mut tell).await.unwrap();
    assert_eq!(copied.verification.broken, Vec::<String>::new());
    assert!(told >= 10, "{told}");
    let rows = |name: &str| copied.tables.iter().find(|(table, _)| table == name).unwrap().1;
    let found = (rows("event") >= 6, rows("packet_share"), rows("member_tally") > 0);
    assert_eq!(found, (true, 3, true), "{copied:?}");
    let found = (rows("audit") > 0, rows("ledger_quota") > 0, rows("campaign"));
    assert_eq!(found, (true, true, 1), "{copied:?}");
    // The chain is the same chain.
    let heads = [file.open().await, server.open().await];
    let known = heads[0].audit_head().await.unwrap();
    assert_eq!(heads[1].verify_audit(Some(known)).await.unwrap().broken, None);
    for store in heads {
        store.close().await;
    }

    // Not once more, and not onto itself.
    let again = copy(&address(&file), &address(&server), LEASE_MS, &mut |_, _, _| {}).await;
    assert!(again.unwrap_err().to_string().contains("not empty"));
    let same = copy(&address(&file), &address(&file), LEASE_MS, &mut |_, _, _| {}).await;
    assert!(same.unwrap_err().to_string().contains("same database"));

    // It goes on there: the packet, the points, the numbers, a check-in that was made.
    let said = talk(&server, 1, &[("c", "抢"), ("c", "签到"), ("c", "积分")]).await;
    assert!(said.iter().any(|text| text.contains("已领 2/3")), "{said:?}");

    let back = Database::sqlite();
    copy(&address(&server), &address(&back), LEASE_MS, &mut |_, _, _| {}).await.unwrap();
    let counts = [
        "SELECT count(*) FROM event",
        "SELECT count(*) FROM ledger_transfer",
        "SELECT CAST(sum(credits) AS BIGINT) FROM ledger_account",
        "SELECT CAST(sum(messages) AS BIGINT) FROM member_tally",
        "SELECT CAST(sum(length(text)) AS BIGINT) FROM event",
        "SELECT max(n) FROM audit",
        "SELECT count(*) FROM ledger_lot",
        "SELECT CAST(sum(amount) AS BIGINT) FROM ledger_quota",
        "SELECT count(*) FROM ledger_transfer WHERE corrects > 0",
        "SELECT max(seed) FROM event",
    ];
    let (mut there, mut here) = (server.peek().await, back.peek().await);
    for sql in counts {
        assert_eq!(there.number(sql).await, here.number(sql).await, "{sql}");
    }
    let said = talk(&back, 2, &[("d", "抢"), ("a", "积分")]).await;
    assert!(said.iter().any(|text| text.contains("3/3")), "{said:?}");
}

#[tokio::test]
async fn half_a_copy_is_not_worked_on() {
    for database in [Database::sqlite(), Database::postgres()] {
        drop(database.open().await);
        database
            .peek()
            .await
            .run("INSERT INTO meta(key, value) VALUES('copying', '1')")
            .await
            .unwrap();
        let said = database.open().await.start().await.unwrap_err().to_string();
        assert!(said.contains("copy into this database was not finished"), "{said}");
    }
}
