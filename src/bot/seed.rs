//! Members who were there before the bot: a transcript's front matter, the console's first start.

use std::collections::HashMap;
use std::sync::Arc;

use super::Bot;
use crate::clock::TimeMs;
use crate::community::Member;
use crate::event::{Envelope, Event, EventKind, KeyQuality};
use crate::id::Ref;
use crate::ledger::{AccountKey, Cause, Ledger, Posting};
use crate::store::{
    AccountRow, CommunityRow, EventState, GroupRow, PersonRow, TurnRows, Write,
};
use crate::turn::{GroupPlace, LedgerNumbers, event_row};
use crate::value::Role;

/// Somebody who has been a member for a while.
#[derive(Clone, Debug)]
pub struct SeedMember {
    /// Her account.
    pub id: Ref,
    /// Her name.
    pub name: String,
    /// Her authority.
    pub role: Role,
    /// Her trust, 0–4.
    pub trust: u8,
    /// Points she has; granted like any others.
    pub points: i64,
    /// Since when she is a member, Unix ms.
    pub joined_at: TimeMs,
    /// A bot's account.
    pub is_bot: bool,
}

impl Bot {
    /// Puts members into a group that nothing has happened in yet, in one commit.
    ///
    /// # Errors
    /// A group that is known already, or what the store says.
    pub async fn seed_members(&self, group: &Ref, members: Vec<SeedMember>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let (community_row, group_row) = self.new_place(group)?;
        let community = community_row.id;
        let id = self.world.numbers.event();
        let event = Event {
            id,
            community,
            group: Some(group_row.id),
            person: None,
            received_at: now,
            seed: 0,
            stale: false,
            envelope: Arc::new(Envelope {
                account: Ref::new("core", "seed"),
                key: group.to_string(),
                key_quality: KeyQuality::Stable,
                at: now,
                group: None,
                actor: None,
                kind: EventKind::Updated,
                backfilled: false,
            }),
        };
        let mut rows = TurnRows::new(event_row(&event, EventState::Done));
        rows.community = Some(community_row);
        rows.groups.push(group_row);
        let mut ledger = Ledger::default();
        let mut owners = HashMap::new();
        for seed in members {
            let person = self.world.numbers.person();
            let row = PersonRow { id: person, account: seed.id.clone(), at: seed.joined_at };
            rows.persons.push(row);
            let mut member = Member::new(seed.id, &seed.name, seed.joined_at);
            (member.role, member.trust, member.is_bot) = (seed.role, seed.trust.min(4), seed.is_bot);
            rows.members.push(member.row(community, person));
            if seed.points > 0 {
                owners.insert(person, seed.points);
            }
        }
        let mut numbers = LedgerNumbers(&self.world.numbers);
        let mut points: Vec<_> = owners.into_iter().collect();
        points.sort_unstable();
        for (person, amount) in points {
            let posting = Posting {
                debit: AccountKey::Mint,
                credit: AccountKey::Member(person),
                amount,
                pending: false,
                key: format!("seed:{person}"),
                code: "seed".to_owned(),
                reason: "points.reason.seed".to_owned(),
            };
            let cause = Cause { event: id, actor: None, at: now };
            let made = ledger
                .post(&mut numbers, posting, cause, &mut Vec::new())
                .map_err(|refusal| anyhow::anyhow!("points of a seed member: {refusal}"))?;
            rows.transfers.extend(made);
        }
        rows.accounts.extend(ledger.accounts().map(|(key, account)| {
            let (kind, owner) = key.columns();
            AccountRow { id: account.id, community, kind, owner }
        }));
        self.store.commit(&[Write::Turn(Box::new(rows))]).await?;
        Ok(())
    }

    fn new_place(&self, group: &Ref) -> anyhow::Result<(CommunityRow, GroupRow)> {
        let config = self.config();
        let mut places = self.world.places.write().expect("places are only replaced whole");
        anyhow::ensure!(!places.by_ref.contains_key(group), "`{group}` is known already");
        let configured = config.communities.iter().find(|c| c.groups.contains(group));
        let key = configured
            .map_or_else(|| group.to_string(), |c| crate::dispatch::configured_key(&c.id));
        let community = match places.communities.get(&key) {
            Some(id) => *id,
            None => self.world.numbers.community(),
        };
        places.add_community(community, &key);
        let id = self.world.numbers.group();
        let name = group.local().to_owned();
        places.add_group(GroupPlace {
            id,
            community,
            reference: group.clone(),
            name: name.as_str().into(),
        });
        let group_row = GroupRow { id, community, reference: group.clone(), name };
        Ok((CommunityRow { id: community, key }, group_row))
    }
}
