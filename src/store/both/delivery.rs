//! Deliveries that are looked for afterwards, and what somebody decided about them.

use sqlx::Row;

use super::read::{DELIVERY_COLUMNS, delivery};
use super::sql::{AMONG_IDS, AMONG_KEYS, DECIDE};
use super::{Db, failure, kept_json};
use crate::clock::TimeMs;
use crate::effect::{Delivery, DeliveryState};
use crate::store::{DecisionRow, DeliveryCount, DeliveryQuery, StoreError, Which};

type Result<T> = std::result::Result<T, StoreError>;

pub async fn find(db: &mut Db, query: &DeliveryQuery) -> Result<Vec<Delivery>> {
    let (list, condition) = match &query.which {
        Which::Keys(keys) => (serde_json::to_string(keys), AMONG_KEYS),
        Which::Ids(ids) => (serde_json::to_string(ids), AMONG_IDS),
        Which::State(state) => (Ok(String::new()), standing(*state)),
    };
    let list = list.map_err(|error| StoreError::Data(error.to_string()))?;
    let sql = format!(
        "{DELIVERY_COLUMNS} WHERE {condition} AND $1 IS NOT NULL AND not_before >= $2
        AND ($3 IS NULL OR community = $3) ORDER BY id DESC LIMIT $4"
    );
    let found = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(kept_json(list))
        .bind(query.since)
        .bind(query.community.map(|community| community.0))
        .bind(query.take)
        .fetch_all(db)
        .await;
    found.map_err(failure)?.iter().map(delivery).collect()
}

/// Said so that an index of few rows serves where there is one.
fn standing(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => "state IN('queued','sending') AND state = 'queued'",
        DeliveryState::Sending => "state IN('queued','sending') AND state = 'sending'",
        DeliveryState::Sent => "state = 'sent'",
        DeliveryState::Failed => "state = 'failed'",
        DeliveryState::Unknown => "state = 'unknown'",
        DeliveryState::Skipped => "state = 'skipped'",
    }
}

pub async fn count(db: &mut Db, since: TimeMs) -> Result<Vec<DeliveryCount>> {
    let sql = "SELECT not_before / 900000, state, count(*) FROM delivery WHERE not_before >= $1
        GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = sqlx::query(sql).bind(since).fetch_all(db).await.map_err(failure)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

pub async fn decide(db: &mut Db, decisions: &[DecisionRow]) -> Result<u64> {
    let rows = serde_json::to_string(decisions).map_err(|e| StoreError::Data(e.to_string()))?;
    let done = sqlx::query(DECIDE).bind(kept_json(rows)).execute(db).await.map_err(failure)?;
    Ok(done.rows_affected())
}
