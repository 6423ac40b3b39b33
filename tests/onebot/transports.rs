//! The ways to be connected: forward and reverse WebSocket, whole and in halves, HTTP POST with an
//! HTTP interface; each brings events and takes calls.

use qundao::adapter::onebot::Dropped;
use qundao::adapter::{Barred, Outcome};
use qundao::effect::Call;
use qundao::id::Ref;
use serde_json::json;

use crate::rig::{Rig, answer, done, group, person, say};
use crate::sim::http::heartbeat;
use crate::sim::socket::Part;
use crate::sim::{Options, Sim};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn guarded() -> Options {
    Options { token: Some(TOKEN.to_owned()), ..Options::default() }
}

/// A member asks, is answered, and misbehaves.
async fn converse(rig: &Rig, sim: &Sim) {
    rig.until_callable(sim).await;
    let asked = sim.say(777, 20002, "早");
    assert_eq!(rig.inbox.texts(1).await, ["早"]);
    let id = done(rig.send(group(777), answer("早上好", Some(asked.id))).await);
    let said = sim.world().messages.last().unwrap().clone();
    assert_eq!((said.text().as_str(), said.reply()), ("早上好", Some(asked.id)));
    assert_eq!(id, Some(said.id.to_string()));
    done(rig.send(person(20002), say("悄悄话")).await);
    assert_eq!(sim.world().whispered(20002), ["悄悄话"]);
    let member = Ref::new("onebot", 20003);
    done(rig.send(group(777), Call::Delete { message: asked.id.to_string() }).await);
    done(rig.send(group(777), Call::Ban { member }).await);
    assert!(sim.world().message(asked.id).is_none() && sim.world().member(777, 20003).is_none());
    assert!(sim.deeds().iter().all(|called| called.retcode == 0), "{:#?}", sim.deeds());
    assert!(sim.calls().iter().all(|called| called.echo.is_string() || called.echo.is_null()));
}

#[tokio::test]
async fn forward_in_one_connection() {
    let sim = Sim::with_group(guarded());
    let address = sim.listen().await;
    let rig = Rig::over_tcp(&[("connect", &format!("ws://{address}")), ("token", TOKEN)]);
    converse(&rig, &sim).await;
    assert_eq!(sim.connections(), 1);
}

#[tokio::test]
async fn forward_in_halves() {
    let sim = Sim::with_group(Options::default());
    let address = sim.listen().await;
    let connect = format!("ws://{address}/event, ws://{address}/api");
    let rig = Rig::over_tcp(&[("connect", &connect)]);
    sim.until_connected(2).await;
    converse(&rig, &sim).await;
}

#[tokio::test]
async fn reverse_in_one_connection_and_in_halves() {
    for paths in [
        vec![("/onebot/v11/ws", Part::Universal)],
        vec![("/ws/", Part::Universal)],
        vec![("/", Part::Event), ("/", Part::Api)],
        vec![("/ws/event", Part::Event), ("/ws/api", Part::Api)],
    ] {
        let sim = Sim::with_group(guarded());
        let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0"), ("token", TOKEN)]);
        let port = rig.port().await;
        for (path, part) in &paths {
            sim.connect(port, path, *part).await.unwrap();
        }
        rig.inbox.until("online", |events| !events.is_empty()).await;
        converse(&rig, &sim).await;
    }
}

#[tokio::test]
async fn ids_may_be_text_and_messages_may_be_strings() {
    let options = Options { string_ids: true, cq_strings: true, ..Options::default() };
    let sim = Sim::with_group(options);
    let rig = Rig::to(&sim, &[("connect", "ws://sim:1")]);
    sim.until_connected(1).await;
    converse(&rig, &sim).await;
}

#[tokio::test]
async fn what_is_posted_is_answered_after_the_commit_and_calls_go_over_http() {
    let options = Options { secret: Some("hunter2".to_owned()), ..guarded() };
    let sim = Sim::with_group(options);
    let api = format!("http://{}", sim.serve_http().await);
    let rig = Rig::over_tcp(&[
        ("listen", "127.0.0.1:0"),
        ("api", &api),
        ("token", TOKEN),
        ("secret", "hunter2"),
    ]);
    let port = rig.port().await;
    rig.until_callable(&sim).await;
    assert_eq!(sim.post(port, &heartbeat(10001, sim.now(), 5000)).await, 204);

    rig.inbox.hold_commits(true);
    let asked = sim.keep(777, 20002, crate::sim::script::text("早"));
    let event = sim.event(&asked);
    let posted = sim.post(port, &event);
    tokio::pin!(posted);
    tokio::select! {
        status = &mut posted => panic!("answered {status} before the commit"),
        texts = rig.inbox.texts(1) => assert_eq!(texts, ["早"]),
    }
    rig.inbox.hold_commits(false);
    assert_eq!(posted.await, 204);

    let id = done(rig.send(group(777), answer("早上好", Some(asked.id))).await);
    assert_eq!(id, Some(sim.world().messages.last().unwrap().id.to_string()));
    assert_eq!(sim.world().said(777), ["早上好"]);
    // Twice the same has the same key.
    assert_eq!(sim.post(port, &event).await, 204);
    let events = rig.inbox.events();
    let keys: Vec<_> = events.iter().filter(|it| it.kind.word() == "message").collect();
    assert_eq!((keys.len(), &keys[0].key), (2, &keys[1].key));
}

#[tokio::test]
async fn http_says_why_not() {
    let sim = Sim::with_group(guarded());
    let api = format!("http://{}", sim.serve_http().await);
    let keys = [("listen", "127.0.0.1:0"), ("api", &api), ("self_id", "10001"), ("token", TOKEN)];
    let rig = Rig::over_tcp(&keys);
    rig.until_callable(&sim).await;
    let outcome = async || rig.send(group(777), say("早")).await;
    sim.refuse("send_group_msg", 4029, "");
    assert!(matches!(outcome().await, Outcome::NotSent { .. }));
    sim.refuse("send_group_msg", 4102, "");
    assert!(matches!(outcome().await, Outcome::Unknown { .. }));
    sim.refuse("send_group_msg", 1404, "");
    assert!(matches!(outcome().await, Outcome::Permanent { .. }));
    sim.refuse("send_group_msg", 4003, "");
    let Outcome::Closed { why: Barred::Token, reason } = outcome().await else {
        panic!("not refused")
    };
    assert!(reason.contains("403") && reason.contains("`token`"), "{reason}");
    sim.close_ports().await;
    assert!(matches!(outcome().await, Outcome::Offline { .. }));
}

#[tokio::test]
async fn a_refusal_of_the_platform_is_final_and_a_timeout_of_it_is_not_known() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::to(&sim, &[("connect", "ws://sim")]);
    rig.until_callable(&sim).await;
    let outcome = async |call| rig.send(group(777), call).await;
    let owner = Ref::new("onebot", 20001);
    let Outcome::Permanent { reason } = outcome(Call::Kick { member: owner }).await else {
        panic!("the owner was kicked");
    };
    assert!(reason.contains("权限不足"), "{reason}");
    sim.refuse("send_group_msg", 1200, "Timeout: sendMsg");
    assert!(matches!(outcome(say("早")).await, Outcome::Unknown { .. }));
    let gone = rig.send(group(999), say("早")).await;
    assert!(matches!(gone, Outcome::Closed { why: Barred::Removed, .. }), "{gone:?}");
}

#[tokio::test]
async fn calls_and_answers_cross_as_they_like() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::to(&sim, &[("connect", "ws://sim")]);
    rig.until_callable(&sim).await;
    sim.hold_answers();
    let calls = (0..5).map(|n| rig.send(group(777), say(&format!("第 {n}"))));
    let calls = futures_util::future::join_all(calls);
    let release = async {
        sim.until("five calls", |sim| sim.deeds().len() == 5).await;
        sim.release_answers(true);
        // An answer that nobody waits for changes nothing.
        sim.raw(&json!({ "status": "ok", "retcode": 0, "data": null, "echo": "777" }));
    };
    let (outcomes, ()) = tokio::join!(calls, release);
    let messages = sim.world().messages.clone();
    for outcome in outcomes.into_iter().map(done).zip(messages) {
        assert_eq!(outcome.0, Some(outcome.1.id.to_string()));
    }
    let asked = sim.say(777, 20002, "完");
    rig.inbox.texts(1).await;
    assert_eq!(rig.dropped(Dropped::Stray), 1);
    assert_eq!(asked.text(), "完");
}

#[tokio::test]
async fn what_comes_together_is_handed_on_together() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::to(&sim, &[("connect", "ws://sim")]);
    rig.inbox.until("online", |events| !events.is_empty()).await;
    for n in 0..500 {
        sim.say(777, 20002, &n.to_string());
    }
    let texts = rig.inbox.texts(500).await;
    assert!(texts.iter().enumerate().all(|(n, text)| *text == n.to_string()));
    let batches = rig.inbox.batches.lock().unwrap().len();
    assert!(batches < 100, "500 messages came in {batches} parts");
}
