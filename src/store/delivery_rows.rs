//! Deliveries that are looked for afterwards, and what somebody decides about them.

use serde::Serialize;

use crate::clock::TimeMs;
use crate::effect::DeliveryState;
use crate::id::{CommunityId, DeliveryId};

/// Which deliveries are looked for, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// Which.
    pub which: Which,
    /// Of this community alone.
    pub community: Option<CommunityId>,
    /// Decided at or after, Unix ms.
    pub since: TimeMs,
    /// At most so many.
    pub take: i64,
}

/// How deliveries are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By their keys.
    Keys(Vec<String>),
    /// By their numbers.
    Ids(Vec<DeliveryId>),
    /// By where they stand.
    State(DeliveryState),
}

impl DeliveryQuery {
    /// Those with these keys.
    pub fn keys(keys: Vec<String>) -> Self {
        Self { which: Which::Keys(keys), community: None, since: 0, take: i64::MAX }
    }

    /// Those with these numbers.
    pub fn ids(ids: Vec<DeliveryId>) -> Self {
        Self { which: Which::Ids(ids), community: None, since: 0, take: i64::MAX }
    }

    /// Those that stand there.
    pub fn of(state: DeliveryState, take: i64) -> Self {
        Self { which: Which::State(state), community: None, since: 0, take }
    }
}

/// How many deliveries of a quarter of an hour stand where: the quarter since 1970, the state, the
/// number.
pub type DeliveryCount = (i64, String, i64);

/// What somebody decided about a delivery of which nobody knows whether it arrived. Whatever stands
/// elsewhere by then is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionRow {
    /// Which.
    pub delivery: DeliveryId,
    /// `queued`: it is sent after all; `skipped`: it is left.
    pub state: &'static str,
    /// Who decided.
    pub reason: String,
    /// How long it may be sent; `None` where it is not.
    pub expires_at: Option<TimeMs>,
}

impl DecisionRow {
    /// It is sent after all, unless that takes until then.
    pub fn again(delivery: DeliveryId, by: &str, expires_at: TimeMs) -> Self {
        let state = DeliveryState::Queued.as_str();
        Self {
            delivery,
            state,
            reason: format!("sent after all: {by}"),
            expires_at: Some(expires_at),
        }
    }

    /// It is left.
    pub fn leave(delivery: DeliveryId, by: &str) -> Self {
        let state = DeliveryState::Skipped.as_str();
        Self { delivery, state, reason: format!("left: {by}"), expires_at: None }
    }
}
