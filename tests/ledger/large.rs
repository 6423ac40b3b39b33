//! A check of a large ledger takes seconds, and nobody waits for it.
//!
//! `QUNDAO_TRANSFERS` is the size; without it a small one. A million must take no more than five
//! seconds of one processor.

use std::time::Instant;

use qundao::id::CommunityId;

use crate::world::{number, peek, unaudited};

/// Rows in the shape that a bot leaves: half of the members have points that expire and keep them,
/// half spend what they have.
const ROWS: [&str; 8] = [
    "INSERT INTO community(id, key) VALUES(1, 'test:g')",
    "INSERT INTO bot_account(id, ref) VALUES(1, 'test:bot')",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1 / 4 + 1)
     INSERT INTO event(id, community, account, key, kind, at, received_at, seed, state)
     SELECT i, 1, 1, i, 0, i, i, i, 0 FROM n",
    "INSERT INTO ledger_account(id, community, kind, owner) VALUES(1, 1, 'mint', 0), (2, 1, 'burn', 0)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
     INSERT INTO ledger_account(id, community, kind, owner) SELECT i + 2, 1, 'member', i FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1 - $1 / 4)
     INSERT INTO ledger_transfer(id, community, debit, credit, amount, kind, key, code, reason,
       event, at, expires_at)
     SELECT i, 1, 1, i % 1000 + 3, 5 + i % 7, 'post', 'grant:' || i, 'checkin', '签到', i % ($1 / 4) + 1,
       i, iif(i % 2, 86400000 * (1 + i % 30), NULL) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1 / 4)
     INSERT INTO ledger_transfer(id, community, debit, credit, amount, kind, key, code, reason, event, at)
     SELECT i + $1 - $1 / 4, 1, (i * 2) % 1000 + 3, 2, 1 + i % 3, 'post', 'spend:' || i, 'shop', '兑换', i, i
     FROM n",
    "INSERT INTO ledger_lot(community, account, expires_at, amount)
     SELECT 1, credit, expires_at, sum(amount) FROM ledger_transfer
     WHERE expires_at IS NOT NULL GROUP BY credit, expires_at",
];

/// Processor time of this process so far, s, where the system tells: a busy machine is not a slow check.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok());
    (ticks(12).unwrap_or_default() + ticks(13).unwrap_or_default()) / 100.0
}

#[tokio::test]
async fn a_large_ledger_is_checked_in_seconds() {
    let size = std::env::var("QUNDAO_TRANSFERS").ok().and_then(|n| n.parse().ok());
    let size: i64 = size.unwrap_or(20_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let store = unaudited(&file).await;
    let mut db = peek(&file).await;
    sqlx::query("BEGIN").execute(&mut db).await.unwrap();
    for sql in ROWS {
        let query = sqlx::query(sql);
        let query = if sql.contains("$1") { query.bind(size) } else { query };
        query.execute(&mut db).await.unwrap();
    }
    sqlx::query("COMMIT").execute(&mut db).await.unwrap();
    let (began, worked) = (Instant::now(), cpu_s());
    let audit = store.audit(CommunityId(1)).await.unwrap();
    let took = began.elapsed();
    let worked = cpu_s() - worked;
    println!("{size} transfers checked in {took:.2?}, {worked:.2} s of processor time");
    assert_eq!((audit.transfers, audit.broken), (size, Vec::new()));
    let cost_s = if worked > 0.0 { worked } else { took.as_secs_f64() };
    assert!(cost_s < 5.0 * (size as f64 / 1e6).max(1.0), "{cost_s} s");
    // A single point is found among them, and questions are answered meanwhile.
    sqlx::query(
        "UPDATE ledger_lot SET amount = amount + 1 WHERE account = 4 AND expires_at =
        (SELECT min(expires_at) FROM ledger_lot WHERE account = 4)",
    )
    .execute(&mut db)
    .await
    .unwrap();
    let (audit, start) = tokio::join!(store.audit(CommunityId(1)), store.start());
    let broken = audit.unwrap().broken;
    assert!(broken.len() == 1 && broken[0].starts_with("L13: "), "{broken:?}");
    assert_eq!(start.unwrap().communities.len(), 1);
    assert!(number(&mut db, "SELECT count(*) FROM ledger_lot").await > 0);
}
