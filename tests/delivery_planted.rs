//! Mistakes in sending, planted one after the other: what the tests of honesty look at sees each.
//!
//! One process has one planted bug, so this is one test.

#[path = "delivery/scene.rs"]
mod scene;
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::{Outcome, Request};
use qundao::clock::{Clock as _, TimeMs, VirtualClock};
use qundao::effect::{Delivery, DeliveryState, Policy};
use qundao::planted::{Bug, plant};
use scene::{MINUTE, START, Scene, echo, first, left, unknown};
use world::Platform;

/// What is wrong with how the outbox worked, in one word each.
async fn wrong() -> Vec<&'static str> {
    let found = [
        (early().await, "early"),
        (doubled().await, "doubled"),
        (late().await, "late"),
        (shared().await, "shared"),
    ];
    found.into_iter().filter_map(|(is_wrong, word)| is_wrong.then_some(word)).collect()
}

/// A call before the time that the platform asked for.
async fn early() -> bool {
    let later = |seconds| Outcome::NotSent {
        reason: "429".to_owned(),
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let clock: Arc<Mutex<Option<Arc<VirtualClock>>>> = Arc::default();
    let calls: Arc<Mutex<Vec<TimeMs>>> = Arc::default();
    let (time, times) = (clock.clone(), calls.clone());
    let mut answer = first(vec![later(30), later(30)]);
    let platform = Platform::answering(move |request: &Request| {
        let now = time.lock().unwrap().as_ref().map_or(START, |clock| clock.now());
        times.lock().unwrap().push(now);
        answer(request)
    });
    let mut scene = Scene::new(platform, vec![echo()]).await;
    *clock.lock().unwrap() = Some(scene.clock.clone());
    scene.say("g", "a", "一").await;
    scene.until(START + 10 * MINUTE).await;
    let calls = calls.lock().unwrap();
    calls.windows(2).any(|pair| pair[1] < pair[0] + 30_000)
}

/// A second call for what must not be doubled.
async fn doubled() -> bool {
    let ping = Delivery { policy: Policy::Drop, state: DeliveryState::Queued, ..left(1) };
    let platform = Platform::answering(first(vec![unknown()]));
    let scene = Scene::after(platform, Vec::new(), vec![ping]).await;
    scene.until(START + 10 * MINUTE).await;
    scene.calls() > 1
}

/// A call after what it says has expired.
async fn late() -> bool {
    let old = Delivery { state: DeliveryState::Queued, expires_at: START - 1, ..left(1) };
    let scene = Scene::after(Platform::willing(), Vec::new(), vec![old]).await;
    scene.calls() > 0
}

/// Two messages under one name.
async fn shared() -> bool {
    let twice = world::script(
        "twice",
        "//! 两句\non_message(|m| { m.reply(\"一\"); m.reply(\"二\"); });\n",
    );
    let mut scene = Scene::new(Platform::willing(), vec![twice]).await;
    scene.say("g", "a", "早").await;
    let requests = scene.platform.requests.lock().unwrap();
    requests[0].key == requests[1].key
}

#[tokio::test]
async fn each_planted_mistake_is_seen() {
    plant(None);
    assert_eq!(wrong().await, [""; 0]);
    for (bug, sign) in [
        (Bug::EarlyRetry, "early"),
        (Bug::RetryUnknown, "doubled"),
        (Bug::ExpiryOff, "late"),
        (Bug::SharedNonce, "shared"),
    ] {
        plant(Some(bug));
        assert_eq!(wrong().await, [sign], "{bug:?}");
    }
    plant(None);
}
