//! What the parts of the adapter have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serenity::model::id::{ApplicationId, ChannelId, MessageId, UserId};
use tokio::sync::watch;

use super::decode::Reader;
use super::question::Questions;
use super::rest::Rest;
use super::settings::Settings;
use super::slash::Offers;
use super::table::Table;
use super::tally::Tally;
use crate::adapter::CommandOffer;
use crate::clock::{Clock, TimeMs};

/// A channel that refused us is left alone for so long, unless something about it changes; how often
/// it is asked after that is the core's to say.
const CLOSED_MS: i64 = 60_000;
/// Channels of direct messages that are remembered.
const DIRECT_MAX: usize = 10_000;
/// Messages whose author is remembered, in each of two generations.
const FOREIGN_MAX: usize = 50_000;

/// Shared by all tasks.
pub struct Shared {
    /// The section.
    pub settings: Settings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// When this process began.
    pub started_at: TimeMs,
    /// The way out.
    pub rest: Arc<Rest>,
    /// Counts.
    pub tally: Arc<Tally>,
    /// Our application, once it is known.
    pub application: OnceLock<ApplicationId>,
    /// Commands in force.
    pub commands: watch::Sender<Arc<[CommandOffer]>>,
    table: Mutex<Table>,
    offers: Mutex<Offers>,
    questions: Mutex<Questions>,
    memory: Mutex<Memory>,
}

/// Small things to remember.
#[derive(Debug, Default)]
pub struct Memory {
    /// Channels that refused us, and until when they are left alone.
    pub closed: HashMap<ChannelId, TimeMs>,
    /// Channels of direct messages.
    pub direct: HashMap<UserId, ChannelId>,
    foreign: (HashMap<MessageId, ()>, HashMap<MessageId, ()>),
}

impl Memory {
    /// Whether a channel is left alone.
    pub fn is_closed(&self, channel: ChannelId, now: TimeMs) -> bool {
        self.closed.get(&channel).is_some_and(|until| *until > now)
    }

    /// A channel refused us.
    pub fn close(&mut self, channel: ChannelId, now: TimeMs) {
        self.closed.retain(|_, until| *until > now);
        self.closed.insert(channel, now + CLOSED_MS);
    }

    /// The channel of direct messages with somebody.
    pub fn put_direct(&mut self, user: UserId, channel: ChannelId) {
        if self.direct.len() >= DIRECT_MAX {
            self.direct.clear();
        }
        self.direct.insert(user, channel);
    }

    /// Somebody else said this.
    pub fn put_foreign(&mut self, message: MessageId) {
        if self.foreign.0.len() >= FOREIGN_MAX {
            self.foreign.1 = std::mem::take(&mut self.foreign.0);
        }
        self.foreign.0.insert(message, ());
    }

    /// Whether it is known that somebody else said this.
    pub fn is_foreign(&self, message: &str) -> bool {
        let Some(id) = message.parse().ok().filter(|id| *id != 0).map(MessageId::new) else {
            return false;
        };
        self.foreign.0.contains_key(&id) || self.foreign.1.contains_key(&id)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Nothing known yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, rest: Rest, own: Option<UserId>) -> Self {
        let (commands, _) = watch::channel(Arc::from([]));
        Self {
            settings,
            started_at: clock.now(),
            clock,
            rest: Arc::new(rest),
            tally: Arc::default(),
            application: OnceLock::new(),
            commands,
            table: Mutex::new(Table::of(own)),
            offers: Mutex::default(),
            questions: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// What is known of servers.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Commands by slash name.
    pub fn offers(&self) -> MutexGuard<'_, Offers> {
        lock(&self.offers)
    }

    /// Interactions that wait.
    pub fn questions(&self) -> MutexGuard<'_, Questions> {
        lock(&self.questions)
    }

    /// Small things.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Reads events against a table.
    pub fn reader<'t>(&'t self, table: &'t Table) -> Reader<'t> {
        let (now, started_at) = (self.clock.now(), self.started_at);
        Reader { table, welcome: &self.settings.welcome, now, started_at }
    }
}
