//! Calls whose outcome is in doubt: cut at every byte, and looked for afterwards.

use qundao::adapter::{Outcome, Seen};
use qundao::clock::{Clock, SystemClock};
use qundao::effect::Call;
use qundao::event::Element;
use qundao::id::Ref;

use crate::rig::{Rig, answer, group, person, say};
use crate::sim::script::text;
use crate::sim::socket::Part;
use crate::sim::{Options, Sim};

fn now() -> i64 {
    SystemClock::default().now()
}

async fn connected(options: Options) -> (Sim, Rig) {
    let sim = Sim::with_group(options);
    let rig = Rig::to(&sim, &[("connect", "ws://sim"), ("timeout_s", "1")]);
    rig.until_callable(&sim).await;
    (sim, rig)
}

#[tokio::test]
async fn wherever_a_connection_is_cut_nobody_claims_more_than_is_known() {
    let (mut unknown, mut not_sent) = (0, 0);
    for bytes in 0..450 {
        let sim = Sim::with_group(Options::default());
        // Counted are the bytes that the program sends, its half of the handshake included.
        sim.cut_after(Some(bytes));
        let rig = Rig::to(&sim, &[("connect", "ws://sim")]);
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        let outcome = rig.send(group(777), say("只说一遍")).await;
        let is_done = !sim.world().said(777).is_empty();
        match outcome {
            Outcome::Unknown { .. } => unknown += 1,
            Outcome::Offline { .. } => {
                assert!(!is_done, "cut after {bytes} bytes: it was said, and not told");
                not_sent += 1;
            }
            Outcome::Done { .. } => assert!(is_done, "cut after {bytes} bytes"),
            Outcome::Permanent { reason }
            | Outcome::Closed { reason, .. }
            | Outcome::NotSent { reason, .. }
            | Outcome::Unrepeatable { reason } => panic!("cut after {bytes} bytes: {reason}"),
        }
    }
    assert!(unknown > 50 && not_sent > 50, "{unknown} unknown, {not_sent} not sent");
}

#[tokio::test]
async fn what_was_said_is_found_in_the_history() {
    let (sim, rig) = connected(Options { history: true, ..Options::default() }).await;
    let asked = sim.say(777, 20002, "早");
    sim.world().messages.iter_mut().for_each(|message| message.time -= 60);
    let since = now();
    let call = answer("早上好", Some(asked.id));
    let seen = async |call: Call| rig.read_back(group(777), call, since).await;
    assert_eq!(seen(call.clone()).await, Seen::No);
    sim.hold_answers();
    let lost = rig.send(group(777), call.clone()).await;
    assert!(matches!(lost, Outcome::Unknown { .. }), "{lost:?}");
    sim.release_answers(false);
    let said = sim.world().messages.last().unwrap().id;
    assert_eq!(seen(call).await, Seen::Yes(Some(said.to_string())));
    // The same words as an answer to somebody else, or said by somebody else, are not it.
    let other = sim.say(777, 20003, "早上好");
    assert_eq!(seen(answer("早上好", Some(other.id))).await, Seen::No);
    assert_eq!(seen(say("早上好")).await, Seen::No);
}

#[tokio::test]
async fn the_same_words_from_before_are_not_taken_for_it() {
    let (sim, rig) = connected(Options { history: true, ..Options::default() }).await;
    let clock = sim.now();
    sim.keep(777, 10001, text("每日新闻"));
    sim.world().messages.iter_mut().for_each(|message| message.time = clock - 3600);
    assert_eq!(rig.read_back(group(777), say("每日新闻"), now()).await, Seen::No);
    sim.keep(777, 10001, text("每日新闻"));
    assert!(matches!(rig.read_back(group(777), say("每日新闻"), now()).await, Seen::Yes(_)));
}

#[tokio::test]
async fn a_history_that_does_not_reach_back_proves_nothing() {
    let (sim, rig) = connected(Options { history: true, ..Options::default() }).await;
    let since = now() - 60_000;
    for n in 0..150 {
        sim.keep(777, 20002, text(&n.to_string()));
    }
    assert_eq!(rig.read_back(group(777), say("早"), since).await, Seen::Unknown);
    assert_eq!(rig.read_back(person(20002), say("早"), since).await, Seen::Unknown);
}

#[tokio::test]
async fn without_a_history_what_the_implementation_told_is_remembered() {
    let (sim, rig) = connected(Options { message_sent: true, ..Options::default() }).await;
    let since = now();
    sim.hold_answers();
    let content = vec![
        Element::Mention { id: Ref::new("onebot", 20002), name: "小红".into() },
        Element::Text(" 恭喜 [CQ:at,qq=all] & ".into()),
        Element::Break,
        Element::Image { url: "https://a.cn/i.png".into() },
    ];
    let call = Call::Send { content, reply_to: None, only_for: None, slot: None };
    assert!(matches!(rig.send(group(777), call.clone()).await, Outcome::Unknown { .. }));
    sim.release_answers(false);
    let said = sim.world().messages.last().unwrap().id;
    let seen = rig.read_back(group(777), call.clone(), since).await;
    assert_eq!(seen, Seen::Yes(Some(said.to_string())));
    // In another group, or by words that were not said: nobody can tell.
    assert_eq!(rig.read_back(group(888), call, since).await, Seen::Unknown);
    assert_eq!(rig.read_back(group(777), say("没说过"), since).await, Seen::Unknown);
    let asked = sim.calls().iter().filter(|it| it.action == "get_group_msg_history").count();
    assert_eq!(asked, 1, "it was asked for once, and is not there");
}

#[tokio::test]
async fn while_the_account_is_away_the_question_waits() {
    let (sim, rig) = connected(Options { history: true, ..Options::default() }).await;
    sim.set_silent(true);
    sim.disconnect().await;
    let seen = async || rig.read_back(group(777), say("早"), now()).await;
    while sim.connections() > 0 || seen().await != Seen::Later {
        tokio::task::yield_now().await;
        sim.disconnect().await;
    }
    // What can be done again without harm is done again.
    let member = Ref::new("onebot", 20003);
    let mute = Call::Mute { member, until: now() + 60_000 };
    assert_eq!(rig.read_back(group(777), mute, now()).await, Seen::No);
}

#[tokio::test]
async fn a_question_that_breaks_off_with_its_connection_is_asked_again() {
    let sim = Sim::with_group(Options { history: true, ..Options::default() });
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    sim.connect(port, "/", Part::Universal).await.unwrap();
    rig.until_callable(&sim).await;
    sim.keep(777, 10001, text("说过了"));
    sim.hold_answers();
    let asking = rig.read_back(group(777), say("说过了"), now());
    let connecting = async {
        sim.until("the question", |sim| !sim.calls().is_empty()).await;
        // The newer one is there before the older one is gone.
        sim.connect(port, "/", Part::Universal).await.unwrap();
    };
    let (seen, ()) = tokio::join!(asking, connecting);
    assert_eq!(seen, Seen::Later);
    sim.release_answers(false);
    assert!(matches!(rig.read_back(group(777), say("说过了"), now()).await, Seen::Yes(_)));
}

#[tokio::test]
async fn a_question_without_an_answer_is_put_once_more() {
    let (sim, rig) = connected(Options { history: true, ..Options::default() }).await;
    sim.keep(777, 10001, text("说过了"));
    let ask = || rig.read_back(group(777), say("说过了"), now());
    let lose_first = async {
        sim.until("the question", |sim| !sim.calls().is_empty()).await;
        sim.lose_answers();
    };
    sim.hold_answers();
    let (seen, ()) = tokio::join!(ask(), lose_first);
    assert!(matches!(seen, Seen::Yes(_)), "{seen:?}");
    // Not for ever.
    sim.hold_answers();
    assert_eq!(ask().await, Seen::Unknown);
}
