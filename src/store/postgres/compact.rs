//! Tables written anew, without what was deleted, and what the server has noted of their contents.
//! Who writes waits meanwhile.

use std::sync::atomic::Ordering;

use super::{Postgres, Writing, failure, for_questions_only};
use crate::store::StoreError;

/// Where somebody who is forgotten was named: all tables but those of news and of the bot itself.
const TABLES: [&str; 24] = [
    "account",
    "audit",
    "checkin",
    "core_fan",
    "delivery",
    "event",
    "fan_review",
    "forgetting",
    "ledger_transfer",
    "member",
    "member_score",
    "member_tally",
    "packet",
    "packet_share",
    "person",
    "relation",
    "routine_made",
    "routine_run",
    "rule_ack",
    "rule_version",
    "score_log",
    "script_state",
    "timer",
    "warning",
];

impl Postgres {
    /// Writes them anew, one after the other.
    pub(super) async fn write_anew(&self) -> Result<(), StoreError> {
        let Some(Writing { writer, .. }) = &self.writing else { return Err(for_questions_only()) };
        let mut writer = writer.lock().await;
        let mut db = writer.connection().await?;
        for table in TABLES {
            let sql = sqlx::AssertSqlSafe(format!("VACUUM (FULL, ANALYZE) {table}"));
            sqlx::query(sql).execute(&mut db).await.map_err(failure)?;
        }
        // Samples of columns: names too. Who may not do it is warned by the server, not refused.
        let samples = sqlx::query("VACUUM (FULL) pg_catalog.pg_statistic");
        samples.execute(&mut db).await.map_err(failure)?;
        writer.keep(db);
        self.is_dirty.store(false, Ordering::SeqCst);
        Ok(())
    }
}
