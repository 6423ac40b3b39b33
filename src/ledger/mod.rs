//! Points in double entry. Points are never money.
//!
//! Pure: the ledger of one community in memory, mirrored by the tables of the store, whose
//! constraints have the last word. Every change is a transfer from one account to another, so the
//! sum over all accounts is always zero. The model is TigerBeetle's in small
//! (<https://docs.tigerbeetle.com/coding/data-modeling/>): immutable transfers, pending ones that
//! are posted or voided once, corrections as new transfers.

mod account;
mod lot;
mod packet;
mod quota;
mod split;
mod transfer;

pub use account::{Account, AccountKey};
pub use lot::Lots;
pub use packet::{Claim, Mode, Packet, PacketState, Share};
pub use quota::{QUOTA_DAYS, QuotaKey, QuotaKind, Quotas};
pub use split::{SplitError, commitment, split_equal, split_lucky};
pub use transfer::{Cause, Content, Hold, Numbers, Posting, Transfer, TransferKind};

use std::collections::HashMap;

use crate::clock::TimeMs;
use crate::id::TransferId;
use crate::refusal::Refusal;

/// Largest amount of one transfer.
pub const AMOUNT_MAX: i64 = 1_000_000_000;
/// Largest balance of one account; fits JSON's 2⁵³ with room.
pub const BALANCE_MAX: i64 = 1_000_000_000_000;

/// One change, so that it can be undone.
#[derive(Clone, Debug)]
pub enum LedgerUndo {
    /// An account as it was; `None` where it did not exist.
    Account(AccountKey, Option<Account>),
    /// A hold that was opened.
    Opened(TransferId),
    /// A hold that was closed.
    Closed(TransferId, Hold),
    /// A key that was noted.
    Key(String),
    /// What of an account expires, as it was.
    Lots(AccountKey, Lots),
}

/// The ledger of one community.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: HashMap<AccountKey, Account>,
    holds: HashMap<TransferId, Hold>,
    /// Accounts with points that expire.
    lots: HashMap<AccountKey, Lots>,
    /// Keys used lately or reported by the database, with what they stand for. The database knows
    /// them all; these spare a round trip.
    keys: HashMap<String, Content>,
}

/// Keys remembered before the oldest half is given up to the database alone.
const KEYS_REMEMBERED: usize = 4096;

impl Ledger {
    /// Puts an account back as the store has it.
    pub fn restore(&mut self, key: AccountKey, account: Account) {
        self.accounts.insert(key, account);
    }

    /// Puts a hold back as the store has it.
    pub fn restore_hold(&mut self, id: TransferId, hold: Hold) {
        self.holds.insert(id, hold);
    }

    /// Puts a lot back as the store has it.
    pub fn restore_lot(&mut self, key: AccountKey, expires_at: TimeMs, amount: i64) {
        self.lots.entry(key).or_default().restore(expires_at, amount);
    }

    /// Notes a key that the database already has.
    pub fn note_key(&mut self, key: String, content: Content) {
        self.keys.insert(key, content);
    }

    /// What of an account expires.
    pub fn lots(&self, key: &AccountKey) -> Option<&Lots> {
        self.lots.get(key)
    }

    /// Every account with points that expire.
    pub fn all_lots(&self) -> impl Iterator<Item = (&AccountKey, &Lots)> {
        self.lots.iter()
    }

    /// The account, if it exists.
    pub fn account(&self, key: &AccountKey) -> Option<&Account> {
        self.accounts.get(key)
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountKey, &Account)> {
        self.accounts.iter()
    }

    /// What a member may spend.
    pub fn available(&self, key: &AccountKey) -> i64 {
        self.accounts.get(key).map_or(0, Account::available)
    }

    /// Makes a transfer, or says that it was made before (`Ok(None)`: same key, same content).
    ///
    /// # Errors
    /// `bad_amount`, `not_enough` (with `need` and `have`), `too_much`, `key_reused` for a key that
    /// stands for something else, which is a mistake of the caller.
    pub fn post(
        &mut self,
        numbers: &mut dyn Numbers,
        posting: Posting,
        cause: Cause,
        undo: &mut Vec<LedgerUndo>,
    ) -> Result<Option<Transfer>, Refusal> {
        if posting.amount > AMOUNT_MAX {
            return Err(Refusal::new("too_much").with("amount", posting.amount));
        }
        if posting.amount < 1 || posting.debit == posting.credit {
            return Err(Refusal::new("bad_amount").with("amount", posting.amount));
        }
        let content = Content::of(&posting);
        match self.keys.get(&posting.key) {
            Some(known) if *known == content => return Ok(None),
            Some(_) => return Err(Refusal::new("key_reused").with("key", posting.key)),
            None => {}
        }
        let mut debit = self.open(numbers, &posting.debit);
        let mut credit = self.open(numbers, &posting.credit);
        if posting.debit != AccountKey::Mint && debit.available() < posting.amount {
            return Err(Refusal::new("not_enough")
                .with("need", posting.amount)
                .with("have", debit.available().max(0)));
        }
        if credit.credits - credit.debits + credit.credits_pending + posting.amount > BALANCE_MAX {
            return Err(Refusal::new("too_much").with("amount", posting.amount));
        }
        let id = numbers.transfer();
        if posting.pending {
            debit.debits_pending += posting.amount;
            credit.credits_pending += posting.amount;
            let hold = Hold {
                debit: posting.debit.clone(),
                credit: posting.credit.clone(),
                amount: posting.amount,
            };
            self.holds.insert(id, hold);
            undo.push(LedgerUndo::Opened(id));
        } else {
            debit.debits += posting.amount;
            credit.credits += posting.amount;
        }
        let kind = if posting.pending { TransferKind::Pending } else { TransferKind::Post };
        let transfer = transfer(id, &debit, &credit, &posting, kind, None, cause);
        if !posting.pending {
            self.move_lots(&posting, cause.at, undo);
        }
        self.put(posting.debit, debit, undo);
        self.put(posting.credit, credit, undo);
        self.remember(posting.key, content, undo);
        Ok(Some(transfer))
    }

    /// Ends a hold: `settle` makes it final, otherwise it is given back.
    ///
    /// # Errors
    /// `unknown_hold` when there is none, or it was ended before.
    pub fn end_hold(
        &mut self,
        numbers: &mut dyn Numbers,
        pending: TransferId,
        settle: bool,
        cause: Cause,
        undo: &mut Vec<LedgerUndo>,
    ) -> Result<Transfer, Refusal> {
        let Some(hold) = self.holds.remove(&pending) else {
            return Err(Refusal::new("unknown_hold").with("id", pending.0));
        };
        undo.push(LedgerUndo::Closed(pending, hold.clone()));
        let mut debit = self.open(numbers, &hold.debit);
        let mut credit = self.open(numbers, &hold.credit);
        debit.debits_pending -= hold.amount;
        credit.credits_pending -= hold.amount;
        if settle {
            debit.debits += hold.amount;
            credit.credits += hold.amount;
        }
        let (from, to, key) = (hold.debit.clone(), hold.credit.clone(), format!("hold:{pending}"));
        let code = if settle { "settle" } else { "release" }.to_owned();
        let posting = Posting { code, ..Posting::new(from, to, hold.amount, key) };
        if settle {
            self.move_lots(&posting, cause.at, undo);
        }
        let kind = if settle { TransferKind::PostPending } else { TransferKind::VoidPending };
        let id = numbers.transfer();
        let made = transfer(id, &debit, &credit, &posting, kind, Some(pending), cause);
        self.put(hold.debit, debit, undo);
        self.put(hold.credit, credit, undo);
        Ok(made)
    }

    /// Takes changes back, the last first.
    pub fn undo(&mut self, change: LedgerUndo) {
        match change {
            LedgerUndo::Account(key, Some(account)) => {
                self.accounts.insert(key, account);
            }
            LedgerUndo::Account(key, None) => {
                self.accounts.remove(&key);
            }
            LedgerUndo::Opened(id) => {
                self.holds.remove(&id);
            }
            LedgerUndo::Closed(id, hold) => {
                self.holds.insert(id, hold);
            }
            LedgerUndo::Key(key) => {
                self.keys.remove(&key);
            }
            LedgerUndo::Lots(key, before) => self.set_lots(key, before),
        }
    }

    /// Points take their expiry with them, or get the one that the posting gives.
    fn move_lots(&mut self, posting: &Posting, now: TimeMs, undo: &mut Vec<LedgerUndo>) {
        let mut pieces = Vec::new();
        if let Some(before) = self.lots.get(&posting.debit).filter(|lots| !lots.is_empty()) {
            let (before, mut lots) = (before.clone(), before.clone());
            pieces = lots.take(posting.amount);
            undo.push(LedgerUndo::Lots(posting.debit.clone(), before));
            self.set_lots(posting.debit.clone(), lots);
        }
        if let Some(expires_at) = posting.expires_at {
            pieces = vec![(expires_at, posting.amount)];
        }
        if !pieces.is_empty() && posting.credit.has_lots() {
            let before = self.lots.get(&posting.credit).cloned().unwrap_or_default();
            let mut lots = before.clone();
            lots.add(&pieces, now);
            undo.push(LedgerUndo::Lots(posting.credit.clone(), before));
            self.set_lots(posting.credit.clone(), lots);
        }
    }

    fn set_lots(&mut self, key: AccountKey, lots: Lots) {
        if lots.is_empty() {
            self.lots.remove(&key);
        } else {
            self.lots.insert(key, lots);
        }
    }

    fn open(&self, numbers: &mut dyn Numbers, key: &AccountKey) -> Account {
        self.accounts.get(key).copied().unwrap_or_else(|| Account::new(numbers.account()))
    }

    fn put(&mut self, key: AccountKey, account: Account, undo: &mut Vec<LedgerUndo>) {
        let before = self.accounts.insert(key.clone(), account);
        undo.push(LedgerUndo::Account(key, before));
    }

    fn remember(&mut self, key: String, content: Content, undo: &mut Vec<LedgerUndo>) {
        if self.keys.len() >= KEYS_REMEMBERED {
            self.keys.clear();
        }
        self.keys.insert(key.clone(), content);
        undo.push(LedgerUndo::Key(key));
    }
}

fn transfer(
    id: TransferId,
    debit: &Account,
    credit: &Account,
    posting: &Posting,
    kind: TransferKind,
    pending: Option<TransferId>,
    cause: Cause,
) -> Transfer {
    Transfer {
        id,
        debit: debit.id,
        credit: credit.id,
        amount: posting.amount,
        kind,
        pending,
        key: posting.key.clone(),
        code: posting.code.clone(),
        reason: posting.reason.clone(),
        actor: cause.actor,
        event: cause.event,
        at: cause.at,
        corrects: posting.corrects,
        expires_at: posting.expires_at,
        day: posting.day,
    }
}
