//! A place that refuses is told of once, asked again with growing waits, and opened by what happens
//! there; however many refuse, an account makes few calls in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use qundao::adapter::{Barred, Outcome};
use qundao::effect::{Delivery, DeliveryState, Destination, Policy};
use qundao::event::{Actor, EventKind};
use qundao::id::Ref;

use crate::scene::{DAY, MINUTE, START, Scene, done, echo, left};
use crate::world::{Platform, event, group_ref};

fn closed(why: Barred) -> Outcome {
    Outcome::Closed { why, reason: "says the platform".to_owned() }
}

fn offline() -> Outcome {
    Outcome::Offline { reason: "nobody is connected".to_owned() }
}

/// A platform that refuses until it is told not to.
fn refusing(why: Barred) -> (Arc<Platform>, Arc<AtomicBool>) {
    let is_open = Arc::new(AtomicBool::new(false));
    let asked = is_open.clone();
    let answer = move |_: &_| if asked.load(Ordering::SeqCst) { done(1) } else { closed(why) };
    (Platform::answering(answer), is_open)
}

fn queued(id: i64) -> Delivery {
    Delivery { state: DeliveryState::Queued, ..left(id) }
}

#[tokio::test]
async fn a_place_that_refuses_is_asked_with_growing_waits_and_told_of_once() {
    let (platform, is_open) = refusing(Barred::Muted);
    // The first goes once the scene listens.
    let first = Delivery { not_before: START + 1000, ..queued(1) };
    let deliveries = std::iter::once(first).chain((2..=20).map(queued)).collect();
    let mut scene = Scene::after(platform, Vec::new(), deliveries).await;
    let mut calls_at = vec![(0, scene.calls())];
    for minute in 1..=60 {
        scene.until(START + minute * MINUTE).await;
        if calls_at.last().unwrap().1 != scene.calls() {
            calls_at.push((minute, scene.calls()));
        }
    }
    assert_eq!(calls_at, [(0, 0), (1, 1), (2, 2), (4, 3), (8, 4), (16, 5), (32, 6)]);
    let problems: Vec<_> = scene.told().into_iter().filter(|told| told.is_problem).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].text.contains("`test:g` was refused (muted)"), "{problems:?}");
    // Open again: one finds out, and all that waited follow.
    is_open.store(true, Ordering::SeqCst);
    scene.until(START + 64 * MINUTE).await;
    let states = scene.states().await;
    assert_eq!(states.iter().filter(|state| *state == "failed").count(), 6, "{states:?}");
    assert_eq!(states.iter().filter(|state| *state == "sent").count(), 14, "{states:?}");
    assert!(scene.deliveries().await[0].2.starts_with("muted: says the platform"));
    let told = scene.told();
    assert!(told.iter().any(|told| told.text.contains("takes messages again")), "{told:?}");
}

#[tokio::test]
async fn what_is_rather_lost_is_not_kept_and_what_expires_says_why() {
    let (platform, _) = refusing(Barred::Removed);
    let deliveries = vec![
        queued(1),
        Delivery { expires_at: START + 30_000, ..queued(2) },
        Delivery { policy: Policy::Drop, ..queued(3) },
    ];
    let scene = Scene::after(platform, Vec::new(), deliveries).await;
    scene.until(START + 30_000).await;
    let reasons: Vec<_> =
        scene.deliveries().await.into_iter().map(|(state, _, why)| (state, why)).collect();
    assert_eq!(reasons[1], ("skipped".to_owned(), "parked: removed; expired".to_owned()));
    assert_eq!(reasons[2], ("skipped".to_owned(), "parked: removed".to_owned()));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn it_is_asked_at_once_when_the_bot_is_let_in_again_and_soon_when_somebody_speaks() {
    let (platform, is_open) = refusing(Barred::Muted);
    let mut scene = Scene::new(platform, vec![echo()]).await;
    scene.say("g1", "a", "一").await;
    for minute in 0..10 {
        scene.until(START + minute * MINUTE).await;
        for _ in 0..5 {
            scene.say("g1", "a", "还在吗").await;
        }
    }
    // People talk all the time; a call a minute finds out.
    assert!((8..=11).contains(&scene.calls()), "{}", scene.calls());
    let before = scene.calls();
    is_open.store(true, Ordering::SeqCst);
    scene.say("elsewhere", "b", "别处").await;
    assert_eq!(scene.calls(), before + 1, "another group is not held up");
    let own = EventKind::Silenced { until: None, by: None };
    let mut freed = event("freed", "g1", "bot", own, START);
    freed.actor = Some(Actor {
        id: Ref::new("test", "bot"),
        name: String::new(),
        nickname: None,
        role: None,
        is_bot: true,
    });
    scene.hear(freed).await;
    scene.until(START + 9 * MINUTE + 1000).await;
    assert!(scene.calls() > before + 1, "it was asked without waiting");
    assert!(scene.states().await.iter().any(|state| state == "sent"));
}

#[tokio::test]
async fn an_account_that_is_offline_is_waited_for_in_order_and_no_try_is_counted() {
    let is_back = Arc::new(AtomicBool::new(false));
    let asked = is_back.clone();
    let answer = move |_: &_| if asked.load(Ordering::SeqCst) { done(1) } else { offline() };
    let elsewhere = Destination::Group(group_ref("h"));
    let deliveries = vec![
        queued(1),
        Delivery { policy: Policy::Drop, ..queued(2) },
        Delivery { expires_at: START + MINUTE, ..queued(3) },
        Delivery { to: elsewhere, ..queued(4) },
        queued(5),
    ];
    let mut scene = Scene::after(Platform::answering(answer), Vec::new(), deliveries).await;
    scene.until(START + 20 * MINUTE).await;
    // 1, 2, 4, 8, 16 s, then every half minute: for all that wait together, not for each.
    assert!((35..=50).contains(&scene.calls()), "{} calls in twenty minutes", scene.calls());
    let told: Vec<_> = scene.told().into_iter().filter(|told| told.is_problem).collect();
    assert!(told.is_empty(), "{told:?}");
    is_back.store(true, Ordering::SeqCst);
    let before = scene.calls();
    scene.hear(event("back", "g", "bot", EventKind::Online(true), START)).await;
    scene.until(START + 20 * MINUTE + 1).await;
    assert_eq!(scene.calls() - before, 4, "at once, when it says that it is back");
    let deliveries = scene.deliveries().await;
    let ends: Vec<_> =
        deliveries.iter().map(|(state, tries, _)| (state.as_str(), *tries)).collect();
    assert_eq!(ends, [("sent", 1), ("sent", 1), ("skipped", 0), ("sent", 1), ("sent", 1)]);
    assert!(deliveries[2].2.ends_with("expired"), "{deliveries:?}");
    let in_group: Vec<String> = scene.texts().into_iter().filter(|text| text != "第 4").collect();
    assert_eq!(in_group[in_group.len() - 3..], ["第 1", "第 2", "第 5"]);
}

#[tokio::test]
async fn an_account_that_answers_anything_is_back() {
    let is_back = Arc::new(AtomicBool::new(false));
    let asked = is_back.clone();
    let mut answers = 0;
    // Once it is back it refuses what is asked first.
    let answer = move |_: &_| {
        if !asked.load(Ordering::SeqCst) {
            return offline();
        }
        answers += 1;
        match answers {
            1 => Outcome::Permanent { reason: "no such message".to_owned() },
            n => done(n),
        }
    };
    let elsewhere = |id| Destination::Group(group_ref(&format!("g{id}")));
    let deliveries = (1..=40).map(|id| Delivery { to: elsewhere(id), ..queued(id) }).collect();
    let scene = Scene::after(Platform::answering(answer), Vec::new(), deliveries).await;
    scene.until(START + 500).await;
    // All of them may have been on their way: it is one absence all the same, and a wait of a second.
    assert!((1..=40).contains(&scene.calls()), "{}", scene.calls());
    is_back.store(true, Ordering::SeqCst);
    scene.until(START + 1100).await;
    let states = scene.states().await;
    assert_eq!(states.iter().filter(|state| *state == "failed").count(), 1, "{states:?}");
    assert_eq!(states.iter().filter(|state| *state == "sent").count(), 39, "{states:?}");
}

#[tokio::test]
async fn a_revoked_token_costs_five_calls_at_most() {
    let (platform, _) = refusing(Barred::Token);
    let mut scene = Scene::new(platform, vec![echo()]).await;
    for second in 0..600 {
        scene.until(START + second * 1000).await;
        if second % 5 == 0 {
            scene.say(&format!("g{}", second % 35), "a", "早").await;
        }
    }
    assert!((2..=5).contains(&scene.calls()), "{} calls in ten minutes", scene.calls());
    let problems: Vec<_> =
        scene.told().into_iter().filter(|told| told.text.contains("refused")).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[tokio::test]
async fn an_account_makes_a_hundred_calls_in_vain_in_ten_minutes_and_no_more() {
    let (platform, _) = refusing(Barred::Forbidden);
    // Every one to a place of its own.
    let own_place = |id| {
        let to = Destination::Group(group_ref(&format!("g{}", id % 300)));
        Delivery { to, expires_at: START + DAY, ..queued(id) }
    };
    let mut scene = Scene::after(platform, Vec::new(), (1..=900).map(own_place).collect()).await;
    let mut most = 0;
    let mut before = Vec::new();
    for minute in 0..40 {
        scene.until(START + minute * MINUTE + 59_000).await;
        before.push(scene.calls());
        let ten_ago = before.len().checked_sub(11).map_or(0, |at| before[at]);
        most = most.max(scene.calls() - ten_ago);
    }
    assert!(most <= 100, "{most} in ten minutes");
    assert!(scene.calls() > 200, "it goes on after that: {}", scene.calls());
    let breaker = |told: &qundao::report::Notice| told.text.contains("makes no call");
    let told = scene.told().into_iter().filter(breaker).count();
    assert!((1..=5).contains(&told), "{told} alarms");
}
