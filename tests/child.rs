//! Scripts in a process of their own: what ends that process costs its own event and nothing
//! else, is told with its place, and loses its place when it does so again.
#![cfg(unix)]

mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qundao::bot::Bot;
use qundao::child::{ChildHost, Program};
use qundao::clock::{Clock, SystemClock};
use qundao::script::protocol::Source;
use world::{Platform, Setup, in_time, memory, message, script, shipped};

/// Wants more memory than there is, after it has already changed something.
const GREEDY: &str = "//! 耗尽内存
on_keyword([\"开火\"], |m| {
    state::set(m.group, \"greedy\", 1);
    let held = #{};
    let n = 0;
    loop { held[\"k\" + n] = \"x\".repeat(4000000); n += 1; }
});
";
/// One native call that takes seconds.
const STUCK: &str = "//! 一去不回
on_keyword([\"卡住\"], |m| { \"éß\".repeat(50000000).to_upper(); });
";
/// Answers with how often it was asked here.
const COUNT: &str = "//! 数数\non_message(|m| m.reply(`${state::incr(m.group, \"n\")}`));\n";
/// The version before GREEDY.
const GENTLE: &str = "//! 从前\non_keyword([\"开火\"], |m| m.reply(\"砰\"));\n";

/// Works until its time is over.
const LAZY: &str = "//! 慢慢来\non_keyword([\"算\"], |m| { loop { } });\n";

fn program() -> Program {
    Program::at(PathBuf::from(env!("CARGO_BIN_EXE_qundao")))
}

/// A bot whose scripts may do what kills: the limits inside the engine are raised, so that those
/// of the process are what is left.
async fn bot(sources: Vec<Source>, platform: &Arc<Platform>) -> Bot {
    bot_with(sources, platform, (300, 512)).await
}

/// The same within so many milliseconds of a handler and so much memory, MiB.
async fn bot_with(sources: Vec<Source>, platform: &Arc<Platform>, within: (u64, u64)) -> Bot {
    let mut setup = Setup::new(sources);
    let limits = &mut setup.config.limits.script;
    (limits.handler_ms, limits.memory_mib) = within;
    (limits.string_bytes, limits.entries) = (1 << 40, 1_000_000);
    limits.operations = 1 << 40;
    let host = ChildHost::with_threads(program(), limits.clone(), 2).await.unwrap();
    setup.host = Some(Arc::new(host));
    setup.start(memory().await, platform).await
}

fn one_to(n: usize) -> Vec<String> {
    (1..=n).map(|n| n.to_string()).collect()
}

fn said_in(platform: &Platform, group: &str) -> Vec<String> {
    let said = platform.said().into_iter();
    said.filter(|(place, _)| place == group).map(|(_, text)| text).collect()
}

async fn say(bot: &Bot, key: &str, group: &str, text: &str) {
    let now = SystemClock::default().now();
    bot.inbox().offer(message(key, group, "a", text, now), None).await;
}

fn told(notices: &mut tokio::sync::mpsc::UnboundedReceiver<qundao::report::Notice>) -> Vec<String> {
    std::iter::from_fn(|| notices.try_recv().ok()).map(|notice| notice.text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_do_there_what_they_do_here() {
    let platform = Platform::willing();
    let sources = vec![script("count", COUNT), shipped("checkin"), shipped("points")];
    let bot = bot(sources, &platform).await;
    for n in 0..500 {
        say(&bot, &format!("m{n}"), &format!("g{}", n % 10), "你好").await;
    }
    in_time("everything", bot.settled()).await;
    for group in 0..10 {
        assert_eq!(said_in(&platform, &format!("g{group}")), one_to(50));
    }
    // A host call that has to be fetched first, and one that is refused.
    for (key, text) in [("a", "签到"), ("b", "签到"), ("c", "积分明细")] {
        say(&bot, key, "g1", text).await;
    }
    in_time("everything", bot.settled()).await;
    let said = said_in(&platform, "g1").split_off(50).join("\n");
    for part in ["签到成功 +6", "今天已经签到过了", "+6 签到"] {
        assert!(said.contains(part), "{said}");
    }
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_the_process_costs_its_own_handler_and_then_its_place() {
    let platform = Platform::willing();
    let sources = vec![script("a-gun", GREEDY), script("count", COUNT)];
    let bot = bot(sources, &platform).await;
    let mut notices = bot.notices();
    for n in 0..300 {
        say(&bot, &format!("m{n}"), &format!("g{}", n % 10), "你好").await;
        if n == 100 {
            say(&bot, "shot", "g3", "开火").await;
        }
    }
    in_time("everything", bot.settled()).await;
    for group in 0..10 {
        let expected = if group == 3 { one_to(31) } else { one_to(30) };
        // The shot itself was counted by the other script, and nothing of the gun is left.
        assert_eq!(said_in(&platform, &format!("g{group}")), expected);
    }
    let mut told = told(&mut notices);
    let kills: Vec<_> = told.iter().filter(|text| text.contains("was replaced")).collect();
    // The first may have hit while another handler ran too, and is held against nobody then.
    assert!((2..=3).contains(&kills.len()), "{told:#?}");
    for kill in &kills {
        assert!(kill.starts_with("scripts/a-gun.rhai:2:"), "{kill}");
        assert!(kill.contains("wanted more memory"), "{kill}");
    }
    let left_out = told.iter().any(|text| text.contains("left out for this event"));
    assert!(left_out, "{told:#?}");
    // Whatever it does next, it is out of force then, and the same text does not come back.
    say(&bot, "again", "g4", "开火").await;
    in_time("the next shot", bot.settled()).await;
    assert_eq!(said_in(&platform, "g4"), one_to(31));
    told.extend(self::told(&mut notices));
    let gone = told.iter().filter(|text| text.contains("out of force until its file is changed"));
    assert_eq!(gone.count(), 1, "{told:#?}");
    let sources = vec![script("a-gun", GREEDY), script("count", COUNT)];
    let problems = bot.reload(bot.config(), sources, None).await.unwrap();
    assert!(
        problems[0].contains("taken out of force because it wanted more memory"),
        "{problems:?}"
    );
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_takes_the_place_of_one_that_ends_processes() {
    let platform = Platform::willing();
    let bot = bot(vec![script("gun", GENTLE), script("count", COUNT)], &platform).await;
    let mut notices = bot.notices();
    say(&bot, "first", "g1", "开火").await;
    in_time("the first shot", bot.settled()).await;
    assert_eq!(said_in(&platform, "g1"), ["1", "砰"], "{:#?}", told(&mut notices));
    let sources = vec![script("gun", GREEDY), script("count", COUNT)];
    assert_eq!(bot.reload(bot.config(), sources, None).await.unwrap(), Vec::<String>::new());
    say(&bot, "second", "g1", "开火").await;
    in_time("the second shot", bot.settled()).await;
    assert_eq!(said_in(&platform, "g1"), ["1", "砰", "2"]);
    say(&bot, "third", "g1", "开火").await;
    in_time("the third shot", bot.settled()).await;
    assert_eq!(said_in(&platform, "g1"), ["1", "砰", "2", "3", "砰"]);
    let told = told(&mut notices);
    assert!(
        told.iter().any(|text| text.contains("the version before it is in force again")),
        "{told:#?}"
    );
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_does_not_come_back_ends_with_its_process() {
    let platform = Platform::willing();
    let bot =
        bot_with(vec![script("stuck", STUCK), script("count", COUNT)], &platform, (50, 4096)).await;
    let mut notices = bot.notices();
    for n in 0..200 {
        say(&bot, &format!("m{n}"), &format!("g{}", n % 10), "你好").await;
        if n == 50 {
            say(&bot, "stuck", "g3", "卡住").await;
        }
    }
    in_time("everything", bot.settled()).await;
    for group in 0..10 {
        let expected = if group == 3 { one_to(21) } else { one_to(20) };
        assert_eq!(said_in(&platform, &format!("g{group}")), expected);
    }
    let told = told(&mut notices);
    assert!(told.iter().any(|text| text.contains("did not come back for")), "{told:#?}");
    bot.stop().await.unwrap();
}

/// On one thread, so that the clock can be set.
#[tokio::test]
async fn a_child_that_had_nothing_to_say_is_not_taken_for_dead() {
    let platform = Platform::willing();
    let bot = bot(vec![script("a-lazy", LAZY), script("count", COUNT)], &platform).await;
    let mut notices = bot.notices();
    for n in 0..3 {
        // Far longer than a child with work may be silent.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(5)).await;
        tokio::time::resume();
        // Long enough for the supervisor to look at its children meanwhile.
        say(&bot, &format!("m{n}"), "g", "算").await;
        in_time("the answer", bot.settled()).await;
    }
    assert_eq!(said_in(&platform, "g"), one_to(3));
    let told = told(&mut notices);
    assert!(!told.iter().any(|text| text.contains("was replaced")), "{told:#?}");
    bot.stop().await.unwrap();
}
