//! Members who were there before the bot: a transcript's front matter, the console's first start.

use std::sync::Arc;

use super::Bot;
use crate::clock::TimeMs;
use crate::community::{Community, Member};
use crate::dispatch::configured_key;
use crate::event::{Envelope, Event, EventKind, KeyQuality};
use crate::id::{CommunityId, EventId, GroupId, PersonId, Ref};
use crate::lane::Message;
use crate::ledger::{AccountKey, Cause, LedgerUndo, Posting};
use crate::store::{AccountRow, CommunityRow, EventState, GroupRow, PersonRow, TurnRows, Write};
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
    /// Whether anything has ever happened in a group.
    pub fn knows_group(&self, group: &Ref) -> bool {
        let places = self.world.places.read().expect("places are only replaced whole");
        places.by_ref.contains_key(group)
    }

    /// Puts members into a group without any event of theirs, in one commit. Members who are
    /// there already stay as they are, with their points. Nothing else may be under way.
    ///
    /// # Errors
    /// What the store says.
    pub async fn seed_members(&self, group: &Ref, members: Vec<SeedMember>) -> anyhow::Result<()> {
        let (community_row, group_row) = self.place(group);
        let id = community_row.id;
        let mut community = Community::from_rows(id, self.store.community(id).await?);
        let event = self.seed_event(id, group_row.id);
        let mut rows = TurnRows::new(event_row(&event, EventState::Done));
        rows.community = Some(community_row);
        rows.groups.push(group_row);
        let accounts: Vec<Ref> = members.iter().map(|member| member.id.clone()).collect();
        let known = self.store.persons(&accounts).await?;
        for (seed, person) in members.into_iter().zip(known) {
            let person = person.unwrap_or_else(|| self.world.numbers.person());
            if !community.members.contains_key(&person) {
                self.add(&mut community, &mut rows, event.id, person, seed)?;
            }
        }
        self.store.commit(&[Write::Turn(Box::new(rows))]).await?;
        // The lane reads the new members from the database.
        let _ = self.lanes.send(Message::Forget(id));
        Ok(())
    }

    fn add(
        &self,
        community: &mut Community,
        rows: &mut TurnRows,
        event: EventId,
        person: PersonId,
        seed: SeedMember,
    ) -> anyhow::Result<()> {
        let row = PersonRow { id: person, account: seed.id.clone(), at: seed.joined_at };
        rows.persons.push(row);
        let mut member = Member::new(seed.id, &seed.name, seed.joined_at);
        (member.role, member.trust, member.is_bot) = (seed.role, seed.trust.min(4), seed.is_bot);
        rows.members.push(member.row(community.id, person));
        community.members.insert(person, member);
        if seed.points <= 0 {
            return Ok(());
        }
        let (from, to) = (AccountKey::Mint, AccountKey::Member(person));
        let posting = Posting {
            code: "seed".to_owned(),
            reason: "points.reason.seed".to_owned(),
            ..Posting::new(from, to, seed.points, format!("seed:{person}"))
        };
        let cause = Cause { event, actor: None, at: self.clock.now() };
        let mut undo = Vec::new();
        let mut numbers = LedgerNumbers(&self.world.numbers);
        let made = community
            .ledger
            .post(&mut numbers, posting, cause, &mut undo)
            .map_err(|refusal| anyhow::anyhow!("points of `{}`: {refusal}", seed.name))?;
        rows.transfers.extend(made);
        for change in undo {
            if let LedgerUndo::Account(key, None) = change
                && let Some(account) = community.ledger.account(&key)
            {
                let (kind, owner) = key.columns();
                let community = community.id;
                rows.accounts.push(AccountRow { id: account.id, community, kind, owner });
            }
        }
        Ok(())
    }

    fn seed_event(&self, community: CommunityId, group: GroupId) -> Event {
        let (id, now) = (self.world.numbers.event(), self.clock.now());
        Event {
            id,
            community,
            group: Some(group),
            person: None,
            received_at: now,
            seed: 0,
            which: Vec::new(),
            stale: false,
            envelope: Arc::new(Envelope {
                account: Ref::new("core", "seed"),
                key: id.to_string().into(),
                key_quality: KeyQuality::Stable,
                at: now,
                group: None,
                actor: None,
                kind: EventKind::Updated,
                backfilled: false,
            }),
        }
    }

    /// The group with its community, made where they are new.
    fn place(&self, group: &Ref) -> (CommunityRow, GroupRow) {
        let config = self.config();
        let mut places = self.world.places.write().expect("places are only replaced whole");
        let name = group.local().to_owned();
        if let Some(known) = places.by_ref.get(group).and_then(|id| places.by_id.get(id)) {
            let (id, community) = (known.id, known.community);
            let key = places.keys.get(&community).cloned().unwrap_or_default();
            let row = GroupRow { id, community, reference: group.clone(), name };
            return (CommunityRow { id: community, key }, row);
        }
        let configured = config.communities.iter().find(|c| c.groups.contains(group));
        let key = configured.map_or_else(|| group.to_string(), |c| configured_key(&c.id));
        let community = match places.communities.get(&key) {
            Some(id) => *id,
            None => self.world.numbers.community(),
        };
        places.add_community(community, &key);
        let id = self.world.numbers.group();
        let place =
            GroupPlace { id, community, reference: group.clone(), name: name.as_str().into() };
        places.add_group(place);
        let row = GroupRow { id, community, reference: group.clone(), name };
        (CommunityRow { id: community, key }, row)
    }
}
