//! A delivery that fails holds up the others for a minute at most.

use qundao::adapter::{Outcome, Request};
use qundao::effect::{Call, Delivery, DeliveryState};
use qundao::event::plain_text;
use qundao::outbox::chunks::Chunk;

use crate::scene::{MINUTE, START, Scene, away, done, echo, left};
use crate::world::Platform;

fn said(request: &Request) -> String {
    match &request.call {
        Call::Send { content, .. } => plain_text(content),
        other => panic!("no message: {other:?}"),
    }
}

/// A platform that fails with one text so many times.
fn failing(what: &'static str, times: usize) -> impl FnMut(&Request) -> Outcome + Send {
    let mut failed = 0;
    move |request| {
        if said(request).contains(what) && failed < times {
            failed += 1;
            return away();
        }
        done(1)
    }
}

#[tokio::test]
async fn it_steps_aside_after_a_minute_and_its_lateness_is_told() {
    let mut scene = Scene::new(Platform::answering(failing("坏", 6)), vec![echo()]).await;
    scene.say("g", "a", "坏").await;
    scene.say("g", "a", "好").await;
    scene.until(START + 30_000).await;
    assert!(!scene.texts().contains(&"好".to_owned()), "order comes first");
    scene.until(START + MINUTE).await;
    assert_eq!(scene.texts().last().map(String::as_str), Some("好"), "a minute is enough");
    scene.say("g", "a", "更好").await;
    scene.until(START + 10 * MINUTE).await;
    let texts = scene.texts();
    assert_eq!(&texts[texts.len() - 3..], ["好", "更好", "坏"]);
    let rows = scene.deliveries().await;
    assert_eq!((rows[0].0.as_str(), rows[0].1), ("sent", 7));
    assert!(rows[0].2.contains("reordered"), "{rows:?}");
    let told = scene.told();
    let aside = told.iter().filter(|told| told.text.contains("what follows goes before it"));
    assert_eq!(aside.count(), 1, "{told:?}");
}

#[tokio::test]
async fn the_later_parts_of_a_message_wait_beside_the_queue_with_the_one_that_fails() {
    let part =
        |id, n| Delivery { key: Chunk::key("1-0", n, 3), state: DeliveryState::Queued, ..left(id) };
    let other = Delivery { state: DeliveryState::Queued, ..left(4) };
    let platform = Platform::answering(failing("第 2", 7));
    let scene =
        Scene::after(platform, Vec::new(), vec![part(1, 1), part(2, 2), part(3, 3), other]).await;
    scene.until(START + MINUTE).await;
    let sent = |texts: &[String]| {
        let mut sent: Vec<String> = texts.to_vec();
        sent.dedup();
        sent
    };
    assert_eq!(sent(&scene.texts()), ["第 1", "第 2", "第 4"]);
    scene.until(START + 10 * MINUTE).await;
    assert_eq!(sent(&scene.texts()), ["第 1", "第 2", "第 4", "第 2", "第 3"]);
    assert_eq!(scene.states().await, ["sent"; 4]);
}
