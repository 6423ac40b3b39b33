//! What was missed while a connection was down: told as a gap, fetched where the implementation
//! has a history, in order and never twice.

use std::time::Duration;

use qundao::event::{Envelope, EventKind, plain_text};

use crate::rig::{JumpingClock, Rig};
use crate::sim::script::text;
use crate::sim::{Options, Sim};

fn jumping(history: bool) -> Options {
    Options { history, clock: JumpingClock::new(), limit_s: 100_000, ..Options::default() }
}

/// Everything of groups as lines: texts, `(…)` for those that were fetched, gaps.
fn lines(events: &[Envelope]) -> Vec<String> {
    let line = |it: &Envelope| match &it.kind {
        EventKind::Message { elements, .. } if it.backfilled => {
            Some(format!("({})", plain_text(elements)))
        }
        EventKind::Message { elements, .. } => Some(plain_text(elements)),
        EventKind::Gap { filled, .. } => Some(format!("gap {filled}")),
        EventKind::Joined { .. } => {
            let actor = it.actor.as_ref()?;
            Some(format!("joined {} {:?}", actor.name, actor.nickname))
        }
        _ => None,
    };
    events.iter().filter_map(line).collect()
}

/// A connection that breaks for ten seconds, in which two members speak.
async fn broken(sim: &Sim, rig: &Rig) {
    sim.until_connected(1).await;
    sim.say(777, 20002, "一");
    rig.inbox.texts(1).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    sim.set_silent(true);
    sim.disconnect().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    sim.keep(777, 20002, text("二"));
    sim.keep(777, 20003, text("三"));
    sim.keep(777, 10001, text("我自己说的"));
    sim.set_silent(false);
    sim.disconnect().await;
    sim.until_connected(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_fetched_before_what_comes_next() {
    let sim = Sim::with_group(jumping(true));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    // Answers are slow; what comes meanwhile waits for them.
    sim.hold_answers();
    broken(&sim, &rig).await;
    sim.until("the question", |sim| {
        sim.calls().iter().any(|called| called.action == "get_group_msg_history")
    })
    .await;
    sim.say(777, 20002, "四");
    sim.whisper(20002, "私聊不等");
    rig.inbox
        .until("the direct message", |events| lines(events).contains(&"私聊不等".to_owned()))
        .await;
    sim.release_answers(false);
    rig.inbox.until("the rest", |events| lines(events).contains(&"四".to_owned())).await;
    let told = rig.inbox.events();
    assert_eq!(lines(&told), ["一", "私聊不等", "(二)", "(三)", "gap 2", "四"]);
    let gap = told.iter().find(|it| it.kind.word() == "gap").unwrap();
    let EventKind::Gap { from, to, .. } = gap.kind else { unreachable!() };
    assert!(to - from >= 2_000 && gap.group.is_some(), "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_told_before_the_history_came_is_no_part_of_the_gap() {
    // Which of two tasks goes first is chance.
    for _ in 0..20 {
        let sim = Sim::with_group(jumping(true));
        let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
        sim.hold_answers();
        broken(&sim, &rig).await;
        sim.until("the question", |sim| {
            sim.calls().iter().any(|called| called.action == "get_group_msg_history")
        })
        .await;
        // Both frames come together, and the message is in that history too.
        let told = sim.world().messages.iter().find(|it| it.text() == "三").cloned().unwrap();
        sim.report(&told);
        sim.release_answers(false);
        let is_last = |events: &[Envelope]| lines(events).last() == Some(&"三".to_owned());
        rig.inbox.until("the message", is_last).await;
        assert_eq!(lines(&rig.inbox.events()), ["一", "(二)", "gap 1", "三"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_has_the_same_key_live_and_out_of_the_history() {
    let sim = Sim::with_group(jumping(true));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    broken(&sim, &rig).await;
    rig.inbox.until("the gap", |events| lines(events).contains(&"gap 2".to_owned())).await;
    // Told live after all, late and again.
    let missed = sim.world().messages.iter().find(|it| it.text() == "二").cloned().unwrap();
    sim.report(&missed);
    rig.inbox.until("the repetition", |events| lines(events).contains(&"二".to_owned())).await;
    let events = rig.inbox.events();
    let keys: Vec<&str> = events
        .iter()
        .filter(
            |it| matches!(&it.kind, EventKind::Message { id, .. } if *id == missed.id.to_string()),
        )
        .map(|it| &*it.key)
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert!(keys[0].starts_with(&format!("{}:", missed.time)), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_history_the_gap_is_told_all_the_same_and_asked_about_once() {
    let sim = Sim::with_group(jumping(false));
    sim.world().add_group(888, "另一个群");
    sim.world().join(888, 20002, "小红", "member");
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    sim.until_connected(1).await;
    sim.say(888, 20002, "零");
    rig.inbox.texts(1).await;
    broken(&sim, &rig).await;
    rig.inbox
        .until("two gaps", |events| {
            lines(events).iter().filter(|line| *line == "gap 0").count() == 2
        })
        .await;
    let asked = |sim: &Sim| {
        sim.calls().iter().filter(|called| called.action == "get_group_msg_history").count()
    };
    // Two groups may have been asked about at the same time, but never again.
    let first = asked(&sim);
    assert!((1..=2).contains(&first), "{first}");
    sim.say(777, 20002, "五");
    rig.inbox.until("life goes on", |events| lines(events).contains(&"五".to_owned())).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let sim = Sim::with_group(jumping(true));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    sim.hold_answers();
    // The introduction needs no answer: the first event says whose the connection is.
    broken(&sim, &rig).await;
    sim.say(777, 20002, "四");
    let began = tokio::time::Instant::now();
    rig.inbox.until("the message", |events| lines(events).contains(&"四".to_owned())).await;
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}", began.elapsed());
    assert_eq!(lines(&rig.inbox.events()), ["一", "gap 0", "四"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_not_lost_when_the_connection_breaks_again() {
    let sim = Sim::with_group(jumping(true));
    // Without a connection for calls the history cannot be asked for, and is waited for.
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim/event")]);
    broken(&sim, &rig).await;
    sim.say(777, 20002, "四");
    sim.whisper(20002, "私聊");
    let last = |events: &[Envelope]| lines(events).last().cloned();
    rig.inbox.until("the whisper", |events| last(events) == Some("私聊".to_owned())).await;
    sim.set_silent(true);
    sim.disconnect().await;
    rig.inbox.until("the message", |events| lines(events).contains(&"四".to_owned())).await;
    assert_eq!(lines(&rig.inbox.events())[..4], ["一", "私聊", "gap 0", "四"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_has_no_gap() {
    let sim = Sim::with_group(jumping(true));
    sim.keep(777, 20002, text("很久以前"));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    sim.until_connected(1).await;
    sim.say(777, 20002, "一");
    rig.inbox.texts(1).await;
    assert_eq!(lines(&rig.inbox.events()), ["一"]);
}

#[tokio::test(start_paused = true)]
async fn a_history_with_the_time_of_the_question_in_it_doubles_nothing() {
    let sim = Sim::with_group(jumping(true));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    sim.until_connected(1).await;
    sim.say(777, 20002, "一");
    rig.inbox.texts(1).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    sim.disconnect().await;
    sim.keep(777, 20003, text("二"));
    // As Lagrange writes it.
    let now = sim.now();
    sim.world().messages.iter_mut().for_each(|message| message.time = now);
    rig.inbox.until("the gap", |events| lines(events).len() == 3).await;
    assert_eq!(lines(&rig.inbox.events()), ["一", "(二)", "gap 1"]);
}

#[tokio::test(start_paused = true)]
async fn who_joins_has_a_name() {
    let sim = Sim::with_group(jumping(false));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    sim.until_connected(1).await;
    sim.join(777, 20009, "小新");
    sim.say(777, 20009, "大家好");
    rig.inbox.texts(1).await;
    assert_eq!(lines(&rig.inbox.events()), ["joined 小新 None", "大家好"]);
    // Where nobody answers, it comes without a name in a moment.
    sim.hold_answers();
    sim.join(777, 20010, "小白");
    let began = tokio::time::Instant::now();
    rig.inbox.until("the second", |events| lines(events).len() == 3).await;
    assert!(began.elapsed() <= Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(lines(&rig.inbox.events())[2], "joined  None");
}
