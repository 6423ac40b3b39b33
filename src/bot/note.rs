//! Lines of the audit log about what no turn did: start and stop, what was put in force.

use super::Bot;
use crate::store::{AuditRow, Write};

impl Bot {
    /// Notes something that was done to the bot as a whole; it is written with the next commit.
    pub fn note(&self, actor: &str, action: &str, object: String, detail: String) {
        let at = self.clock.now();
        let parts = [action.as_bytes(), object.as_bytes(), detail.as_bytes(), &at.to_be_bytes()];
        let line = AuditRow {
            event: None,
            community: None,
            at,
            actor: actor.to_owned(),
            by: None,
            about: None,
            action: action.to_owned(),
            salt: self.world.salt(&parts),
            object,
            detail,
        };
        let write = (Write::Audit(Box::new(line)), Some(self.gauge.ticket()));
        if self.settlements.send(write).is_err() {
            tracing::debug!(action, "the committer has stopped; the line is not written");
        }
    }
}
