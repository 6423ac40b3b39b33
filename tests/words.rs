//! Word lists in rules: looked up once, wherever they are named, and seen through disguises.

mod world;

use std::path::Path;

use qundao::clock::{Clock, SystemClock};
use qundao::moderation::WordLists;
use qundao::script::InlineHost;
use qundao::script::lint::unknown_lists;
use qundao::script::protocol::{ScriptHost, ScriptLimits};
use qundao::value::Value;
use world::{Platform, Setup, in_time, memory, message, script};

/// Lists of these names.
fn lists(texts: &[(&str, &str)]) -> WordLists {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in texts {
        std::fs::write(folder.path().join(format!("{name}.txt")), text).unwrap();
    }
    let (lists, problems) = WordLists::load(folder.path());
    assert_eq!(problems, []);
    lists
}

/// What a bot with these scripts says to these messages, without the messages themselves.
async fn said(scripts: &[&str], words: WordLists, texts: &[&str]) -> Vec<String> {
    let platform = Platform::willing();
    let sources = scripts.iter().zip('a'..).map(|(text, name)| script(&name.to_string(), text));
    let mut setup = Setup::new(sources.collect());
    setup.words = words;
    let bot = setup.start(memory().await, &platform).await;
    let now = SystemClock::default().now();
    for (index, text) in texts.iter().enumerate() {
        bot.inbox().offer(message(&format!("m{index}"), "g", "a", text, now), None).await;
    }
    in_time("everything", bot.settled()).await;
    let said = platform.said().into_iter().map(|(_, text)| text).collect();
    bot.stop().await.unwrap();
    said
}

#[tokio::test]
async fn a_rule_hears_the_words_of_its_list_only() {
    let rule = "//! 广告\non_words(\"ads\", |m| m.reply(words::hits(m, \"ads\")[0]));\n";
    let words = lists(&[("ads", "加微信\n刷单\n!刷单骗局\n"), ("other", "你好呀\n")]);
    let texts = ["你好呀", "加 微·信吗", "防范刷单骗局", "ＫＦＣ", "刷\u{200b}单的来"];
    assert_eq!(said(&[rule], words, &texts).await, ["加微信", "刷单"]);
}

#[tokio::test]
async fn lists_are_asked_for_by_name_by_setting_and_by_what_is_computed() {
    let rule = "//! 三种问法\nsetting(\"list\", \"ads\");\n\
        on_message(|m| {\n    let list = \"a\" + \"ds\";\n    \
        let own = words::hits(m, \"names\").len();\n    \
        m.reply(`${words::has(m, cfg(\"list\"))} ${words::hits(m, list)} ${own} \
        ${words::hits(\"兼 职\", cfg(\"list\"))} ${words::has(m, \"none\")}`);\n});\n";
    let words = lists(&[("ads", "刷单\n兼职\n"), ("names", "小红帽\n")]);
    let said = said(&[rule], words, &["刷单", "小红帽"]).await;
    assert_eq!(said, ["true [\"刷单\"] 0 [\"兼职\"] false", "false [] 1 [\"兼职\"] false"]);
}

#[tokio::test]
async fn rules_that_wait_for_the_same_keyword_all_hear_it() {
    let rule = |answer: &str, words: &str| {
        format!("//! 关键词\non_keyword({words}, |m| m.reply(\"{answer}\"));\n")
    };
    let (one, two, three) =
        (rule("一", "[\"早安\", \"OK\"]"), rule("二", "\"早\""), rule("三", "\"晚安\""));
    let texts = ["大家早安", "ok", "晚了", "早点说晚安"];
    let said = said(&[&one, &two, &three], WordLists::default(), &texts).await;
    assert_eq!(said, ["一", "二", "一", "二", "三"]);
}

#[test]
fn a_list_that_nobody_has_written_is_named_with_its_place() {
    let host = InlineHost::new(ScriptLimits::default()).unwrap();
    let text = "//! 打错的名字\nsetting(\"list\", \"ad\");\non_words(\"spam\", |m| m.delete(\"x\"));\n\
        on_message(|m| { if words::has(m, cfg(\"list\")) { m.delete(\"x\"); } });\n";
    let manifest = host.check(&script("typo", text)).unwrap();
    let config = qundao::config::Config::default();
    let resolved = qundao::config::resolve(&config, std::slice::from_ref(&manifest)).unwrap();
    let words = lists(&[("ads", "刷单\n")]);
    let shown: Vec<String> =
        unknown_lists(&[manifest], &resolved, &words).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "scripts/typo.rhai:3:10: there is no word list `spam`: write scripts/words/spam.txt, \
             one word a line",
            "scripts/typo.rhai:4:35: there is no word list `ad`, which the setting `list` names: \
             did you mean `ads`?",
        ]
    );
}

#[test]
fn a_setting_that_is_no_text_names_no_list() {
    let used = qundao::script::protocol::ListName::Setting("list".into());
    assert_eq!(used.resolve(&[("list".to_owned(), Value::Int(3))].into()), None);
}

#[test]
fn every_list_that_ships_is_used_by_its_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (words, _) = WordLists::load(&folder.join("scripts/words"));
    let (sources, _) = qundao::script::load::read(&folder.join("scripts"), &folder.join("rules"));
    let host = InlineHost::new(ScriptLimits::default()).unwrap();
    let manifests: Vec<_> = sources.iter().map(|source| host.check(source).unwrap()).collect();
    let config = qundao::config::Config::default();
    let resolved = qundao::config::resolve(&config, &manifests).unwrap();
    assert_eq!(unknown_lists(&manifests, &resolved, &words), []);
    let named = manifests.iter().flat_map(|manifest| &manifest.lists).count();
    assert_eq!(named, 1, "no-ads names its list by its setting");
}
