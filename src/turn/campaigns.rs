//! Budgets: accounts that are filled from the mint once and that grants are drawn from.

use super::calls::Args;
use super::{Stop, Turn, Undo};
use crate::ledger::{AccountKey, Posting};
use crate::refusal::Refusal;
use crate::store::CampaignRow;
use crate::value::{Role, Value};

/// Budgets of one community.
const CAMPAIGNS_MAX: usize = 100;
/// Longest name, characters.
const NAME_CHARS: usize = 20;

impl Turn {
    /// Fills a budget, which is made where it is new; what it holds now.
    pub(super) fn points_fund(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        self.check_actor_is_admin()?;
        let (name, amount) = (args.text(0)?.trim(), args.int(1)?);
        let reason = args.text(2)?.to_owned();
        let n = match self.community.campaigns.get(name) {
            Some(n) => *n,
            None => self.add_campaign(name)?,
        };
        let ordinal = self.next_ordinal();
        let key = format!("turn:{}:{ordinal}", self.event.id);
        let budget = AccountKey::Campaign(n);
        let posting =
            Posting { reason, ..Posting::new(AccountKey::Mint, budget.clone(), amount, key) };
        self.post(posting)?;
        Ok(self.community.ledger.available(&budget).into())
    }

    /// Every budget with what was given to it and what is left.
    pub(super) fn points_campaigns(&self) -> Value {
        let row = |(name, n): (&String, &i64)| {
            let account = self.community.ledger.account(&AccountKey::Campaign(*n));
            let (total, left) = account.map_or((0, 0), |it| (it.credits, it.available()));
            Value::map([
                ("name", name.as_str().into()),
                ("total", total.into()),
                ("left", left.into()),
            ])
        };
        Value::List(self.community.campaigns.iter().map(row).collect())
    }

    /// The number of a budget.
    pub(super) fn campaign_number(&self, name: &str) -> Result<i64, Stop> {
        let found = self.community.campaigns.get(name.trim()).copied();
        found.ok_or_else(|| Refusal::new("no_campaign").with("name", name.trim()).into())
    }

    fn add_campaign(&mut self, name: &str) -> Result<i64, Stop> {
        if name.is_empty() || name.chars().count() > NAME_CHARS {
            return Err(Refusal::new("text_range").with("max", NAME_CHARS as i64).into());
        }
        if self.community.campaigns.len() >= CAMPAIGNS_MAX {
            return Err(Refusal::new("too_many").with("max", CAMPAIGNS_MAX as i64).into());
        }
        let n = self.community.campaigns.values().max().map_or(1, |last| last + 1);
        self.community.campaigns.insert(name.to_owned(), n);
        self.undo.push(Undo::Campaign(name.to_owned()));
        self.made.campaigns.push(CampaignRow {
            community: self.community.id,
            n,
            name: name.to_owned(),
            event: self.event.id,
            at: self.now,
        });
        Ok(n)
    }

    /// What creates or takes back points is for who runs the community, whatever a script says.
    pub(super) fn check_actor_is_admin(&self) -> Result<(), Stop> {
        match self.event.person {
            Some(actor) => self.check_admin(actor),
            None => Err(Refusal::new("role").with("role", Role::Admin.as_str()).into()),
        }
    }
}
