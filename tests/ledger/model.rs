//! Random histories of a ledger against a model in which every single point is an element of a list.
//!
//! `QUNDAO_CYCLES` is the number of operations; without it 50,000.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use qundao::clock::TimeMs;
use qundao::id::{AccountId, EventId, PacketId, PersonId, TransferId};
use qundao::ledger::{AccountKey, Cause, Ledger, LedgerUndo, Numbers, Posting};

const MEMBERS: i64 = 4;
const DAY_MS: TimeMs = 24 * 3_600_000;
/// Operations in one history.
const LENGTH: usize = 250;
const NEVER: TimeMs = TimeMs::MAX;

#[derive(Clone, Debug)]
enum Op {
    /// Points for a member, which expire after so many days; 0 never.
    Grant {
        who: i64,
        amount: i64,
        days: i64,
    },
    Spend {
        who: i64,
        amount: i64,
    },
    Give {
        from: i64,
        to: i64,
        amount: i64,
    },
    Send {
        who: i64,
        packet: i64,
        amount: i64,
    },
    Grab {
        who: i64,
        packet: i64,
        amount: i64,
    },
    Hold {
        who: i64,
        amount: i64,
    },
    End {
        nth: usize,
        settle: bool,
    },
    /// The same once more.
    Repeat {
        nth: usize,
    },
    /// The same key for another amount.
    Clash {
        nth: usize,
    },
    /// Something that is taken back at once, as by a handler that fails.
    Undone {
        who: i64,
        amount: i64,
    },
    /// Time goes by, and what is due is burnt.
    Pass {
        hours: i64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..MEMBERS;
    let amount = 1..60_i64;
    let (packet, nth) = (0..3_i64, 0..200_usize);
    prop_oneof![
        4 => (who.clone(), amount.clone(), 0..4_i64)
            .prop_map(|(who, amount, days)| Op::Grant { who, amount, days }),
        3 => (who.clone(), amount.clone()).prop_map(|(who, amount)| Op::Spend { who, amount }),
        2 => (who.clone(), who.clone(), amount.clone())
            .prop_map(|(from, to, amount)| Op::Give { from, to, amount }),
        2 => (who.clone(), packet.clone(), amount.clone())
            .prop_map(|(who, packet, amount)| Op::Send { who, packet, amount }),
        3 => (who.clone(), packet, amount.clone())
            .prop_map(|(who, packet, amount)| Op::Grab { who, packet, amount }),
        1 => (who.clone(), amount.clone()).prop_map(|(who, amount)| Op::Hold { who, amount }),
        1 => (nth.clone(), any::<bool>()).prop_map(|(nth, settle)| Op::End { nth, settle }),
        1 => nth.clone().prop_map(|nth| Op::Repeat { nth }),
        1 => nth.prop_map(|nth| Op::Clash { nth }),
        1 => (who, amount).prop_map(|(who, amount)| Op::Undone { who, amount }),
        2 => (1..60_i64).prop_map(|hours| Op::Pass { hours }),
    ]
}

#[derive(Default)]
struct Counter(i64);

impl Numbers for Counter {
    fn account(&mut self) -> AccountId {
        self.0 += 1;
        AccountId(self.0)
    }

    fn transfer(&mut self) -> TransferId {
        self.0 += 1;
        TransferId(self.0)
    }
}

/// Every point of every account by when it expires, and what is set aside.
#[derive(Default)]
struct Model {
    points: BTreeMap<AccountKey, Vec<TimeMs>>,
    held: Vec<(TransferId, AccountKey, usize)>,
}

impl Model {
    fn have(&self, key: &AccountKey) -> usize {
        let held: usize =
            self.held.iter().filter(|(_, of, _)| of == key).map(|(.., amount)| amount).sum();
        self.points.get(key).map_or(0, Vec::len) - held
    }

    fn take(&mut self, key: &AccountKey, amount: usize) -> Vec<TimeMs> {
        let points = self.points.entry(key.clone()).or_default();
        points.sort_unstable();
        points.drain(..amount).collect()
    }

    fn put(&mut self, key: &AccountKey, points: Vec<TimeMs>, now: TimeMs) {
        let later = |mut at: TimeMs| {
            while at <= now {
                at += DAY_MS;
            }
            at
        };
        self.points.entry(key.clone()).or_default().extend(points.into_iter().map(later));
    }
}

/// A ledger and its model, side by side.
#[derive(Default)]
struct Pair {
    ledger: Ledger,
    numbers: Counter,
    model: Model,
    now: TimeMs,
    made: Vec<Posting>,
    n: usize,
}

impl Pair {
    fn cause(&self) -> Cause {
        Cause { event: EventId(1), actor: None, at: self.now }
    }

    fn key(&mut self) -> String {
        self.n += 1;
        format!("op:{}", self.n)
    }

    /// Both do it, or the ledger refuses what the model has not.
    fn post(&mut self, posting: Posting) {
        let (amount, pending) = (posting.amount as usize, posting.pending);
        let is_minted = posting.debit == AccountKey::Mint;
        let can = posting.debit != posting.credit
            && (is_minted || self.model.have(&posting.debit) >= amount);
        let cause = self.cause();
        let made = self.ledger.post(&mut self.numbers, posting.clone(), cause, &mut Vec::new());
        assert_eq!(made.is_ok(), can, "{posting:?}: {made:?}");
        let Ok(Some(transfer)) = made else { return };
        if pending {
            self.model.held.push((transfer.id, posting.debit.clone(), amount));
        } else {
            let moved = if is_minted {
                vec![NEVER; amount]
            } else {
                self.model.take(&posting.debit, amount)
            };
            let moved = posting.expires_at.map_or(moved, |at| vec![at; amount]);
            if posting.credit.has_lots() {
                self.model.put(&posting.credit, moved, self.now);
            }
        }
        self.made.push(posting);
    }

    fn run(&mut self, op: Op) {
        let member = |who| AccountKey::Member(PersonId(who));
        let escrow = |packet| AccountKey::Escrow(PacketId(packet));
        let key = self.key();
        let at_once = |from, to, amount| Posting::new(from, to, amount, key.clone());
        match op {
            Op::Grant { who, amount, days } => {
                let expires_at = (days > 0).then(|| (self.now / DAY_MS + days + 1) * DAY_MS);
                let grant = at_once(AccountKey::Mint, member(who), amount);
                self.post(Posting { expires_at, ..grant });
            }
            Op::Spend { who, amount } => {
                self.post(at_once(member(who), AccountKey::Burn, amount));
            }
            Op::Give { from, to, amount } => self.post(at_once(member(from), member(to), amount)),
            Op::Send { who, packet, amount } => {
                self.post(at_once(member(who), escrow(packet), amount));
            }
            Op::Grab { who, packet, amount } => {
                self.post(at_once(escrow(packet), member(who), amount));
            }
            Op::Hold { who, amount } => {
                let hold = at_once(member(who), AccountKey::Burn, amount);
                self.post(Posting { pending: true, ..hold });
            }
            Op::End { nth, settle } => self.end(nth, settle),
            Op::Repeat { nth } => self.repeat(nth, 0),
            Op::Clash { nth } => self.repeat(nth, 1),
            Op::Undone { who, amount } => {
                self.undone(at_once(AccountKey::Mint, member(who), amount));
            }
            Op::Pass { hours } => self.pass(hours),
        }
    }

    fn end(&mut self, nth: usize, settle: bool) {
        if self.model.held.is_empty() {
            return;
        }
        let (id, from, amount) = self.model.held.remove(nth % self.model.held.len());
        let cause = self.cause();
        let mut end =
            || self.ledger.end_hold(&mut self.numbers, id, settle, cause, &mut Vec::new());
        end().unwrap();
        assert_eq!(end().unwrap_err().code, "unknown_hold");
        if settle {
            self.model.take(&from, amount);
        }
    }

    /// The same key: what it stands for changes nothing, anything else is refused.
    fn repeat(&mut self, nth: usize, more: i64) {
        if self.made.is_empty() {
            return;
        }
        let posting = self.made[nth % self.made.len()].clone();
        let posting = Posting { amount: posting.amount + more, ..posting };
        let cause = self.cause();
        let mut undo = Vec::new();
        let again = self.ledger.post(&mut self.numbers, posting, cause, &mut undo);
        match again {
            Ok(made) => assert!(made.is_none() && more == 0),
            Err(refusal) => assert!(refusal.code == "key_reused" && more != 0, "{refusal:?}"),
        }
        assert!(undo.is_empty());
    }

    fn undone(&mut self, grant: Posting) {
        let before = self.picture();
        let cause = self.cause();
        let mut undo: Vec<LedgerUndo> = Vec::new();
        let expires_at = Some(self.now + DAY_MS);
        let grant = Posting { expires_at, ..grant };
        let (person, amount, key) = (grant.credit.clone(), grant.amount, grant.key.clone());
        self.ledger.post(&mut self.numbers, grant.clone(), cause, &mut undo).unwrap();
        let spend = Posting::new(person, AccountKey::Burn, amount, format!("{key}:spent"));
        self.ledger.post(&mut self.numbers, spend, cause, &mut undo).unwrap();
        while let Some(change) = undo.pop() {
            self.ledger.undo(change);
        }
        assert_eq!(self.picture(), before);
    }

    /// Burns what is due, as the turn of the timer does.
    fn pass(&mut self, hours: i64) {
        self.now += hours * 3_600_000;
        for who in 0..MEMBERS {
            let key = AccountKey::Member(PersonId(who));
            let due = self
                .model
                .points
                .get(&key)
                .map_or(0, |points| points.iter().filter(|at| **at <= self.now).count());
            let amount = due.min(self.model.have(&key));
            let lots = self.ledger.lots(&key).map_or(0, |lots| lots.before(self.now + 1));
            assert_eq!(lots, due as i64);
            if amount > 0 {
                let burn = self.key();
                self.post(Posting::new(key, AccountKey::Burn, amount as i64, burn));
            }
        }
    }

    /// Everything that the ledger says, in order.
    fn picture(&self) -> Vec<String> {
        let accounts = self.ledger.accounts().map(|(key, account)| format!("{key:?} {account:?}"));
        let lots = self.ledger.all_lots().map(|(key, lots)| format!("{key:?} {lots:?}"));
        let mut all: Vec<String> = accounts.chain(lots).collect();
        all.sort();
        all
    }

    fn check(&self) {
        let sum: i64 = self.ledger.accounts().map(|(_, it)| it.credits - it.debits).sum();
        assert_eq!(sum, 0, "the sum over all accounts");
        for (key, account) in self.ledger.accounts() {
            if !key.has_lots() {
                continue;
            }
            assert_eq!(account.available(), self.model.have(key) as i64, "{key:?}");
            let mut lots: BTreeMap<TimeMs, i64> = BTreeMap::new();
            for at in self.model.points.get(key).into_iter().flatten().filter(|at| **at != NEVER) {
                *lots.entry(*at).or_default() += 1;
            }
            let said: Vec<_> = self.ledger.lots(key).into_iter().flat_map(|it| it.iter()).collect();
            assert_eq!(said, lots.into_iter().collect::<Vec<_>>(), "{key:?}");
        }
    }
}

#[test]
fn a_ledger_is_its_model_over_random_histories() {
    let cycles = std::env::var("QUNDAO_CYCLES").ok().and_then(|n| n.parse().ok());
    let cycles: usize = cycles.unwrap_or(50_000);
    let cases = cycles.div_ceil(LENGTH) as u32;
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let histories = proptest::collection::vec(op(), LENGTH);
    let run = |ops: Vec<Op>| {
        let mut pair = Pair::default();
        for op in ops {
            pair.run(op);
            pair.check();
        }
        Ok(())
    };
    TestRunner::new(config).run(&histories, run).unwrap();
}
