//! Living messages: which message of the platform a slot is, and how often it may change.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Outgoing;
use crate::clock::TimeMs;
use crate::effect::{Call, Delivery, Destination};
use crate::store::Store;
use crate::turn::World;

/// A platform with rates gets a changed card at most this often, ms.
const CARD_EVERY_MS: i64 = 3000;
/// Slots that are remembered in memory; the database knows the others.
const SLOTS_REMEMBERED: usize = 10_000;

/// A slot of a destination.
type Key = (Destination, String);

/// The messages behind slots.
pub(super) struct Slots {
    store: Arc<dyn Store>,
    /// `None`: the platform has lost it, whatever the database says.
    messages: HashMap<Key, Option<String>>,
    changed_at: HashMap<Key, TimeMs>,
}

impl Slots {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, messages: HashMap::new(), changed_at: HashMap::new() }
    }

    /// When a card may change again; at once where the platform sets no rates.
    pub(super) fn allowed_at(&self, delivery: &Delivery, world: &World) -> TimeMs {
        let Call::Card { key, .. } = &delivery.call else { return 0 };
        let is_paced = world
            .platforms
            .get(delivery.account.platform())
            .is_some_and(|platform| !platform.capabilities.rates.is_empty());
        let last = self.changed_at.get(&(delivery.to.clone(), key.clone()));
        if is_paced { last.map_or(0, |at| at + CARD_EVERY_MS) } else { 0 }
    }

    /// Fills in which message a card edits.
    pub(super) async fn prepare(&mut self, delivery: &mut Delivery, can_edit: bool) {
        let to = delivery.to.clone();
        if let Call::Card { key, message, .. } = &mut delivery.call {
            *message = if can_edit { self.message(&to, key).await } else { None };
        }
    }

    /// The message that stands in a slot.
    pub(super) async fn message(&mut self, to: &Destination, slot: &str) -> Option<String> {
        if let Some(message) = self.messages.get(&(to.clone(), slot.to_owned())) {
            return message.clone();
        }
        match self.store.message_in(to, slot).await {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, slot, "could not look up a living message");
                None
            }
        }
    }

    /// A message was sent or edited.
    pub(super) fn note(&mut self, delivery: &Delivery, message: Option<&str>, now: TimeMs) {
        let slot = match &delivery.call {
            Call::Card { key, .. } => key,
            Call::Send { slot: Some(slot), .. } => slot,
            _ => return,
        };
        if self.messages.len() >= SLOTS_REMEMBERED {
            self.messages.clear();
            self.changed_at.clear();
        }
        let key = (delivery.to.clone(), slot.clone());
        self.changed_at.insert(key.clone(), now);
        if let Some(message) = message {
            self.messages.insert(key, Some(message.to_owned()));
        }
    }

    /// The clock was put back.
    pub(super) fn put_back(&mut self, by_ms: i64) {
        self.changed_at.values_mut().for_each(|changed| *changed -= by_ms);
    }

    /// The message of a slot is gone.
    pub(super) fn forget(&mut self, delivery: &Delivery) {
        if let Call::Card { key, .. } = &delivery.call {
            self.messages.insert((delivery.to.clone(), key.clone()), None);
        }
    }
}

/// A card that still waits is replaced by a newer state of the same card.
pub(super) fn take_superseded(
    waiting: &mut VecDeque<Outgoing>,
    newer: &Delivery,
) -> Option<Outgoing> {
    let Call::Card { key: new_key, .. } = &newer.call else { return None };
    let index = waiting.iter().position(
        |older| matches!(&older.delivery.call, Call::Card { key, .. } if key == new_key),
    )?;
    waiting.remove(index)
}
