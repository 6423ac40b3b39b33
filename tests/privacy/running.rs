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
