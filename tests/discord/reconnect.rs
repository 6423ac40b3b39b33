//! Connections that break in every way: nothing is lost that Discord replays, nothing comes twice,
//! and sessions are begun sparingly.

use std::time::Duration;

use qundao::adapter::discord::{Dropped, Pacing};
use qundao::event::EventKind;
use serde_json::json;

use crate::rig::{Rig, channel, done, hurried, say, words};
use crate::sim::gateway::Break;
use crate::sim::world::{CHANNEL, SOMEBODY};
use crate::sim::{Options, Sim};

fn nth(n: usize) -> Break {
    match n % 10 {
        0 | 5 => Break::Drop,
        1 | 6 => Break::Close(4000),
        2 | 7 => Break::Reconnect,
        3 => Break::Invalid { resumable: true },
        4 => Break::Close(4009),
        8 => Break::Close(1001),
        _ => Break::Invalid { resumable: false },
    }
}

#[tokio::test]
async fn after_a_hundred_breaks_one_message_is_one_event_and_one_answer() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let mut before = sim.made();
    for n in 0..100 {
        sim.disturb(nth(n)).await;
        sim.until_alive(before.0 + before.1 + 1).await;
        before = sim.made();
    }
    sim.say(CHANNEL, SOMEBODY, "还在吗");
    let events = rig.inbox.wait("message", 1).await;
    sim.say(CHANNEL, SOMEBODY, "完");
    rig.inbox.wait("message", 2).await;
    let told: Vec<String> = rig.inbox.of("message").iter().map(words).collect();
    assert_eq!(told, ["还在吗", "完"]);
    done(rig.answer(&events[0], false, "在").await);
    assert_eq!(sim.world(|world| world.by_bot(CHANNEL)), ["在"]);
    let (identified, resumed) = sim.made();
    assert!(resumed >= 70 && identified <= 31, "{identified} identified, {resumed} resumed");
    assert_eq!(sim.complaints(), Vec::<String>::new());
    assert_eq!(rig.discord.dropped(Dropped::Unreadable), 0);
}

#[tokio::test]
async fn what_is_said_while_the_connection_is_away_arrives_once() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    for (n, how) in [Break::Drop, Break::Close(4000), Break::Invalid { resumable: false }]
        .into_iter()
        .enumerate()
    {
        let (identified, resumed) = sim.made();
        sim.disturb(how).await;
        // Kept for the session that resumes; the history has it in any case.
        sim.say(CHANNEL, SOMEBODY, &format!("第 {n} 句"));
        sim.until_alive(identified + resumed + 1).await;
        sim.say(CHANNEL, SOMEBODY, &format!("之后 {n}"));
        let mut keys: Vec<_> = Vec::new();
        while keys.len() < 2 * (n + 1) {
            rig.inbox.wait("message", 2 * (n + 1)).await;
            // A message may be told by the history and by the session; its key is the same.
            keys = rig.inbox.of("message").iter().map(|it| it.key.clone()).collect();
            keys.sort();
            keys.dedup();
            tokio::task::yield_now().await;
        }
        assert_eq!(keys.len(), 2 * (n + 1));
    }
}

#[tokio::test]
async fn a_session_that_begins_anew_asks_the_history_and_records_the_gap() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    sim.say(CHANNEL, SOMEBODY, "之前");
    rig.inbox.wait("message", 1).await;
    // 120 messages, said a minute ago as far as the history knows.
    let now = sim.inner.now();
    sim.disturb(Break::Invalid { resumable: false }).await;
    for n in 0..120 {
        sim.keep_at(CHANNEL, SOMEBODY, json!({ "content": format!("漏掉 {n}") }), now + 1 + n);
    }
    sim.until_alive(2).await;
    let gap = rig.inbox.wait("gap", 1).await.remove(0);
    assert!(matches!(gap.kind, EventKind::Gap { filled: 120, .. }), "{gap:?}");
    let told: Vec<String> = rig.inbox.of("message").iter().map(words).collect();
    assert_eq!(told.len(), 121);
    assert_eq!((told[1].as_str(), told[120].as_str()), ("漏掉 0", "漏掉 119"));
    let pages = sim.calls_to("GET", &format!("/channels/{CHANNEL}/messages"));
    assert_eq!(pages.len(), 2, "two pages, not one more");
}

#[tokio::test]
async fn an_earlier_process_is_followed_up() {
    use qundao::adapter::Adapter as _;
    let sim = Sim::start(Options::default()).await;
    let now = sim.inner.now();
    sim.keep_at(CHANNEL, SOMEBODY, json!({ "content": "很久以前" }), now - 900_000);
    sim.keep_at(CHANNEL, SOMEBODY, json!({ "content": "停机时" }), now - 300_000);
    let discord = crate::rig::discord(&sim, qundao::clock::SystemClock::with_offset(0), hurried());
    discord.heard_before(&[crate::rig::person(CHANNEL)], now - 600_000);
    let rig = Rig::of(discord);
    rig.inbox.wait("gap", 1).await;
    let told = rig.inbox.of("message");
    assert_eq!(told.iter().map(words).collect::<Vec<_>>(), ["停机时"]);
    assert!(told[0].backfilled, "it is not answered");
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_left() {
    let heartbeat = Duration::from_millis(300);
    let sim = Sim::start(Options { heartbeat, ..Options::default() }).await;
    let rig = Rig::on(&sim).await;
    sim.disturb(Break::Deaf).await;
    sim.until_alive(2).await;
    sim.say(CHANNEL, SOMEBODY, "听得到");
    let events = rig.inbox.wait("message", 1).await;
    assert_eq!(words(&events[0]), "听得到");
}

#[tokio::test]
async fn what_can_never_work_ends_with_what_to_do() {
    let sim = Sim::start(Options { intents_allowed: false, ..Options::default() }).await;
    let mut rig = Rig::paced(&sim, hurried());
    let error = crate::world::in_time("the end", &mut rig.run).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("Message Content Intent"), "{error}");
    let mut section = crate::rig::section(&sim.base_url());
    let wrong = qundao::config::Secret::new("MTIz.wrong.token".to_owned());
    section.secrets.insert("token".to_owned(), wrong);
    let clock = qundao::clock::SystemClock::with_offset(0);
    let mut rig = Rig::of(crate::rig::with(&section, clock, hurried()));
    let error = crate::world::in_time("the end", &mut rig.run).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("make a new one"), "{error}");
    // Nothing is called any more.
    let before = sim.calls().len();
    let outcome = rig.send(channel(CHANNEL), say("早")).await;
    let why = qundao::adapter::Barred::Token;
    assert!(
        matches!(&outcome, qundao::adapter::Outcome::Closed { why: told, .. } if *told == why),
        "{outcome:?}"
    );
    assert_eq!((sim.calls().len(), before), (1 + 1, 2), "one question each where the gateway is");
}

#[tokio::test]
async fn sessions_are_not_begun_in_haste() {
    let sim = Sim::start(Options::default()).await;
    let pacing = Pacing { spacing: Duration::from_millis(700), ..hurried() };
    let rig = Rig::paced(&sim, pacing);
    let began = std::time::Instant::now();
    for n in 1..=3 {
        sim.until_alive(n).await;
        sim.disturb(Break::Invalid { resumable: false }).await;
    }
    sim.until_alive(4).await;
    assert!(began.elapsed() >= Duration::from_millis(3 * 700), "{:?}", began.elapsed());
    drop(rig);
    // Where Discord has almost none left, none is begun.
    let sim = Sim::start(Options { sessions_left: 3, ..Options::default() }).await;
    let _rig = Rig::paced(&sim, hurried());
    crate::rig::until("the question", || !sim.calls().is_empty()).await;
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((sim.made(), sim.calls().len()), ((0, 0), 1));
}
