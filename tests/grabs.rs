//! Ten thousand members grab one packet of a hundred shares at once: nobody gets two, nobody
//! gets another's, nothing is lost, and everybody who came too late is on record. Over both databases.

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use qundao::clock::{Clock, SystemClock};
use world::{Database, Peek, Platform, Setup, in_time, message, seed, shipped};

over_both! {
    ten_thousand_grabs_have_a_hundred_winners;
    the_same_grab_fifty_times_counts_once;
}

const MEMBERS: usize = 10_000;
const SHARES: i64 = 100;
const TOTAL: i64 = 1000;

async fn ten_thousand_grabs_have_a_hundred_winners(database: Database) {
    let platform = Platform::willing();
    let bot = Setup::new(vec![shipped("red_packet")]).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    let mut members = vec![seed("sender", TOTAL, now)];
    members.extend((0..MEMBERS).map(|n| seed(&format!("m{n}"), 0, now)));
    bot.seed_members(&world::group_ref("g"), members).await.unwrap();

    let inbox = bot.inbox();
    let text = format!("红包 {TOTAL} {SHARES}");
    inbox.offer(message("send", "g", "sender", &text, now), None).await;
    in_time("the packet", bot.settled()).await;

    let commits_before = bot.figures().commits.load(Ordering::Relaxed);
    let began = Instant::now();
    let mut grabs = tokio::task::JoinSet::new();
    for n in 0..MEMBERS {
        let inbox = Arc::clone(&inbox);
        grabs.spawn(async move {
            let grab = message(&format!("grab-{n}"), "g", &format!("m{n}"), "抢", now);
            inbox.offer(grab, None).await;
        });
    }
    in_time("every offer", grabs.join_all()).await;
    in_time("every grab", bot.settled()).await;
    let seconds = began.elapsed().as_secs_f64();
    let commits = bot.figures().commits.load(Ordering::Relaxed) - commits_before;
    println!("{MEMBERS} grabs on {SHARES} shares: {seconds:.2} s, {commits} commits");

    let mut db = database.peek().await;
    let winners = "SELECT count(DISTINCT person) FROM packet_share WHERE person IS NOT NULL";
    assert_eq!(db.number(winners).await, SHARES);
    let taken = "SELECT CAST(sum(amount) AS BIGINT) FROM packet_share WHERE person IS NOT NULL";
    assert_eq!(db.number(taken).await, TOTAL);
    let paid = "SELECT CAST(sum(credits - debits) AS BIGINT) FROM ledger_account
        WHERE kind = 'member'";
    assert_eq!(db.number(paid).await, TOTAL);
    let code = match &db {
        Peek::Sqlite(_) => "json_extract(outcome, '$.lines[0].code')",
        Peek::Postgres(_) => "outcome::jsonb #>> '{lines,0,code}'",
    };
    let refused =
        format!("SELECT count(*) FROM event WHERE key LIKE 'grab-%' AND {code} = 'empty'");
    assert_eq!(db.number(&refused).await, MEMBERS as i64 - SHARES);
    let events = "SELECT count(*) FROM event WHERE key LIKE 'grab-%' AND state = 0";
    assert_eq!(db.number(events).await, MEMBERS as i64);
    drop(db);

    let found = bot.store().verify().await.unwrap();
    assert_eq!(found.broken, Vec::<String>::new());
    bot.stop().await.unwrap();
}

async fn the_same_grab_fifty_times_counts_once(database: Database) {
    let platform = Platform::willing();
    let bot = Setup::new(vec![shipped("red_packet")]).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    let members = ["sender", "a", "b", "c"].map(|name| seed(name, 100, now));
    bot.seed_members(&world::group_ref("g"), members.to_vec()).await.unwrap();
    let inbox = bot.inbox();
    inbox.offer(message("send", "g", "sender", "红包 30 3", now), None).await;
    for round in 0..50 {
        for name in ["a", "b"] {
            inbox.offer(message(&format!("tap-{name}"), "g", name, "抢", now), None).await;
            let again = message(&format!("tap-{name}-{round}"), "g", name, "抢", now);
            inbox.offer(again, None).await;
        }
    }
    in_time("every tap", bot.settled()).await;
    let mut db = database.peek().await;
    let taken = "SELECT count(*) FROM packet_share WHERE person IS NOT NULL";
    assert_eq!(db.number(taken).await, 2);
    let grabs = "SELECT count(*) FROM ledger_transfer WHERE key LIKE 'grab:%'";
    assert_eq!(db.number(grabs).await, 2);
    let kept = "SELECT count(*) FROM event WHERE key IN('tap-a', 'tap-b')";
    assert_eq!(db.number(kept).await, 2);
    bot.stop().await.unwrap();
}
