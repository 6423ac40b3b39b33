//! One community is one serial lane: order within it holds whatever happens, and what goes wrong
//! in one delays no other.

mod world;

use std::sync::atomic::Ordering;

use qundao::clock::{Clock, SystemClock};
use world::{Platform, Setup, in_time, message, number, peek, script, sqlite};

/// Answers with how often it was asked here.
const COUNT: &str = "//! 数数\non_message(|m| m.reply(`${state::incr(m.group, \"n\")}`));\n";
/// Never ends.
const STUCK: &str =
    "//! 死循环\non_keyword([\"卡住\"], |m| { let n = 0; loop { n += 1; n -= 1; } });\n";

fn one_to(n: usize) -> Vec<String> {
    (1..=n).map(|n| n.to_string()).collect()
}

fn said_in(platform: &Platform, group: &str) -> Vec<String> {
    let said = platform.said().into_iter();
    said.filter(|(place, _)| place == group).map(|(_, text)| text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_hangs_costs_its_own_handler_and_pauses_after_three_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let scripts = vec![script("a-stuck", STUCK), script("count", COUNT)];
    let mut setup = Setup::new(scripts);
    setup.config.limits.script.handler_ms = 50;
    let bot = setup.start(sqlite(&path).await, &platform).await;
    let mut notices = bot.notices();
    let now = SystemClock::default().now();
    for n in 0..5 {
        let inbox = bot.inbox();
        inbox.offer(message(&format!("bad-{n}"), "bad", "x", "卡住", now), None).await;
        for m in 0..40 {
            let key = format!("good-{n}-{m}");
            inbox.offer(message(&key, "good", "y", "你好", now), None).await;
        }
    }
    in_time("everything", bot.settled()).await;
    // The other script went on in the same community, and everything in the other one.
    assert_eq!(said_in(&platform, "bad"), one_to(5));
    assert_eq!(said_in(&platform, "good"), one_to(200));
    let mut db = peek(&path).await;
    let failed = "SELECT count(*) FROM event WHERE outcome LIKE '%\"did\":\"failed\"%'";
    assert_eq!(number(&mut db, failed).await, 3);
    let mut told = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        told.push(notice.text);
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("scripts/a-stuck.rhai:2:"), "{told:?}");
    assert!(told[2].contains("3 times in a row") && told[2].contains("pauses"), "{told:?}");
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_waits_in_the_database_and_keeps_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let mut setup = Setup::new(vec![script("count", COUNT)]);
    setup.config.limits.mailbox = 8;
    let bot = setup.start(sqlite(&path).await, &platform).await;
    let mut notices = bot.notices();
    let now = SystemClock::default().now();
    for n in 0..2000 {
        bot.inbox().offer(message(&format!("m{n}"), "g", "a", &format!("{n}"), now), None).await;
    }
    in_time("everything", bot.settled()).await;
    assert_eq!(said_in(&platform, "g"), one_to(2000));
    let notice = notices.try_recv().expect("that the limit was reached is said");
    assert!(notice.text.contains("`mailbox` (8)"), "{notice:?}");
    let mut db = peek(&path).await;
    assert_eq!(number(&mut db, "SELECT count(*) FROM event WHERE state = 0").await, 2000);
    assert_eq!(number(&mut db, "SELECT count(*) FROM event WHERE body IS NOT NULL").await, 0);
    // Handled in the order in which they came: the n-th answer belongs to the n-th message.
    let wrong = "SELECT count(*) FROM delivery d JOIN event e ON e.id = d.event
        WHERE json_extract(d.body, '$.Send.content[0].Text') <> CAST(e.text + 1 AS TEXT)";
    assert_eq!(number(&mut db, wrong).await, 0);
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn communities_beyond_the_cache_are_loaded_again_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let mut setup = Setup::new(vec![script("count", COUNT)]);
    setup.config.limits.communities_cached = 10;
    let bot = setup.start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    for round in 0..3 {
        for group in 0..60 {
            let key = format!("{round}-{group}");
            let group = format!("g{group}");
            bot.inbox().offer(message(&key, &group, "a", "你好", now), None).await;
        }
        in_time("a round", bot.settled()).await;
    }
    for group in 0..60 {
        assert_eq!(said_in(&platform, &format!("g{group}")), one_to(3));
    }
    bot.stop().await.unwrap();
    let mut db = peek(&path).await;
    assert_eq!(number(&mut db, "SELECT count(*) FROM community").await, 60);
    assert_eq!(number(&mut db, "SELECT count(*) FROM member_tally WHERE messages = 3").await, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_turns_share_a_commit_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::willing();
    let setup = Setup::new(vec![script("count", COUNT)]);
    let bot = setup.start(sqlite(&folder.path().join("qundao.db")).await, &platform).await;
    let now = SystemClock::default().now();
    for n in 0..3000 {
        let group = format!("g{}", n % 50);
        bot.inbox().offer(message(&format!("m{n}"), &group, "a", "你好", now), None).await;
    }
    in_time("everything", bot.settled()).await;
    let turns = bot.figures().turns.load(Ordering::Relaxed);
    let commits = bot.figures().commits.load(Ordering::Relaxed);
    assert_eq!(turns, 3000);
    assert!(commits * 3 < turns, "{commits} commits for {turns} turns");
    bot.stop().await.unwrap();
}
