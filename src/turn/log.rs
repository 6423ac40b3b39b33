//! 积分明细: every movement of a member's points, with what, when, why and by whom.

use super::calls::Args;
use super::{Fetched, Need, Stop, Turn};
use crate::id::PersonId;
use crate::ledger::AccountKey;
use crate::store::PointsEntry;
use crate::value::Value;

/// Entries on a page.
const LOG_PAGE: i64 = 5;

impl Turn {
    pub(super) fn points_log(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        let page = args.int_or(1, 1)?.clamp(1, 1000);
        let need = Need::PointsLog { person, skip: (page - 1) * LOG_PAGE, take: LOG_PAGE };
        let Some(Fetched::PointsLog(entries)) = self.fetched.get(&need) else {
            return Err(Stop::Need(need));
        };
        Ok(Value::List(entries.iter().map(|entry| self.entry(person, entry)).collect()))
    }

    fn entry(&self, person: PersonId, entry: &PointsEntry) -> Value {
        // What she did herself needs no name.
        let by = entry.actor.filter(|actor| *actor != person);
        let packet = match &entry.other {
            Some(AccountKey::Escrow(packet)) => packet.0.into(),
            _ => Value::Unit,
        };
        let other = match &entry.other {
            Some(AccountKey::Member(person)) => self.name_of(*person).into(),
            Some(AccountKey::Campaign(n)) => self.campaign_name(*n).into(),
            _ => Value::Unit,
        };
        Value::map([
            ("id", entry.id.0.into()),
            ("at", entry.at.into()),
            ("delta", entry.delta.into()),
            ("code", entry.code.as_str().into()),
            ("reason", self.reason(&entry.reason).into()),
            ("by", by.map_or(Value::Unit, |actor| self.name_of(actor).into())),
            ("packet", packet),
            ("other", other),
            ("corrects", entry.corrects.map_or(Value::Unit, |id| id.0.into())),
            ("held", entry.is_held.into()),
        ])
    }

    fn campaign_name(&self, n: i64) -> String {
        let found = self.community.campaigns.iter().find(|(_, number)| **number == n);
        found.map_or_else(|| n.to_string(), |(name, _)| name.clone())
    }

    /// The domain's own reasons are keys of the catalogue; what members wrote is shown as it is.
    fn reason(&self, reason: &str) -> String {
        let is_key = reason.starts_with("red_packet.") || reason.starts_with("points.reason.");
        if is_key { self.worded(reason) } else { reason.to_owned() }
    }
}
