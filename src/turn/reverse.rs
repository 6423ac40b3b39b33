//! Corrections: a new transfer that mirrors an old one. Nothing is ever changed.

use super::calls::Args;
use super::{Fetched, Need, Stop, Turn};
use crate::id::TransferId;
use crate::ledger::{AccountKey, Posting};
use crate::refusal::Refusal;
use crate::store::StoredTransfer;
use crate::value::Value;

impl Turn {
    /// Takes a transfer back, once. What was spent meanwhile cannot be taken back: nobody gets below
    /// zero, and the refusal says how much is missing.
    pub(super) fn points_reverse(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        self.check_actor_is_admin()?;
        let id = args.number(0)?.ok_or_else(|| Refusal::new("unknown_transfer").with("id", 0))?;
        let reason = args.text(1)?.trim().to_owned();
        if reason.is_empty() {
            return Err(Refusal::new("no_reason").into());
        }
        let need = Need::Transfer(TransferId(id));
        let found = match self.fetched.get(&need) {
            None => return Err(Stop::Need(need)),
            Some(Fetched::Transfer(Some(found))) => found.clone(),
            Some(_) => return Err(Refusal::new("unknown_transfer").with("id", id).into()),
        };
        check(&found)?;
        let have = self.community.ledger.available(&found.credit);
        if matches!(found.credit, AccountKey::Member(_)) && have < found.amount {
            return Err(Refusal::new("spent")
                .with("amount", found.amount)
                .with("have", have.max(0))
                .with("missing", found.amount - have.max(0))
                .into());
        }
        let posting = Posting {
            reason: reason.clone(),
            corrects: Some(found.id),
            ..Posting::new(found.credit, found.debit, found.amount, format!("reverse:{id}"))
        };
        let members = [posting.debit.clone(), posting.credit.clone()];
        self.post(posting)?;
        let names = members.iter().filter_map(|key| match key {
            AccountKey::Member(person) => Some(Value::from(self.name_of(*person))),
            AccountKey::Escrow(_)
            | AccountKey::Campaign(_)
            | AccountKey::Mint
            | AccountKey::Burn => None,
        });
        Ok(Value::map([
            ("id", id.into()),
            ("amount", found.amount.into()),
            ("names", Value::List(names.collect())),
        ]))
    }
}

/// Packets end by their own rules, holds by theirs, and a correction is the last word.
fn check(found: &StoredTransfer) -> Result<(), Stop> {
    if found.corrected_by.is_some() {
        return Err(Refusal::new("corrected").with("id", found.id.0).into());
    }
    let is_packets = [&found.debit, &found.credit]
        .iter()
        .any(|account| matches!(account, AccountKey::Escrow(_)));
    if is_packets || found.kind != "post" || found.corrects.is_some() {
        return Err(Refusal::new("not_reversible").with("id", found.id.0).into());
    }
    Ok(())
}
