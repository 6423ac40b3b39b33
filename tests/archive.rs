//! The archive keeps what members wrote as long as it may, and not what they asked it not to; the
//! book of points stays whole when it forgets.

mod world;

use qundao::clock::{Clock, SystemClock};
use qundao::store::Old;
use sqlx::Row;
use world::{Platform, Setup, in_time, message, peek, shipped, sqlite};

/// Texts in the archive, by key.
async fn texts(path: &std::path::Path) -> Vec<Option<String>> {
    let mut db = peek(path).await;
    let rows = sqlx::query("SELECT text FROM event WHERE kind = 0 ORDER BY id");
    rows.fetch_all(&mut db).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn words_are_kept_unless_their_author_objects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let bot = Setup::new(vec![shipped("rules")]).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    let said = ["早上好", "别存我的消息", "秘密", "可以存我的消息", "晚安"];
    for (n, text) in said.iter().enumerate() {
        bot.inbox().offer(message(&format!("a{n}"), "g", "a", text, now), None).await;
        bot.inbox().offer(message(&format!("b{n}"), "g", "b", "你好", now), None).await;
    }
    in_time("every turn", bot.settled()).await;
    bot.stop().await.unwrap();
    let kept = texts(&path).await;
    let of_a: Vec<Option<&str>> = kept.iter().step_by(2).map(Option::as_deref).collect();
    assert_eq!(of_a, [None, None, None, Some("可以存我的消息"), Some("晚安")]);
    assert!(kept.iter().skip(1).step_by(2).all(|text| text.as_deref() == Some("你好")));
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_the_ledger_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let scripts = vec![shipped("checkin")];
    let bot = Setup::new(scripts).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    for (key, text) in [("1", "签到"), ("2", "随便说说")] {
        bot.inbox().offer(message(key, "g", "a", text, now), None).await;
    }
    in_time("two turns", bot.settled()).await;
    let store = bot.store();
    // Nothing is old yet.
    store.housekeep(&Old::all_before(now - 1000)).await.unwrap();
    assert_eq!(texts(&path).await.len(), 2);
    // Texts are old, keys are not.
    let old_texts = Old { texts: now + 1000, ..Old::all_before(now - 1000) };
    store.housekeep(&old_texts).await.unwrap();
    assert_eq!(texts(&path).await, [None, None]);
    // Keys are old too: the event that moved points stays, as its cause.
    store.housekeep(&Old::all_before(now + 1000)).await.unwrap();
    assert_eq!(texts(&path).await.len(), 1);
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    bot.stop().await.unwrap();
}

#[tokio::test]
async fn an_archive_of_no_days_keeps_no_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let mut setup = Setup::new(Vec::new());
    setup.config.privacy.archive_days = 0;
    let bot = setup.start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    bot.inbox().offer(message("1", "g", "a", "早上好", now), None).await;
    in_time("the turn", bot.settled()).await;
    bot.stop().await.unwrap();
    assert_eq!(texts(&path).await, [None]);
}
