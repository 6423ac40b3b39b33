//! What the newsroom keeps: sources and their items.

use sqlx::Row;

use super::sql::NEWS_ITEMS;
use super::{Db, DbRow, failure, kept, kept_json};
use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId};
use crate::store::{NewsItemRow, NewsRows, NewsSourceRow, PostedRow, StoreError};

pub async fn load(db: &mut Db) -> Result<NewsRows, StoreError> {
    let sql = "SELECT address, name, etag, modified, checked_at, ok_at, failures, error
        FROM news_source ORDER BY address";
    let sources = sqlx::query(sql).fetch_all(&mut *db).await.map_err(failure)?;
    let sql = "SELECT source, item, place, title, url, published_at, seen_at
        FROM news_item ORDER BY source, place, item";
    let items = sqlx::query(sql).fetch_all(db).await.map_err(failure)?;
    let source = |row: &DbRow| NewsSourceRow {
        address: row.get(0),
        name: row.get(1),
        etag: row.get(2),
        modified: row.get(3),
        checked_at: row.get(4),
        ok_at: row.get(5),
        failures: row.get(6),
        error: row.get(7),
    };
    let item = |row: &DbRow| NewsItemRow {
        source: row.get(0),
        item: row.get(1),
        place: row.get(2),
        title: row.get(3),
        url: row.get(4),
        published_at: row.get(5),
        seen_at: row.get(6),
    };
    Ok(NewsRows {
        sources: sources.iter().map(source).collect(),
        items: items.iter().map(item).collect(),
    })
}

/// What a community has posted.
pub async fn posted(db: &mut Db, community: CommunityId) -> Result<Vec<PostedRow>, StoreError> {
    let sql = "SELECT item, title, event, at FROM news_posted WHERE community = $1";
    let rows = sqlx::query(sql).bind(community.0).fetch_all(db).await.map_err(failure)?;
    let row = |row: &DbRow| PostedRow {
        community,
        item: row.get(0),
        title: row.get(1),
        event: EventId(row.get(2)),
        at: row.get(3),
    };
    Ok(rows.iter().map(row).collect())
}

const SOURCE: &str = "INSERT INTO news_source(address, name, etag, modified, checked_at, ok_at,
    failures, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT(address) DO UPDATE SET name = excluded.name, etag = excluded.etag,
    modified = excluded.modified, checked_at = excluded.checked_at, ok_at = excluded.ok_at,
    failures = excluded.failures, error = excluded.error";

/// Keeps a source; its items are replaced as a whole, or stay as they are. In a transaction.
pub async fn keep(
    db: &mut Db,
    row: &NewsSourceRow,
    items: Option<&[NewsItemRow]>,
) -> Result<(), StoreError> {
    let source = sqlx::query(SOURCE)
        .bind(&row.address)
        .bind(kept(row.name.clone()))
        .bind(row.etag.clone().map(kept))
        .bind(row.modified.clone().map(kept))
        .bind(row.checked_at)
        .bind(row.ok_at)
        .bind(row.failures)
        .bind(kept(row.error.clone()));
    source.execute(&mut *db).await.map_err(failure)?;
    if let Some(items) = items {
        let items = serde_json::to_string(items).map_err(|e| StoreError::Data(e.to_string()))?;
        let gone = sqlx::query("DELETE FROM news_item WHERE source = $1").bind(&row.address);
        gone.execute(&mut *db).await.map_err(failure)?;
        sqlx::query(NEWS_ITEMS).bind(kept_json(items)).execute(&mut *db).await.map_err(failure)?;
    }
    Ok(())
}

/// Forgets sources that nobody has asked since then, and what was posted long ago.
pub async fn forget(
    db: &mut Db,
    sources_before: TimeMs,
    posted_before: TimeMs,
) -> Result<u64, StoreError> {
    let mut touched = 0;
    for (sql, before) in [
        ("DELETE FROM news_source WHERE checked_at < $1", sources_before),
        ("DELETE FROM news_posted WHERE at < $1", posted_before),
    ] {
        let done = sqlx::query(sql).bind(before).execute(&mut *db).await.map_err(failure)?;
        touched += done.rows_affected();
    }
    Ok(touched)
}
