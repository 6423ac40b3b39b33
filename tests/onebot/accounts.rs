//! Several accounts and several connections of one: the newest connection wins, one account serves
//! a group, another takes over when it goes.

use qundao::adapter::Outcome;
use qundao::adapter::onebot::Dropped;
use qundao::effect::Call;
use qundao::event::EventKind;

use crate::rig::{Net, Rig, answer, done, group, say, texts};
use crate::sim::script::text;
use crate::sim::socket::Part;
use crate::sim::{Options, Sim};
use qundao::clock::SystemClock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Two accounts in the same group; what is said there, both hear with ids of their own.
struct Two {
    a: Sim,
    b: Sim,
    rig: Rig,
}

impl Two {
    async fn new() -> Self {
        let options = |self_id| Options { self_id, history: true, ..Options::default() };
        let (a, b) = (Sim::with_group(options(10001)), Sim::with_group(options(10002)));
        for sim in [&a, &b] {
            for self_id in [10001, 10002] {
                sim.world().join(777, self_id, "机器人", "admin");
            }
        }
        // Ids of two accounts never agree.
        b.world().next_id();
        let net = Net(HashMap::from([("a", a.clone()), ("b", b.clone())]));
        let keys = [("connect", "ws://a, ws://b")];
        let rig = Rig::with(&keys, Arc::new(net), SystemClock::with_offset(0));
        let both = |events: &[qundao::event::Envelope]| {
            let online = |it: &&qundao::event::Envelope| it.kind == EventKind::Online(true);
            events.iter().filter(online).count() == 2
        };
        rig.inbox.until("both are online", both).await;
        Self { a, b, rig }
    }

    fn say(&self, words: &str) {
        self.a.say(777, 20002, words);
        self.b.say(777, 20002, words);
    }
}

#[tokio::test]
async fn what_two_accounts_hear_is_handled_once() {
    let two = Two::new().await;
    // The first that speaks of the group serves it.
    two.a.say(777, 20002, "一");
    two.rig.inbox.texts(1).await;
    two.b.say(777, 20002, "一");
    for words in ["二", "三"] {
        two.say(words);
    }
    assert_eq!(two.rig.inbox.texts(3).await, ["一", "二", "三"]);
    two.b.whisper(20002, "私聊");
    assert_eq!(two.rig.inbox.texts(4).await[3], "私聊");
    let events = two.rig.inbox.events();
    let accounts: Vec<&str> = events
        .iter()
        .filter(|it| it.kind.word() == "message")
        .map(|it| it.account.as_str())
        .collect();
    assert_eq!(accounts, ["onebot:10001", "onebot:10001", "onebot:10001", "onebot:10002"]);
    assert_eq!(two.rig.dropped(Dropped::ServedByAnother), 3);
}

#[tokio::test]
async fn our_own_accounts_are_never_members() {
    let two = Two::new().await;
    two.a.say(777, 10002, "我是另一个机器人");
    two.a.send(
        777,
        20002,
        vec![
            serde_json::json!({ "type": "at", "data": { "qq": "10002" } }),
            serde_json::json!({ "type": "text", "data": { "text": " 签到" } }),
        ],
    );
    assert_eq!(two.rig.inbox.texts(1).await, [" 签到"]);
    let events = two.rig.inbox.events();
    let message = events.last().map(|envelope| &envelope.kind);
    assert!(matches!(message, Some(EventKind::Message { to_bot: true, .. })), "{message:?}");
    assert_eq!(two.rig.dropped(Dropped::Own), 1);
}

#[tokio::test]
async fn when_one_goes_the_other_takes_over_and_fetches_what_was_missed() {
    let two = Two::new().await;
    two.a.say(777, 20002, "一");
    two.rig.inbox.texts(1).await;
    two.b.say(777, 20002, "一");
    // The other has heard it while the first still served the group.
    let heard = async {
        while two.rig.dropped(Dropped::ServedByAnother) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), heard).await.expect("the other hears it");
    two.a.close_ports().await;
    two.a.set_silent(true);
    two.a.disconnect().await;
    // Heard by nobody: the server was gone, and the other did not know yet.
    let missed = two.b.keep(777, 20002, text("漏掉的"));
    two.b.world().messages.iter_mut().filter(|it| it.id == missed.id).for_each(|it| it.time += 2);
    two.b.say(777, 20003, "在吗");
    let heard = two.rig.inbox.texts(3).await;
    assert_eq!(heard, ["一", "漏掉的", "在吗"]);
    let events = two.rig.inbox.events();
    let gap = events.iter().find(|it| it.kind.word() == "gap").expect("a gap");
    assert!(matches!(gap.kind, EventKind::Gap { filled: 1, .. }), "{gap:?}");
    assert_eq!(gap.account.as_str(), "onebot:10002");
    // What was meant for the one that is away is sent by the other, without ids of the former.
    let outcome = two.rig.send_as(10001, group(777), answer("在的", Some(missed.id))).await;
    let Outcome::Done { degraded, .. } = outcome else { panic!("not sent: {outcome:?}") };
    assert_eq!(degraded.first().map(|it| it.element), Some("reply"));
    assert_eq!(two.b.world().said(777), ["在的"]);
    let delete = Call::Delete { message: missed.id.to_string() };
    let outcome = two.rig.send_as(10001, group(777), delete).await;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_call_goes_to_the_account_that_is_asked() {
    let two = Two::new().await;
    two.rig.until_callable(&two.a).await;
    done(two.rig.send_as(10002, group(777), say("乙说")).await);
    done(two.rig.send_as(10001, group(777), say("甲说")).await);
    assert_eq!(
        (two.a.world().said(777), two.b.world().said(777)),
        (vec!["甲说".into()], vec!["乙说".into()])
    );
}

#[tokio::test]
async fn the_newest_connection_wins_and_the_calls_of_the_older_end() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    sim.connect(port, "/", Part::Universal).await.unwrap();
    rig.until_callable(&sim).await;
    sim.hold_answers();
    let written = rig.send(group(777), say("写出去了"));
    let newer = async {
        sim.until("the call", |sim| !sim.deeds().is_empty()).await;
        sim.connect(port, "/", Part::Universal).await.unwrap();
        sim.until_made(2, 1).await;
    };
    let (outcome, ()) = tokio::join!(written, newer);
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    sim.release_answers(false);
    let before = rig.inbox.events().len();
    sim.say(777, 20002, "只有一遍");
    assert_eq!(rig.inbox.texts(1).await, ["只有一遍"]);
    // Not away for a moment: nobody is told that it was.
    let offline = |it: &qundao::event::Envelope| it.kind == EventKind::Online(false);
    assert!(!rig.inbox.events().iter().any(offline), "{before}");
    done(rig.send(group(777), say("接着说")).await);
}

#[tokio::test]
async fn halves_are_replaced_one_by_one() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    sim.connect(port, "/", Part::Universal).await.unwrap();
    rig.until_callable(&sim).await;
    // The whole one keeps its events.
    sim.connect(port, "/api", Part::Api).await.unwrap();
    sim.until_made(2, 2).await;
    sim.say(777, 20002, "早");
    rig.inbox.texts(1).await;
    sim.connect(port, "/event", Part::Event).await.unwrap();
    // Now it has nothing left.
    sim.until_made(3, 2).await;
    sim.say(777, 20002, "又早");
    assert_eq!(rig.inbox.texts(2).await, ["早", "又早"]);
    done(rig.send(group(777), say("早")).await);
}

#[tokio::test]
async fn a_connection_of_ours_gives_way_and_does_not_fight() {
    let sim = Sim::with_group(Options::default());
    let address = sim.listen().await;
    let keys = [("connect", &*format!("ws://{address}")), ("listen", "127.0.0.1:0")];
    let rig = Rig::over_tcp(&keys);
    let port = rig.port().await;
    rig.until_callable(&sim).await;
    sim.connect(port, "/", Part::Universal).await.unwrap();
    sim.until_made(2, 1).await;
    for n in 0..50 {
        sim.say(777, 20002, &n.to_string());
    }
    assert_eq!(rig.inbox.texts(50).await.len(), 50);
    assert_eq!((sim.connections(), texts(&rig.inbox.events()).len()), (1, 50));
    // When theirs goes, ours comes back.
    sim.disconnect().await;
    sim.until_made(3, 1).await;
    rig.until_callable(&sim).await;
}
