//! What becomes of a feature's commands, timers, state and packets when it is turned off, changed
//! or deleted.

use qundao::report::Line;

use crate::stage::Stage;

const COUNT: &str = "//! 计数。\n\
    command(\"数\", |c| c.reply(\"\" + state::incr(c.member, \"n\")));\n\
    command(\"等\", |c| after(\"1h\", \"done\"));\n\
    on_timer(\"done\", |t| say(\"时间到\"));\n";
const OFF: &str = "[features.count]\nenabled = false\n";

#[tokio::test]
async fn a_feature_that_is_off_is_silent_and_comes_back_with_its_state() {
    let mut stage = Stage::with(&[("scripts/count.rhai", COUNT)]).await;
    assert_eq!(stage.hear("阿明", "数").await, ["1"]);
    stage.say("阿明", "等").await;
    stage.write("config.toml", OFF);
    assert_eq!(stage.notice().await, "重新加载：`[features.count] enabled: ∅ → false`");
    assert_eq!(stage.say("阿明", "数").await, []);
    assert_eq!(stage.pass(2 * 3_600_000).await, [], "its timers are not heard");
    stage.write("config.toml", &OFF.replace("false", "true"));
    stage.reload().await;
    assert_eq!(stage.hear("阿明", "数").await, ["2"]);
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn timers_die_with_their_script() {
    let mut stage = Stage::with(&[("scripts/count.rhai", COUNT)]).await;
    stage.say("阿明", "等").await;
    assert!(stage.bot.next_due().is_some());
    std::fs::remove_file(stage.folder.path().join("scripts/count.rhai")).unwrap();
    assert_eq!(stage.notice().await, "重新加载：脚本 count");
    assert_eq!(stage.lines().await, []);
    assert_eq!(stage.bot.next_due(), None);
    assert!(stage.bot.store().start().await.unwrap().timers.is_empty(), "its rows are gone");
    stage.write("scripts/count.rhai", COUNT);
    stage.reload().await;
    assert_eq!(stage.pass(2 * 3_600_000).await, [], "an old timer does not come back with it");
    assert_eq!(stage.hear("阿明", "数").await, ["1"]);
    stage.bot.stop().await.unwrap();
}

const PACKET: &str = include_str!("../../scripts/red_packet.rhai");

/// A packet is refunded whatever became of the script that words it.
async fn refunds_without(change: impl FnOnce(&Stage)) {
    let mut stage = Stage::with(&[("scripts/red_packet.rhai", PACKET)]).await;
    stage.seed(&[("阿明", 100), ("小红", 0), ("老王", 0)]).await;
    let sent = stage.say("阿明", "红包 60 2").await;
    assert!(matches!(sent[0], Line::Points { delta: -60, .. }), "{sent:?}");
    change(&stage);
    assert!(!stage.reload().await.is_refused);
    assert_eq!(stage.say("小红", "抢").await, [], "nobody can grab now");
    let points = |lines: &[Line]| lines.iter().any(|l| matches!(l, Line::Points { delta: 60, .. }));
    let lines = stage.pass(24 * 3_600_000).await;
    assert!(points(&lines) && lines.len() == 1, "the points come back without a word: {lines:?}");
    let found = stage.bot.store().verify().await.unwrap();
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    assert!(stage.bot.store().start().await.unwrap().timers.is_empty());
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_packet_is_refunded_while_its_feature_is_off() {
    refunds_without(|stage| {
        stage.write("config.toml", "[features.red_packet]\nenabled = false\n");
    })
    .await;
}

#[tokio::test]
async fn a_packet_is_refunded_after_its_script_was_deleted() {
    refunds_without(|stage| {
        std::fs::remove_file(stage.folder.path().join("scripts/red_packet.rhai")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_rule_goes_from_live_to_shadow_and_back() {
    let rule = "//! 禁。\non_keyword([\"广告\"], |m| { m.delete(\"广告\"); stop(); });\n";
    let mut stage = Stage::with(&[("rules/ads.rhai", rule), ("scripts/count.rhai", COUNT)]).await;
    let deleted = Line::Deleted { reason: "广告".to_owned() };
    assert_eq!(stage.say("阿明", "广告").await, std::slice::from_ref(&deleted));
    stage.write("config.toml", "[rules.ads]\nmode = 'shadow'\n");
    assert_eq!(stage.notice().await, "重新加载：`[rules.ads] mode: ∅ → \"shadow\"`");
    let lines = stage.say("阿明", "广告").await;
    assert!(matches!(&lines[..], [Line::Shadow { line, .. }] if **line == deleted), "{lines:?}");
    stage.write("config.toml", "[rules.ads]\nmode = 'live'\n");
    stage.reload().await;
    assert_eq!(stage.say("阿明", "广告").await, [deleted]);
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_version_is_not_punished_for_the_old_one() {
    let bad = "//! 坏。\non_keyword(\"算\", |m| m.reply(\"\" + 1 / 0));\n";
    let mut stage = Stage::with(&[("scripts/sum.rhai", bad)]).await;
    for _ in 0..3 {
        let lines = stage.say("阿明", "算").await;
        assert!(matches!(lines[..], [Line::Failed { .. }]), "{lines:?}");
    }
    assert_eq!(stage.say("阿明", "算").await, [], "it pauses");
    stage.write("scripts/sum.rhai", &bad.replace("1 / 0", "1 / 1"));
    stage.reload().await;
    assert_eq!(stage.hear("阿明", "算").await, ["1"]);
    stage.bot.stop().await.unwrap();
}
