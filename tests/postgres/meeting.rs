//! Transactions that meet: a deadlock with somebody else's is run again, and costs nothing.

use std::sync::Arc;
use std::time::Duration;

use qundao::store::Store;
use tokio::sync::oneshot;

use crate::turns::{account, beginning, paying, told};
use crate::world::{Database, Peek, in_time};

/// Somebody who takes two accounts in the other order, so that whoever comes second is refused.
async fn contrary(mut db: Peek, first: i64, second: i64, holds: oneshot::Sender<()>) -> bool {
    let lock = |id: i64| format!("SELECT 1 FROM ledger_account WHERE id = {id} FOR UPDATE");
    db.run("BEGIN").await.unwrap();
    // The store is the one that finds out.
    db.run("SET LOCAL deadlock_timeout = '30s'").await.unwrap();
    db.run(&lock(first)).await.unwrap();
    holds.send(()).unwrap();
    // Until the store waits for it.
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'";
    while db.number(waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let went = db.run(&lock(second)).await.is_ok();
    db.run("ROLLBACK").await.unwrap();
    went
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_run_again() {
    let database = Database::postgres();
    let store: Arc<dyn Store> = database.open().await;
    store.commit(&beginning(2)).await.unwrap();
    let mut last = 1;
    for _ in 0..crate::cycles(3) {
        let (holds, held) = oneshot::channel();
        // The store locks by number: the mint, then the member. This one the other way.
        let other = tokio::spawn(contrary(
            database.peek().await,
            account(2).0,
            crate::turns::MINT.0,
            holds,
        ));
        held.await.unwrap();
        let batch = [paying(last + 1, 1), paying(last + 2, 2)];
        last += 2;
        in_time("a commit", store.commit(&batch)).await.unwrap();
        assert!(in_time("the other", other).await.unwrap(), "the other was to go on");
    }
    told(&*store, &mut database.peek().await, last).await;
}
