//! What lanes are held in memory: how one begins, when it is idle, and who goes when there are too many.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Lane, Lanes, Phase};
use crate::clock::TimeMs;
use crate::config::Config;
use crate::dispatch::{Plan, Registry};
use crate::id::CommunityId;

impl Lanes {
    /// Loads a community anew before its next event.
    pub(super) fn forget(&mut self, id: CommunityId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.recovering = true;
            self.step(id);
        }
    }

    pub(super) fn reload(&mut self, registry: Arc<Registry>, config: Arc<Config>) {
        for lane in self.lanes.values_mut() {
            // A running turn keeps the plan that it began with.
            lane.plan = registry.plan(&lane.key);
        }
        self.registry = registry;
        self.config = config;
        self.ahead.relearn();
    }

    /// Forgets idle communities when too many are in memory.
    pub(super) fn evict(&mut self, now: TimeMs) {
        let limit = self.config.limits.communities_cached;
        if self.lanes.len() < limit {
            return;
        }
        let mut idle: Vec<(TimeMs, CommunityId)> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.is_idle())
            .map(|(id, lane)| (lane.last_used, *id))
            .collect();
        idle.sort_unstable();
        // A tenth at once, so that the search is not made for each newcomer.
        for (_, id) in idle.into_iter().take((limit / 10).max(1)) {
            self.lanes.remove(&id);
        }
        tracing::debug!(now, left = self.lanes.len(), "limit `communities_cached` was reached");
    }
}

impl Lane {
    pub(super) fn new(key: String, plan: Arc<Plan>) -> Self {
        Self {
            key,
            plan,
            phase: Phase::Cold,
            queue: VecDeque::new(),
            uncommitted: 0,
            epoch: 0,
            bounced: Vec::new(),
            bounced_spills: Vec::new(),
            recovering: false,
            doubtful: Vec::new(),
            solo: 0,
            spilled: false,
            unspilling: false,
            spilled_meanwhile: false,
            spill_ticket: None,
            new_community: None,
            new_groups: Vec::new(),
            last_used: 0,
            turned_at: TimeMs::MIN,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.spilled
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Ready(_) | Phase::Cold)
            && !self.has_work()
            && self.uncommitted == 0
            // The committer compares epochs, so a lane that has one must not begin anew.
            && self.epoch == 0
            && self.bounced.is_empty()
            && self.bounced_spills.is_empty()
            && self.new_community.is_none()
            && self.new_groups.is_empty()
    }
}
