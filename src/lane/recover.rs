//! When the database refuses a commit: forget, load what it has, run the lost turns one by one.
//!
//! A turn that is refused twice is set aside for a human, its member gets a polite line, and the
//! lane goes on.

use std::time::Duration;

use super::{Arrival, Lanes, Message, Phase};
use crate::commit::{Item, Refused};
use crate::community::Community;
use crate::effect::{Answers, Call, Delivery, DeliveryState, Destination, Policy};
use crate::event::Element;
use crate::id::CommunityId;
use crate::ledger::Content;
use crate::report::Line;
use crate::store::{EventState, Store, StoreError, TransferBy, TurnRows};
use crate::text::text;
use crate::turn::event_row;
use crate::value::ValueMap;

/// A community with what was found about doubtful keys.
pub struct Loaded {
    community: Box<Community>,
    /// Keys of transfers that exist, with what they stand for.
    keys: Vec<(String, Content)>,
}

/// Refusals after which an event is set aside.
const ATTEMPTS_MAX: u32 = 2;
/// Wait before the database is asked again for what it could not tell.
pub(super) const LOAD_AGAIN: Duration = Duration::from_secs(1);

impl Lanes {
    /// Loads a community, and asks about the keys of transfers that were refused. Tries until it
    /// succeeds: the events stay in the queue, and a full mailbox makes the adapters wait.
    pub(super) fn load(&mut self, id: CommunityId, doubtful: Vec<String>) {
        let (store, back) = (self.store.clone(), self.back.clone());
        tokio::spawn(async move {
            while !back.is_closed() {
                match load(&*store, id, &doubtful).await {
                    Ok(loaded) => {
                        // Nobody listens when the bot has stopped.
                        let _ = back.send(Message::Loaded(id, loaded));
                        return;
                    }
                    Err(error) => {
                        tracing::error!(community = %id, %error, "a community could not be loaded");
                        tokio::time::sleep(LOAD_AGAIN).await;
                    }
                }
            }
        });
    }

    pub(super) fn loaded(&mut self, id: CommunityId, loaded: Loaded) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Loaded { mut community, keys } = loaded;
        for (key, content) in keys {
            community.ledger.note_key(key, content);
        }
        lane.phase = Phase::Ready(community);
        self.step(id);
    }

    /// An item came back from the committer.
    pub(super) fn bounced(&mut self, item: Item, refused: Option<Refused>) {
        let id = item.community();
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.uncommitted = lane.uncommitted.saturating_sub(1);
            if refused.is_some() {
                lane.epoch += 1;
            }
            lane.recovering = true;
            if let Some(rows) = &item.rows {
                // Places that it carried must travel with another.
                lane.new_community = lane.new_community.take().or(rows.community.clone());
                lane.new_groups.extend(rows.groups.iter().cloned());
                if refused.is_some() {
                    lane.doubtful.extend(rows.transfers.iter().map(|t| t.key.clone()));
                }
            }
            let is_spill = item.is_spill && refused.is_none();
            if let Some(arrival) = item.into_arrival() {
                if is_spill {
                    lane.bounced_spills.push(arrival);
                } else {
                    lane.bounced.push((arrival, refused));
                }
            }
            self.step(id);
        }
    }

    /// Puts what came back in front of the queue, once all of it has. `false`: not yet.
    pub(super) fn take_bounced(&mut self, id: CommunityId) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        if lane.uncommitted > 0 {
            return false;
        }
        lane.recovering = false;
        let mut back = std::mem::take(&mut lane.bounced);
        back.sort_by_key(|(arrival, _)| arrival.event.id);
        let mut hopeless = Vec::new();
        for (mut arrival, refused) in back.into_iter().rev() {
            if let Some(refused) = refused {
                arrival.attempts += 1;
                if refused.is_repeat {
                    arrival.is_repeat = true;
                } else if arrival.attempts >= ATTEMPTS_MAX {
                    hopeless.push((arrival, refused));
                    continue;
                }
            }
            lane.queue.push_front(arrival);
            lane.solo += 1;
        }
        let mut spills = std::mem::take(&mut lane.bounced_spills);
        spills.sort_by_key(|arrival| arrival.event.id);
        for (arrival, refused) in hopeless {
            self.quarantine(id, arrival, &refused);
        }
        for arrival in spills {
            self.spill(id, arrival);
        }
        true
    }

    /// Sets an event aside for a human.
    fn quarantine(&mut self, id: CommunityId, arrival: Arrival, refused: &Refused) {
        let mut rows = TurnRows::new(event_row(&arrival.event, EventState::Quarantined));
        let line = Line::Refused { code: "internal".to_owned() };
        rows.event.outcome = serde_json::to_string(&serde_json::json!({
            "quarantined": refused.reason,
            "lines": [line],
        }))
        .ok();
        rows.deliveries.extend(self.apology(id, &arrival));
        self.notice(id, format!(
            "event {} was refused {ATTEMPTS_MAX} times and is set aside: {}; its state is unchanged",
            arrival.event.id, refused.reason
        ));
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let epoch = lane.epoch;
        lane.solo += 1;
        let item = Item {
            rows: Some(Box::new(rows)),
            lines: vec![line],
            ..Item::of(arrival, epoch, true)
        };
        self.hand_over(id, item);
    }

    /// The polite line, where somebody still waits for an answer.
    fn apology(&self, id: CommunityId, arrival: &Arrival) -> Option<Delivery> {
        let group = self.world.group(arrival.event.group?)?;
        arrival.event.envelope.actor.as_ref().filter(|_| !arrival.event.stale)?;
        let platform = self.world.platforms.get(group.reference.platform())?;
        let locale = &self.lanes.get(&id)?.plan.locale;
        let now = self.clock.now();
        Some(Delivery {
            id: self.world.numbers.delivery(),
            key: format!("{}-apology", arrival.event.id),
            event: arrival.event.id,
            answers: Some(Answers { event: arrival.event.envelope.key.clone(), is_personal: true }),
            community: id,
            script: None,
            account: platform.account.clone(),
            to: Destination::Group(group.reference),
            call: Call::Send {
                content: vec![Element::Text(text(locale, "refuse.internal", &ValueMap::new()))],
                reply_to: None,
                only_for: None,
                slot: None,
            },
            policy: Policy::Drop,
            state: DeliveryState::Sending,
            reason: None,
            not_before: now,
            expires_at: now + self.config.limits.reply_expires_s * 1000,
            attempts: 0,
            platform_id: None,
        })
    }
}

async fn load(
    store: &dyn Store,
    id: CommunityId,
    doubtful: &[String],
) -> Result<Loaded, StoreError> {
    let rows = store.community(id).await?;
    let mut keys = Vec::new();
    for key in doubtful {
        if let Some(found) = store.transfer(id, &TransferBy::Key(key.clone())).await? {
            keys.push((key.clone(), found.content()));
        }
    }
    Ok(Loaded { community: Box::new(Community::from_rows(id, rows)), keys })
}
