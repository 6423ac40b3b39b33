//! The chain of the audit log in SQLite: its head beside the writer, lines of before taken in, the
//! check of all of it, the latest lines.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::failure;
use super::sql::AUDIT;
use crate::id::{CommunityId, EventId};
use crate::store::chain::{ChainReport, ChainRow, Head, LineRef, Walk, from_hex, link};
use crate::store::{AuditLine, AuditRow, StoreError};

/// The head of the chain; `None` where it must be read from the file first.
#[derive(Default)]
pub(super) struct Chain(Mutex<Option<Head>>);

impl Chain {
    /// Links that follow the head, and the head after them. Without rows nothing is read.
    pub(super) async fn link(
        &self,
        connection: &mut SqliteConnection,
        rows: &[&AuditRow],
    ) -> Result<(Vec<ChainRow>, Option<Head>), StoreError> {
        let known = *self.head();
        if rows.is_empty() {
            return Ok((Vec::new(), known));
        }
        let mut head = match known {
            Some(head) => head,
            None => head(connection).await?,
        };
        Ok((rows.iter().map(|row| link(&mut head, row)).collect(), Some(head)))
    }

    /// The links are on the disk.
    pub(super) fn committed(&self, head: Option<Head>) {
        *self.head() = head;
    }

    /// Nobody knows how far the file is.
    pub(super) fn lost(&self) {
        *self.head() = None;
    }

    fn head(&self) -> MutexGuard<'_, Option<Head>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last line of the file.
pub(super) async fn head(db: &mut SqliteConnection) -> Result<Head, StoreError> {
    let sql = "SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1";
    let Some(row) = sqlx::query(sql).fetch_optional(db).await.map_err(failure)? else {
        return Ok(Head::NONE);
    };
    let hash = from_hex(row.get(1));
    let hash = hash.ok_or_else(|| StoreError::Data("the last hash of the audit log".to_owned()))?;
    Ok(Head { n: row.get(0), hash })
}

/// Takes lines of before the chain into it.
pub(super) async fn adopt(db: &mut SqliteConnection) -> Result<(), StoreError> {
    let is_there = "SELECT 1 FROM sqlite_master WHERE name = 'audit_before'";
    if sqlx::query(is_there).fetch_optional(&mut *db).await.map_err(failure)?.is_none() {
        return Ok(());
    }
    let sql = "SELECT event, community, at, actor, action, object, detail, randomblob(16)
        FROM audit_before ORDER BY id";
    let before = sqlx::query(sql).fetch_all(&mut *db).await.map_err(failure)?;
    let mut head = head(db).await?;
    let mut lines = Vec::with_capacity(before.len());
    for row in &before {
        let (actor, detail) = actor_of_before(row.get(3), row.get(6));
        let line = AuditRow {
            event: Some(EventId(row.get(0))),
            community: Some(CommunityId(row.get(1))),
            at: row.get(2),
            actor,
            by: None,
            about: None,
            action: row.get(4),
            object: row.get(5),
            detail,
            salt: row.get::<Vec<u8>, _>(7).try_into().unwrap_or_default(),
        };
        lines.push(link(&mut head, &line));
    }
    let lines = serde_json::to_string(&lines).map_err(|e| StoreError::Data(e.to_string()))?;
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
    sqlx::query(AUDIT).bind(lines).execute(&mut *transaction).await.map_err(failure)?;
    sqlx::query("DROP TABLE audit_before").execute(&mut *transaction).await.map_err(failure)?;
    transaction.commit().await.map_err(failure)
}

/// A script with its revision stays what it is; anything else was a name, which can be erased in the
/// payload alone.
fn actor_of_before(actor: String, detail: String) -> (String, String) {
    let is_script = actor.rsplit_once('@').is_some_and(|(_, revision)| {
        !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if is_script {
        return (actor, detail);
    }
    ("person".to_owned(), [actor, detail].join(" ").trim().to_owned())
}

/// Lines that are read together: a row costs more than what stands in it.
const TOGETHER: i64 = 2000;

/// A line as JSON: number, time, actor, action, digest, hash, salt, payload.
type Cells<'a> = (
    i64,
    i64,
    Cow<'a, str>,
    Cow<'a, str>,
    Cow<'a, str>,
    Cow<'a, str>,
    Option<Cow<'a, str>>,
    Option<Cow<'a, str>>,
);

/// Walks the whole chain.
pub(super) async fn verify(
    db: &mut SqliteConnection,
    known: Option<Head>,
) -> Result<ChainReport, StoreError> {
    let mut walk = Walk::new(known);
    let sql =
        "SELECT json_group_array(json_array(n, at, actor, action, digest, hash, salt, payload))
        FROM (SELECT * FROM audit WHERE n > $1 ORDER BY n LIMIT $2)";
    let mut last = i64::MIN;
    loop {
        // By force anything can stand in a column, also what is no text: that is read line by line.
        let page = sqlx::query(sql).bind(last).bind(TOGETHER).fetch_one(&mut *db).await;
        let page = page.ok().and_then(|row| row.try_get::<String, _>(0).ok());
        let lines = page.as_deref().and_then(|page| serde_json::from_str::<Vec<Cells>>(page).ok());
        let Some(lines) = lines else {
            slowly(db, &mut walk, last).await?;
            return Ok(walk.end());
        };
        for (n, at, actor, action, digest, hash, salt, payload) in &lines {
            let (salt, payload) = (salt.as_deref(), payload.as_deref());
            let line = LineRef { n: *n, at: *at, actor, action, digest, hash, salt, payload };
            if !walk.step(line) {
                return Ok(walk.end());
            }
        }
        match lines.last() {
            Some((n, ..)) => last = *n,
            None => return Ok(walk.end()),
        }
    }
}

/// The rest of the chain, whatever stands in it.
async fn slowly(db: &mut SqliteConnection, walk: &mut Walk, last: i64) -> Result<(), StoreError> {
    let sql = "SELECT n, at, actor, action, digest, hash, salt, payload FROM audit
        WHERE n > $1 ORDER BY n";
    let mut rows = sqlx::query(sql).bind(last).fetch(db);
    while let Some(row) = rows.try_next().await.map_err(failure)? {
        let text = |at: usize| row.try_get::<&str, _>(at).unwrap_or_default();
        let maybe = |at: usize| row.try_get::<Option<&str>, _>(at).unwrap_or(Some(""));
        let goes_on = walk.step(LineRef {
            n: row.get(0),
            at: row.try_get(1).unwrap_or_default(),
            actor: text(2),
            action: text(3),
            digest: text(4),
            hash: text(5),
            salt: maybe(6),
            payload: maybe(7),
        });
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// The latest lines, the last one first.
pub(super) async fn last(
    db: &mut SqliteConnection,
    take: i64,
) -> Result<Vec<AuditLine>, StoreError> {
    let sql = "SELECT n, at, actor, action, payload FROM audit ORDER BY n DESC LIMIT $1";
    let rows = sqlx::query(sql).bind(take).fetch_all(db).await.map_err(failure)?;
    let line = |row: &sqlx::sqlite::SqliteRow| AuditLine {
        n: row.get(0),
        at: row.get(1),
        actor: row.get(2),
        action: row.get(3),
        payload: row
            .get::<Option<&str>, _>(4)
            .and_then(|payload| serde_json::from_str(payload).ok()),
    };
    Ok(rows.iter().map(line).collect())
}
