//! What the people who run the bot hear of the lanes.

use super::Lanes;
use crate::commit::Item;
use crate::id::CommunityId;
use crate::intake::pressure::Change;
use crate::report::Notice;

impl Lanes {
    /// Sees whether the mailboxes have been full for too long, and tells it.
    pub(super) fn feel_pressure(&mut self) {
        let patience_ms = self.config.limits.overload_ms;
        let Some(change) = self.pressure.look(self.clock.now(), patience_ms) else { return };
        let limit = self.pressure.capacity();
        let text = match change {
            Change::High => format!(
                "limit `mailboxes` ({limit}) has been reached for {patience_ms} ms \
                 (`overload_ms`): commands of members are left undone until half of it is free; \
                 messages still count, rules still act"
            ),
            Change::Over(count) => format!(
                "the mailboxes have room again: {count} commands of members were left undone"
            ),
        };
        self.tell(Notice { community: None, text, is_problem: true });
    }

    pub(super) fn notice(&self, community: CommunityId, text: String) {
        self.tell(Notice { community: Some(community), text, is_problem: true });
    }

    pub(super) fn tell(&self, notice: Notice) {
        if self.commits.send(Item::notice(notice)).is_err() {
            tracing::debug!("the committer has stopped");
        }
    }
}
