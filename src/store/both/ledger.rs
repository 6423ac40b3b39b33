//! The ledger in the database beside its accounts: lots, caps, budgets, single transfers, movements,
//! frozen ledgers, and rows for people.

use sqlx::Row as _;

use super::object::object;
use super::read::{Result, all, tuples};
use super::{Db, DbRow, failure, kept};
use crate::clock::{DAY_MS, TimeMs};
use crate::id::{CommunityId, PersonId, TransferId};
use crate::ledger::{AccountKey, QUOTA_DAYS};
use crate::store::{FreezeRow, LedgerDump, PointsEntry, StoreError, StoredTransfer, TransferBy};

pub async fn lots(db: &mut Db, id: CommunityId) -> Result<Vec<(i64, i64, i64)>> {
    let sql = "SELECT account, expires_at, amount FROM ledger_lot
        WHERE community = $1 AND amount > 0";
    tuples(db, sql, &[id.0]).await
}

pub async fn quotas(db: &mut Db, id: CommunityId) -> Result<Vec<(i64, String, i64, i64)>> {
    let sql = "SELECT day, kind, owner, amount FROM ledger_quota WHERE community = $1
        AND day >= (SELECT max(day) FROM ledger_quota WHERE community = $1) - $2";
    tuples(db, sql, &[id.0, QUOTA_DAYS]).await
}

pub async fn campaigns(db: &mut Db, id: CommunityId) -> Result<Vec<(i64, String)>> {
    tuples(db, "SELECT n, name FROM campaign WHERE community = $1", &[id.0]).await
}

/// A transfer with both its accounts, and what took it back.
const TRANSFER: &str =
    "SELECT t.id, d.kind, d.owner, c.kind, c.owner, t.amount, t.kind, t.corrects,
      (SELECT r.id FROM ledger_transfer r WHERE r.corrects = t.id), t.reason
    FROM ledger_transfer t JOIN ledger_account d ON d.id = t.debit
      JOIN ledger_account c ON c.id = t.credit WHERE t.community = $1";

pub async fn transfer(
    db: &mut Db,
    community: CommunityId,
    by: &TransferBy,
) -> Result<Option<StoredTransfer>> {
    let found = match by {
        TransferBy::Key(key) => {
            let sql = sqlx::AssertSqlSafe(format!("{TRANSFER} AND t.key = $2"));
            sqlx::query(sql).bind(community.0).bind(kept(key.clone())).fetch_optional(db).await
        }
        TransferBy::Id(id) => {
            let sql = sqlx::AssertSqlSafe(format!("{TRANSFER} AND t.id = $2"));
            sqlx::query(sql).bind(community.0).bind(id.0).fetch_optional(db).await
        }
    };
    let Some(row) = found.map_err(failure)? else { return Ok(None) };
    let account = |kind: usize| {
        let word: String = row.get(kind);
        AccountKey::from_columns(&word, row.get(kind + 1))
            .ok_or_else(|| StoreError::Data(format!("account of kind `{word}`")))
    };
    Ok(Some(StoredTransfer {
        id: TransferId(row.get(0)),
        debit: account(1)?,
        credit: account(3)?,
        amount: row.get(5),
        kind: row.get(6),
        corrects: row.get::<Option<i64>, _>(7).map(TransferId),
        corrected_by: row.get::<Option<i64>, _>(8).map(TransferId),
        reason: row.get(9),
    }))
}

/// What was set aside for is what it is settled for. What is set aside counts until it is settled or
/// given back, so that the lines sum to what can be spent.
pub async fn points_log(
    db: &mut Db,
    community: CommunityId,
    person: PersonId,
    skip: i64,
    take: i64,
) -> Result<Vec<PointsEntry>> {
    let sql = "WITH mine AS (SELECT id FROM ledger_account
          WHERE community = $1 AND kind = 'member' AND owner = $2)
        SELECT t.id, t.at, CASE WHEN t.credit = (SELECT id FROM mine) THEN t.amount
          ELSE -t.amount END, coalesce(p.code, t.code), coalesce(p.reason, t.reason), t.actor,
          o.kind, o.owner, t.corrects, t.kind = 'pending'
        FROM ledger_transfer t LEFT JOIN ledger_transfer p ON p.id = t.pending JOIN ledger_account o
          ON o.id = CASE WHEN t.credit = (SELECT id FROM mine) THEN t.debit ELSE t.credit END
        WHERE t.id IN (SELECT id FROM ledger_transfer WHERE debit = (SELECT id FROM mine)
            AND (kind IN('post','post_pending') OR kind = 'pending' AND NOT EXISTS(
              SELECT 1 FROM ledger_transfer r WHERE r.pending = ledger_transfer.id))
          UNION SELECT id FROM ledger_transfer WHERE credit = (SELECT id FROM mine)
            AND kind IN('post','post_pending'))
        ORDER BY t.id DESC LIMIT $4 OFFSET $3";
    let entry = |row: &DbRow| PointsEntry {
        id: TransferId(row.get(0)),
        at: row.get(1),
        delta: row.get(2),
        code: row.get(3),
        reason: row.get(4),
        actor: row.get::<Option<i64>, _>(5).map(PersonId),
        other: AccountKey::from_columns(row.get(6), row.get(7)),
        corrects: row.get::<Option<i64>, _>(8).map(TransferId),
        is_held: row.get(9),
    };
    Ok(all(db, sql, &[community.0, person.0, skip, take]).await?.iter().map(entry).collect())
}

pub async fn freeze(db: &mut Db, row: &FreezeRow) -> Result<()> {
    let sql = "INSERT INTO ledger_freeze(community, at, reason) VALUES($1, $2, $3)
        ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql).bind(row.community.0).bind(row.at).bind(kept(row.reason.clone()));
    query.execute(db).await.map(drop).map_err(failure)
}

pub async fn thaw(db: &mut Db, community: CommunityId) -> Result<bool> {
    let sql = "DELETE FROM ledger_freeze WHERE community = $1";
    let done = sqlx::query(sql).bind(community.0).execute(db).await.map_err(failure)?;
    Ok(done.rows_affected() > 0)
}

pub async fn frozen(db: &mut Db) -> Result<Vec<FreezeRow>> {
    let sql = "SELECT community, at, reason FROM ledger_freeze ORDER BY community";
    let row = |row: &DbRow| FreezeRow {
        community: CommunityId(row.get(0)),
        at: row.get(1),
        reason: row.get(2),
    };
    Ok(all(db, sql, &[]).await?.iter().map(row).collect())
}

/// Counts of days that nobody asks for any more.
pub async fn forget(db: &mut Db, before: TimeMs) -> Result<u64> {
    let sql = "DELETE FROM ledger_quota WHERE day < $1";
    let done = sqlx::query(sql).bind(before / DAY_MS - 1).execute(db).await.map_err(failure)?;
    Ok(done.rows_affected())
}

/// Tables of a dump: whole, except that of transfers only the latest are taken.
const TABLES: [(&str, &str); 8] = [
    ("community", "SELECT * FROM community WHERE id = $1 LIMIT $2"),
    ("ledger_account", "SELECT * FROM ledger_account WHERE community = $1 ORDER BY id LIMIT $2"),
    (
        "ledger_transfer",
        "SELECT * FROM ledger_transfer WHERE community = $1 ORDER BY id DESC LIMIT $2",
    ),
    ("ledger_lot", "SELECT * FROM ledger_lot WHERE community = $1 LIMIT $2"),
    ("ledger_quota", "SELECT * FROM ledger_quota WHERE community = $1 ORDER BY day DESC LIMIT $2"),
    ("campaign", "SELECT * FROM campaign WHERE community = $1 LIMIT $2"),
    ("packet", "SELECT * FROM packet WHERE community = $1 ORDER BY id DESC LIMIT $2"),
    (
        "packet_share",
        "SELECT s.* FROM packet_share s JOIN packet p ON p.id = s.packet
         WHERE p.community = $1 ORDER BY s.packet DESC, s.n LIMIT $2",
    ),
];

pub async fn dump(db: &mut Db, community: CommunityId, take: i64) -> Result<LedgerDump> {
    let mut dump = LedgerDump::default();
    for (table, sql) in TABLES {
        let rows = all(db, sql, &[community.0, take]).await?;
        dump.tables.push((table.to_owned(), rows.iter().map(object).collect()));
    }
    Ok(dump)
}
