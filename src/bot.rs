//! The bot: every part wired together, started and stopped as one.

use std::sync::Arc;

use crate::adapter::{Adapter, Inbox};
use crate::clock::{Clock, TimeMs};
use crate::config::Config;
use crate::id::Ref;
use crate::report::{Notice, TurnReport};
use crate::script::protocol::{ScriptHost, Source};
use crate::value::Role;

/// Everything that a bot is made of and that tests replace.
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Seed of all chance; from the operating system in production.
    pub seed: u64,
    /// Where scripts run.
    pub host: Arc<dyn ScriptHost>,
    /// Scripts in force at the start.
    pub sources: Vec<Source>,
    /// The platforms.
    pub adapters: Vec<Arc<dyn Adapter>>,
}

/// A member who has been there before the first event: how tests and pipes begin.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedMember {
    /// Her account.
    pub id: Ref,
    /// Her name.
    pub name: String,
    /// What she may do.
    pub role: Role,
    /// Her trust, 0–4.
    pub trust: u8,
    /// Her points.
    pub points: i64,
    /// Since when, Unix ms.
    pub joined_at: TimeMs,
    /// A bot's account.
    pub is_bot: bool,
}

/// A running bot.
pub struct Bot {}

impl Bot {
    /// Opens the store, takes the lock, replays what was left, starts every part.
    ///
    /// # Errors
    /// A store that cannot be opened or is used by another process.
    pub async fn start(_parts: Parts) -> anyhow::Result<Self> {
        todo!()
    }

    /// Where events are offered.
    pub fn inbox(&self) -> Arc<dyn Inbox> {
        todo!()
    }

    /// Reports of every turn committed from now on, in commit order.
    pub fn reports(&self) -> tokio::sync::mpsc::UnboundedReceiver<Arc<TurnReport>> {
        todo!()
    }

    /// Notices for the people who run the bot, from now on.
    pub fn notices(&self) -> tokio::sync::mpsc::UnboundedReceiver<Notice> {
        todo!()
    }

    /// Resolves when nothing is under way: every offered event committed, every delivery settled.
    pub async fn settled(&self) {
        todo!()
    }

    /// When the next timer is due, Unix ms.
    pub fn next_due(&self) -> Option<TimeMs> {
        todo!()
    }

    /// Offers every timer that is due by the clock. With a clock that flows this happens by
    /// itself; a virtual clock needs the call after each move.
    pub async fn fire_due(&self) {
        todo!()
    }

    /// Puts members into a group without any event. Members who are there already stay as they
    /// are, with their points.
    ///
    /// # Errors
    /// The store failed.
    pub async fn seed_members(
        &self,
        _group: &Ref,
        _members: Vec<SeedMember>,
    ) -> anyhow::Result<()> {
        todo!()
    }

    /// Puts a configuration and a set of scripts in force in one step.
    ///
    /// # Errors
    /// What cannot be applied while running, or settings that the scripts do not know; the old
    /// ones stay.
    pub async fn reload(
        &self,
        _config: Arc<Config>,
        _sources: Vec<Source>,
    ) -> anyhow::Result<Vec<String>> {
        todo!()
    }

    /// Stops intake, finishes every turn and delivery within the limit, closes the store.
    ///
    /// # Errors
    /// What could not be finished in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        todo!()
    }
}
