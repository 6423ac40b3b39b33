//! Many write at once, and so does another process: nobody is told that the database is locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use qundao::effect::DeliveryState;
use qundao::id::DeliveryId;
use qundao::planted::{Bug, plant};
use qundao::store::{NewsSourceRow, Old, Settlement, Store, StoreError, Write};

use crate::ONE_AT_A_TIME;
use crate::world::{peek, sqlite};

const WRITERS: usize = 64;
const WHILE: Duration = Duration::from_secs(4);

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

/// Writes for a while; the errors, and how much was written.
async fn write() -> (Vec<StoreError>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let store: Arc<dyn Store> = sqlite(&file).await;
    let ends = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let (store, ends, written) = (store.clone(), ends.clone(), written.clone());
        tasks.push(tokio::spawn(async move {
            let mut errors = Vec::new();
            let source =
                NewsSourceRow { address: format!("file:{writer}"), ..NewsSourceRow::default() };
            while !ends.load(Ordering::SeqCst) {
                let kept = match writer % 8 {
                    0 => store.housekeep(&Old::all_before(1)).await.map(drop),
                    1..4 => store.commit(&[settlement()]).await,
                    _ => store.keep_news(&source, Some(&[])).await,
                };
                errors.extend(kept.err());
                written.fetch_add(1, Ordering::SeqCst);
            }
            errors
        }));
    }
    // Another process, as SQLite sees it.
    let mut other = peek(&file).await;
    let began = Instant::now();
    while began.elapsed() < WHILE {
        let sql = "INSERT INTO left_undone VALUES(1, 1)
            ON CONFLICT(day) DO UPDATE SET commands = commands + 1";
        sqlx::query(sql).execute(&mut other).await.unwrap();
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
    let (errors, written) = write().await;
    assert!(errors.is_empty(), "{errors:?}");
    println!("{written} transactions of {WRITERS} writers beside another process");
}

/// `DeferredBegin` is no bug here, and this is why it stays none: there is one writer a process, and
/// every transaction writes before it reads, so that it is never a reader that wants to write. A
/// transaction that reads first would be refused beside another process, and found by this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_reads_before_it_writes() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(Some(Bug::DeferredBegin));
    let (errors, written) = write().await;
    plant(None);
    assert!(errors.is_empty(), "{errors:?}");
    println!("{written} transactions that began as readers");
}
