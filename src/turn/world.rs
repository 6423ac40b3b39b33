//! What every turn may use: numbers, places, limits, words. Shared, and the same for all.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use crate::adapter::{Adapter, Capabilities};
use crate::clock::TimeMs;
use crate::config::{Limits, PrivacyConfig};
use crate::event::Element;
use crate::id::{
    AccountId, CommunityId, DeliveryId, EventId, GroupId, PacketId, PersonId, Ref, TimerId,
    TransferId,
};
use crate::ledger;
use crate::moderation::WordLists;
use crate::news::Desk;
use crate::store::{NUMBERED, Start};

/// Shared by every turn.
pub struct World {
    /// Numbers for new rows.
    pub numbers: Numbers,
    /// Groups and communities that exist.
    pub places: RwLock<Places>,
    /// Platforms by name: the bot's account there and what it can do.
    pub platforms: HashMap<String, Platform>,
    /// Named limits.
    pub limits: RwLock<Arc<Limits>>,
    /// Word lists.
    pub words: RwLock<Arc<WordLists>>,
    /// Communities whose ledger is frozen.
    pub frozen: RwLock<BTreeSet<CommunityId>>,
    /// News, for who asks.
    pub desk: Arc<Desk>,
    /// How long what is kept.
    pub privacy: RwLock<Arc<PrivacyConfig>>,
    /// Persons who were forgotten, each with the number under which she would be a newcomer.
    pub forgotten: RwLock<HashMap<PersonId, PersonId>>,
    /// Source of all chance; never leaves this process.
    pub secret: [u8; 32],
    /// When the database was restored from a backup: what happened before may have been handled
    /// already, so that it is not answered.
    pub restored_at: TimeMs,
}

/// One platform that the bot is on.
#[derive(Clone)]
pub struct Platform {
    /// The bot's account.
    pub account: Ref,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Asked for nothing but how long a message is there.
    measure: Arc<dyn Adapter>,
}

impl Platform {
    /// A platform as its adapter describes it.
    pub fn of(adapter: &Arc<dyn Adapter>) -> Self {
        let (account, capabilities) = (adapter.account(), adapter.capabilities());
        Self { account, capabilities, measure: adapter.clone() }
    }

    /// How long a message is there, counted as `text_chars` counts.
    pub fn length(&self, content: &[Element]) -> usize {
        self.measure.length(content)
    }
}

impl World {
    /// The seed of an event's chance.
    pub fn event_seed(&self, event: EventId) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.secret[..8]);
        crate::clock::mix_seed(u64::from_le_bytes(first), event.0 as u64)
    }

    /// 32 bytes of chance that tell nothing about any others, even once published.
    pub fn packet_seed(&self, event: EventId, ordinal: u32) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(event.0.to_be_bytes());
        hash.update(ordinal.to_be_bytes());
        hash.finalize().into()
    }

    /// Whether nothing may move in this ledger.
    pub fn is_frozen(&self, community: CommunityId) -> bool {
        self.frozen.read().unwrap_or_else(PoisonError::into_inner).contains(&community)
    }

    /// Lets nothing move in this ledger; whether it did before.
    pub fn freeze(&self, community: CommunityId) -> bool {
        self.frozen.write().unwrap_or_else(PoisonError::into_inner).insert(community)
    }

    /// What hides the payload of a line of the audit log once it is erased.
    pub fn audit_salt(&self, event: EventId, line: usize) -> [u8; 16] {
        self.salt(&[&event.0.to_be_bytes(), &line.to_be_bytes()])
    }

    /// The same for a line that no turn wrote, from what it says.
    pub fn salt(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(b"audit");
        parts.iter().for_each(|part| hash.update(part));
        let mut salt = [0; 16];
        salt.copy_from_slice(&hash.finalize()[..16]);
        salt
    }

    /// The number under which somebody who was forgotten would be a newcomer; always the same one.
    pub fn renumber(&self, person: PersonId) -> PersonId {
        let mut forgotten = self.forgotten.write().expect("numbers are only added");
        *forgotten.entry(person).or_insert_with(|| self.numbers.person())
    }

    /// The person, if she was forgotten, with her number since then.
    pub fn renumbered(&self, person: Option<PersonId>) -> Option<(PersonId, PersonId)> {
        let person = person?;
        let forgotten = self.forgotten.read().expect("numbers are only added");
        let mut newcomer = *forgotten.get(&person)?;
        // She may have come back and left again.
        while let Some(next) = forgotten.get(&newcomer) {
            newcomer = *next;
        }
        Some((person, newcomer))
    }

    /// What is kept how long.
    pub fn privacy(&self) -> Arc<PrivacyConfig> {
        self.privacy.read().expect("the settings are only replaced whole").clone()
    }

    /// The limits in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.read().expect("limits are only replaced whole").clone()
    }

    /// The word lists in force.
    pub fn words(&self) -> Arc<WordLists> {
        self.words.read().expect("word lists are only replaced whole").clone()
    }

    /// A group's reference and name.
    pub fn group(&self, id: GroupId) -> Option<GroupPlace> {
        self.places.read().expect("places are only replaced whole").by_id.get(&id).cloned()
    }

    /// The groups of a community, in the order in which they were first seen.
    pub fn groups_of(&self, community: crate::id::CommunityId) -> Vec<Ref> {
        let places = self.places.read().expect("places are only replaced whole");
        let mut groups: Vec<&GroupPlace> =
            places.by_id.values().filter(|group| group.community == community).collect();
        groups.sort_by_key(|group| group.id);
        groups.into_iter().map(|group| group.reference.clone()).collect()
    }
}

/// A group with its place in the world.
#[derive(Clone, Debug)]
pub struct GroupPlace {
    /// Its number.
    pub id: GroupId,
    /// Whose.
    pub community: CommunityId,
    /// What the platform calls it.
    pub reference: Ref,
    /// Its name.
    pub name: Arc<str>,
}

/// Every group and community that was ever seen.
#[derive(Debug, Default)]
pub struct Places {
    /// Groups by reference.
    pub by_ref: HashMap<Ref, GroupId>,
    /// Groups by number.
    pub by_id: HashMap<GroupId, GroupPlace>,
    /// Communities by key.
    pub communities: HashMap<String, CommunityId>,
    /// Keys of communities.
    pub keys: HashMap<CommunityId, String>,
}

impl Places {
    /// From what the store has.
    pub fn new(start: &Start) -> Self {
        let mut places = Self::default();
        for row in &start.communities {
            places.add_community(row.id, &row.key);
        }
        for row in &start.groups {
            places.add_group(GroupPlace {
                id: row.id,
                community: row.community,
                reference: row.reference.clone(),
                name: row.name.as_str().into(),
            });
        }
        places
    }

    /// Adds a community.
    pub fn add_community(&mut self, id: CommunityId, key: &str) {
        self.communities.insert(key.to_owned(), id);
        self.keys.insert(id, key.to_owned());
    }

    /// Adds a group.
    pub fn add_group(&mut self, group: GroupPlace) {
        self.by_ref.insert(group.reference.clone(), group.id);
        self.by_id.insert(group.id, group);
    }
}

/// Counters for the rows that this process numbers.
#[derive(Debug)]
pub struct Numbers([AtomicI64; NUMBERED.len()]);

impl Numbers {
    /// Goes on after the highest numbers in use, in the order of [`NUMBERED`].
    pub fn after(highest: &[i64]) -> Self {
        Self(std::array::from_fn(|kind| {
            AtomicI64::new(highest.get(kind).copied().unwrap_or_default())
        }))
    }

    fn next(&self, kind: usize) -> i64 {
        self.0[kind].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The next event.
    pub fn event(&self) -> EventId {
        EventId(self.next(0))
    }

    /// The next community.
    pub fn community(&self) -> CommunityId {
        CommunityId(self.next(1))
    }

    /// The next group.
    pub fn group(&self) -> GroupId {
        GroupId(self.next(2))
    }

    /// The next person.
    pub fn person(&self) -> PersonId {
        PersonId(self.next(3))
    }

    /// The next packet.
    pub fn packet(&self) -> PacketId {
        PacketId(self.next(6))
    }

    /// The next timer.
    pub fn timer(&self) -> TimerId {
        TimerId(self.next(7))
    }

    /// The next delivery.
    pub fn delivery(&self) -> DeliveryId {
        DeliveryId(self.next(8))
    }
}

/// Lets the ledger draw from the shared counters.
pub struct LedgerNumbers<'a>(pub &'a Numbers);

impl ledger::Numbers for LedgerNumbers<'_> {
    fn account(&mut self) -> AccountId {
        AccountId(self.0.next(4))
    }

    fn transfer(&mut self) -> TransferId {
        TransferId(self.0.next(5))
    }
}
