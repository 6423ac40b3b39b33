//! The database of a benchmark: what it can do alone, and whether it holds what it should.

#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::path::Path;
use std::time::{Duration, Instant};

use qundao::id::{CommunityId, EventId, Ref};
use qundao::store::sqlite::Sqlite;
use qundao::store::{CommunityRow, EventRow, EventState, Store as _, TurnRows, Write};
use sqlx::{Connection as _, Row as _};

/// Rows in a commit.
pub const BATCH: usize = 256;

/// Event rows a second, each batch on the disk before the next.
pub async fn alone(time: Duration) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(&folder.path().join("alone.db")).await.expect("a store");
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < time {
        let batch: Vec<Write> = (0..BATCH).map(|n| row(written + n)).collect();
        store.commit(&batch).await.expect("written");
        written += BATCH;
    }
    written as f64 / began.elapsed().as_secs_f64()
}

fn row(n: usize) -> Write {
    let community = CommunityId(1);
    let mut rows = TurnRows::new(EventRow {
        id: EventId(n as i64 + 1),
        community,
        group: None,
        person: None,
        account: Ref::new("test", "bot"),
        key: format!("{n:012}").into(),
        kind: "message",
        at: n as i64,
        received_at: n as i64,
        seed: n as u64,
        state: EventState::Done,
        text: Some("今天天气真不错，有人一起打游戏吗，收到请回复".into()),
        body: None,
        outcome: None,
    });
    rows.community = (n == 0).then(|| CommunityRow { id: community, key: "c".to_owned() });
    Write::Turn(Box::new(rows))
}

/// Stops with an error where a message was not counted, or counted twice: each member's messages
/// are numbered from one without a gap.
pub async fn scores(database: &Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
    let mut db = sqlx::SqliteConnection::connect_with(&options).await.expect("the database");
    let sql = "SELECT count(*) FROM (SELECT 1 FROM event WHERE kind = 0 AND person IS NOT NULL
        GROUP BY community, person HAVING count(*) <> count(DISTINCT n) OR max(n) <> count(*))";
    let wrong: i64 = sqlx::query(sql).fetch_one(&mut db).await.expect("a count").get(0);
    assert_eq!(wrong, 0, "members whose messages were not counted, or counted twice");
}
