//! A long reply goes in parts, in order; where one does not go well, the rest is not sent.

use std::sync::atomic::{AtomicUsize, Ordering};

use qundao::adapter::Outcome;
use qundao::effect::{Call, Delivery, DeliveryState};
use qundao::outbox::chunks::Chunk;

use crate::scene::{MINUTE, START, Scene, away, done, echo, first, left};
use crate::world::Platform;

/// Letters that fit into a message.
const FIT: usize = 100;

/// Three paragraphs, of which any two are too long for one message.
fn long() -> String {
    ["a", "b", "c"].map(|letter| letter.repeat(60)).join("\n\n")
}

fn heads(scene: &Scene) -> Vec<char> {
    scene.texts().iter().filter_map(|text| text.chars().next()).collect()
}

#[tokio::test]
async fn parts_go_in_order_and_each_waits_for_the_one_before() {
    let platform = Platform::short(FIT, first(vec![done(1), away(), away()]));
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g", "a", &long()).await;
    scene.say("g", "a", "之后").await;
    assert_eq!(heads(&scene), ['a', 'b'], "the third waits while the second fails");
    scene.until(START + MINUTE).await;
    assert_eq!(heads(&scene), ['a', 'b', 'b', 'b', 'c', '之']);
    assert_eq!(scene.states().await, ["sent"; 4]);
    let requests = scene.platform.requests.lock().unwrap();
    let answers: Vec<bool> = requests
        .iter()
        .map(|request| matches!(&request.call, Call::Send { reply_to: Some(_), .. }))
        .collect();
    assert_eq!(answers, [true, false, false, false, false, true], "the first part answers");
    assert_ne!(requests[0].key, requests[1].key);
}

#[tokio::test]
async fn where_a_part_is_refused_the_rest_is_not_sent_and_says_why() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let platform = Platform::short(FIT, |_| match ASKED.fetch_add(1, Ordering::SeqCst) {
        1 => Outcome::Permanent { reason: "too spicy".to_owned() },
        n => done(n),
    });
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g", "a", &long()).await;
    scene.say("g", "a", "之后").await;
    assert_eq!(heads(&scene), ['a', 'b', '之']);
    let rows = scene.deliveries().await;
    assert_eq!(scene.states().await, ["sent", "failed", "skipped", "sent"]);
    assert_eq!(rows[2].2, "part 2 of 3 did not go well (failed): too spicy");
}

#[tokio::test]
async fn a_restart_knows_which_part_went_wrong() {
    let part =
        |id, chain: &str, n, state| Delivery { key: Chunk::key(chain, n, 3), state, ..left(id) };
    let deliveries = vec![
        part(1, "1-0", 1, DeliveryState::Sent),
        part(2, "1-0", 2, DeliveryState::Failed),
        part(3, "1-0", 3, DeliveryState::Queued),
        part(4, "1-1", 1, DeliveryState::Sent),
        part(5, "1-1", 2, DeliveryState::Queued),
        part(6, "1-1", 3, DeliveryState::Queued),
    ];
    let scene = Scene::after(Platform::willing(), Vec::new(), deliveries).await;
    assert_eq!(scene.texts(), ["第 5", "第 6"]);
    assert_eq!(scene.states().await, ["sent", "failed", "skipped", "sent", "sent", "sent"]);
    assert_eq!(scene.deliveries().await[2].2, "part 2 of 3 was not sent");
}

#[tokio::test]
async fn more_than_ten_parts_are_left_out_with_a_word() {
    let script = crate::world::script(
        "long",
        "//! 长\non_message(|m| { let t = \"\"; for n in 0..m.text.parse_int() { t += \"一二三四五\\n\"; } m.reply(t); });\n",
    );
    let platform = Platform::short(20, first(Vec::new()));
    let mut scene = Scene::new(platform, vec![script]).await;
    let mut reports = scene.bot.reports();
    scene.say("g", "a", "40").await;
    assert_eq!(scene.calls(), 10);
    let report = reports.try_recv().unwrap();
    assert!(format!("{:?}", report.lines).contains("more than 10 messages"), "{report:?}");
}
