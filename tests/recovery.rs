//! When commits are refused or the disk fails: nothing is lost, nothing is doubled, the order of
//! each community holds, and one bad turn costs no other. Over both databases.

mod world;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use qundao::adapter::{Accepted, BoxFuture, Inbox};
use qundao::clock::{Clock, SystemClock, TimeMs};
use qundao::effect::{Delivery, Destination};
use qundao::id::{CommunityId, PersonId, Ref, ScriptName, TimerId};
use qundao::store::chain::{ChainReport, Head};
use qundao::store::{
    AuditLine, AuditRow, CommunityRows, DecisionRow, DeliveryCount, DeliveryQuery, EventRow,
    ForgetRow, FreezeRow, LedgerAudit, LedgerDump, NewsItemRow, NewsRows, NewsSourceRow, Old,
    PacketRows, PointsEntry, Restored, RoutineRow, RoutineTimer, RunOutcome, Start, Store,
    StoreError, StoreHealth, StoredTransfer, TransferBy, Verification, Write,
};
use tokio::sync::oneshot;
use world::{Database, Platform, Setup, in_time, message, script, seed, shipped};

over_both! {
    a_commit_that_is_refused_once_is_made_good_turn_by_turn;
    a_turn_that_is_always_refused_is_set_aside_and_costs_no_other;
    a_disk_that_fails_for_a_while_loses_nothing;
    a_platform_is_told_only_after_the_commit_and_repeats_change_nothing;
    a_key_that_the_database_knows_and_memory_does_not_pays_once;
    what_a_check_in_writes_is_all_there_or_not_at_all;
}

/// Decides whether a batch fails.
type Fault = Box<dyn FnMut(&[Write]) -> Option<StoreError> + Send>;

/// A real store whose commits fail when the test says so.
struct Faulty {
    inner: Arc<dyn Store>,
    fault: Mutex<Fault>,
}

impl Faulty {
    fn over(
        inner: Arc<dyn Store>,
        fault: impl FnMut(&[Write]) -> Option<StoreError> + Send + 'static,
    ) -> Arc<dyn Store> {
        Arc::new(Self { inner, fault: Mutex::new(Box::new(fault)) })
    }
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {$(
        fn $name<'a>(&'a self, $($arg: $kind),*) -> BoxFuture<'a, $out> {
            self.inner.$name($($arg),*)
        }
    )*};
}

type R<T> = Result<T, StoreError>;

impl Store for Faulty {
    fn commit<'a>(&'a self, batch: &'a [Write]) -> BoxFuture<'a, R<()>> {
        let fault = (self.fault.lock().unwrap())(batch);
        match fault {
            Some(error) => Box::pin(async move { Err(error) }),
            None => self.inner.commit(batch),
        }
    }

    fn start(&self) -> BoxFuture<'_, R<Start>> {
        self.inner.start()
    }
    fn restore(&self, now: TimeMs) -> BoxFuture<'_, R<Restored>> {
        self.inner.restore(now)
    }
    fn community(&self, id: CommunityId) -> BoxFuture<'_, R<CommunityRows>> {
        self.inner.community(id)
    }
    fn communities_of(&self, person: PersonId) -> BoxFuture<'_, R<Vec<CommunityId>>> {
        self.inner.communities_of(person)
    }
    fn points_log(
        &self,
        community: CommunityId,
        person: PersonId,
        skip: i64,
        take: i64,
    ) -> BoxFuture<'_, R<Vec<PointsEntry>>> {
        self.inner.points_log(community, person, skip, take)
    }
    fn packet(&self, community: CommunityId, packet: i64) -> BoxFuture<'_, R<Option<PacketRows>>> {
        self.inner.packet(community, packet)
    }
    fn waiting(&self, community: CommunityId, take: i64) -> BoxFuture<'_, R<Vec<EventRow>>> {
        self.inner.waiting(community, take)
    }
    fn open_deliveries(&self) -> BoxFuture<'_, R<Vec<Delivery>>> {
        self.inner.open_deliveries()
    }
    fn verify_audit(&self, known: Option<Head>) -> BoxFuture<'_, R<ChainReport>> {
        self.inner.verify_audit(known)
    }
    fn audit_log(&self, take: i64) -> BoxFuture<'_, R<Vec<AuditLine>>> {
        self.inner.audit_log(take)
    }
    fn audit_head(&self) -> BoxFuture<'_, R<Head>> {
        self.inner.audit_head()
    }
    fn export(&self, person: PersonId) -> BoxFuture<'_, R<Option<serde_json::Value>>> {
        self.inner.export(person)
    }
    fn forgetting(&self) -> BoxFuture<'_, R<Vec<ForgetRow>>> {
        self.inner.forgetting()
    }
    fn compact(&self) -> BoxFuture<'_, R<()>> {
        self.inner.compact()
    }
    fn verify(&self) -> BoxFuture<'_, R<Verification>> {
        self.inner.verify()
    }
    fn audit(&self, community: CommunityId) -> BoxFuture<'_, R<LedgerAudit>> {
        self.inner.audit(community)
    }
    fn dump(&self, community: CommunityId, take: i64) -> BoxFuture<'_, R<LedgerDump>> {
        self.inner.dump(community, take)
    }
    fn frozen(&self) -> BoxFuture<'_, R<Vec<FreezeRow>>> {
        self.inner.frozen()
    }
    fn thaw(&self, community: CommunityId) -> BoxFuture<'_, R<bool>> {
        self.inner.thaw(community)
    }
    fn note_unreadable<'a>(
        &'a self,
        platform: &'a str,
        now: TimeMs,
        events: u64,
    ) -> BoxFuture<'a, R<()>> {
        self.inner.note_unreadable(platform, now, events)
    }

    fn health(&self, since: TimeMs) -> BoxFuture<'_, R<StoreHealth>> {
        self.inner.health(since)
    }
    fn news(&self) -> BoxFuture<'_, R<NewsRows>> {
        self.inner.news()
    }
    fn replaced(&self) -> BoxFuture<'_, ()> {
        self.inner.replaced()
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
    fn find_deliveries<'a>(&'a self, query: &'a DeliveryQuery) -> BoxFuture<'a, R<Vec<Delivery>>> {
        self.inner.find_deliveries(query)
    }

    fn count_deliveries(&self, since: TimeMs) -> BoxFuture<'_, R<Vec<DeliveryCount>>> {
        self.inner.count_deliveries(since)
    }

    fn decide<'a>(&'a self, decisions: &'a [DecisionRow]) -> BoxFuture<'a, R<u64>> {
        self.inner.decide(decisions)
    }

    fn routines_waiting(&self) -> BoxFuture<'_, R<Vec<RoutineTimer>>> {
        self.inner.routines_waiting()
    }

    fn routines_made(&self) -> BoxFuture<'_, R<Vec<RoutineRow>>> {
        self.inner.routines_made()
    }

    fn runs(&self, since: TimeMs, take: i64) -> BoxFuture<'_, R<Vec<RunOutcome>>> {
        self.inner.runs(since, take)
    }

    pass_on! {
        housekeep(old: &'a Old) -> R<u64>;
        forget(wish: &'a ForgetRow, line: &'a AuditRow) -> R<()>;
        last_heard(platform: &'a str) -> R<Option<TimeMs>>;
        known(keys: &'a [(Ref, Arc<str>)]) -> R<Vec<usize>>;
        score_facts(community: CommunityId, since: i64) -> R<qundao::community::score::Facts>;
        score_log(community: CommunityId, person: PersonId, take: i64)
            -> R<Vec<qundao::store::ScoreEntryRow>>;
        persons(accounts: &'a [Ref]) -> R<Vec<Option<PersonId>>>;
        transfer(community: CommunityId, by: &'a TransferBy) -> R<Option<StoredTransfer>>;
        freeze(row: &'a FreezeRow) -> R<()>;
        timers_of(scripts: &'a [ScriptName], except: &'a str)
            -> R<Vec<(TimeMs, TimerId, CommunityId)>>;
        slot_of(to: &'a Destination, message: &'a str) -> R<Option<String>>;
        keep_news(source: &'a NewsSourceRow, items: Option<&'a [NewsItemRow]>) -> R<()>;
        message_in(to: &'a Destination, slot: &'a str) -> R<Option<String>>;
    }
}

fn refused() -> StoreError {
    StoreError::Constraint("refused by the test".to_owned())
}

/// Counts what it is asked to count, and says the number.
fn counter() -> qundao::script::protocol::Source {
    let text = "//! 数数\ncommand(\"数\", |c| {\n    let n = state::incr(\"community\", \"n\");\n    \
                points::grant(c.member, 1, \"数\");\n    c.reply(`${n}`);\n});\n";
    script("counter", text)
}

/// Whether a batch holds the turn of an event with this key.
fn holds(batch: &[Write], key: &str) -> bool {
    batch.iter().any(|write| matches!(write, Write::Turn(rows) if *rows.event.key == *key))
}

async fn offer(inbox: &Arc<dyn Inbox>, key: &str, group: &str, at: TimeMs) {
    inbox.offer(message(key, group, &format!("{group}-a"), "数", at), None).await;
}

/// What was said in each group.
fn by_group(platform: &Platform) -> HashMap<String, Vec<String>> {
    let mut said: HashMap<String, Vec<String>> = HashMap::new();
    for (group, text) in platform.said() {
        said.entry(group).or_default().push(text);
    }
    said
}

/// Ten messages in each of three groups; gives the answers.
async fn thirty_messages(
    database: &Database,
    fault: impl FnMut(&[Write]) -> Option<StoreError> + Send + 'static,
) -> HashMap<String, Vec<String>> {
    let platform = Platform::willing();
    let store = Faulty::over(database.open().await, fault);
    let mut setup = Setup::new(vec![counter()]);
    setup.config.limits.commands = 1000;
    let bot = setup.start(store, &platform).await;
    let now = SystemClock::default().now();
    let inbox = bot.inbox();
    for n in 1..=10 {
        for group in ["g1", "g2", "g3"] {
            offer(&inbox, &format!("{group}-{n}"), group, now).await;
        }
    }
    in_time("thirty turns", bot.settled()).await;
    assert_eq!(bot.store().verify().await.unwrap().broken, Vec::<String>::new());
    bot.stop().await.unwrap();
    by_group(&platform)
}

fn one_to(n: usize) -> Vec<String> {
    (1..=n).map(|n| n.to_string()).collect()
}

async fn a_commit_that_is_refused_once_is_made_good_turn_by_turn(database: Database) {
    let mut failures = 0;
    let said = thirty_messages(&database, move |batch| {
        let hit = holds(batch, "g2-4") && failures < 2;
        failures += usize::from(hit);
        hit.then(refused)
    })
    .await;
    for group in ["g1", "g2", "g3"] {
        assert_eq!(said[group], one_to(10), "{group}");
    }
}

async fn a_turn_that_is_always_refused_is_set_aside_and_costs_no_other(database: Database) {
    let said = thirty_messages(&database, |batch| {
        let bad = batch.iter().any(|write| match write {
            Write::Turn(rows) => &*rows.event.key == "g2-4" && !rows.transfers.is_empty(),
            Write::Deliver(_) | Write::Settle(_) | Write::Audit(_) => false,
        });
        bad.then(refused)
    })
    .await;
    assert_eq!(said["g1"], one_to(10));
    assert_eq!(said["g3"], one_to(10));
    // Nine turns counted, one got the polite line, and no member was shown an internal error.
    let (numbers, others): (Vec<_>, Vec<_>) =
        said["g2"].iter().cloned().partition(|text| text.parse::<i64>().is_ok());
    assert_eq!(numbers, one_to(9));
    assert_eq!(others.len(), 1);
    assert!(!others[0].contains("test"), "{others:?}");
    let mut db = database.peek().await;
    let aside = "SELECT count(*) FROM event WHERE key = 'g2-4' AND state = 2
        AND outcome LIKE '%refused by the test%' AND body IS NOT NULL";
    assert_eq!(db.number(aside).await, 1);
}

async fn a_disk_that_fails_for_a_while_loses_nothing(database: Database) {
    let mut calls = 0;
    let said = thirty_messages(&database, move |_| {
        calls += 1;
        (calls % 3 != 0).then(|| StoreError::Io("no space left".to_owned()))
    })
    .await;
    for group in ["g1", "g2", "g3"] {
        assert_eq!(said[group], one_to(10), "{group}");
    }
}

async fn a_platform_is_told_only_after_the_commit_and_repeats_change_nothing(database: Database) {
    let platform = Platform::willing();
    let bot = Setup::new(vec![counter()]).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    for round in 0..3 {
        let (receipt, heard) = oneshot::channel();
        let one = message("once", "g", "a", "数", now);
        bot.inbox().offer(one, Some(receipt)).await;
        let accepted = in_time("the receipt", heard).await.unwrap();
        assert_eq!(accepted, if round == 0 { Accepted::New } else { Accepted::Duplicate });
        let mut db = database.peek().await;
        assert_eq!(db.number("SELECT count(*) FROM event WHERE key = 'once'").await, 1);
    }
    in_time("three offers", bot.settled()).await;
    bot.stop().await.unwrap();
    // Seven days and a restart later: memory has forgotten the key, the database has not.
    let clock = SystemClock::with_offset(7 * 24 * 3_600_000);
    let mut setup = Setup::new(vec![counter()]);
    setup.clock = clock;
    let bot = setup.start(database.open().await, &platform).await;
    for _ in 0..50 {
        let (receipt, heard) = oneshot::channel();
        bot.inbox().offer(message("once", "g", "a", "数", now), Some(receipt)).await;
        assert_eq!(in_time("the receipt", heard).await.unwrap(), Accepted::Duplicate);
    }
    // Even a repeat that claims to be new is stopped, by the constraint.
    let later = now + 7 * 24 * 3_600_000 + 60_000;
    let (receipt, heard) = oneshot::channel();
    bot.inbox().offer(message("once", "g", "a", "数", later), Some(receipt)).await;
    assert_eq!(in_time("the receipt", heard).await.unwrap(), Accepted::Duplicate);
    in_time("every offer", bot.settled()).await;
    assert_eq!(platform.said().len(), 1);
    let mut db = database.peek().await;
    let granted = "SELECT count(*) FROM ledger_transfer";
    assert_eq!(db.number(granted).await, 1);
    bot.stop().await.unwrap();
}

async fn a_key_that_the_database_knows_and_memory_does_not_pays_once(database: Database) {
    let text = "//! 奖\ncommand(\"奖\", |c| {\n    \
                let paid = points::grant(c.member, 5, \"奖\", \"once\");\n    c.reply(`${paid}`);\n});\n";
    let platform = Platform::willing();
    let now = SystemClock::default().now();
    for life in 0..2 {
        let setup = Setup::new(vec![script("prize", text)]);
        let bot = setup.start(database.open().await, &platform).await;
        for n in 0..2 {
            let one = message(&format!("{life}-{n}"), "g", "a", "奖", now);
            bot.inbox().offer(one, None).await;
            in_time("the turn", bot.settled()).await;
        }
        bot.stop().await.unwrap();
    }
    let said: Vec<String> = platform.said().into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, ["true", "false", "false", "false"]);
    let mut db = database.peek().await;
    let points = "SELECT credits FROM ledger_account WHERE kind = 'member'";
    assert_eq!(db.number(points).await, 5);
}

async fn what_a_check_in_writes_is_all_there_or_not_at_all(database: Database) {
    let platform = Platform::willing();
    // Check-ins of `b` are refused for good.
    let store = Faulty::over(database.open().await, |batch| {
        let bad = |write: &Write| {
            matches!(write, Write::Turn(rows)
            if &*rows.event.key == "b" && !rows.checkins.is_empty())
        };
        batch.iter().any(bad).then(refused)
    });
    let scripts = vec![shipped("checkin"), shipped("points")];
    let bot = Setup::new(scripts).start(store, &platform).await;
    let now = SystemClock::default().now();
    let members = ["a", "b", "c"].map(|name| seed(name, 0, now));
    bot.seed_members(&world::group_ref("g"), members.to_vec()).await.unwrap();
    for who in ["a", "b", "c"] {
        bot.inbox().offer(message(who, "g", who, "签到", now), None).await;
    }
    in_time("three check-ins", bot.settled()).await;
    let mut db = database.peek().await;
    assert_eq!(db.number("SELECT count(*) FROM checkin").await, 2);
    let transfers = "SELECT count(*) FROM ledger_transfer WHERE code = 'checkin'";
    assert_eq!(db.number(transfers).await, 2);
    assert_eq!(db.number("SELECT max(ordinal) FROM checkin").await, 2);
    bot.stop().await.unwrap();
}
