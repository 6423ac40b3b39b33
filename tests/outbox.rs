//! What becomes of a delivery when the platform says no, later, or nothing: tried again in order,
//! given up with a reason, told to the owner, never hammered.

mod world;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use qundao::adapter::{Outcome, Rate, RateScope, Request, Seen, SendSafety};
use qundao::bot::Bot;
use qundao::clock::{Clock, TimeMs, VirtualClock};
use qundao::effect::{Call, Delivery, DeliveryState, Destination, Policy};
use qundao::event::Element;
use qundao::id::{CommunityId, DeliveryId, EventId};
use qundao::store::{CommunityRow, EventRow, EventState, Store, TurnRows, Write};
use sqlx::Row;
use tempfile::TempDir;
use world::{Platform, Setup, in_time, message, peek, script, seed, shipped, sqlite};

const START: TimeMs = 1_795_000_000_000;
/// Answers every message with its own text.
const ECHO: &str = "//! 回声\non_message(|m| m.reply(m.text));\n";

struct Scene {
    bot: Bot,
    clock: Arc<VirtualClock>,
    platform: Arc<Platform>,
    folder: TempDir,
    said: usize,
}

impl Scene {
    async fn new(platform: Arc<Platform>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = VirtualClock::starting_at(START);
        let mut setup = Setup::new(vec![script("echo", ECHO), shipped("red_packet")]);
        setup.clock = clock.clone();
        let store = sqlite(&folder.path().join("qundao.db")).await;
        let bot = setup.start(store, &platform).await;
        Self { bot, clock, platform, folder, said: 0 }
    }

    async fn say(&mut self, group: &str, who: &str, text: &str) {
        self.said += 1;
        let key = format!("k{}", self.said);
        self.bot.inbox().offer(message(&key, group, who, text, self.clock.now()), None).await;
        in_time("the turn", self.bot.settled()).await;
    }

    /// Moves the clock to a time, stopping wherever something is due.
    async fn until(&self, target: TimeMs) {
        while let Some(due) = self.bot.next_due().filter(|due| *due <= target) {
            self.clock.set(due);
            self.bot.fire_due().await;
            // The outbox hears of the moved clock in its own time.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            in_time("what was due", self.bot.settled()).await;
        }
        self.clock.set(target);
    }

    /// `(state, attempts, reason)` of every delivery, in order.
    async fn deliveries(&self) -> Vec<(String, i64, String)> {
        let mut db = peek(&self.folder.path().join("qundao.db")).await;
        let sql = "SELECT state, attempts, coalesce(reason, '') FROM delivery ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&mut db).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.platform.said().into_iter().map(|(_, text)| text).collect()
    }
}

fn done(n: usize) -> Outcome {
    Outcome::Done { id: Some(format!("m{n}")), degraded: Vec::new() }
}

/// Refuses the first `count` requests with an outcome, then takes everything.
fn first(count: usize, outcome: Outcome) -> impl FnMut(&Request) -> Outcome + Send {
    let mut asked = 0;
    move |_| {
        asked += 1;
        if asked <= count { outcome.clone() } else { done(asked) }
    }
}

#[tokio::test]
async fn what_was_certainly_not_sent_is_tried_when_the_platform_said_and_keeps_its_place() {
    let later =
        Outcome::NotSent { reason: "429".to_owned(), retry_after: Some(Duration::from_secs(30)) };
    let mut scene = Scene::new(Platform::answering(first(1, later))).await;
    scene.say("g1", "a", "一").await;
    scene.say("g1", "a", "二").await;
    scene.say("g2", "b", "别处").await;
    // The first waits, the second waits behind it, another group does not.
    assert_eq!(scene.texts(), ["一", "别处"]);
    scene.until(START + 29_999).await;
    assert_eq!(scene.texts(), ["一", "别处"]);
    scene.until(START + 30_000).await;
    assert_eq!(scene.texts(), ["一", "别处", "一", "二"]);
    let states: Vec<_> =
        scene.deliveries().await.into_iter().map(|(state, tries, _)| (state, tries)).collect();
    let sent = |tries| ("sent".to_owned(), tries);
    assert_eq!(states, [sent(2), sent(1), sent(1)]);
}

#[tokio::test]
async fn a_refusal_is_final_and_told_once() {
    let gone = Outcome::Permanent { reason: "403 muted".to_owned() };
    let mut scene = Scene::new(Platform::answering(first(1, gone))).await;
    let mut notices = scene.bot.notices();
    scene.say("g1", "a", "一").await;
    scene.say("g1", "a", "二").await;
    scene.until(START + 3_600_000).await;
    assert_eq!(scene.texts(), ["一", "二"]);
    let states = scene.deliveries().await;
    assert_eq!(states[0], ("failed".to_owned(), 1, "403 muted".to_owned()));
    assert_eq!(states[1].0, "sent");
    let notice = notices.try_recv().unwrap();
    assert!(notice.is_problem && notice.text.contains("403 muted"), "{notice:?}");
    assert!(notice.text.contains("test:g1"), "{notice:?}");
    assert!(notices.try_recv().is_err());
}

#[tokio::test]
async fn a_platform_that_is_away_is_not_hammered_and_the_limit_is_named() {
    let never = |_: &Request| Outcome::NotSent { reason: "offline".to_owned(), retry_after: None };
    let mut scene = Scene::new(Platform::answering(never)).await;
    scene.say("g1", "a", "一").await;
    scene.until(START + 3_600_000).await;
    let states = scene.deliveries().await;
    assert_eq!((states[0].0.as_str(), states[0].1), ("failed", 8));
    assert!(states[0].2.contains("`delivery_attempts`"), "{states:?}");
    assert_eq!(scene.texts().len(), 8);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_sent() {
    let later = Outcome::NotSent {
        reason: "slow mode".to_owned(),
        retry_after: Some(Duration::from_secs(400)),
    };
    let mut scene = Scene::new(Platform::answering(first(2, later))).await;
    scene.say("g1", "a", "一").await;
    scene.say("g1", "a", "二").await;
    scene.until(START + 3_600_000).await;
    // A third try would come after ten minutes, when nobody waits for it any more; what stands behind
    // it must keep the same wait.
    assert_eq!(scene.texts(), ["一", "一"]);
    let states = scene.deliveries().await;
    assert_eq!((states[0].0.as_str(), states[1].0.as_str()), ("skipped", "skipped"));
    assert!(states[0].2.contains("expired"), "{states:?}");
}

#[tokio::test]
async fn a_wait_that_was_asked_for_outlives_what_it_was_told_to() {
    let later = Outcome::NotSent {
        reason: "slow mode".to_owned(),
        retry_after: Some(Duration::from_secs(400)),
    };
    let mut scene = Scene::new(Platform::answering(first(2, later))).await;
    scene.say("g1", "a", "一").await;
    scene.until(START + 650_000).await;
    assert_eq!(scene.deliveries().await[0].0, "skipped");
    scene.say("g1", "a", "二").await;
    scene.until(START + 799_999).await;
    assert_eq!(scene.texts(), ["一", "一"]);
    scene.until(START + 800_000).await;
    assert_eq!(scene.texts(), ["一", "一", "二"]);
}

#[tokio::test]
async fn what_may_have_arrived_follows_its_policy() {
    let unclear = Outcome::Unknown { reason: "timed out".to_owned() };
    let mut scene = Scene::new(Platform::answering(first(1, unclear))).await;
    scene.say("g1", "a", "一").await;
    scene.until(START + 60_000).await;
    // An answer is rather shown twice than not at all.
    assert_eq!(scene.texts(), ["一", "一"]);
    assert_eq!(scene.deliveries().await[0].0, "sent");
}

#[tokio::test]
async fn what_may_have_arrived_is_looked_for_where_the_platform_can_tell() {
    let unclear = || Outcome::Unknown { reason: "the connection broke".to_owned() };
    let scene = |seen: Vec<Seen>| async {
        let platform = Platform::with(&[], SendSafety::ReadBack, first(1, unclear()));
        platform.seen.lock().unwrap().extend(seen);
        let mut scene = Scene::new(platform).await;
        scene.say("g1", "a", "一").await;
        scene.say("g1", "a", "二").await;
        scene.until(START + 60_000).await;
        (scene.texts().join(" "), scene.deliveries().await)
    };
    // It is there: never sent again, and its id is known.
    let (texts, states) = scene(vec![Seen::Yes(Some("m7".to_owned()))]).await;
    assert_eq!((texts.as_str(), states[0].0.as_str(), states[0].1), ("一 二", "sent", 1));
    // It is not: sent again, before what stands behind it.
    let (texts, states) = scene(vec![Seen::No]).await;
    assert_eq!((texts.as_str(), states[0].0.as_str(), states[0].1), ("一 一 二", "sent", 2));
    // Nobody can be asked yet: the question is put again, and the order holds.
    let (texts, states) = scene(vec![Seen::Later, Seen::Later, Seen::Yes(None)]).await;
    assert_eq!((texts.as_str(), states[0].0.as_str(), states[0].1), ("一 二", "sent", 1));
    // Nobody will ever know: the policy of an answer is to send it again.
    let (texts, _) = scene(vec![Seen::Unknown]).await;
    assert_eq!(texts, "一 一 二");
}

#[tokio::test]
async fn messages_keep_the_rates_of_the_account_and_of_each_destination() {
    const RATES: &[Rate] = &[
        Rate {
            scope: RateScope::Account,
            count: 1,
            period: Duration::from_secs(1),
            drops_silently: false,
        },
        Rate {
            scope: RateScope::Destination,
            count: 2,
            period: Duration::from_secs(60),
            drops_silently: false,
        },
    ];
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let platform =
        Platform::with(RATES, SendSafety::None, |_| done(SENT.fetch_add(1, Ordering::SeqCst)));
    let mut scene = Scene::new(platform).await;
    for text in ["一", "二", "三"] {
        scene.say("g1", "a", text).await;
    }
    scene.say("g2", "b", "别处").await;
    assert_eq!(scene.texts(), ["一"]);
    scene.until(START + 999).await;
    assert_eq!(scene.texts(), ["一"]);
    // One a second from the account; two in a minute in a group, wherever the minute begins.
    scene.until(START + 2_000).await;
    let mut two = scene.texts();
    two.sort();
    assert_eq!(two, ["一", "二", "别处"]);
    scene.until(START + 59_999).await;
    assert_eq!(scene.texts().len(), 3);
    scene.until(START + 62_000).await;
    assert_eq!(scene.texts().last().map(String::as_str), Some("三"));
}

#[tokio::test]
async fn a_living_message_changes_at_most_every_three_seconds_and_ends_right() {
    const RATES: &[Rate] = &[Rate {
        scope: RateScope::Destination,
        count: 20,
        period: Duration::from_secs(60),
        drops_silently: false,
    }];
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let platform =
        Platform::with(RATES, SendSafety::None, |_| done(SENT.fetch_add(1, Ordering::SeqCst)));
    let mut scene = Scene::new(platform).await;
    let mut members = vec![seed("sender", 1000, START)];
    members.extend((0..8).map(|n| seed(&format!("m{n}"), 0, START)));
    scene.bot.seed_members(&world::group_ref("g"), members).await.unwrap();
    scene.say("g", "sender", "红包 80 8").await;
    for n in 0..8 {
        scene.say("g", &format!("m{n}"), "抢").await;
        scene.clock.set(scene.clock.now() + 100);
    }
    scene.until(START + 60_000).await;
    let cards: Vec<(Option<String>, String)> = scene
        .platform
        .requests
        .lock()
        .unwrap()
        .iter()
        .filter_map(|request| match &request.call {
            Call::Card { message, content, .. } => {
                Some((message.clone(), qundao::event::plain_text(content)))
            }
            _ => None,
        })
        .collect();
    // Sent once, then one edit of the same message with the final state.
    assert_eq!(cards.len(), 2, "{cards:?}");
    assert_eq!(cards[0].0, None);
    assert_eq!(cards[1].0, Some("m0".to_owned()));
    assert!(cards[1].1.contains("8/8"), "{cards:?}");
    let superseded =
        |(state, _, reason): &(String, i64, String)| state == "skipped" && reason == "superseded";
    // The echo answers each of the nine messages too.
    let deliveries = scene.deliveries().await;
    assert_eq!(deliveries.iter().filter(|row| superseded(row)).count(), 7, "{deliveries:?}");
}

/// A delivery that a process left behind.
fn left(id: i64, policy: Policy, state: DeliveryState, expires_at: TimeMs) -> Delivery {
    Delivery {
        id: DeliveryId(id),
        key: format!("left-{id}"),
        event: EventId(1),
        answers: None,
        community: CommunityId(1),
        script: None,
        account: qundao::id::Ref::new("test", "bot"),
        to: Destination::Group(world::group_ref("g")),
        call: Call::Send {
            content: vec![Element::Text(format!("第 {id}"))],
            reply_to: None,
            only_for: None,
            slot: None,
        },
        policy,
        state,
        reason: None,
        not_before: 0,
        expires_at,
        attempts: 1,
        platform_id: None,
    }
}

/// A file whose last process ended while these were on their way.
async fn crashed(path: &Path, deliveries: Vec<Delivery>) {
    let store = sqlite(path).await;
    let mut rows = TurnRows::new(EventRow {
        id: EventId(1),
        community: CommunityId(1),
        group: None,
        person: None,
        account: qundao::id::Ref::new("test", "bot"),
        key: "1".into(),
        kind: "message",
        at: START,
        received_at: START,
        seed: 0,
        state: EventState::Done,
        text: None,
        body: None,
        outcome: None,
    });
    rows.community = Some(CommunityRow { id: CommunityId(1), key: "test:g".to_owned() });
    rows.deliveries = deliveries;
    store.commit(&[Write::Turn(Box::new(rows))]).await.unwrap();
}

#[tokio::test]
async fn after_a_crash_what_was_being_sent_is_judged_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let soon = START + 600_000;
    let deliveries = vec![
        left(1, Policy::Retry, DeliveryState::Sending, soon),
        left(2, Policy::Drop, DeliveryState::Sending, soon),
        left(3, Policy::Drop, DeliveryState::Queued, soon),
        left(4, Policy::Retry, DeliveryState::Sending, START - 1),
    ];
    crashed(&path, deliveries).await;
    let platform = Platform::willing();
    let mut setup = Setup::new(Vec::new());
    setup.clock = VirtualClock::starting_at(START);
    let store: Arc<dyn Store> = sqlite(&path).await;
    let bot = setup.start(store, &platform).await;
    in_time("what was left", bot.settled()).await;
    let texts: Vec<String> = platform.said().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["第 1", "第 3"]);
    let mut db = peek(&path).await;
    let states = sqlx::query("SELECT state FROM delivery ORDER BY id");
    let states: Vec<String> =
        states.fetch_all(&mut db).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(states, ["sent", "unknown", "sent", "unknown"]);
    bot.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_crash_left_in_doubt_does_not_wait_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let soon = START + 600_000;
    // Tries are counted with the outcome, and a crash leaves none.
    let one =
        |id| Delivery { attempts: 0, ..left(id, Policy::Retry, DeliveryState::Sending, soon) };
    crashed(&path, vec![one(1), one(2), one(3)]).await;
    let done = |_: &_| Outcome::Done { id: None, degraded: Vec::new() };
    let platform = Platform::with(&[], SendSafety::ReadBack, done);
    // A history that does not reach back: nobody knows.
    platform.seen.lock().unwrap().extend([Seen::Unknown, Seen::Unknown, Seen::Unknown]);
    let mut setup = Setup::new(Vec::new());
    // It stands still, so that whoever waits waits for ever.
    setup.clock = VirtualClock::starting_at(START);
    let bot = setup.start(sqlite(&path).await, &platform).await;
    in_time("what was left", bot.settled()).await;
    let texts: Vec<String> = platform.said().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["第 1", "第 2", "第 3"]);
    bot.stop().await.unwrap();
}
