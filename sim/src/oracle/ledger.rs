//! O3: a second ledger, made of committed transfers alone.

use std::collections::{BTreeMap, BTreeSet};

use qundao::event::{Envelope, EventKind};
use qundao::id::PersonId;
use qundao::ledger::{Transfer, TransferKind};
use qundao::store::TurnRows;

use crate::model::text_of;
use crate::world::{Verdict, Violation};

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its community.
    pub community: i64,
    /// `member`, `escrow`, `mint`, `burn`.
    pub kind: String,
    /// Person or packet.
    pub owner: i64,
    /// Went out, came in, set aside to go out, announced to come in.
    pub totals: [i64; 4],
}

/// A packet.
#[derive(Clone, Debug, Default)]
pub struct Packet {
    /// `open`, `exhausted`, `refunded`.
    pub state: String,
    /// Amounts, and who took them.
    pub shares: BTreeMap<i64, (i64, Option<i64>)>,
    total: i64,
}

/// All ledgers.
#[derive(Default)]
pub struct Books {
    /// By number.
    pub accounts: BTreeMap<i64, Account>,
    /// Numbers of transfers.
    pub transfers: BTreeSet<i64>,
    /// By number.
    pub packets: BTreeMap<i64, Packet>,
    keys: BTreeSet<(i64, String)>,
    resolved: BTreeSet<i64>,
    checkins: BTreeSet<(i64, i64, String)>,
}

fn wrong(text: String) -> Verdict {
    Err(Violation::new("O3 ledger", text))
}

impl Books {
    /// What a turn moved; `told` is what the platform said of its event.
    pub fn turn(&mut self, rows: &TurnRows, told: Option<&Envelope>) -> Verdict {
        let community = rows.event.community.0;
        for row in &rows.accounts {
            let kind = row.kind.to_owned();
            let account = Account { community, kind, owner: row.owner, totals: [0; 4] };
            if self.accounts.insert(row.id.0, account).is_some() {
                return wrong(format!("account {} was opened twice", row.id));
            }
        }
        for transfer in &rows.transfers {
            self.move_points(community, transfer)?;
        }
        self.packets(rows)?;
        self.causes(rows, told)?;
        for row in &rows.checkins {
            if !self.checkins.insert((community, row.person.0, row.day.clone())) {
                return wrong(format!("{} checked in twice on {}", row.person, row.day));
            }
        }
        self.sum(community)
    }

    fn move_points(&mut self, community: i64, transfer: &Transfer) -> Verdict {
        let Transfer { id, amount, key, .. } = transfer;
        if *amount < 1 {
            return wrong(format!("transfer {id} moves {amount}"));
        }
        if !self.transfers.insert(id.0) || !self.keys.insert((community, key.clone())) {
            return wrong(format!("transfer {id} with key {key} was made before"));
        }
        let signs = match transfer.kind {
            TransferKind::Post => [*amount, 0],
            TransferKind::Pending => [0, *amount],
            TransferKind::PostPending => [*amount, -amount],
            TransferKind::VoidPending => [0, -amount],
        };
        if let Some(pending) = transfer.pending
            && !self.resolved.insert(pending.0)
        {
            return wrong(format!("the hold {pending} was ended twice"));
        }
        for (account, at) in [(transfer.debit.0, 0), (transfer.credit.0, 1)] {
            let Some(account) = self.accounts.get_mut(&account) else {
                return wrong(format!(
                    "transfer {id} names account {account}, which nobody opened"
                ));
            };
            account.totals[at] += signs[0];
            account.totals[at + 2] += signs[1];
            let [debits, credits, pending, _] = account.totals;
            if account.community != community {
                return wrong(format!("transfer {id} leaves its community"));
            }
            if account.kind != "mint" && credits < debits + pending {
                return wrong(format!(
                    "transfer {id} overdraws {} {}",
                    account.kind, account.owner
                ));
            }
        }
        Ok(())
    }

    /// Everything that was issued is somewhere.
    fn sum(&self, community: i64) -> Verdict {
        let own = self.accounts.values().filter(|account| account.community == community);
        let sum: i64 = own.map(|account| account.totals[1] - account.totals[0]).sum();
        if sum == 0 { Ok(()) } else { wrong(format!("community {community} sums to {sum}")) }
    }

    fn escrow(&self, packet: i64) -> i64 {
        let found = self.accounts.values().find(|it| it.kind == "escrow" && it.owner == packet);
        found.map_or(0, |account| account.totals[1] - account.totals[0])
    }

    fn packets(&mut self, rows: &TurnRows) -> Verdict {
        for row in &rows.packets {
            let packet = self.packets.entry(row.id).or_default();
            if !["", "open"].contains(&packet.state.as_str()) && packet.state != row.state {
                return wrong(format!(
                    "packet {} was {} and is {}",
                    row.id, packet.state, row.state
                ));
            }
            (packet.state, packet.total) = (row.state.clone(), row.total);
        }
        for row in &rows.shares {
            self.share(rows, (row.packet, row.n), row.amount, row.person)?;
        }
        let touched = rows.packets.iter().map(|row| row.id);
        let touched: BTreeSet<i64> =
            touched.chain(rows.shares.iter().map(|share| share.packet)).collect();
        touched.into_iter().try_for_each(|id| self.packet(rows, id))
    }

    fn share(
        &mut self,
        rows: &TurnRows,
        (id, n): (i64, i64),
        amount: i64,
        person: Option<PersonId>,
    ) -> Verdict {
        let packet = self.packets.entry(id).or_default();
        let taker = person.map(|person| person.0);
        if taker.is_some() && packet.shares.values().any(|(_, by)| *by == taker) {
            return wrong(format!("person {taker:?} has two shares of packet {id}"));
        }
        match packet.shares.insert(n, (amount, taker)) {
            Some((before, None)) if before == amount => {}
            None if taker.is_none() => {}
            before => {
                return wrong(format!("share {id}.{n} was {before:?}, is {amount} {taker:?}"));
            }
        }
        let Some(taker) = taker else { return Ok(()) };
        let key = format!("grab:{id}:{taker}");
        let paid = rows.transfers.iter().find(|transfer| transfer.key == key);
        if paid.is_none_or(|transfer| transfer.amount != amount) {
            return wrong(format!("share {id}.{n} of {amount} was not paid as {key}: {paid:?}"));
        }
        Ok(())
    }

    fn packet(&self, rows: &TurnRows, id: i64) -> Verdict {
        let packet = &self.packets[&id];
        let sum: i64 = packet.shares.values().map(|(amount, _)| amount).sum();
        let open = packet.shares.values().filter(|(_, taker)| taker.is_none());
        let rest: i64 = open.map(|(amount, _)| amount).sum();
        let escrow = self.escrow(id);
        if sum != packet.total {
            return wrong(format!("the shares of packet {id} sum to {sum}"));
        }
        let (wanted, refund) = match packet.state.as_str() {
            "open" => (rest, 0),
            "exhausted" if rest == 0 => (0, 0),
            "refunded" => (0, rest),
            state => return wrong(format!("packet {id} is {state} with {rest} left")),
        };
        if escrow != wanted {
            return wrong(format!("packet {id} is {}, its escrow has {escrow}", packet.state));
        }
        let key = format!("refund:{id}");
        let paid = rows.transfers.iter().find(|transfer| transfer.key == key);
        if refund > 0 && paid.is_none_or(|transfer| transfer.amount != refund) {
            return wrong(format!("packet {id} was refunded, not as {key}: {paid:?}"));
        }
        Ok(())
    }

    /// Points come from what somebody did, and from nothing else.
    fn causes(&self, rows: &TurnRows, told: Option<&Envelope>) -> Verdict {
        let Some(told) = told else { return Ok(()) };
        let text = text_of(told);
        let is_tick = matches!(told.kind, EventKind::Tick(_));
        for transfer in &rows.transfers {
            let fits = match transfer.code.as_str() {
                "checkin" => text == "签到",
                "points" => text.contains(&format!(" {} ", transfer.amount)),
                "red_packet" => is_tick || text.contains("红包") || text.contains('抢'),
                _ => false,
            };
            if !fits {
                let text = format!("`{text}` moved {} as {}", transfer.amount, transfer.code);
                return wrong(text);
            }
        }
        let granted = rows.transfers.iter().filter(|transfer| transfer.code == "points").count();
        if granted > 1 { wrong(format!("`{text}` gave points {granted} times")) } else { Ok(()) }
    }
}
