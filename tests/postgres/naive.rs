//! Grabs by SQL alone, by many connections at once: the obvious statements lose members' shares, and
//! a packet that is locked first does not. What the store does is judged by the same checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::world::cluster::Cluster;

const CONNECTIONS: i64 = 32;
/// Members who grab, for the ways that are wrong; the right one has ten thousand.
const GRABS: i64 = 1600;
/// Long enough for every connection to begin.
const BREATH: Duration = Duration::from_millis(100);

/// Two columns and a constraint, as in the store's own table.
const TABLE: &str = "CREATE TABLE packet(id BIGINT PRIMARY KEY);
  CREATE TABLE packet_share(packet BIGINT NOT NULL, n BIGINT NOT NULL, person BIGINT,
    PRIMARY KEY(packet, n), UNIQUE(packet, person));
  INSERT INTO packet VALUES (1)";

/// How a share is given away: statements in one transaction, `$1` is a list of members.
#[derive(Clone, Copy)]
enum Way {
    /// The first free share, if it is still free.
    Obvious,
    /// The first free share.
    Overwriting,
    /// The packet is locked, then a whole batch is served.
    Locked,
}

const OBVIOUS: &str = "UPDATE packet_share SET person = $1 WHERE packet = 1 AND person IS NULL
  AND n = (SELECT min(n) FROM packet_share WHERE packet = 1 AND person IS NULL)";
const OVERWRITING: &str = "UPDATE packet_share SET person = $1 WHERE packet = 1
  AND n = (SELECT min(n) FROM packet_share WHERE packet = 1 AND person IS NULL)";
const LOCK: &str = "SELECT id FROM packet WHERE id = 1 FOR UPDATE";
const BATCH: &str = "UPDATE packet_share s SET person = g.person FROM
    (SELECT person, row_number() OVER (ORDER BY at) AS k
     FROM unnest($1::bigint[]) WITH ORDINALITY u(person, at)) g,
    (SELECT n, row_number() OVER (ORDER BY n) AS k
     FROM packet_share WHERE packet = 1 AND person IS NULL ORDER BY n LIMIT cardinality($1)) f
  WHERE s.packet = 1 AND s.n = f.n AND f.k = g.k";

/// What came of it.
#[derive(Debug)]
#[allow(dead_code, reason = "the time is printed")]
struct Outcome {
    /// Members who were told that they won.
    told: i64,
    /// Members who have a share.
    have: i64,
    took: Duration,
}

impl Outcome {
    /// Nobody was told wrongly, and nobody left while there was something.
    fn is_right(&self, grabs: i64, shares: i64) -> bool {
        self.told == self.have && self.have == grabs.min(shares)
    }
}

async fn grab(db: &mut PgConnection, way: Way, members: &[i64]) -> u64 {
    let mut transaction = db.begin().await.unwrap();
    let mut won = 0;
    match way {
        Way::Obvious | Way::Overwriting => {
            let sql = if matches!(way, Way::Obvious) { OBVIOUS } else { OVERWRITING };
            for member in members {
                let done = sqlx::query(sql).bind(member).execute(&mut *transaction).await.unwrap();
                won += done.rows_affected();
            }
        }
        Way::Locked => {
            sqlx::query(LOCK).execute(&mut *transaction).await.unwrap();
            let done = sqlx::query(BATCH).bind(members).execute(&mut *transaction).await.unwrap();
            won += done.rows_affected();
        }
    }
    transaction.commit().await.unwrap();
    won
}

/// Everybody at once, some members a transaction.
async fn all(url: &str, way: Way, grabs: i64, shares: i64, batch: usize) -> Outcome {
    let mut db = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut db).await.unwrap();
    let cut = "INSERT INTO packet_share SELECT 1, n FROM generate_series(1, $1) n";
    sqlx::query(cut).bind(shares).execute(&mut db).await.unwrap();
    let start = Arc::new(tokio::sync::Barrier::new(CONNECTIONS as usize));
    let mut hands = tokio::task::JoinSet::new();
    for hand in 0..CONNECTIONS {
        let members: Vec<i64> = (0..grabs).filter(|member| member % CONNECTIONS == hand).collect();
        let mut db = PgConnection::connect(url).await.unwrap();
        let start = start.clone();
        hands.spawn(async move {
            start.wait().await;
            tokio::time::sleep(BREATH).await;
            let began = Instant::now();
            let mut won = 0;
            for some in members.chunks(batch) {
                won += grab(&mut db, way, some).await;
            }
            (won, began.elapsed())
        });
    }
    let done = hands.join_all().await;
    let have = "SELECT count(DISTINCT person) FROM packet_share";
    let have = sqlx::query_scalar(have).fetch_one(&mut db).await.unwrap();
    Outcome {
        told: done.iter().map(|(won, _)| won.cast_signed()).sum(),
        have,
        took: done.iter().map(|(_, took)| *took).max().unwrap_or_default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naive_grabs_are_found_out_and_a_locked_packet_is_right() {
    let cluster = Arc::new(Cluster::start());
    for (name, way) in [("obvious", Way::Obvious), ("overwriting", Way::Overwriting)] {
        // More shares than members: everybody must win.
        let outcome = all(&cluster.database(), way, GRABS, GRABS * 4, 1).await;
        println!("{name}: {outcome:?}");
        assert!(!outcome.is_right(GRABS, GRABS * 4), "{name} was to fail: {outcome:?}");
    }
    let outcome = all(&cluster.database(), Way::Locked, GRABS, GRABS * 4, 1).await;
    println!("locked, one by one: {outcome:?}");
    assert!(outcome.is_right(GRABS, GRABS * 4), "{outcome:?}");
    let outcome = all(&cluster.database(), Way::Locked, 10_000, 100, 64).await;
    println!("10000 grabs on 100 shares, {CONNECTIONS} connections, batches of 64: {outcome:?}");
    assert!(outcome.is_right(10_000, 100), "{outcome:?}");
}
