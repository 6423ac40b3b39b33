//! A start with a hundred thousand events that wait: the first is handled at once, not after all of
//! them were read, and in the end each is handled once.

mod world;

use std::time::{Duration, Instant};

use qundao::clock::{Clock, SystemClock};
use qundao::event::plain_text;
use qundao::id::EventId;
use qundao::store::{EventRow, EventState, TurnRows, Write};
use world::{Platform, Setup, group_ref, in_time, message, number, peek, person_ref, seed, sqlite};

/// Events, unless `QUNDAO_CYCLES` says otherwise: all of them are handled then, which takes a while.
const WAITING: usize = 100_000;
const GROUPS: usize = 50;
/// Events of one transaction.
const BATCH: usize = 1000;
/// From opening the file to the first report of a turn. On a machine that is busy with other tests, and
/// without optimisation; the promise is two seconds.
const FIRST: Duration = Duration::from_secs(5);

const COUNT: &str = "//! 数数\ncommand(\"数\", |c| state::incr(\"community\", \"n\"));\n";

fn setup() -> Setup {
    let mut setup = Setup::new(vec![world::script("count", COUNT)]);
    setup.config.limits.commands = 1_000_000;
    setup.config.limits.disk_free_mb = 0;
    setup
}

/// Sets events aside as a bot does that cannot keep up.
async fn set_aside(path: &std::path::Path, count: usize) {
    let store = sqlite(path).await;
    let start = store.start().await.unwrap();
    let people: Vec<_> = (0..GROUPS).map(|group| person_ref(&format!("p{group}"))).collect();
    let persons = store.persons(&people).await.unwrap();
    let (now, first) = (SystemClock::default().now(), start.numbers[0]);
    let mut batch = Vec::with_capacity(BATCH);
    for n in 0..count {
        let group = n % GROUPS;
        let row = start.groups.iter().find(|row| row.reference == group_ref(&format!("g{group}")));
        let row = row.expect("it was seen");
        let key = format!("e{n}");
        let body = message(&key, &format!("g{group}"), &format!("p{group}"), "数", now);
        let qundao::event::EventKind::Message { elements, .. } = &body.kind else { unreachable!() };
        batch.push(Write::Turn(Box::new(TurnRows::new(EventRow {
            id: EventId(first + 1 + n as i64),
            community: row.community,
            group: Some(row.id),
            person: persons[group],
            account: body.account.clone(),
            key: body.key.clone(),
            kind: body.kind.word(),
            at: now,
            received_at: now,
            seed: n as u64,
            state: EventState::Waiting,
            text: Some(plain_text(elements).into()),
            body: Some(body),
            outcome: None,
        }))));
        if batch.len() == BATCH || n + 1 == count {
            store.commit(&batch).await.unwrap();
            batch.clear();
        }
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_a_hundred_thousand_is_handled_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let bot = setup().start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    for group in 0..GROUPS {
        let member = seed(&format!("p{group}"), 0, now);
        bot.seed_members(&group_ref(&format!("g{group}")), vec![member]).await.unwrap();
    }
    bot.stop().await.unwrap();
    let asked = std::env::var("QUNDAO_CYCLES").ok().and_then(|n| n.parse().ok());
    let count = asked.unwrap_or(WAITING);
    set_aside(&path, count).await;

    let began = Instant::now();
    let bot = setup().start(sqlite(&path).await, &platform).await;
    let started = began.elapsed();
    let mut reports = bot.reports();
    in_time("the first report", reports.recv()).await.expect("a turn");
    let first = began.elapsed();
    println!("{count} wait: started after {started:?}, the first was handled after {first:?}");
    assert!(first < FIRST, "{first:?}");
    if asked.is_some() {
        in_time("everything", bot.settled()).await;
        println!("all were handled after {:?}", began.elapsed());
        bot.stop().await.unwrap();
        let mut db = peek(&path).await;
        let sum = "SELECT sum(json_extract(value, '$.Int')) FROM script_state";
        assert_eq!(number(&mut db, sum).await, count as i64, "each once");
    } else {
        drop(bot);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_that_waited_is_handled_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let bot = setup().start(sqlite(&path).await, &platform).await;
    let now = SystemClock::default().now();
    for group in 0..GROUPS {
        let member = seed(&format!("p{group}"), 0, now);
        bot.seed_members(&group_ref(&format!("g{group}")), vec![member]).await.unwrap();
    }
    bot.stop().await.unwrap();
    set_aside(&path, 3000).await;
    // Stopped in the middle, twice.
    for _ in 0..2 {
        let bot = setup().start(sqlite(&path).await, &platform).await;
        let mut reports = bot.reports();
        for _ in 0..300 {
            in_time("a report", reports.recv()).await.expect("a turn");
        }
        drop(bot);
        // Its tasks let go of the file a moment later.
        in_time("the file", async {
            while qundao::store::sqlite::Sqlite::open(&path).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let bot = setup().start(sqlite(&path).await, &platform).await;
    in_time("everything", bot.settled()).await;
    bot.stop().await.unwrap();
    let mut db = peek(&path).await;
    let sum = "SELECT sum(json_extract(value, '$.Int')) FROM script_state";
    assert_eq!(number(&mut db, sum).await, 3000, "each once");
}
