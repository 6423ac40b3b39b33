//! Mistakes that somebody could make with red packets, planted on purpose: each is found by what looks
//! at every test's ledger, or refused by the database.

mod world;

use std::path::Path;
use std::sync::atomic::Ordering;

use qundao::clock::{Clock, SystemClock};
use qundao::planted::{Bug, plant};
use world::{Platform, Setup, in_time, message, number, peek, seed, shipped, unaudited};

/// What came of one packet that is grabbed twice by the same member and then taken back: turns that
/// the database refused, shares of that member, and what does not hold.
async fn packet(file: &Path) -> (u64, i64, Vec<String>) {
    let clock = SystemClock::with_offset(0);
    let bot = {
        let mut setup = Setup::new(vec![shipped("red_packet")]);
        let text = "[features.red_packet]\ngrab_cooldown = \"0s\"\n";
        let config = qundao::config::parse(text, Path::new("config.toml"), &|_| None).unwrap();
        (setup.config.source, setup.config.scripts) = (config.source, config.scripts);
        setup.clock = clock.clone();
        setup.start(unaudited(file).await, &Platform::willing()).await
    };
    let members = ["a", "b", "c", "d"].map(|name| seed(name, 100, clock.now()));
    bot.seed_members(&world::group_ref("g"), members.into()).await.unwrap();
    let say = async |key: &str, who: &str, text: &str| {
        bot.inbox().offer(message(key, "g", who, text, clock.now()), None).await;
        in_time("the turn", bot.settled()).await;
    };
    say("1", "a", "红包 30 3").await;
    say("2", "b", "抢").await;
    say("3", "b", "抢 1").await;
    clock.advance(61_000);
    say("4", "a", "退红包").await;
    let refused = bot.figures().refused.load(Ordering::Relaxed);
    let mut db = peek(file).await;
    let shares = "SELECT count(*) FROM packet_share WHERE person IS NOT NULL";
    let shares = number(&mut db, shares).await;
    drop(db);
    let broken = bot.store().verify().await.unwrap().broken;
    bot.stop().await.unwrap();
    (refused, shares, broken)
}

/// One test, because what is planted is planted in the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_mistake_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    plant(None);
    assert_eq!(packet(&file("sound.db")).await, (0, 1, Vec::new()));
    plant(Some(Bug::GrabTwice));
    let (refused, shares, broken) = packet(&file("twice.db")).await;
    // The constraint has the last word: the turn is refused, the share is not taken.
    assert!(refused > 0 && shares == 1 && broken.is_empty(), "{refused} {shares} {broken:?}");
    plant(Some(Bug::RefundWithoutKey));
    let (_, _, broken) = packet(&file("refund.db")).await;
    assert!(broken.iter().any(|what| what.starts_with("L6: ")), "{broken:?}");
    plant(None);
}
