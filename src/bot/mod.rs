//! The bot: every part wired together, started and stopped as one.

mod auditor;
pub mod gauge;
mod condemn;
mod keep;
mod note;
mod planned;
mod reload;
mod seed;
mod start;
mod stop;
pub mod timers;
mod unread;
mod watch;

pub use keep::KEYS_DAYS;
pub use seed::SeedMember;

use std::sync::{Arc, RwLock};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::adapter::{Adapter, Inbox};
use crate::clock::{Clock, TimeMs};
use crate::commit::{Figures, Listeners, Settling, tell};
use crate::config::Config;
use crate::intake::Door;
use crate::lane::Message;
use crate::moderation::WordLists;
use crate::news::{Fetch, Newsroom};
use crate::outbox::OutboxDue;
use crate::planted::{self, Point};
use crate::report::{Notice, TurnReport};
use crate::script::protocol::{ScriptHost, Source};
use crate::store::Store;
use crate::turn::World;

use gauge::Gauge;
use keep::Housekeeper;
use reload::Scripts;
use timers::Timers;

/// Everything that a bot is made of and that tests replace.
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Source of all chance; from the operating system in production, never written anywhere.
    pub secret: [u8; 32],
    /// The database, opened.
    pub store: Arc<dyn Store>,
    /// Where scripts run.
    pub host: Arc<dyn ScriptHost>,
    /// Scripts in force at the start.
    pub sources: Vec<Source>,
    /// Word lists in force at the start.
    pub words: WordLists,
    /// Where feeds come from.
    pub feeds: Arc<dyn Fetch>,
    /// The platforms.
    pub adapters: Vec<Arc<dyn Adapter>>,
}

/// A running bot.
pub struct Bot {
    clock: Arc<dyn Clock>,
    door: Arc<Door>,
    gauge: Arc<Gauge>,
    timers: Arc<Timers>,
    outbox_due: Arc<OutboxDue>,
    lanes: mpsc::UnboundedSender<Message>,
    store: Arc<dyn Store>,
    world: Arc<World>,
    newsroom: Arc<Newsroom>,
    housekeeper: Arc<Housekeeper>,
    settlements: mpsc::UnboundedSender<Settling>,
    config: Arc<RwLock<Arc<Config>>>,
    scripts: Arc<tokio::sync::Mutex<Scripts>>,
    reports: Arc<Listeners<Arc<TurnReport>>>,
    notices: Arc<Listeners<Notice>>,
    figures: Arc<Figures>,
    stop: CancellationToken,
    ended: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    adapters: Vec<JoinHandle<()>>,
}

impl Bot {
    /// Where events are offered.
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        self.door.clone()
    }

    /// Reports of every turn committed from now on, in commit order.
    pub fn reports(&self) -> mpsc::UnboundedReceiver<Arc<TurnReport>> {
        listen(&self.reports)
    }

    /// Notices for the people who run the bot, from now on.
    pub fn notices(&self) -> mpsc::UnboundedReceiver<Notice> {
        listen(&self.notices)
    }

    /// Commits and turns so far.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// How much is under way: events not committed, deliveries not settled.
    pub fn under_way(&self) -> usize {
        self.gauge.count()
    }

    /// The database.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().expect("the configuration is only replaced whole").clone()
    }

    /// Resolves when nothing is under way: every offered event committed, every delivery settled.
    pub async fn settled(&self) {
        self.gauge.settled().await;
    }

    /// Resolves when every adapter has ended by itself (a console was closed).
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// When something that waits for the clock is next due, Unix ms.
    pub fn next_due(&self) -> Option<TimeMs> {
        let due = [self.timers.next_due(), self.outbox_due.next(), self.newsroom.next_due()];
        due.into_iter().flatten().min()
    }

    /// Offers every timer that is due by the clock. With a clock that flows this happens by
    /// itself; after the clock was moved it needs this call.
    pub async fn fire_due(&self) {
        if self.clock.flows() {
            self.newsroom.look();
        } else {
            // Before the timers, so that they find what is there at their moment.
            self.newsroom.refresh().await;
            self.housekeeper.look().await;
        }
        fire_due(&self.timers, &self.gauge, &self.lanes, self.clock.now());
        self.outbox_due.moved.notify_one();
        self.timers.changed.notify_one();
        tokio::task::yield_now().await;
    }

    /// Tells the people who run the bot.
    pub fn notify(&self, notice: &Notice) {
        tell(&self.notices, notice);
    }
}

fn listen<T>(listeners: &Listeners<T>) -> mpsc::UnboundedReceiver<T> {
    let (listener, heard) = mpsc::unbounded_channel();
    listeners.lock().expect("listeners are only added and removed").push(listener);
    heard
}

/// Hands every due timer to its lane.
fn fire_due(
    timers: &Timers,
    gauge: &Arc<Gauge>,
    lanes: &mpsc::UnboundedSender<Message>,
    now: TimeMs,
) {
    for (due, timer, community) in timers.take_due(now) {
        planted::reach(Point::TimerDue);
        if lanes.send(Message::Due(community, timer, due, gauge.ticket())).is_err() {
            tracing::debug!("the lanes have stopped; the timer fires with the next start");
        }
    }
}

/// The chance of a test: everything that follows from a number.
pub fn secret_from(seed: u64) -> [u8; 32] {
    Sha256::digest(seed.to_be_bytes()).into()
}

/// 32 bytes of chance from the operating system.
///
/// # Errors
/// A system without a source of chance.
pub fn secret() -> anyhow::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("get chance from the operating system")?;
    Ok(secret)
}
