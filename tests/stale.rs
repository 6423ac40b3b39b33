//! The staleness gate: what comes long after it happened may still change state, but nobody is
//! answered, no command runs, and the record says so. That is what keeps a platform that tells
//! everything again after a restart from being answered again.

mod world;

use qundao::clock::{Clock, SystemClock};
use world::{Platform, Setup, in_time, message, number, peek, script, shipped, sqlite};

const COUNT: &str = "//! 数数\non_message(|m| {\n    state::incr(\"community\", \"n\");\n    \
    m.reply(\"听到\");\n    m.delete(\"太旧\");\n});\n";

#[tokio::test]
async fn what_is_old_counts_and_is_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let scripts = vec![script("count", COUNT), shipped("checkin")];
    let bot = Setup::new(scripts).start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    let mut fetched = message("3", "g", "a", "签到", now);
    fetched.backfilled = true;
    for envelope in [
        message("1", "g", "a", "签到", now - 600_000),
        message("2", "g", "a", "你好", now - 119_000),
        fetched,
    ] {
        bot.inbox().offer(envelope, None).await;
        in_time("the turn", bot.settled()).await;
    }
    // One answer, to the one that was not too old; moderation is not too late for the others.
    assert_eq!(platform.said().len(), 1, "{:?}", platform.said());
    assert_eq!(platform.requests.lock().unwrap().len(), 1 + 3);
    let mut db = peek(&path).await;
    let counted = "SELECT json_extract(value, '$.Int') FROM script_state WHERE key = 'n'";
    assert_eq!(number(&mut db, counted).await, 3);
    assert_eq!(number(&mut db, "SELECT count(*) FROM checkin").await, 0);
    let told = "SELECT count(*) FROM event WHERE outcome LIKE '%\"did\":\"skipped\"%too old%'";
    assert_eq!(number(&mut db, told).await, 2);
    bot.stop().await.unwrap();
}
