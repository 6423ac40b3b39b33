//! Chance decides who comes, what becomes of her and when the process dies; what the store says and
//! what its file holds is compared with what was committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};

use super::super::{Sqlite, tests::forgotten};
use crate::community::score::Mark;
use crate::id::{CommunityId, EventId, PersonId, Ref};
use crate::store::{
    CheckinRow, CommunityRow, EventRow, EventState, ForgetRow, MemberRow, Old, PersonRow,
    Store as _, TurnRows, Write,
};

const COMMUNITIES: i64 = 7;
const STEPS: usize = 60;

/// Chance that is the same for the same start (a linear congruence of Knuth's).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as i64
    }
}

/// What was committed.
#[derive(Default)]
struct Model {
    events: i64,
    persons: i64,
    /// Names of members.
    members: BTreeMap<(i64, i64), String>,
    checkins: usize,
}

fn account(person: i64) -> Ref {
    // In no order, as those of a platform.
    Ref::new("test", person.wrapping_mul(7_919) % 10_007)
}

impl Model {
    fn turn(&mut self, community: i64) -> TurnRows {
        self.events += 1;
        let mut rows = TurnRows::new(EventRow {
            id: EventId(self.events),
            community: CommunityId(community),
            group: None,
            person: None,
            account: Ref::new("test", "bot"),
            key: self.events.to_string().into(),
            kind: "message",
            at: self.events,
            received_at: self.events,
            seed: 0,
            state: EventState::Done,
            text: None,
            body: None,
            outcome: None,
        });
        rows.community = (!self.members.keys().any(|(known, _)| *known == community))
            .then(|| CommunityRow { id: CommunityId(community), key: format!("c{community}") });
        rows
    }

    fn member(&mut self, community: i64, person: i64) -> MemberRow {
        let name = format!("某人“{}”", self.events);
        self.members.insert((community, person), name.clone());
        MemberRow {
            community: CommunityId(community),
            person: PersonId(person),
            reference: account(person),
            name,
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
            tags: vec!["早".to_owned()],
        }
    }

    fn somebody(&self, chance: &mut Chance) -> Option<(i64, i64)> {
        let at = chance.below(self.members.len().max(1) as i64) as usize;
        self.members.keys().nth(at).copied()
    }

    /// Somebody new, somebody with a new name, or somebody who signs in.
    fn message(&mut self, chance: &mut Chance) -> Write {
        let known = self.somebody(chance).filter(|_| chance.below(4) == 0);
        let (community, person) = known.unwrap_or_else(|| {
            self.persons += 1;
            (1 + chance.below(COMMUNITIES), self.persons)
        });
        let mut rows = self.turn(community);
        if known.is_none() {
            let account = account(person);
            rows.persons.push(PersonRow { id: PersonId(person), account, at: self.events });
        }
        if known.is_none() || chance.below(2) == 0 {
            rows.members.push(self.member(community, person));
        }
        if chance.below(100) == 0 {
            self.checkins += 1;
            rows.checkins.push(CheckinRow {
                community: CommunityId(community),
                person: PersonId(person),
                day: format!("day {}", self.events),
                streak: 1,
                ordinal: 1,
            });
        }
        Write::Turn(Box::new(rows))
    }

    /// What the file must hold, when nothing waits.
    async fn is_in(&self, path: &Path) {
        let mut db = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let rows = sqlx::query("SELECT community, person, name FROM member").fetch_all(&mut db);
        let rows = rows.await.unwrap();
        let found: BTreeMap<(i64, i64), String> =
            rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        assert_eq!(found, self.members);
        let rows =
            sqlx::query("SELECT ref, person FROM account ORDER BY person").fetch_all(&mut db);
        let found: Vec<(String, i64)> =
            rows.await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
        let mut persons: Vec<i64> = self.members.keys().map(|(_, person)| *person).collect();
        persons.sort_unstable();
        let wanted: Vec<(String, i64)> =
            persons.into_iter().map(|id| (account(id).as_str().to_owned(), id)).collect();
        assert_eq!(found, wanted);
        assert_eq!(lines(path).await, 0);
        let row = sqlx::query("SELECT count(*) FROM checkin").fetch_one(&mut db).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), self.checkins as i64);
    }

    /// What the store must say while something waits.
    async fn is_told(&self, store: &Sqlite, chance: &mut Chance) {
        let asked: Vec<i64> = (0..5).map(|_| 1 + chance.below(self.persons + 3)).collect();
        let accounts: Vec<Ref> = asked.iter().map(|person| account(*person)).collect();
        let is_there = |person: &i64| self.members.keys().any(|(_, known)| known == person);
        let wanted: Vec<Option<PersonId>> =
            asked.iter().map(|person| is_there(person).then_some(PersonId(*person))).collect();
        assert_eq!(store.persons(&accounts).await.unwrap(), wanted);
        let community = 1 + chance.below(COMMUNITIES);
        let rows = store.community(CommunityId(community)).await.unwrap();
        let found: Vec<(i64, &str)> =
            rows.members.iter().map(|row| (row.person.0, row.name.as_str())).collect();
        let wanted = self.members.range((community, 0)..(community + 1, 0));
        let wanted: Vec<(i64, &str)> =
            wanted.map(|((_, person), name)| (*person, name.as_str())).collect();
        assert_eq!(found, wanted);
    }

    async fn forget(&mut self, store: &Sqlite, path: &Path, (_, person): (i64, i64)) {
        let event = self.turn(1).event;
        let wish = ForgetRow { person: PersonId(person), community: None, event: event.id, at: 0 };
        store.forget(&wish, &forgotten()).await.unwrap();
        assert_eq!(lines(path).await, 0, "nothing of her lies there");
        self.members.retain(|(_, known), _| *known != person);
    }
}

async fn lines(path: &Path) -> i64 {
    let mut db = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query("SELECT count(*) FROM late").fetch_one(&mut db).await.unwrap().get(0)
}

async fn open(path: &Path, is_always: bool) -> Sqlite {
    let mut store = Sqlite::open(path).await.unwrap();
    if is_always {
        store.late = super::Late::always();
    }
    store
}

/// Says how often something waited after a commit.
async fn live(seed: u64, path: PathBuf) -> usize {
    let is_always = seed % 2 == 1;
    let mut store = open(&path, is_always).await;
    let (mut chance, mut model, mut waited) = (Chance(seed), Model::default(), 0);
    for _ in 0..STEPS {
        let most = if chance.below(3) == 0 { 150 } else { 12 };
        let batch: Vec<Write> =
            (0..=chance.below(most)).map(|_| model.message(&mut chance)).collect();
        store.commit(&batch).await.unwrap();
        waited += usize::from(store.is_behind());
        match chance.below(24) {
            0 | 1 => {
                // A crash: whatever it kept in memory is gone.
                drop(store);
                store = open(&path, is_always).await;
                model.is_in(&path).await;
            }
            2 => {
                store.close().await;
                model.is_in(&path).await;
            }
            3 => {
                while store.is_behind() {
                    store.follow().await.unwrap();
                }
                model.is_in(&path).await;
            }
            4 => {
                if let Some(known) = model.somebody(&mut chance) {
                    // Her check-ins would go with her.
                    let mut db =
                        SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
                    let sql = "SELECT count(*) FROM checkin WHERE person = $1";
                    let row = sqlx::query(sql).bind(known.1).fetch_one(&mut db).await.unwrap();
                    model.checkins -= row.get::<i64, _>(0) as usize;
                    model.forget(&store, &path, known).await;
                }
            }
            5 => {
                let Some((_, person)) = model.somebody(&mut chance) else { continue };
                let here = store.communities_of(PersonId(person)).await.unwrap();
                assert_eq!(here.len(), 1);
                assert!(!store.is_behind());
            }
            6 => drop(store.housekeep(&Old::all_before(0)).await.unwrap()),
            _ => model.is_told(&store, &mut chance).await,
        }
    }
    store.close().await;
    model.is_in(&path).await;
    waited
}

#[tokio::test]
async fn rows_that_follow_are_never_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut waited = [0, 0];
    for seed in 0..12 {
        waited[seed as usize % 2] += live(seed, folder.path().join(format!("{seed}.db"))).await;
    }
    // Some follow; where only a rush lets them, some do not.
    let [rush, always] = waited.map(|waited| waited * 100 / (6 * STEPS));
    assert!((10..90).contains(&rush) && always > 90, "{rush} %, {always} %");
}

#[tokio::test]
async fn a_few_are_written_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("few.db");
    let store = Sqlite::open(&path).await.unwrap();
    let (mut chance, mut model) = (Chance(1), Model::default());
    for _ in 0..20 {
        let batch: Vec<Write> = (0..4).map(|_| model.message(&mut chance)).collect();
        store.commit(&batch).await.unwrap();
        assert!(!store.is_behind());
    }
    model.is_in(&path).await;
}
