//! When handling cannot keep up: events wait in the database instead of in memory.
//!
//! They are accepted there (a platform that waits is told so), keep their order, and are taken
//! back as soon as the lane has worked off what is in memory.

use std::sync::Arc;

use super::recover::LOAD_AGAIN;
use super::{Arrival, Lanes, Message, Phase};
use crate::bot::gauge::Ticket;
use crate::commit::Item;
use crate::event::Event;
use crate::id::CommunityId;
use crate::store::{EventRow, EventState, StoreError, TurnRows};
use crate::turn::event_row;

/// Events that are taken back at once.
const UNSPILL: i64 = 256;

impl Lanes {
    /// Sets one event aside in the database.
    pub(super) fn spill(&mut self, id: CommunityId, arrival: Arrival) {
        let stays = self.setting_aside;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let begins = !lane.spilled && !stays;
        let solo = lane.solo;
        lane.spilled = true;
        if !stays {
            lane.spill_ticket.get_or_insert_with(|| self.gauge.ticket());
        }
        lane.spilled_meanwhile = true;
        let epoch = lane.epoch;
        let rows = Some(Box::new(TurnRows::new(event_row(&arrival.event, EventState::Waiting))));
        let item = Item { rows, is_spill: true, ..Item::of(arrival, epoch, false) };
        self.hand_over(id, item);
        if let Some(lane) = self.lanes.get_mut(&id) {
            // A spilled event is no turn that was to run alone.
            lane.solo = solo;
        }
        if begins {
            let limit = self.config.limits.mailbox;
            self.notice(id, format!(
                "limit `mailbox` ({limit}) is reached: events wait in the database and are handled in their order"
            ));
        }
    }

    /// Takes events back from the database when the lane is idle.
    pub(super) fn unspill(&mut self, id: CommunityId) {
        let setting_aside = self.setting_aside;
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if !lane.spilled || lane.unspilling || lane.uncommitted > 0 || setting_aside {
            return;
        }
        lane.unspilling = true;
        lane.spilled_meanwhile = false;
        let (store, back) = (self.store.clone(), self.back.clone());
        tokio::spawn(async move {
            let result = loop {
                match store.waiting(id, UNSPILL).await {
                    Err(StoreError::Io(error)) if !back.is_closed() => {
                        tracing::error!(community = %id, %error, "waiting events cannot be read");
                        tokio::time::sleep(LOAD_AGAIN).await;
                    }
                    result => break result,
                }
            };
            // Nobody listens when the bot has stopped.
            let _ = back.send(Message::Unspilled(id, result));
        });
    }

    pub(super) fn unspilled(&mut self, id: CommunityId, result: Result<Vec<EventRow>, StoreError>) {
        if self.setting_aside {
            // They still wait in the database, where they are to stay.
            return;
        }
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.unspilling = false;
        match result {
            Ok(rows) => {
                if (rows.len() as i64) < UNSPILL && !lane.spilled_meanwhile {
                    lane.spilled = false;
                }
                let (now, stale_ms) = (self.clock.now(), self.config.bot.stale_after_s * 1000);
                for row in rows {
                    let stale = now - row.at > stale_ms || row.at < self.world.restored_at;
                    let ticket = self.gauge.ticket();
                    lane.queue.extend(arrival(row, stale, ticket));
                }
                if !lane.spilled {
                    lane.spill_ticket = None;
                }
                self.step(id);
            }
            Err(error) => {
                tracing::error!(community = %id, %error, "waiting events could not be read");
            }
        }
    }

    /// Events wait since the last process ended.
    pub(super) fn resume(&mut self, communities: Vec<CommunityId>) {
        for id in communities {
            let ticket = self.gauge.ticket();
            let lane = self.lane(id);
            lane.spilled = true;
            lane.spill_ticket = Some(ticket);
            self.step(id);
        }
    }

    /// The bot stops: what has not begun goes to the database.
    pub(super) fn set_aside(&mut self) {
        self.setting_aside = true;
        let mut ids: Vec<CommunityId> = self.lanes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.spill_ticket = None;
            let waiting = std::mem::take(&mut lane.queue);
            if let Phase::Loading = lane.phase {
                lane.phase = Phase::Cold;
            }
            for arrival in waiting {
                let from_timer =
                    matches!(arrival.event.envelope.kind, crate::event::EventKind::Tick(_));
                // A timer that has not begun is still in the database; a repeat would be answered
                // before what it repeats is there.
                if !from_timer && !arrival.is_repeat {
                    self.spill(id, arrival);
                }
            }
        }
    }
}

fn arrival(row: EventRow, stale: bool, ticket: Ticket) -> Option<Arrival> {
    let event = Event {
        id: row.id,
        community: row.community,
        group: row.group,
        person: row.person,
        received_at: row.received_at,
        seed: row.seed,
        which: Vec::new(),
        stale,
        envelope: Arc::new(row.body?),
    };
    Some(Arrival {
        event: Arc::new(event),
        new_community: None,
        new_group: None,
        receipt: None,
        is_repeat: false,
        attempts: 0,
        ticket: Some(ticket),
        permit: None,
    })
}
