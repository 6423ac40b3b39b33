//! The chain of the audit log in the database: its head beside the writer, lines of before taken in, the
//! check of all of it, the latest lines.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt as _;
use sqlx::Row as _;

use super::sql::{AUDIT, AUDIT_PAGE, BEFORE, BEFORE_IS_THERE};
use super::{Db, DbRow, failure, kept, kept_json};
use crate::id::{CommunityId, EventId};
use crate::store::chain::{ChainReport, ChainRow, Head, LineRef, Walk, from_hex, link};
use crate::store::{AuditLine, AuditRow, StoreError};

/// The head of the chain; `None` where it must be read from the file first.
#[derive(Default)]
pub struct Chain(Mutex<Option<Head>>);

impl Chain {
    /// Links that follow the head, and the head after them. Without rows nothing is read.
    pub async fn link(
        &self,
        db: &mut Db,
        rows: &[&AuditRow],
    ) -> Result<(Vec<ChainRow>, Option<Head>), StoreError> {
        let known = *self.head();
        if rows.is_empty() {
            return Ok((Vec::new(), known));
        }
        let mut head = match known {
            Some(head) => head,
            None => head(db).await?,
        };
        Ok((rows.iter().map(|row| link(&mut head, &storable(row))).collect(), Some(head)))
    }

    /// The links are on the disk.
    pub fn committed(&self, head: Option<Head>) {
        *self.head() = head;
    }

    /// Nobody knows how far the file is.
    pub fn lost(&self) {
        *self.head() = None;
    }

    fn head(&self) -> MutexGuard<'_, Option<Head>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line as the database can keep it: what is hashed is what is stored.
fn storable(row: &AuditRow) -> AuditRow {
    let row = row.clone();
    let [actor, action, object, detail] = [row.actor, row.action, row.object, row.detail].map(kept);
    AuditRow { actor, action, object, detail, ..row }
}

/// The last line of the database.
pub async fn head(db: &mut Db) -> Result<Head, StoreError> {
    let sql = "SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1";
    let Some(row) = sqlx::query(sql).fetch_optional(db).await.map_err(failure)? else {
        return Ok(Head::NONE);
    };
    let hash = from_hex(row.get(1));
    let hash = hash.ok_or_else(|| StoreError::Data("the last hash of the audit log".to_owned()))?;
    Ok(Head { n: row.get(0), hash })
}

/// Takes lines of before the chain into it. In a transaction.
pub async fn adopt(db: &mut Db) -> Result<(), StoreError> {
    let is_there = sqlx::query(BEFORE_IS_THERE).fetch_optional(&mut *db).await;
    if is_there.map_err(failure)?.is_none() {
        return Ok(());
    }
    let before = sqlx::query(BEFORE).fetch_all(&mut *db).await.map_err(failure)?;
    let mut head = head(db).await?;
    let lines: Vec<_> = before.iter().map(|row| link(&mut head, &line_of_before(row))).collect();
    write(db, &lines).await?;
    let dropped = sqlx::query("DROP TABLE audit_before").execute(db).await;
    dropped.map(drop).map_err(failure)
}

/// Writes links.
pub async fn write(db: &mut Db, lines: &[ChainRow]) -> Result<(), StoreError> {
    let lines = serde_json::to_string(lines).map_err(|e| StoreError::Data(e.to_string()))?;
    let written = sqlx::query(AUDIT).bind(kept_json(lines)).execute(db).await;
    written.map(drop).map_err(failure)
}

fn line_of_before(row: &DbRow) -> AuditRow {
    let (actor, detail) = actor_of_before(row.get(3), row.get(6));
    AuditRow {
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
    }
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
pub async fn verify(db: &mut Db, known: Option<Head>) -> Result<ChainReport, StoreError> {
    let mut walk = Walk::new(known);
    let mut last = i64::MIN;
    loop {
        // By force anything can stand in a column, also what is no text: that is read line by line.
        let page = sqlx::query(AUDIT_PAGE).bind(last).bind(TOGETHER).fetch_one(&mut *db).await;
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
async fn slowly(db: &mut Db, walk: &mut Walk, last: i64) -> Result<(), StoreError> {
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
pub async fn last(db: &mut Db, take: i64) -> Result<Vec<AuditLine>, StoreError> {
    let sql = "SELECT n, at, actor, action, payload FROM audit ORDER BY n DESC LIMIT $1";
    let rows = sqlx::query(sql).bind(take).fetch_all(db).await.map_err(failure)?;
    let line = |row: &DbRow| AuditLine {
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
