//! Everything that must hold of a database file, whatever happened to whoever worked on it.

use std::collections::HashSet;
use std::path::Path;

use qundao::store::sqlite::Sqlite;
use qundao::store::{Store as _, StoreError};
use sqlx::Row as _;

use crate::world::{in_time, number, peek};

/// What a file holds.
#[derive(Debug, Default)]
pub struct Found {
    /// What does not hold, in sentences.
    pub broken: Vec<String>,
    /// Events of the platform.
    pub events: i64,
    #[allow(dead_code, reason = "power cuts do not tell it")]
    pub transfers: i64,
    /// Keys of its events.
    pub keys: HashSet<String>,
    /// Keys of deliveries, all of them and those that are under way.
    pub deliveries: HashSet<String>,
    pub under_way: HashSet<String>,
    /// Those that are recorded as sent.
    pub sent: HashSet<String>,
}

/// Each with a number that must be zero.
const CHECKS: [(&str, &str); 8] = [
    (
        "counted otherwise than handled",
        "SELECT count(*) FROM (
        SELECT community, count(*) n FROM event WHERE text = '数' GROUP BY community) e
        JOIN script_state s ON s.community = e.community AND s.script = 'count'
        WHERE s.value <> json_object('Int', e.n)",
    ),
    (
        "paid otherwise than counted",
        "SELECT (SELECT count(*) FROM event WHERE text = '数')
        - (SELECT count(*) FROM ledger_transfer WHERE code = 'count')",
    ),
    (
        "answered otherwise than counted",
        "SELECT (SELECT count(*) FROM event WHERE text = '数')
        - (SELECT count(*) FROM delivery WHERE script = 'count')",
    ),
    ("set aside", "SELECT count(*) FROM event WHERE state = 2"),
    (
        "packets without their timer",
        "SELECT (SELECT count(*) FROM packet WHERE state = 'open')
        - (SELECT count(*) FROM timer WHERE name = 'red_packet.expired')",
    ),
    (
        "alarms that neither wait nor have rung once",
        "SELECT (SELECT count(*) FROM event WHERE text = '闹')
        - (SELECT count(*) FROM timer WHERE name = 'ring')
        - (SELECT count(*) FROM delivery WHERE script = 'alarm')",
    ),
    (
        "members whose messages are not those of their events",
        "SELECT count(*) FROM (SELECT 1 FROM
           (SELECT community, person, 1 n FROM event WHERE kind = 0 AND state = 0
            UNION ALL SELECT community, person, -messages FROM member_tally)
         GROUP BY community, person HAVING sum(n) <> 0)",
    ),
    (
        "members that are there twice",
        "SELECT count(*) FROM (SELECT 1 FROM member GROUP BY community, ref HAVING count(*) > 1)",
    ),
];

/// Opens a file; tasks of a bot that has ended let go of it a moment later.
pub async fn free(file: &Path) -> Sqlite {
    loop {
        match Sqlite::open(file).await {
            Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

/// Opens a file as a start would, and reads all of it.
pub async fn look(file: &Path) -> Found {
    let store = in_time("the file", free(file)).await;
    let verified = store.verify().await.unwrap();
    let mut broken = verified.broken;
    drop(store);
    let mut db = peek(file).await;
    for (what, sql) in CHECKS {
        let n = number(&mut db, sql).await;
        if n != 0 {
            broken.push(format!("{what}: {n}"));
        }
    }
    let mut found = Found { broken, transfers: verified.transfers, ..Found::default() };
    for row in
        sqlx::query("SELECT key FROM event WHERE key LIKE 'e%'").fetch_all(&mut db).await.unwrap()
    {
        found.events += 1;
        found.keys.insert(row.get(0));
    }
    for row in sqlx::query("SELECT key, state FROM delivery").fetch_all(&mut db).await.unwrap() {
        let (key, state): (String, String) = (row.get(0), row.get(1));
        match state.as_str() {
            "queued" | "sending" => found.under_way.insert(key.clone()),
            "sent" => found.sent.insert(key.clone()),
            _ => false,
        };
        found.deliveries.insert(key);
    }
    found
}
