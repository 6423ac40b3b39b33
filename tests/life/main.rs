//! The same life on three platforms at once: one bot, one folder of scripts, one config.toml.
//!
//! Somebody joins, reads the rules, checks in, a red packet goes round, news comes in the morning, the
//! core fans are looked at, and features are switched off and on meanwhile. What the bot does must be
//! the same in the console, on QQ and on Discord, and what it says must arrive there.

#[path = "../discord/sim/mod.rs"]
mod discord;
#[path = "../onebot/sim/mod.rs"]
mod onebot;
mod stage;

use stage::{PLATFORMS, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_life_everywhere() {
    let mut stage = Stage::open().await;
    let set = stage.everywhere("阿明", "群规设置 1. 不发广告").await;
    assert!(set.contains("群规已更新"), "{set}");
    let welcome = stage.newcomer("小新").await;
    assert!(welcome.contains("欢迎 小新！") && welcome.contains("不发广告"), "{welcome}");
    let rules = stage.everywhere("小新", "群规").await;
    assert!(rules.contains("📜 群规"), "{rules}");
    let accepted = stage.everywhere("小新", "同意").await;
    assert!(accepted.contains("已同意群规"), "{accepted}");
    let checked_in = stage.everywhere("小红", "签到").await;
    assert!(checked_in.contains("签到成功") && checked_in.contains("Points"), "{checked_in}");
    let packet = stage.everywhere("阿明", "红包 100 2 大家早").await;
    assert!(packet.contains("🧧 阿明 的红包"), "{packet}");
    // Switched off while it runs, nobody answers; on again, the packet is still there.
    stage.switch("red_packet", false).await;
    assert_eq!(stage.everywhere("小红", "抢").await, "");
    stage.switch("red_packet", true).await;
    let grabbed = stage.everywhere("小红", "抢").await;
    assert!(grabbed.contains("已领 #/#") && grabbed.contains("Points"), "{grabbed}");
    stage.switch("daily_news", true).await;
    let night = stage.until_morning().await;
    assert!(night.contains("早报") && night.contains("群岛示例"), "{night}");
    let fans = stage.everywhere("阿明", "核心粉").await;
    assert!(fans.contains("核心粉"), "{fans}");
    let level = stage.everywhere("小红", "我的等级").await;
    assert!(level.contains("小红"), "{level}");
    stage.switch("daily_news", false).await;
    assert!(!stage.until_morning().await.contains("早报"), "switched off, nothing is posted");
    assert_eq!(PLATFORMS.len(), 3);
    stage.close().await;
}
