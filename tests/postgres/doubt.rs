//! A `COMMIT` whose answer never comes: what was committed is not done again, what was not is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use qundao::store::Store as _;
use qundao::store::postgres::{LEASE_MS, Postgres};
use rand_chacha::rand_core::RngCore as _;

use crate::proxy::{Cut, Proxy};
use crate::turns::{beginning, paying, told};
use crate::world::{Database, in_time};

/// Long enough for the store to connect anew and ask, meanwhile.
const LATE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let database = Database::postgres();
    let Database::Postgres { cluster, url } = &database else { unreachable!() };
    let proxy = Proxy::to(cluster.socket()).await;
    let name = url::Url::parse(url).unwrap().path().to_owned();
    let through = format!("postgres://qundao@127.0.0.1:{}{name}", proxy.port);
    let store = Postgres::open(&through, LEASE_MS).await.unwrap();
    store.commit(&beginning(1)).await.unwrap();

    let mut chance = crate::chance("answers that are lost");
    let (mut last, rounds) = (1, crate::cycles(24));
    for round in 0..rounds {
        let cut = match (round, chance.next_u32() % 4) {
            // Each at least once.
            (0, _) | (3.., 0) => Cut::Before,
            (1, _) | (3.., 1 | 3) => Cut::After,
            (2, _) | (3.., _) => Cut::Late(LATE),
        };
        proxy.cut_next(cut);
        let turns = 1 + i64::from(chance.next_u32() % 5);
        let batch: Vec<_> = (1..=turns).map(|n| paying(last + n, 1)).collect();
        last += turns;
        in_time("a commit", store.commit(&batch)).await.unwrap();
        if matches!(cut, Cut::Late(_)) {
            // The one that comes late is refused, whenever it comes.
            tokio::time::sleep(LATE * 2).await;
        }
    }
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), rounds);
    told(&store, &mut database.peek().await, last).await;
}
