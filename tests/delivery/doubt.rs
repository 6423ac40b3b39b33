//! What nobody knows is told as such: a repeat is made only where it is recognised, or does no harm, or
//! its policy says so.

use std::time::Duration;

use qundao::adapter::{Outcome, Seen, SendSafety};
use qundao::effect::{Call, Delivery, DeliveryState, Policy};
use qundao::id::Ref;

use crate::scene::{MINUTE, START, Scene, away, done, echo, first, left, text, unknown};
use crate::world::{Platform, person_ref};

/// Drops repeats for two minutes.
const RECOGNISES: SendSafety = SendSafety::Idempotent { window: Duration::from_secs(120) };

fn later(seconds: u64) -> Outcome {
    let retry_after = Some(Duration::from_secs(seconds));
    Outcome::NotSent { reason: "429".to_owned(), retry_after }
}

fn drops(id: i64) -> Delivery {
    Delivery { policy: Policy::Drop, ..left(id) }
}

#[tokio::test]
async fn within_the_window_a_repeat_has_the_same_name() {
    let platform = Platform::with(&[], RECOGNISES, first(vec![unknown(), unknown()]));
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g", "a", "一").await;
    scene.until(START + MINUTE).await;
    assert_eq!(scene.texts(), ["一", "一", "一"]);
    let requests = scene.platform.requests.lock().unwrap().clone();
    assert!(requests.iter().all(|it| it.key == requests[0].key && it.since == requests[0].since));
    assert_eq!(scene.states().await, ["sent"]);
}

#[tokio::test]
async fn when_the_window_has_closed_it_is_looked_for_and_not_sent_again() {
    let platform = Platform::with(&[], RECOGNISES, first(vec![unknown(), later(150)]));
    platform.seen.lock().unwrap().push_back(Seen::Yes(Some("m9".to_owned())));
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g", "a", "一").await;
    scene.until(START + 10 * MINUTE).await;
    assert_eq!(scene.texts(), ["一", "一"]);
    assert_eq!(scene.states().await, ["sent"]);
    assert!(scene.platform.seen.lock().unwrap().is_empty(), "the platform was asked");
}

#[tokio::test]
async fn a_restart_knows_whether_the_window_is_open() {
    // Decided a second ago: the repeat is recognised, whatever the policy.
    let scene =
        Scene::after(Platform::with(&[], RECOGNISES, first(vec![])), vec![], vec![drops(1)]).await;
    assert_eq!(
        (scene.texts(), scene.states().await),
        (vec!["第 1".to_owned()], vec!["sent".into()])
    );
    // Ten minutes ago: nobody can tell, so what must not be doubled is left for somebody to decide.
    let old = Delivery { not_before: START - 10 * MINUTE, ..drops(1) };
    let platform = Platform::with(&[], RECOGNISES, first(vec![]));
    let scene = Scene::after(platform, vec![], vec![old]).await;
    assert_eq!((scene.calls(), scene.states().await), (0, vec!["unknown".to_owned()]));
}

#[tokio::test]
async fn another_token_is_a_stranger_to_what_was_sent() {
    let other = Delivery { account: Ref::new("test", "former"), ..drops(1) };
    let platform = Platform::with(&[], RECOGNISES, first(vec![]));
    let scene = Scene::after(platform, vec![], vec![other]).await;
    assert_eq!((scene.calls(), scene.states().await), (0, vec!["unknown".to_owned()]));
}

#[tokio::test]
async fn what_pings_everybody_is_lost_rather_than_doubled_and_told() {
    let queued = Delivery { state: DeliveryState::Queued, ..drops(1) };
    let platform = Platform::answering(first(vec![unknown()]));
    let mut scene = Scene::after(platform, vec![], vec![queued]).await;
    scene.until(START + 60 * MINUTE).await;
    assert_eq!((scene.calls(), scene.states().await), (1, vec!["unknown".to_owned()]));
    // The scene listens only once the bot has started, and that was before.
    let queued = Delivery { state: DeliveryState::Queued, ..drops(2) };
    let outcomes = vec![later(5), unknown()];
    let platform = Platform::answering(first(outcomes));
    scene = Scene::after(platform, vec![], vec![queued]).await;
    scene.until(START + 60 * MINUTE).await;
    let told = scene.told();
    assert!(told.iter().any(|told| told.text.contains("may or may not have arrived")), "{told:?}");
}

#[tokio::test]
async fn what_the_platform_would_not_recognise_is_never_repeated() {
    let outcome = Outcome::Unrepeatable { reason: "a further answer".to_owned() };
    let platform = Platform::with(&[], RECOGNISES, first(vec![outcome]));
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g", "a", "一").await;
    scene.until(START + 60 * MINUTE).await;
    assert_eq!((scene.calls(), scene.states().await), (1, vec!["unknown".to_owned()]));
}

#[tokio::test]
async fn what_may_have_arrived_never_ends_as_certainly_not() {
    let refused = Outcome::Permanent { reason: "no".to_owned() };
    for then in [refused, later(3600)] {
        let platform = Platform::answering(first(vec![unknown(), then]));
        let mut scene = Scene::new(platform, vec![echo()]).await;
        scene.say("g", "a", "一").await;
        scene.until(START + 60 * MINUTE).await;
        assert_eq!(scene.states().await, ["unknown"]);
    }
    // Refused without any doubt before: certainly not.
    let platform = Platform::answering(first(vec![away(), later(3600)]));
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g", "a", "一").await;
    scene.until(START + 60 * MINUTE).await;
    assert_eq!(scene.states().await, ["skipped"]);
}

#[tokio::test]
async fn a_silence_that_would_have_ended_is_not_begun() {
    let mute = |id, until| Delivery {
        call: Call::Mute { member: person_ref("a"), until },
        state: DeliveryState::Queued,
        ..left(id)
    };
    let message = Delivery { state: DeliveryState::Queued, call: text("先"), ..left(1) };
    let deliveries = vec![message, mute(2, START + 20_000), mute(3, START + MINUTE)];
    let platform = Platform::answering(first(vec![later(30), done(1)]));
    let scene = Scene::after(platform, vec![], deliveries).await;
    scene.until(START + 10 * MINUTE).await;
    assert_eq!(scene.states().await, ["sent", "skipped", "sent"]);
    assert_eq!(scene.deliveries().await[1].2, "it would have ended by now");
}
