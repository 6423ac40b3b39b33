//! Rules of red packets that a transcript cannot show: who is faster than anybody can read, and limits
//! over groups.

use qundao::config::ScriptConfig;

use crate::books::{Chat, refused};
use crate::world::{Setup, memory, shipped};

#[tokio::test]
async fn who_is_always_faster_than_anybody_can_read_is_told_to_the_managers() {
    let mut chat = Chat::open(memory().await, Setup::new(vec![shipped("red_packet")])).await;
    chat.seed("g", 1000).await;
    for round in 1..=6 {
        chat.say("g", "boss", "平均红包 4 2").await;
        // At the same moment: no human reads that fast.
        let lines = chat.offer(&format!("quick{round}"), "g", "a", "抢").await;
        assert!(!refused(&lines, "cooldown"), "{lines:?}");
        chat.say("g", "b", "抢").await;
        let told = chat.told();
        if round == 5 {
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("a took 5 red packets within 300 ms"), "{told:?}");
        } else {
            assert_eq!(told, Vec::<String>::new(), "round {round}");
        }
        chat.pass(60_000).await;
    }
    chat.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_packet_lives_a_day_at_most() {
    let mut setup = Setup::new(vec![shipped("red_packet")]);
    let text = "[features.red_packet]\nexpires = \"30d\"\n";
    let config =
        qundao::config::parse(text, std::path::Path::new("config.toml"), &|_| None).unwrap();
    let own: ScriptConfig = config.scripts.features["red_packet"].clone();
    setup.config.source = config.source.clone();
    setup.config.scripts.features.insert("red_packet".to_owned(), own);
    let mut chat = Chat::open(memory().await, setup).await;
    chat.seed("g", 100).await;
    chat.say("g", "a", "平均红包 10 2").await;
    chat.pass(24 * 3_600_000 - 3000).await;
    assert!(!refused(&chat.say("g", "b", "抢").await, "expired"));
    chat.pass(1000).await;
    assert!(refused(&chat.say("g", "c", "抢").await, "expired"));
    chat.bot.stop().await.unwrap();
}
