//! The counts of messages, and of those that a score counts, lag behind the events that carry them, and are never wrong: not while the
//! bot runs, not after a crash at any moment, not when events are committed out of their order.

mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use qundao::clock::{Clock as _, SystemClock};
use qundao::community::score::Mark;
use qundao::id::{CommunityId, EventId, PersonId, Ref};
use qundao::store::sqlite::Sqlite;
use qundao::store::{
    CommunityRow, EventRow, EventState, MemberRow, PersonRow, Store, TouchRow, TurnRows, Write,
};
use sqlx::Row as _;
use world::{Platform, Setup, in_time, number, peek};

const COMMUNITIES: i64 = 20;
const MEMBERS: i64 = 40;
const COMMITS: usize = 120;

/// Chance that is the same for the same start (a linear congruence of Knuth's).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as i64
    }
}

/// Messages, and the mark of the last that counts in a score.
type Counts = BTreeMap<(i64, i64), (i64, i64)>;

/// Messages that count come every third time, ten a day.
fn mark(messages: i64) -> Option<Mark> {
    let nth = messages / 3;
    (messages % 3 == 0).then(|| Mark::of(20_783 + nth / 10, 1 + nth % 10))
}

/// A message of a member, with everything that it is the first to need.
fn message(id: i64, community: i64, person: i64, counts: &mut Counts) -> Write {
    let is_first_here = !counts.keys().any(|(known, _)| *known == community);
    let (count, last) = counts.entry((community, person)).or_insert((0, 0));
    *count += 1;
    let counted = mark(*count);
    *last = counted.map_or(*last, |mark| mark.0);
    let mut rows = TurnRows::new(EventRow {
        id: EventId(id),
        community: CommunityId(community),
        group: None,
        person: Some(PersonId(person)),
        account: Ref::new("test", "bot"),
        key: format!("{id:09}").into(),
        kind: "message",
        at: id,
        received_at: id,
        seed: 0,
        state: EventState::Done,
        text: None,
        body: None,
        outcome: None,
    });
    rows.community = is_first_here
        .then(|| CommunityRow { id: CommunityId(community), key: format!("c{community}") });
    if *count == 1 {
        let reference = Ref::new("test", person);
        rows.persons = vec![PersonRow { id: PersonId(person), account: reference.clone(), at: id }];
        rows.members = vec![member(community, person, reference)];
    }
    let (community, person) = (CommunityId(community), PersonId(person));
    rows.touched = vec![TouchRow { community, person, messages: *count, counted }];
    Write::Turn(Box::new(rows))
}

fn member(community: i64, person: i64, reference: Ref) -> MemberRow {
    MemberRow {
        community: CommunityId(community),
        person: PersonId(person),
        reference,
        name: "某人".to_owned(),
        nickname: None,
        role: "member",
        trust: 0,
        is_bot: false,
        joined_at: 0,
        left_at: None,
        messages: 0,
        counted: Mark::default(),
        active_days: 1,
        last_day: "2026-11-26".to_owned(),
        tags: Default::default(),
    }
}

/// Messages in the order in which they are committed: within a community in the order of their
/// numbers, otherwise mixed up.
fn batch(chance: &mut Chance, next: &mut i64, late: &mut Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    let mut ids: Vec<(i64, i64)> = std::mem::take(late);
    for _ in 0..chance.below(200) {
        *next += 1;
        ids.push((*next, 1 + chance.below(COMMUNITIES)));
    }
    // Some communities are slow today.
    let slow = 1 + chance.below(COMMUNITIES);
    let (kept, mut now): (Vec<_>, Vec<_>) = ids.into_iter().partition(|(_, c)| *c == slow);
    *late = kept;
    now.sort_by_key(|(id, community)| ((community * 7919) % 13, *id));
    now
}

#[tokio::test]
async fn counts_are_those_of_the_events_whatever_happens() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.db");
        let mut store = Sqlite::open(&path).await.unwrap();
        let (mut chance, mut counts) = (Chance(seed), Counts::new());
        let (mut next, mut late) = (0, Vec::new());
        for _ in 0..COMMITS {
            let writes: Vec<Write> = batch(&mut chance, &mut next, &mut late)
                .into_iter()
                .map(|(id, community)| {
                    let person = community * 1000 + chance.below(MEMBERS);
                    message(id, community, person, &mut counts)
                })
                .collect();
            if !writes.is_empty() {
                store.commit(&writes).await.unwrap();
            }
            match chance.below(20) {
                0 => {
                    // A crash: whatever it kept in memory is gone.
                    drop(store);
                    store = Sqlite::open(&path).await.unwrap();
                    assert_eq!(table(&path).await, counts, "seed {seed}: after a crash");
                }
                1 => {
                    store.housekeep(&qundao::store::Old::all_before(0)).await.unwrap();
                    assert_eq!(table(&path).await, counts, "seed {seed}: after housekeeping");
                }
                _ => told(&store, 1 + chance.below(COMMUNITIES), &counts, seed).await,
            }
        }
        store.close().await;
        assert_eq!(table(&path).await, counts, "seed {seed}: after an orderly end");
        assert!(
            counts.values().map(|(messages, _)| messages).sum::<i64>() > 5000,
            "seed {seed}: too little was said"
        );
    }
}

/// What a community that is loaded now hears.
async fn told(store: &Sqlite, community: i64, counts: &Counts, seed: u64) {
    let rows = store.community(CommunityId(community)).await.unwrap();
    let heard: Counts =
        rows.members.iter().map(|m| ((community, m.person.0), (m.messages, m.counted.0))).collect();
    let all = (community, i64::MIN)..=(community, i64::MAX);
    let wanted: Counts = counts.range(all).map(|(key, count)| (*key, *count)).collect();
    assert_eq!(heard, wanted, "seed {seed}: while it runs");
}

async fn table(path: &Path) -> Counts {
    let mut db = peek(path).await;
    let rows = sqlx::query("SELECT community, person, messages, counted FROM member_tally");
    let rows = rows.fetch_all(&mut db).await.unwrap();
    rows.iter().map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3)))).collect()
}

/// Who reads the file after a rush finds everybody in her place, though nobody speaks any more.
#[tokio::test]
async fn people_of_a_rush_take_their_places_when_it_is_over() {
    const NEW: usize = 600;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rush.db");
    let store = Arc::new(Sqlite::open(&path).await.unwrap());
    let bot = Setup::new(Vec::new()).start(store, &Platform::willing()).await;
    let (inbox, now) = (bot.inbox(), SystemClock::default().now());
    for who in 0..NEW {
        let who = who.to_string();
        inbox.offer(world::message(&who, "g", &who, "早", now), None).await;
    }
    in_time("all turns", bot.settled()).await;
    let mut db = peek(&path).await;
    let places = async {
        while number(&mut db, "SELECT count(*) FROM late").await > 0 {
            tokio::task::yield_now().await;
        }
        (
            number(&mut db, "SELECT count(*) FROM member").await,
            number(&mut db, "SELECT count(*) FROM account").await,
        )
    };
    let placed = in_time("all have their places", places).await;
    assert_eq!(placed, (NEW as i64, NEW as i64));
    bot.stop().await.unwrap();
}
