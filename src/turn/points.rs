//! Host calls of `points::`: every change is a transfer of the ledger.

use super::calls::Args;
use super::{LedgerNumbers, Stop, Turn, Undo};
use crate::clock::{DAY_MS, TimeMs};
use crate::id::{PersonId, TransferId};
use crate::ledger::{AccountKey, LedgerUndo, Lots, Posting, QuotaKind};
use crate::refusal::Refusal;
use crate::report::Line;
use crate::script::duration;
use crate::store::{AccountRow, LotRow, QuotaRow};
use crate::value::{Value, ValueMap};

type Answer = Result<Value, Stop>;

/// What a grant may say besides its reason.
struct GrantOptions {
    key: String,
    expires_at: Option<TimeMs>,
    campaign: Option<String>,
}

impl Turn {
    pub(super) fn points_balance(&mut self, args: &Args<'_>) -> Answer {
        Ok(self.community.points(args.member(0)?).into())
    }

    pub(super) fn points_grant(&mut self, args: &Args<'_>) -> Answer {
        let (person, amount) = (args.member(0)?, args.int(1)?);
        self.member(person)?;
        let reason = args.text(2)?.to_owned();
        let GrantOptions { key, expires_at, campaign } = self.grant_options(args, person)?;
        let from = match campaign {
            Some(name) => AccountKey::Campaign(self.campaign_number(&name)?),
            None => AccountKey::Mint,
        };
        let posting = Posting {
            reason,
            expires_at,
            ..Posting::new(from, AccountKey::Member(person), amount, key)
        };
        Ok(self.move_points(posting)?.is_some().into())
    }

    pub(super) fn points_spend(&mut self, args: &Args<'_>) -> Answer {
        let (person, amount) = (args.member(0)?, args.int(1)?);
        let key = self.key(args, 3, person)?;
        let reason = args.text(2)?.to_owned();
        let (from, to) = (AccountKey::Member(person), AccountKey::Burn);
        let posting = Posting { reason, ..Posting::new(from, to, amount, key) };
        Ok(self.move_points(posting)?.is_some().into())
    }

    pub(super) fn points_transfer(&mut self, args: &Args<'_>) -> Answer {
        let (from, to, amount) = (args.member(0)?, args.member(1)?, args.int(2)?);
        self.member(to)?;
        let key = self.key(args, 4, from)?;
        let reason = args.text(3)?.to_owned();
        let (from, to) = (AccountKey::Member(from), AccountKey::Member(to));
        let posting = Posting { reason, ..Posting::new(from, to, amount, key) };
        Ok(self.move_points(posting)?.is_some().into())
    }

    pub(super) fn points_hold(&mut self, args: &Args<'_>) -> Answer {
        let (person, amount) = (args.member(0)?, args.int(1)?);
        let key = self.key(args, 3, person)?;
        let reason = args.text(2)?.to_owned();
        let (from, to) = (AccountKey::Member(person), AccountKey::Burn);
        let posting = Posting { reason, pending: true, ..Posting::new(from, to, amount, key) };
        Ok(self.move_points(posting)?.map_or(Value::Unit, |id| id.0.into()))
    }

    pub(super) fn points_end_hold(&mut self, args: &Args<'_>, settle: bool) -> Answer {
        let id = TransferId(args.int(0)?);
        self.check_moves()?;
        let cause = self.cause();
        let mut undo = Vec::new();
        let mut numbers = LedgerNumbers(&self.world.numbers);
        let transfer =
            self.community.ledger.end_hold(&mut numbers, id, settle, cause, &mut undo)?;
        self.note_changes(undo);
        self.made.transfers.push(transfer);
        Ok(Value::Unit)
    }

    /// Points of a member that expire within a time.
    pub(super) fn points_expiring(&mut self, args: &Args<'_>) -> Answer {
        let person = args.member(0)?;
        let within_ms = args.duration(1)?;
        let lots = self.community.ledger.lots(&AccountKey::Member(person));
        Ok(lots.map_or(0, |lots| lots.before(self.now + within_ms + 1)).into())
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

    /// A key, or a map of options.
    fn grant_options(&mut self, args: &Args<'_>, person: PersonId) -> Result<GrantOptions, Stop> {
        let map: &ValueMap = match args.get(3) {
            Some(Value::Map(map)) => map,
            _ => {
                let key = self.key(args, 3, person)?;
                return Ok(GrantOptions { key, expires_at: None, campaign: None });
            }
        };
        let mut options = GrantOptions { key: String::new(), expires_at: None, campaign: None };
        for (name, value) in map {
            match (name.as_str(), value) {
                (_, Value::Unit) => {}
                ("key", Value::Text(key)) => {
                    options.key = format!("{}:{person}:{key}", self.script());
                }
                ("campaign", Value::Text(campaign)) => options.campaign = Some(campaign.clone()),
                ("expires", Value::Text(word)) if word.is_empty() || word == "never" => {}
                ("expires", Value::Text(text)) => match duration::parse(text) {
                    Some(ms) => options.expires_at = Some(self.end_of_day(ms)),
                    None => return Err(wrong_option("expires", "a duration such as \"90d\"")),
                },
                ("expires", Value::Int(ms)) => {
                    options.expires_at = Some(self.end_of_day((*ms).clamp(0, duration::MAX_MS)));
                }
                (name, _) => return Err(wrong_option(name, "`key`, `expires` or `campaign`")),
            }
        }
        if options.key.is_empty() {
            let ordinal = self.next_ordinal();
            options.key = format!("turn:{}:{ordinal}", self.event.id);
        }
        Ok(options)
    }

    /// The end of the local day that it is after so long: points of one day expire together.
    fn end_of_day(&self, after_ms: i64) -> TimeMs {
        let offset_ms = i64::from(self.local.utc_offset_s) * 1000;
        let local = self.now + after_ms + offset_ms;
        (local.div_euclid(DAY_MS) + 1) * DAY_MS - offset_ms
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

    /// Nothing moves in a frozen ledger.
    pub(super) fn check_moves(&self) -> Result<(), Stop> {
        if self.world.is_frozen(self.community.id) {
            return Err(Refusal::new("ledger_frozen").into());
        }
        Ok(())
    }

    /// A transfer that a script asked for; one by somebody's command has a line in the audit log.
    fn move_points(&mut self, posting: Posting) -> Result<Option<TransferId>, Stop> {
        let Posting { debit, credit, amount, reason, .. } = posting.clone();
        let done = self.post(posting)?;
        // What members earn by themselves is in the ledger with its cause.
        let is_earned = debit == AccountKey::Mint
            && self.event.person.map(AccountKey::Member) == Some(credit.clone());
        if done.is_some() && !is_earned && self.is_command() {
            self.audit_points((&debit, &credit), amount, &reason);
        }
        Ok(done)
    }

    /// Makes a transfer; `None` where the same key made the same one before.
    pub(super) fn post(&mut self, posting: Posting) -> Result<Option<TransferId>, Stop> {
        self.check_moves()?;
        let counted = self.counted(&posting);
        let posting = Posting {
            code: self.script().to_owned(),
            day: (!counted.is_empty()).then_some(self.community.today),
            ..posting
        };
        let Posting { debit, credit, amount, reason, pending, .. } = posting.clone();
        let cause = self.cause();
        let mut undo = Vec::new();
        let mut numbers = LedgerNumbers(&self.world.numbers);
        let made = self.community.ledger.post(&mut numbers, posting, cause, &mut undo);
        let made = made.map_err(hard)?;
        self.note_changes(undo);
        let Some(transfer) = made else { return Ok(None) };
        let id = transfer.id;
        self.made.transfers.push(transfer);
        for (kind, owner, amount, cap) in counted {
            self.count_quota(kind, owner, amount, cap)?;
        }
        if !pending {
            self.points_line(&debit, -amount, &reason);
            self.points_line(&credit, amount, &reason);
        }
        Ok(Some(id))
    }

    /// What a posting counts against: kind, whose, how much, cap.
    fn counted(&self, posting: &Posting) -> Vec<(QuotaKind, i64, i64, i64)> {
        use AccountKey::{Burn, Campaign, Escrow, Member, Mint};
        let limits = self.world.limits();
        let amount = posting.amount;
        let minted = (QuotaKind::Minted, 0, amount, limits.points_minted_day);
        let earned = |who: &PersonId| (QuotaKind::Earned, who.0, amount, limits.points_member_day);
        match (&posting.debit, &posting.credit) {
            (Mint, Member(person)) => vec![minted, earned(person)],
            (Mint, Campaign(_)) => vec![minted],
            (Campaign(_), Member(person)) => vec![earned(person)],
            (Escrow(_), Member(person)) if posting.key.starts_with("grab:") => {
                vec![(QuotaKind::Grabbed, person.0, amount, self.grab_cap())]
            }
            (Member(_), Escrow(_)) => {
                let group = self.event.group.map_or(0, |group| group.0);
                vec![(QuotaKind::Packets, group, 1, self.packets_cap())]
            }
            (Mint, Mint | Burn | Escrow(_)) | (Escrow(_) | Burn | Member(_) | Campaign(_), _) => {
                Vec::new()
            }
        }
    }

    fn count_quota(
        &mut self,
        kind: QuotaKind,
        owner: i64,
        amount: i64,
        cap: i64,
    ) -> Result<(), Stop> {
        let day = self.community.today;
        let key = (day, kind, owner);
        self.community.quotas.count(key, amount, cap)?;
        self.undo.push(Undo::Quota(key, amount));
        let community = self.community.id;
        self.made.quotas.push(QuotaRow { community, day, kind, owner, amount, cap });
        Ok(())
    }

    /// Rows of what a change of the ledger changed beside the transfer.
    fn note_changes(&mut self, undo: Vec<LedgerUndo>) {
        for change in &undo {
            match change {
                LedgerUndo::Account(key, None) => self.note_new_account(key),
                LedgerUndo::Lots(key, before) => self.note_lots(key, before),
                LedgerUndo::Account(_, Some(_))
                | LedgerUndo::Opened(_)
                | LedgerUndo::Closed(..)
                | LedgerUndo::Key(_) => {}
            }
        }
        self.undo.extend(undo.into_iter().map(Undo::Ledger));
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

    fn note_lots(&mut self, key: &AccountKey, before: &Lots) {
        let Some(account) = self.community.ledger.account(key) else { return };
        let (account, community) = (account.id, self.community.id);
        let after = self.community.ledger.lots(key).cloned().unwrap_or_default();
        let mut times: Vec<TimeMs> = before.iter().chain(after.iter()).map(|(at, _)| at).collect();
        times.sort_unstable();
        times.dedup();
        for expires_at in times {
            let amount = after.at(expires_at);
            if amount != before.at(expires_at) {
                self.made.lots.push(LotRow { community, account, expires_at, amount });
            }
        }
        if let (AccountKey::Member(_), Some(earliest)) = (key, after.earliest()) {
            self.wait_for_lots(earliest);
        }
    }

    fn points_line(&mut self, key: &AccountKey, delta: i64, reason: &str) {
        if let AccountKey::Member(person) = key {
            let member = self.name_of(*person);
            self.say_line(Line::Points { member, delta, reason: reason.to_owned() });
        }
    }
}

/// A key that stands for something else is a mistake of the script, which must be heard of.
fn hard(refusal: Refusal) -> Stop {
    match refusal.data.get("key") {
        Some(Value::Text(key)) if refusal.code == "key_reused" => Stop::Wrong(format!(
            "the key `{key}` already stands for another transfer; nothing was moved"
        )),
        _ => Stop::Refused(refusal),
    }
}

fn wrong_option(name: &str, wanted: &str) -> Stop {
    Stop::Wrong(format!("`points::grant`: the option `{name}` is not {wanted}"))
}
