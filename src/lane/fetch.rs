//! What memory does not hold is fetched, and the turn is run again from its start.
//!
//! The question is asked only when everything that the lane decided before is on the disk, so
//! that the answer is as true as memory would be.

use super::recover::LOAD_AGAIN;
use super::{InTurn, Lanes, Message, Phase, Waiting};
use crate::effect::{DeliveryState, Destination};
use crate::id::CommunityId;
use crate::script::protocol::HostCalls as _;
use crate::store::{DeliveryQuery, Store, StoreError, TransferBy};
use crate::turn::{DOUBTFUL_MAX, Fetched, Need, Turn};

/// A turn that needs more than this asks for something new each time it runs.
const FETCHES_MAX: usize = 16;

impl Lanes {
    /// A turn needs something: it waits until the lane's commits are through.
    pub(super) fn wait_for(&mut self, id: CommunityId, mut turn: Box<Turn>, in_turn: InTurn) {
        let need = turn.need.take().filter(|_| turn.fetched.len() < FETCHES_MAX);
        turn.restart();
        let Some(need) = need else {
            self.notice(
                id,
                format!("a turn asked for more than {FETCHES_MAX} things; it is dropped"),
            );
            self.finish(id, turn, in_turn, None);
            self.step(id);
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.phase = Phase::Flushing(Box::new(Waiting { turn, need, in_turn }));
        }
        self.step(id);
    }

    /// Asks the database.
    pub(super) fn fetch(&mut self, id: CommunityId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Phase::Flushing(waiting) = std::mem::replace(&mut lane.phase, Phase::Fetching) else {
            return;
        };
        let (store, back) = (self.store.clone(), self.back.clone());
        let to = waiting
            .turn
            .event
            .group
            .and_then(|group| self.world.group(group))
            .map(|place| Destination::Group(place.reference));
        tokio::spawn(async move {
            let result = loop {
                match ask(&*store, id, &waiting.need, to.clone()).await {
                    Err(StoreError::Io(error)) if !back.is_closed() => {
                        tracing::error!(community = %id, %error, "a turn waits for the database");
                        tokio::time::sleep(LOAD_AGAIN).await;
                    }
                    result => break result,
                }
            };
            // Nobody listens when the bot has stopped.
            let _ = back.send(Message::Fetched(waiting, result));
        });
    }

    /// The answer is here: the turn runs again.
    pub(super) fn fetched(&mut self, waiting: Waiting, result: Result<Fetched, StoreError>) {
        let Waiting { mut turn, need, in_turn } = waiting;
        let id = turn.event.community;
        match result {
            Ok(found) => {
                turn.fetched.insert(need, found);
                self.send_to_host(id, turn, in_turn);
            }
            Err(error) => {
                self.notice(id, format!("the database could not answer {need:?}: {error}"));
                self.finish(id, turn, in_turn, None);
                self.step(id);
            }
        }
    }
}

async fn ask(
    store: &dyn Store,
    community: CommunityId,
    need: &Need,
    to: Option<Destination>,
) -> Result<Fetched, StoreError> {
    match need {
        Need::PointsLog { person, skip, take } => {
            store.points_log(community, *person, *skip, *take).await.map(Fetched::PointsLog)
        }
        Need::ScoreFacts { since } => {
            let facts = store.score_facts(community, *since).await?;
            Ok(Fetched::ScoreFacts(std::sync::Arc::new(facts)))
        }
        Need::ScoreLog { person, take } => {
            store.score_log(community, *person, *take).await.map(Fetched::ScoreLog)
        }
        Need::Transfer(id) => {
            let by = TransferBy::Id(*id);
            store.transfer(community, &by).await.map(Fetched::Transfer)
        }
        Need::Export(person) => {
            let found = store.export(*person).await?;
            Ok(Fetched::Export(crate::store::counted(&found.unwrap_or_default())))
        }
        Need::AuditHead => store.audit_head().await.map(Fetched::AuditHead),
        Need::Packet(id) => store.packet(community, *id).await.map(Fetched::Packet),
        Need::DoubtfulDeliveries => {
            let doubtful = DeliveryQuery::of(DeliveryState::Unknown, DOUBTFUL_MAX);
            let query = DeliveryQuery { community: Some(community), ..doubtful };
            store.find_deliveries(&query).await.map(Fetched::Deliveries)
        }
        Need::SlotOf(message) => match to {
            Some(to) => store.slot_of(&to, message).await.map(Fetched::SlotOf),
            None => Ok(Fetched::SlotOf(None)),
        },
    }
}
