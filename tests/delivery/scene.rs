//! A bot, a platform that the test plays, a clock that the test moves, and deliveries that an earlier
//! process left.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qundao::adapter::{Outcome, Request};
use qundao::bot::Bot;
use qundao::clock::{Clock as _, TimeMs, VirtualClock};
use qundao::effect::{Call, Delivery, DeliveryState, Destination, Policy};
use qundao::event::Element;
use qundao::id::{CommunityId, DeliveryId, EventId, Ref};
use qundao::report::Notice;
use qundao::script::protocol::Source;
use qundao::store::{CommunityRow, EventRow, EventState, TurnRows, Write};
use sqlx::Row as _;
use tempfile::TempDir;

use crate::world::{Platform, Setup, group_ref, in_time, message, peek, script, sqlite};

pub const START: TimeMs = 1_795_000_000_000;
pub const MINUTE: TimeMs = 60_000;
pub const DAY: TimeMs = 24 * 60 * MINUTE;

/// Answers every message with its own text.
pub fn echo() -> Source {
    script("echo", "//! 回声\non_message(|m| m.reply(m.text));\n")
}

pub struct Scene {
    pub bot: Bot,
    pub clock: Arc<VirtualClock>,
    pub platform: Arc<Platform>,
    pub folder: TempDir,
    pub notices: tokio::sync::mpsc::UnboundedReceiver<Notice>,
    said: usize,
}

impl Scene {
    pub async fn new(platform: Arc<Platform>, sources: Vec<Source>) -> Self {
        Self::after(platform, sources, Vec::new()).await
    }

    /// After a process that left these deliveries.
    pub async fn after(platform: Arc<Platform>, sources: Vec<Source>, left: Vec<Delivery>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = VirtualClock::starting_at(START);
        let path = database(folder.path());
        if !left.is_empty() {
            crashed(&path, left).await;
        }
        let mut setup = Setup::new(sources);
        setup.clock = clock.clone();
        let bot = setup.start(sqlite(&path).await, &platform).await;
        let notices = bot.notices();
        let scene = Self { bot, clock, platform, folder, notices, said: 0 };
        in_time("what was left", scene.bot.settled()).await;
        scene
    }

    pub async fn say(&mut self, group: &str, who: &str, text: &str) {
        self.said += 1;
        let key = format!("k{}", self.said);
        self.hear(message(&key, group, who, text, self.clock.now())).await;
    }

    pub async fn hear(&self, envelope: qundao::event::Envelope) {
        self.bot.inbox().offer(envelope, None).await;
        in_time("the turn", self.bot.settled()).await;
        self.breathe().await;
    }

    /// Moves the clock to a time, stopping wherever something is due.
    pub async fn until(&self, target: TimeMs) {
        self.breathe().await;
        while let Some(due) = self.bot.next_due().filter(|due| *due <= target) {
            self.clock.set(due.max(self.clock.now()));
            self.bot.fire_due().await;
            // What waited for the clock holds no ticket until the outbox has looked.
            for _ in 0..10_000 {
                if self.bot.next_due() != Some(due) {
                    break;
                }
                tokio::task::yield_now().await;
            }
            self.breathe().await;
        }
        self.clock.set(target);
    }

    /// The outbox hears of things in its own time.
    pub async fn breathe(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        in_time("what was due", self.bot.settled()).await;
    }

    /// `(state, attempts, reason)` of every delivery, in order.
    pub async fn deliveries(&self) -> Vec<(String, i64, String)> {
        let mut db = peek(&database(self.folder.path())).await;
        let sql = "SELECT state, attempts, coalesce(reason, '') FROM delivery ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&mut db).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    pub async fn states(&self) -> Vec<String> {
        self.deliveries().await.into_iter().map(|(state, ..)| state).collect()
    }

    pub fn texts(&self) -> Vec<String> {
        self.platform.said().into_iter().map(|(_, text)| text).collect()
    }

    pub fn calls(&self) -> usize {
        self.platform.requests.lock().unwrap().len()
    }

    /// What the people who run the bot were told.
    pub fn told(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).collect()
    }
}

pub fn database(folder: &Path) -> PathBuf {
    folder.join("data/qundao.db")
}

pub fn done(n: usize) -> Outcome {
    Outcome::Done { id: Some(format!("m{n}")), degraded: Vec::new() }
}

pub fn away() -> Outcome {
    Outcome::NotSent { reason: "offline".to_owned(), retry_after: None }
}

pub fn unknown() -> Outcome {
    Outcome::Unknown { reason: "timed out".to_owned() }
}

/// Gives these outcomes first, then takes everything.
pub fn first(outcomes: Vec<Outcome>) -> impl FnMut(&Request) -> Outcome + Send {
    let (mut outcomes, mut asked) = (outcomes.into_iter(), 0);
    move |_| {
        asked += 1;
        outcomes.next().unwrap_or_else(|| done(asked))
    }
}

/// A message that an earlier process was sending to the group `g`.
pub fn left(id: i64) -> Delivery {
    Delivery {
        id: DeliveryId(id),
        key: format!("left-{id}"),
        event: EventId(1),
        answers: None,
        community: CommunityId(1),
        script: None,
        account: Ref::new("test", "bot"),
        to: Destination::Group(group_ref("g")),
        call: text(&format!("第 {id}")),
        policy: Policy::Retry,
        state: DeliveryState::Sending,
        reason: None,
        not_before: START - 1000,
        expires_at: START + DAY,
        attempts: 0,
        platform_id: None,
    }
}

pub fn text(text: &str) -> Call {
    let content = vec![Element::Text(text.to_owned())];
    Call::Send { content, reply_to: None, only_for: None, slot: None }
}

/// A file whose last process ended while these were on their way.
pub async fn crashed(path: &Path, deliveries: Vec<Delivery>) {
    let store = sqlite(path).await;
    let mut rows = TurnRows::new(EventRow {
        id: EventId(1),
        community: CommunityId(1),
        group: None,
        person: None,
        account: Ref::new("test", "bot"),
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
    store.close().await;
}
