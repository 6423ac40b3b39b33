//! Points that expire: one timer of the community waits for the earliest, and its turn burns what is
//! due.

use super::Turn;
use crate::clock::TimeMs;
use crate::id::TimerId;
use crate::ledger::{AMOUNT_MAX, AccountKey, Posting};
use crate::store::TimerRow;
use crate::value::Value;

/// Name of the timer that waits for points to expire.
pub const LOTS_DUE: &str = "points.expired";
/// Accounts that one turn goes through; the next turn goes on.
const ACCOUNTS_MAX: usize = 500;
/// What is set aside when it is due is looked at again after so long, ms.
const HELD_AGAIN_MS: i64 = 24 * 3_600_000;
/// A frozen ledger is looked at again after so long, ms.
pub(super) const FROZEN_AGAIN_MS: i64 = 3_600_000;

impl Turn {
    /// Burns what is due. What is set aside at that moment stays until it is not.
    pub fn expire_lots(&mut self) {
        if self.check_moves().is_err() {
            self.wait_for_lots(self.now + FROZEN_AGAIN_MS);
            return;
        }
        let mut due: Vec<AccountKey> = self
            .community
            .ledger
            .all_lots()
            .filter(|(key, lots)| is_members(key) && lots.before(self.now + 1) > 0)
            .map(|(key, _)| key.clone())
            .collect();
        due.sort_unstable();
        let is_more = due.len() > ACCOUNTS_MAX;
        for key in due.into_iter().take(ACCOUNTS_MAX) {
            while self.expire_lot(&key) {}
        }
        let lots = self.community.ledger.all_lots().filter(|(key, _)| is_members(key));
        let next = lots.filter_map(|(_, lots)| lots.earliest()).min();
        match next {
            Some(next) if next > self.now => self.wait_for_lots(next),
            Some(_) if is_more => self.wait_for_lots(self.now),
            Some(_) => self.wait_for_lots(self.now + HELD_AGAIN_MS),
            None => {}
        }
    }

    /// Burns the earliest lot of an account, if it is due and not set aside.
    fn expire_lot(&mut self, key: &AccountKey) -> bool {
        let ledger = &self.community.ledger;
        let (Some(account), Some(lots)) = (ledger.account(key), ledger.lots(key)) else {
            return false;
        };
        let Some(due) = lots.earliest().filter(|due| *due <= self.now) else { return false };
        let amount = lots.at(due).min(account.available()).min(AMOUNT_MAX);
        if amount < 1 {
            return false;
        }
        // What has left the account before makes the key of each part its own.
        let name = format!("expire:{}:{due}:{}", account.id, account.debits);
        let posting = Posting {
            reason: "points.reason.expired".to_owned(),
            ..Posting::new(key.clone(), AccountKey::Burn, amount, name)
        };
        match self.atomically(|turn| turn.post(posting)) {
            Ok(made) => made.is_some(),
            Err(stop) => {
                tracing::error!(?key, ?stop, "points could not expire");
                false
            }
        }
    }

    /// Makes sure that the timer rings no later than this.
    pub(super) fn wait_for_lots(&mut self, due: TimeMs) {
        let waits = self.community.timers.values().find(|timer| timer.name == LOTS_DUE);
        let waits: Option<(TimerId, TimeMs)> = waits.map(|timer| (timer.id, timer.due));
        match waits {
            Some((_, before)) if before <= due => return,
            Some((id, _)) => self.remove_timer(id),
            None => {}
        }
        self.add_timer(TimerRow {
            id: self.world.numbers.timer(),
            community: self.community.id,
            group: None,
            script: "core".to_owned(),
            name: LOTS_DUE.to_owned(),
            due,
            data: serde_json::to_string(&Value::Unit).unwrap_or_default(),
        });
    }
}

/// What lies in a packet is paid out whole, and a budget does not age.
fn is_members(key: &AccountKey) -> bool {
    matches!(key, AccountKey::Member(_))
}
