//! S9: a rule that matches everybody removes a few, and then a human is asked. S16: commands that
//! are left undone are told, once a minute.

use qundao::bot::{Bot, SeedMember};
use qundao::clock::VirtualClock;
use qundao::effect::Call;
use qundao::event::{Element, EventKind};
use qundao::value::Role;

use crate::world::{
    Platform, Setup, event, group_ref, in_time, message, person_ref, script, seed, sqlite,
};

const START: i64 = 1_790_000_000_000;
const WILD: &str = "//! 谁来都踢\non_join(|j| { j.member.kick(\"可疑\"); });\n\
    command(\"踢 <who:user>\", #{ role: \"mod\" }, |c| { c.who.kick(\"手动\"); });";

fn kicked(platform: &Platform) -> usize {
    let requests = platform.requests.lock().unwrap();
    requests.iter().filter(|request| matches!(request.call, Call::Kick { .. })).count()
}

async fn raid(bot: &Bot, clock: &VirtualClock, from: usize, count: usize, each_ms: i64) {
    use qundao::clock::Clock as _;
    for n in from..from + count {
        let joined = EventKind::Joined { inviter: None };
        let name = format!("m{n}");
        bot.inbox().offer(event(&format!("j{n}"), "g", &name, joined, clock.now()), None).await;
        in_time("a join", bot.settled()).await;
        clock.set(clock.now() + each_ms);
    }
}

#[tokio::test]
async fn a_rule_that_matches_everybody_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    for (members, cap) in [(0, 3), (700, 5)] {
        let _ = std::fs::remove_file(&path);
        let clock = VirtualClock::starting_at(START);
        let platform = Platform::willing();
        let start = async || {
            let mut setup = Setup::new(vec![script("wild", WILD)]);
            setup.clock = clock.clone();
            setup.start(sqlite(&path).await, &platform).await
        };
        let bot = start().await;
        let admin = SeedMember { role: Role::Mod, ..seed("版主", 0, START) };
        let mut people = vec![admin, seed("甲", 0, START)];
        people.extend((0..members).map(|n| seed(&format!("old{n}"), 0, START)));
        bot.seed_members(&group_ref("g"), people).await.unwrap();
        let mut notices = bot.notices();
        raid(&bot, &clock, 0, 500, 1).await;
        assert_eq!(kicked(&platform), cap, "of 500 in half a second, {members} members");
        let mut told = Vec::new();
        while let Ok(notice) = notices.try_recv() {
            told.push(notice.text);
        }
        let told: Vec<_> = told.iter().filter(|text| text.contains("limit `removals")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        // A restart forgets nothing, and a human's order is a human's.
        bot.stop().await.unwrap();
        let bot = start().await;
        raid(&bot, &clock, 500, 20, 1).await;
        assert_eq!(kicked(&platform), cap, "after a restart");
        let elements = [
            Element::Text("踢 ".into()),
            Element::Mention { id: person_ref("甲"), name: "甲".into() },
        ];
        let kind = EventKind::Message {
            id: "x".into(),
            elements: elements.into(),
            quote: None,
            to_bot: false,
        };
        let now = START + 1000;
        bot.inbox().offer(event("x", "g", "版主", kind, now), None).await;
        in_time("an order", bot.settled()).await;
        assert_eq!(kicked(&platform), cap + 1);
        // Never more than the cap in any hour.
        clock.set(START + 3_700_000);
        raid(&bot, &clock, 600, 100, 30_000).await;
        // Who came with the raid and stayed is a member by now.
        let hourly = 3.max((members + 2 + 520) / 100);
        assert_eq!(kicked(&platform), cap + 1 + hourly);
        bot.stop().await.unwrap();
    }
}

#[tokio::test]
async fn commands_that_are_left_undone_are_told_once_a_minute() {
    let clock = VirtualClock::starting_at(START);
    let platform = Platform::willing();
    let mut setup =
        Setup::new(vec![script("echo", "//! 回\ncommand(\"喊\", |c| c.reply(\"在\"));")]);
    setup.clock = clock.clone();
    let bot = setup.start(crate::world::memory().await, &platform).await;
    let mut notices = bot.notices();
    let offer = async |n: usize, at: i64| {
        bot.inbox().offer(message(&format!("k{n}"), "g", "吵", "喊", at), None).await;
    };
    // A hundred in a minute, ten of them in time.
    for n in 0..100 {
        let at = START + n as i64 * 10;
        clock.set(at);
        offer(n, at).await;
    }
    in_time("a hundred", bot.settled()).await;
    assert_eq!(platform.said().len(), 5);
    let later = START + 61_000;
    clock.set(later);
    for n in 100..110 {
        offer(n, later).await;
    }
    in_time("ten more", bot.settled()).await;
    bot.stop().await.unwrap();
    let mut told = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        told.push(notice.text);
    }
    let counts: Vec<u64> = told
        .iter()
        .filter_map(|text| text.split(": ").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(counts, [1, 95], "{told:?}");
}
