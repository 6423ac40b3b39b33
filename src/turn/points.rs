//! Host calls of `points::`: every change is a transfer of the ledger.

use super::calls::Args;
use super::{Fetched, LedgerNumbers, Need, Stop, Turn, Undo};
use crate::id::{PersonId, TransferId};
use crate::ledger::{AccountKey, LedgerUndo, Posting};
use crate::report::Line;
use crate::store::AccountRow;
use crate::value::Value;

/// Entries on a page of 积分明细.
const LOG_PAGE: i64 = 5;

type Answer = Result<Value, Stop>;

impl Turn {
    pub(super) fn points_balance(&mut self, args: &Args<'_>) -> Answer {
        Ok(self.community.points(args.member(0)?).into())
    }

    pub(super) fn points_grant(&mut self, args: &Args<'_>) -> Answer {
        let (person, amount) = (args.member(0)?, args.int(1)?);
        self.member(person)?;
        let key = self.key(args, 3, person)?;
        let reason = args.text(2)?;
        let done = self.move_points(
            AccountKey::Mint,
            AccountKey::Member(person),
            amount,
            key,
            reason,
            false,
        )?;
        Ok(done.is_some().into())
    }

    pub(super) fn points_spend(&mut self, args: &Args<'_>) -> Answer {
        let (person, amount) = (args.member(0)?, args.int(1)?);
        let key = self.key(args, 3, person)?;
        let reason = args.text(2)?;
        let done = self.move_points(
            AccountKey::Member(person),
            AccountKey::Burn,
            amount,
            key,
            reason,
            false,
        )?;
        Ok(done.is_some().into())
    }

    pub(super) fn points_transfer(&mut self, args: &Args<'_>) -> Answer {
        let (from, to, amount) = (args.member(0)?, args.member(1)?, args.int(2)?);
        self.member(to)?;
        let key = self.key(args, 4, from)?;
        let (from, to) = (AccountKey::Member(from), AccountKey::Member(to));
        let done = self.move_points(from, to, amount, key, args.text(3)?, false)?;
        Ok(done.is_some().into())
    }

    pub(super) fn points_hold(&mut self, args: &Args<'_>) -> Answer {
        let (person, amount) = (args.member(0)?, args.int(1)?);
        let key = self.key(args, 3, person)?;
        let reason = args.text(2)?;
        let made = self.move_points(
            AccountKey::Member(person),
            AccountKey::Burn,
            amount,
            key,
            reason,
            true,
        )?;
        Ok(made.map_or(Value::Unit, |id| id.0.into()))
    }

    pub(super) fn points_end_hold(&mut self, args: &Args<'_>, settle: bool) -> Answer {
        let id = TransferId(args.int(0)?);
        let cause = self.cause();
        let mut undo = Vec::new();
        let transfer = self.community.ledger.end_hold(
            &mut LedgerNumbers(&self.world.numbers),
            id,
            settle,
            cause,
            &mut undo,
        );
        self.undo.extend(undo.into_iter().map(Undo::Ledger));
        self.made.transfers.push(transfer?);
        Ok(Value::Unit)
    }

    pub(super) fn points_log(&mut self, args: &Args<'_>) -> Answer {
        let person = args.member(0)?;
        let page = args.int_or(1, 1)?.clamp(1, 1000);
        let need = Need::PointsLog { person, skip: (page - 1) * LOG_PAGE, take: LOG_PAGE };
        let Some(Fetched::PointsLog(entries)) = self.fetched.get(&need) else {
            return Err(Stop::Need(need));
        };
        let rows = entries.iter().map(|entry| {
            Value::map([
                ("at", entry.at.into()),
                ("delta", entry.delta.into()),
                ("code", entry.code.as_str().into()),
                ("reason", self.reason(&entry.reason).into()),
                ("by", entry.actor.map_or(Value::Unit, |actor| self.name_of(actor).into())),
            ])
        });
        Ok(Value::List(rows.collect()))
    }

    /// The domain's own reasons are keys of the catalogue; what members wrote is shown as it is.
    fn reason(&self, reason: &str) -> String {
        let is_key = reason.starts_with("red_packet.") || reason.starts_with("points.reason.");
        if is_key { self.worded(reason) } else { reason.to_owned() }
    }

    /// Members by points, ranks dense; without leavers, bots and staff.
    pub(super) fn points_top(&mut self, args: &Args<'_>) -> Answer {
        let count = args.int_or(0, 10)?.clamp(1, 100) as usize;
        let rows = self.board().into_iter().take(count).map(|(rank, person, points)| {
            let view = self.community.view(person, self.now);
            Value::map([
                ("rank", rank.into()),
                ("points", points.into()),
                ("member", view.map_or(Value::Unit, Value::Member)),
            ])
        });
        Ok(Value::List(rows.collect()))
    }

    pub(super) fn points_rank(&mut self, args: &Args<'_>) -> Answer {
        let person = args.member(0)?;
        let found = self.board().into_iter().find(|(_, other, _)| *other == person);
        Ok(found.map_or(Value::Unit, |(rank, _, points)| {
            Value::map([("rank", rank.into()), ("points", points.into())])
        }))
    }

    fn board(&self) -> Vec<(i64, PersonId, i64)> {
        let mut rows: Vec<(PersonId, i64)> = self
            .community
            .members
            .iter()
            .filter(|(_, member)| member.is_here() && !member.is_immune())
            .map(|(person, _)| (*person, self.community.points(*person)))
            .filter(|(_, points)| *points > 0)
            .collect();
        rows.sort_by_key(|(person, points)| (-points, *person));
        let mut rank = 0;
        let mut last = None;
        rows.into_iter()
            .map(|(person, points)| {
                if last != Some(points) {
                    rank += 1;
                    last = Some(points);
                }
                (rank, person, points)
            })
            .collect()
    }

    /// A key from the cause. A script's own key is made its own and the member's.
    fn key(&mut self, args: &Args<'_>, index: usize, person: PersonId) -> Result<String, Stop> {
        let script = self.script().to_owned();
        if args.get(index).is_some() {
            return Ok(format!("{script}:{person}:{}", args.text(index)?));
        }
        let ordinal = self.next_ordinal();
        Ok(format!("turn:{}:{ordinal}", self.event.id))
    }

    /// A transfer that a script asked for; one by somebody's command has a line in the audit log.
    fn move_points(
        &mut self,
        debit: AccountKey,
        credit: AccountKey,
        amount: i64,
        key: String,
        reason: &str,
        pending: bool,
    ) -> Result<Option<TransferId>, Stop> {
        let done = self.post(debit.clone(), credit.clone(), amount, key, reason, pending)?;
        // What members earn by themselves is in the ledger with its cause.
        let is_earned = debit == AccountKey::Mint
            && self.event.person.map(AccountKey::Member) == Some(credit.clone());
        if done.is_some() && !is_earned && self.is_command() {
            self.audit_points((&debit, &credit), amount, reason);
        }
        Ok(done)
    }

    /// Makes a transfer; `None` where the same key was used before for the same amount.
    pub(super) fn post(
        &mut self,
        debit: AccountKey,
        credit: AccountKey,
        amount: i64,
        key: String,
        reason: &str,
        pending: bool,
    ) -> Result<Option<TransferId>, Stop> {
        let posting = Posting {
            debit: debit.clone(),
            credit: credit.clone(),
            amount,
            pending,
            key,
            code: self.script().to_owned(),
            reason: reason.to_owned(),
        };
        let cause = self.cause();
        let mut undo = Vec::new();
        let made = self.community.ledger.post(
            &mut LedgerNumbers(&self.world.numbers),
            posting,
            cause,
            &mut undo,
        )?;
        for change in &undo {
            if let LedgerUndo::Account(key, None) = change {
                self.note_new_account(key);
            }
        }
        self.undo.extend(undo.into_iter().map(Undo::Ledger));
        let Some(transfer) = made else { return Ok(None) };
        let id = transfer.id;
        self.made.transfers.push(transfer);
        if !pending {
            self.points_line(&debit, -amount, reason);
            self.points_line(&credit, amount, reason);
        }
        Ok(Some(id))
    }

    fn note_new_account(&mut self, key: &AccountKey) {
        let Some(account) = self.community.ledger.account(key) else { return };
        let (kind, owner) = key.columns();
        self.made.accounts.push(AccountRow {
            id: account.id,
            community: self.community.id,
            kind,
            owner,
        });
    }

    fn points_line(&mut self, key: &AccountKey, delta: i64, reason: &str) {
        if let AccountKey::Member(person) = key {
            let member = self.name_of(*person);
            self.say_line(Line::Points { member, delta, reason: reason.to_owned() });
        }
    }
}
