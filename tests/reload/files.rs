//! What stands on the disk, good and bad: the good is put in force, the bad keeps its old version
//! and is told with its place.

use std::time::Duration;

use crate::stage::Stage;

const ECHO: &str = "//! 回声。\nsetting(\"mark\", \"一\");\n\
                    command(\"喊\", |c| c.reply(cfg(\"mark\") + \"版\"));\n";
const CHAT: &str = "+++\n[member.\"阿明\"]\n+++\n阿明: 喊\n    > 一版\n";

async fn stage() -> Stage {
    Stage::with(&[("scripts/echo.rhai", ECHO), ("scripts/echo.chat", CHAT)]).await
}

#[tokio::test]
async fn a_good_version_replaces_the_old_one() {
    let mut stage = stage().await;
    assert_eq!(stage.hear("阿明", "喊").await, ["一版"]);
    assert!(stage.reload().await.is_same());
    stage.write("scripts/echo.rhai", &ECHO.replace("版", "号"));
    stage.write("scripts/echo.chat", &CHAT.replace("版", "号"));
    assert_eq!(stage.notice().await, "重新加载：脚本 echo");
    assert_eq!(stage.hear("阿明", "喊").await, ["一号"]);
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_script_that_does_not_compile_keeps_its_old_version() {
    let mut stage = stage().await;
    stage.write("scripts/echo.rhai", &ECHO.replace("c.reply(", "c.replay("));
    stage.write("scripts/new.rhai", "command(\"新\", |c| c.reply(\"新的\"));\n");
    let notice = stage.notice().await;
    assert!(notice.starts_with("重新加载：脚本 new\n有问题的部分不变：\n"), "{notice}");
    assert!(notice.contains("scripts/echo.rhai:3:"), "{notice}");
    assert!(notice.contains("the old version stays in use"), "{notice}");
    assert_eq!(stage.hear("阿明", "喊").await, ["一版"]);
    assert_eq!(stage.hear("阿明", "新").await, ["新的"], "the others are put in force");
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_script_whose_transcript_fails_keeps_its_old_version() {
    let mut stage = stage().await;
    stage.write("scripts/echo.rhai", &ECHO.replace("版", "号"));
    let notice = stage.notice().await;
    assert!(notice.contains("scripts/echo.chat:4: the transcript went otherwise"), "{notice}");
    assert!(notice.contains("-     > 一版") && notice.contains("+     > 一号"), "{notice}");
    assert!(notice.contains("the old version stays in use"), "{notice}");
    assert_eq!(stage.hear("阿明", "喊").await, ["一版"]);

    // The transcript is mended, the script is as it was on the disk: now it is good.
    stage.write("scripts/echo.chat", &CHAT.replace("版", "号"));
    assert_eq!(stage.notice().await, "重新加载：脚本 echo");
    assert_eq!(stage.hear("阿明", "喊").await, ["一号"]);

    // A transcript alone that goes wrong is told, and told once.
    stage.write("scripts/echo.chat", CHAT);
    assert!(stage.notice().await.contains("scripts/echo.chat:4: "));
    assert_eq!(stage.hear("阿明", "喊").await, ["一号"]);
    assert!(stage.reload().await.is_same());
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_transcript_that_takes_too_long_keeps_the_old_version() {
    let mut stage = stage().await;
    stage.reloader = qundao::workbench::reload::Reloader::new(stage.bot.config())
        .with_limit(Duration::from_millis(300));
    stage.write(
        "scripts/echo.rhai",
        &format!("{ECHO}on_timer(\"again\", |t| after(\"1s\", \"again\"));\n")
            .replace("|c| c.reply(", "|c| { after(\"1s\", \"again\"); c.reply(")
            .replace("\"版\"));", "\"版\"); });"),
    );
    stage.write("scripts/echo.chat", &format!("{CHAT}+30d\n"));
    let notice = stage.notice().await;
    assert!(
        notice.contains("scripts/echo.chat: this transcript takes longer than 0.3 s"),
        "{notice}"
    );
    assert_eq!(stage.hear("阿明", "喊").await, ["一版"]);
    assert_eq!(stage.bot.next_due(), None, "the old version sets no timer");
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing() {
    let mut stage = stage().await;
    stage.write("config.toml", "[bot]\nlocale = 'zh'\ntimezone = 'Asia/Shanghay'\n");
    stage.write("scripts/echo.rhai", &ECHO.replace("版", "号"));
    let notice = stage.notice().await;
    assert!(notice.starts_with("没有重新加载，一切照旧：\nconfig.toml:3:"), "{notice}");
    assert!(notice.contains("Asia/Shanghai"), "the next step: {notice}");
    assert_eq!(stage.hear("阿明", "喊").await, ["一版"]);
    for broken in ["", "[bot"] {
        stage.write("config.toml", broken);
        assert!(stage.reload().await.is_refused, "{broken:?}");
    }
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn settings_are_checked_against_the_new_versions() {
    let mut stage = stage().await;
    stage.write("config.toml", "[features.echo]\nmark = '二'\nmurk = 1\n");
    let notice = stage.notice().await;
    assert!(notice.contains("config.toml:3:1: `/features/echo/murk`"), "{notice}");
    assert!(notice.contains("`mark`"), "the nearest name: {notice}");
    assert_eq!(stage.hear("阿明", "喊").await, ["一版"], "not even the good half");

    // A setting that comes with its script.
    let both = ECHO.replace("\"一\");", "\"一\"); setting(\"murk\", 0);");
    stage.write("scripts/echo.rhai", &both);
    let notice = stage.notice().await;
    assert!(notice.contains("`[features.echo] mark: ∅ → \"二\"`"), "{notice}");
    assert_eq!(stage.hear("阿明", "喊").await, ["二版"]);

    // A setting that goes with its script, while config.toml still has it.
    stage.write("scripts/echo.rhai", ECHO);
    assert!(stage.reload().await.is_refused);
    stage.write("config.toml", "[features.echo]\nmark = '三'\n");
    assert!(!stage.reload().await.is_refused);
    assert_eq!(stage.hear("阿明", "喊").await, ["三版"]);
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn half_a_file_waits_for_the_other_half() {
    let mut stage = stage().await;
    let next = ECHO.replace("版", "号");
    stage.write("scripts/echo.chat", &CHAT.replace("版", "号"));
    for length in 0..next.len() {
        let Some(half) = next.get(..length) else { continue };
        stage.write("scripts/echo.rhai", half);
        if length % 9 == 0 {
            stage.reload().await;
            assert_eq!(stage.hear("阿明", "喊").await, ["一版"], "{half:?}");
            stage.clock.set(qundao::clock::Clock::now(&*stage.clock) + 60_000);
        }
    }
    stage.write("scripts/echo.rhai", &next);
    assert_eq!(stage.notice().await, "重新加载：脚本 echo");
    assert_eq!(stage.hear("阿明", "喊").await, ["一号"]);
    stage.bot.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_change_now_is_said_and_the_rest_is_done() {
    let mut stage = stage().await;
    let text = "[bot]\nlocale = 'zh'\ndata = 'elsewhere'\nscripts = 'nowhere'\n\
                [features.echo]\nmark = '二'\n[limits]\nscript_operations = 5000\ncommands = 1\n";
    stage.write("config.toml", text);
    let notice = stage.notice().await;
    for part in [
        "`[bot] data: \"data\" → \"elsewhere\"`（重启后生效）",
        "`[features.echo] mark: ∅ → \"二\"`;",
        "`[limits] script_operations: 2000000 → 5000`（重启后生效）",
    ] {
        let notice = notice.replace(&format!("{}", stage.folder.path().display()), "");
        let notice = notice.replace("\"/", "\"");
        assert!(notice.contains(part), "{part} in {notice}");
    }
    assert_eq!(stage.hear("阿明", "喊").await, ["二版"], "scripts/ is still read where it was");
    let refused = stage.say("阿明", "喊").await;
    assert!(format!("{refused:?}").contains("busy"), "one command in the period: {refused:?}");
    assert!(stage.reload().await.is_same(), "said once");
    stage.bot.stop().await.unwrap();
}
