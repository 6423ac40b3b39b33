//! Many write at once, and so does another process: nobody is told that the database is locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use qundao::effect::DeliveryState;
use qundao::id::{DeliveryId, EventId, PersonId};
use qundao::planted::{Bug, plant};
use qundao::store::{
    AuditRow, ForgetRow, NewsSourceRow, Old, Settlement, Store, StoreError, Write,
};
use tokio::sync::Notify;

use crate::ONE_AT_A_TIME;
use crate::world::{peek, sqlite};

const WRITERS: usize = 64;
const WHILE: Duration = Duration::from_secs(4);
/// With the planted bug, about one in twenty of those that meet the other process is refused.
const PATIENCE: Duration = Duration::from_secs(60);

/// Transactions of ours between two of the other process.
const BETWEEN: usize = 4;

/// Writes, and keeps the lock while it counts for some milliseconds: whoever comes then has to
/// wait, and cannot if he began as a reader.
const HOLDS: &str = "BEGIN IMMEDIATE;
    INSERT INTO left_undone VALUES(1, 1) ON CONFLICT(day) DO UPDATE SET commands = commands + 1;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
    SELECT max(i) FROM n;
    COMMIT";

/// The outcome of a delivery that is not there: a commit that changes nothing.
fn settlement() -> Write {
    Write::Settle(Settlement {
        id: DeliveryId(1),
        state: DeliveryState::Sent,
        reason: None,
        attempts: 1,
        platform_id: None,
    })
}

/// A wish of somebody who is not there.
fn wish(writer: usize) -> ForgetRow {
    ForgetRow { person: PersonId(writer as i64 + 1000), community: None, event: EventId(1), at: 1 }
}

/// What the audit log says of it.
fn line() -> AuditRow {
    AuditRow {
        event: None,
        community: None,
        at: 1,
        actor: "core".to_owned(),
        by: None,
        about: None,
        action: "forget".to_owned(),
        object: String::new(),
        detail: String::new(),
        salt: [0; 16],
    }
}

/// Writes until somebody is refused, at most this long; the errors, and how much was written.
async fn write(longest: Duration) -> (Vec<StoreError>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let store: Arc<dyn Store> = sqlite(&file).await;
    let ends = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let some = Arc::new(Notify::new());
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let (store, ends) = (store.clone(), ends.clone());
        let (written, some) = (written.clone(), some.clone());
        tasks.push(tokio::spawn(async move {
            let mut errors = Vec::new();
            let source =
                NewsSourceRow { address: format!("file:{writer}"), ..NewsSourceRow::default() };
            while !ends.load(Ordering::SeqCst) {
                let kept = match writer % 8 {
                    0 => store.housekeep(&Old::all_before(1)).await.map(drop),
                    1..4 => store.commit(&[settlement()]).await,
                    4 => store.forget(&wish(writer), &line()).await,
                    _ => store.keep_news(&source, Some(&[])).await,
                };
                if let Err(error) = kept {
                    errors.push(error);
                    ends.store(true, Ordering::SeqCst);
                }
                written.fetch_add(1, Ordering::SeqCst);
                some.notify_one();
            }
            errors
        }));
    }
    // Another process, as SQLite sees it.
    let mut other = peek(&file).await;
    let began = Instant::now();
    while began.elapsed() < longest && !ends.load(Ordering::SeqCst) {
        sqlx::raw_sql(HOLDS).execute(&mut other).await.unwrap();
        let enough = written.load(Ordering::SeqCst) + BETWEEN;
        while written.load(Ordering::SeqCst) < enough && !ends.load(Ordering::SeqCst) {
            some.notified().await;
        }
    }
    ends.store(true, Ordering::SeqCst);
    let mut errors = Vec::new();
    for task in tasks {
        errors.extend(task.await.unwrap());
    }
    (errors, written.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_that_the_database_is_locked() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(None);
    let (errors, written) = write(WHILE).await;
    assert!(errors.is_empty(), "{errors:?}");
    println!("{written} transactions of {WRITERS} writers beside another process");
}

/// Forgetting reads by what somebody is known before it writes: one that began as a reader would be
/// refused as soon as another process has written in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_begin_as_readers_are_found() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(Some(Bug::DeferredBegin));
    let (errors, _) = write(PATIENCE).await;
    plant(None);
    let is_locked = |error: &StoreError| error.to_string().contains("locked");
    assert!(errors.iter().any(is_locked), "nobody noticed: {errors:?}");
}
