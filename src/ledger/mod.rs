//! Points in double entry. Points are never money.
//!
//! Pure: the ledger of one community in memory, mirrored by the tables of the store, whose
//! constraints have the last word. Every change is a transfer from one account to another, so the
//! sum over all accounts is always zero. The model is TigerBeetle's in small
//! (<https://docs.tigerbeetle.com/coding/data-modeling/>): immutable transfers, pending ones that
//! are posted or voided once, corrections as new transfers.

mod packet;
mod split;

pub use packet::{Claim, Mode, Packet, PacketState, Share};
pub use split::{SplitError, commitment, split_equal, split_lucky};

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::clock::TimeMs;
use crate::id::{AccountId, EventId, PacketId, PersonId, TransferId};
use crate::refusal::Refusal;

/// Largest amount of one transfer.
pub const AMOUNT_MAX: i64 = 1_000_000_000;
/// Largest balance of one account; fits JSON's 2⁵³ with room.
pub const BALANCE_MAX: i64 = 1_000_000_000_000;

/// Whose account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountKey {
    /// A member's points.
    Member(PersonId),
    /// Points set aside in a red packet.
    Escrow(PacketId),
    /// Where points come from; the only account below zero.
    Mint,
    /// Where spent points go.
    Burn,
}

impl AccountKey {
    /// The kind and owner, as the database has them.
    pub fn columns(&self) -> (&'static str, i64) {
        match self {
            Self::Member(person) => ("member", person.0),
            Self::Escrow(packet) => ("escrow", packet.0),
            Self::Mint => ("mint", 0),
            Self::Burn => ("burn", 0),
        }
    }

    /// Back from the database's columns.
    pub fn from_columns(kind: &str, owner: i64) -> Option<Self> {
        match kind {
            "member" => Some(Self::Member(PersonId(owner))),
            "escrow" => Some(Self::Escrow(PacketId(owner))),
            "mint" => Some(Self::Mint),
            "burn" => Some(Self::Burn),
            _ => None,
        }
    }
}

/// An account with its totals; all of them only grow, except the pending ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Everything that ever went out.
    pub debits: i64,
    /// Everything that ever came in.
    pub credits: i64,
    /// Set aside to go out.
    pub debits_pending: i64,
    /// Announced to come in.
    pub credits_pending: i64,
}

impl Account {
    /// A new account without movements.
    pub fn new(id: AccountId) -> Self {
        Self { id, debits: 0, credits: 0, debits_pending: 0, credits_pending: 0 }
    }

    /// What may be spent.
    pub fn available(&self) -> i64 {
        self.credits - self.debits - self.debits_pending
    }
}

/// How a transfer moves value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferKind {
    /// At once.
    Post,
    /// Sets aside.
    Pending,
    /// Makes a pending one final.
    PostPending,
    /// Gives a pending one back.
    VoidPending,
}

impl TransferKind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Pending => "pending",
            Self::PostPending => "post_pending",
            Self::VoidPending => "void_pending",
        }
    }
}

/// One movement of value; never changed, never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its number.
    pub id: TransferId,
    /// From.
    pub debit: AccountId,
    /// To.
    pub credit: AccountId,
    /// How much; always positive.
    pub amount: i64,
    /// How.
    pub kind: TransferKind,
    /// The pending transfer that this one resolves.
    pub pending: Option<TransferId>,
    /// One key for each cause: a second transfer with the same key cannot be.
    pub key: String,
    /// What for, one word: `grab`, `checkin`.
    pub code: String,
    /// What for, for people.
    pub reason: String,
    /// Who decided, where a person did.
    pub actor: Option<PersonId>,
    /// The turn.
    pub event: EventId,
    /// When, Unix ms.
    pub at: TimeMs,
}

/// A transfer to be made.
#[derive(Clone, Debug)]
pub struct Posting {
    /// From.
    pub debit: AccountKey,
    /// To.
    pub credit: AccountKey,
    /// How much.
    pub amount: i64,
    /// At once, or set aside.
    pub pending: bool,
    /// One key for each cause.
    pub key: String,
    /// One word.
    pub code: String,
    /// For people.
    pub reason: String,
}

/// A hold that waits to be settled or released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// From.
    pub debit: AccountKey,
    /// To.
    pub credit: AccountKey,
    /// How much.
    pub amount: i64,
}

/// What the turn adds to a posting.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// The turn.
    pub event: EventId,
    /// The person behind it.
    pub actor: Option<PersonId>,
    /// When, Unix ms.
    pub at: TimeMs,
}

/// Numbers for new rows.
pub trait Numbers {
    /// The next account number.
    fn account(&mut self) -> AccountId;
    /// The next transfer number.
    fn transfer(&mut self) -> TransferId;
}

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
}

/// The ledger of one community.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: HashMap<AccountKey, Account>,
    holds: HashMap<TransferId, Hold>,
    /// Keys used lately or reported by the database, with the amount they stand for. The
    /// database knows them all; these spare a round trip.
    keys: HashMap<String, i64>,
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

    /// Notes a key that the database already has.
    pub fn note_key(&mut self, key: String, amount: i64) {
        self.keys.insert(key, amount);
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

    /// Makes a transfer, or says that it was made before (`Ok(None)`: same key, same amount).
    ///
    /// # Errors
    /// `bad_amount`, `not_enough` (with `need` and `have`), `too_much`, `key_reused`.
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
        match self.keys.get(&posting.key) {
            Some(amount) if *amount == posting.amount => return Ok(None),
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
        self.put(posting.debit, debit, undo);
        self.put(posting.credit, credit, undo);
        self.remember(posting.key, posting.amount, undo);
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
        let posting = Posting {
            debit: hold.debit.clone(),
            credit: hold.credit.clone(),
            amount: hold.amount,
            pending: false,
            key: format!("hold:{pending}"),
            code: if settle { "settle" } else { "release" }.to_owned(),
            reason: String::new(),
        };
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
        }
    }

    fn open(&self, numbers: &mut dyn Numbers, key: &AccountKey) -> Account {
        self.accounts.get(key).copied().unwrap_or_else(|| Account::new(numbers.account()))
    }

    fn put(&mut self, key: AccountKey, account: Account, undo: &mut Vec<LedgerUndo>) {
        let before = self.accounts.insert(key.clone(), account);
        undo.push(LedgerUndo::Account(key, before));
    }

    fn remember(&mut self, key: String, amount: i64, undo: &mut Vec<LedgerUndo>) {
        if self.keys.len() >= KEYS_REMEMBERED {
            self.keys.clear();
        }
        self.keys.insert(key.clone(), amount);
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
    }
}
