//! Whether a connection is alive is judged by what is heard, not by its socket; and what the
//! people who run the bot are told of it.

use std::time::Duration;

use qundao::adapter::Outcome;
use qundao::event::{Envelope, EventKind};
use tokio::time::Instant;

use crate::rig::{JumpingClock, Rig, group, say};
use crate::sim::http::heartbeat;
use crate::sim::{Options, Sim};

fn jumping(heartbeat_s: Option<u64>) -> Options {
    let heartbeat = heartbeat_s.map(Duration::from_secs);
    Options { heartbeat, clock: JumpingClock::new(), limit_s: 100_000, ..Options::default() }
}

fn online(events: &[Envelope]) -> Vec<bool> {
    let online = |it: &Envelope| match it.kind {
        EventKind::Online(online) => Some(online),
        _ => None,
    };
    events.iter().filter_map(online).collect()
}

#[tokio::test(start_paused = true)]
async fn three_heartbeats_that_do_not_come_end_a_connection_and_it_is_made_again() {
    let sim = Sim::with_group(jumping(Some(15)));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    rig.inbox.until("online", |events| online(events) == [true]).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(sim.made(), 1, "it was alive all the time");
    sim.set_silent(true);
    let began = Instant::now();
    rig.inbox.until("offline", |events| online(events) == [true, false]).await;
    // Three intervals since the last one that came, and the grace of reconnecting.
    let after = began.elapsed();
    assert!((30..=51).contains(&after.as_secs()), "{after:?}");
    assert!(sim.made() > 1);
    sim.set_silent(false);
    rig.inbox.until("online again", |events| online(events) == [true, false, true]).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_asked_about_and_only_silence_after_the_question_is_death() {
    let sim = Sim::with_group(jumping(None));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    rig.inbox.until("online", |events| online(events) == [true]).await;
    // It answers when it is asked, so it lives.
    tokio::time::sleep(Duration::from_secs(3610)).await;
    let asked = sim.calls().iter().filter(|called| called.action == "get_status").count();
    assert!((50..=60).contains(&asked), "asked {asked} times in an hour");
    assert_eq!((sim.made(), online(&rig.inbox.events())), (1, vec![true]));
    sim.set_silent(true);
    let began = Instant::now();
    sim.until_made(2, 1).await;
    assert!((55..=75).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_half_for_events_is_pinged() {
    let sim = Sim::with_group(jumping(None));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim/event")]);
    rig.inbox.until("online", |events| online(events) == [true]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(sim.made(), 1, "its socket answered every ping");
    assert!(sim.calls().is_empty());
    let outcome = rig.send(group(777), say("早")).await;
    assert!(matches!(outcome, Outcome::Offline { .. }), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_tell_that_the_account_is_logged_out() {
    let sim = Sim::with_group(jumping(Some(15)));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    rig.inbox.until("online", |events| online(events) == [true]).await;
    sim.set_offline(true);
    rig.inbox.until("offline", |events| online(events) == [true, false]).await;
    sim.refuse("send_group_msg", 1200, "账号离线");
    let outcome = rig.send(group(777), say("早")).await;
    assert!(matches!(outcome, Outcome::Offline { .. }), "{outcome:?}");
    tokio::time::sleep(Duration::from_secs(300)).await;
    sim.set_offline(false);
    rig.inbox.until("online again", |events| online(events) == [true, false, true]).await;
    sim.refuse("send_group_msg", 1200, "发送频率过快");
    let outcome = rig.send(group(777), say("早")).await;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    // Told once each, however many heartbeats said so.
    assert_eq!(online(&rig.inbox.events()), [true, false, true]);
    let notice = serde_json::json!({
        "time": sim.now(), "self_id": 10001, "post_type": "notice", "notice_type": "bot_offline",
        "user_id": 10001, "tag": "kicked", "message": "账号在别处登录",
    });
    sim.raw(&notice);
    rig.inbox.until("kicked", |events| online(events).len() == 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_short_break_is_no_news_and_a_long_one_is() {
    let sim = Sim::with_group(jumping(Some(15)));
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    rig.inbox.until("online", |events| online(events) == [true]).await;
    // The first wait is a second at most.
    sim.disconnect().await;
    sim.until_made(2, 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(online(&rig.inbox.events()), [true]);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_never_comes_is_told_of_once() {
    let sim = Sim::with_group(jumping(None));
    let rig = Rig::jumping(&sim, &[("listen", "127.0.0.1:0"), ("self_id", "10001")]);
    rig.inbox.until("offline", |events| online(events) == [false]).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(online(&rig.inbox.events()), [false]);
}

#[tokio::test(start_paused = true)]
async fn who_posts_is_alive_as_long_as_something_comes() {
    let sim = Sim::with_group(jumping(None));
    let clock = sim.inner.options.clock.clone();
    let keys = [("listen", "127.0.0.1:0"), ("self_id", "10001")];
    let rig = Rig::with(&keys, std::sync::Arc::new(qundao::adapter::onebot::Tcp), clock);
    rig.inbox.limit_s.store(100_000, std::sync::atomic::Ordering::SeqCst);
    let port = rig.port().await;
    for _ in 0..10 {
        assert_eq!(sim.post(port, &heartbeat(10001, sim.now(), 15_000)).await, 204);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    rig.inbox.until("online", |events| online(events) == [true]).await;
    rig.inbox.until("offline", |events| online(events) == [true, false]).await;
    sim.post(port, &heartbeat(10001, sim.now(), 15_000)).await;
    rig.inbox.until("online again", |events| online(events) == [true, false, true]).await;
}
