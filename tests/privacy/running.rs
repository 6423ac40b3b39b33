//! A wish to be forgotten survives the bot's end, and words of before go with 别存我的消息.

use std::sync::Arc;

use qundao::clock::{Clock, SystemClock};
use qundao::store::sqlite::Sqlite;
use sqlx::Connection as _;

use crate::world::{Platform, Setup, in_time, message, number, peek, shipped, sqlite};

#[tokio::test]
async fn words_that_were_kept_go_when_their_author_objects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let bot = Setup::new(vec![shipped("rules")]).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    for (n, text) in ["早上好", "别存我的消息", "秘密"].iter().enumerate() {
        bot.inbox().offer(message(&format!("a{n}"), "g", "a", text, now), None).await;
        bot.inbox().offer(message(&format!("b{n}"), "g", "b", "你好", now), None).await;
        in_time("a turn", bot.settled()).await;
    }
    // In another group, which is another community, nothing was asked.
    bot.inbox().offer(message("c", "h", "a", "那边的话", now), None).await;
    in_time("a turn", bot.settled()).await;
    bot.stop().await.unwrap();
    let mut db = peek(&path).await;
    let kept = "SELECT count(*) FROM event WHERE text IS NOT NULL AND community = 1 AND person = 1";
    assert_eq!(number(&mut db, kept).await, 0);
    let others = "SELECT count(*) FROM event WHERE text = '你好' OR text = '那边的话'";
    assert_eq!(number(&mut db, others).await, 4);
    drop(db);
    let bytes = std::fs::read(&path).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds("早上好") && holds("那边的话"));
}

#[tokio::test]
async fn a_wish_is_granted_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let bot = Setup::new(vec![shipped("points")]).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    bot.inbox().offer(message("1", "g", "小红", "早上好", now), None).await;
    in_time("a turn", bot.settled()).await;
    bot.stop().await.unwrap();
    // The bot ended between the commit and the deed.
    let mut db = peek(&path).await;
    let wish = "INSERT INTO forgetting(person, community, event, at) VALUES(1, NULL, 1, 0)";
    sqlx::query(wish).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let store = Arc::new(Sqlite::open(&path).await.unwrap());
    let bot = Setup::new(vec![shipped("points")]).start(store, &platform).await;
    in_time("the wish", bot.settled()).await;
    bot.stop().await.unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for text in ["小红", "早上好"] {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}

/// While everybody talks, some ask to be forgotten and talk on: no turn that knew one of them commits
/// after she was forgotten, whatever stood in the queues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_remembered_by_what_was_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let scripts = ["privacy", "points", "checkin", "seed_users", "rules"].map(shipped);
    let mut setup = Setup::new(scripts.into());
    setup.config.limits.commands = 10_000;
    let bot = setup.start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    let mut talks = tokio::task::JoinSet::new();
    for member in 0..20 {
        let inbox = bot.inbox();
        talks.spawn(async move {
            let (group, name) = (["g", "h"][member % 2], format!("成员{member:02}"));
            for n in 0..300 {
                let text = match n {
                    20 | 40 if member < 8 => "忘记我 确认".to_owned(),
                    _ if n % 7 == 0 => "签到".to_owned(),
                    _ => format!("第{n}句 成员{:02}", (member + 1) % 20),
                };
                let key = format!("{}:{member}-{n}", now / 1000);
                inbox.offer(message(&key, group, &name, &text, now), None).await;
                tokio::task::yield_now().await;
            }
        });
    }
    in_time("every word", talks.join_all()).await;
    in_time("every turn", bot.settled()).await;
    for member in 0..20 {
        let (group, name) = (["g", "h"][member % 2], format!("成员{member:02}"));
        let text = "还在"; // Who was forgotten is a newcomer.
        bot.inbox().offer(message(&format!("1:{member}"), group, &name, text, now), None).await;
    }
    in_time("the last words", bot.settled()).await;
    let store = bot.store();
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    assert_eq!(store.verify_audit(None).await.unwrap().broken, None);
    bot.stop().await.unwrap();
    let mut db = peek(&path).await;
    let forgotten = number(&mut db, "SELECT count(*) FROM audit WHERE action = 'forget'").await;
    assert!((8..=16).contains(&forgotten), "{forgotten} wishes were granted");
    for (what, sql) in [
        ("wishes", "SELECT count(*) FROM forgetting"),
        (
            "members without an account",
            "SELECT count(*) FROM member m WHERE NOT EXISTS(
               SELECT 1 FROM account a WHERE a.ref = m.ref AND a.person = m.person)",
        ),
        (
            "words of nobody",
            "SELECT count(*) FROM event e WHERE text IS NOT NULL AND NOT EXISTS(
               SELECT 1 FROM account a WHERE a.person = e.person)",
        ),
        (
            "outcomes of nobody",
            "SELECT count(*) FROM event e WHERE outcome IS NOT NULL AND person IS NOT NULL
               AND NOT EXISTS(SELECT 1 FROM account a WHERE a.person = e.person)",
        ),
        (
            "check-ins, scores and tallies of nobody",
            "SELECT (SELECT count(*) FROM checkin c WHERE NOT EXISTS(
                 SELECT 1 FROM account a WHERE a.person = c.person))
               + (SELECT count(*) FROM member_score c WHERE NOT EXISTS(
                 SELECT 1 FROM account a WHERE a.person = c.person))
               + (SELECT count(*) FROM member_tally c WHERE NOT EXISTS(
                 SELECT 1 FROM account a WHERE a.person = c.person))",
        ),
    ] {
        assert_eq!(number(&mut db, sql).await, 0, "{what}");
    }
    let accounts = number(&mut db, "SELECT count(*) FROM account").await;
    assert_eq!(accounts, 20, "everybody talked on");
    let persons = number(&mut db, "SELECT count(*) FROM person").await;
    println!("{forgotten} were forgotten, {persons} persons in all");
    assert_eq!(persons, 20 + forgotten, "each came back once as a newcomer");
}
