//! Routines in the database: what was decided lately, and those that were made by command.

use sqlx::Row;

use super::{Db, DbRow, failure};
use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId, PersonId, ScriptName};
use crate::store::{
    MISSED, RAN, RUNS_REMEMBERED, RoutineRow, RoutineTimer, RunOutcome, RunRow, SKIPPED, StoreError,
};

type Result<T> = std::result::Result<T, StoreError>;

const RUN: &str = "SELECT script, name, local, fold, at, decided_at, state, late, reason, kind,
    event, community FROM routine_run";

pub async fn lately(db: &mut Db, id: CommunityId) -> Result<Vec<RunRow>> {
    let sql = format!("{RUN} WHERE community = $1 ORDER BY event DESC, at DESC LIMIT $2");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).bind(RUNS_REMEMBERED as i64);
    Ok(rows.fetch_all(db).await.map_err(failure)?.iter().rev().map(run).collect())
}

fn run(row: &DbRow) -> RunRow {
    let word: String = row.get(6);
    RunRow {
        community: CommunityId(row.get(11)),
        script: row.get(0),
        name: row.get(1),
        local: row.get(2),
        fold: u8::from(row.get::<i64, _>(3) != 0),
        at: row.get(4),
        decided_at: row.get(5),
        state: [RAN, MISSED, SKIPPED].into_iter().find(|state| *state == word).unwrap_or(SKIPPED),
        late: u8::from(row.get::<i64, _>(7) != 0),
        reason: row.get(8),
        kind: row.get(9),
        event: EventId(row.get(10)),
    }
}

pub async fn made(db: &mut Db, id: CommunityId) -> Result<Vec<RoutineRow>> {
    let sql = "SELECT name, cron, text, author, at, community FROM routine_made
        WHERE community = $1";
    let rows = sqlx::query(sql).bind(id.0).fetch_all(db).await.map_err(failure)?;
    Ok(rows.iter().map(one_made).collect())
}

pub async fn all_made(db: &mut Db) -> Result<Vec<RoutineRow>> {
    let sql = "SELECT name, cron, text, author, at, community FROM routine_made
        ORDER BY community, name";
    let rows = sqlx::query(sql).fetch_all(db).await.map_err(failure)?;
    Ok(rows.iter().map(one_made).collect())
}

fn one_made(row: &DbRow) -> RoutineRow {
    RoutineRow {
        community: CommunityId(row.get(5)),
        name: row.get(0),
        cron: Some(row.get(1)),
        text: row.get(2),
        author: row.get::<Option<i64>, _>(3).map(PersonId),
        at: row.get(4),
    }
}

/// Timers that routines wait as: whose, of which script, under which name, with what.
pub async fn waiting(db: &mut Db) -> Result<Vec<RoutineTimer>> {
    let sql = "SELECT community, script, name, data FROM timer WHERE name LIKE '@%'";
    let rows = sqlx::query(sql).fetch_all(db).await.map_err(failure)?;
    let row = |row: &DbRow| {
        let script: String = row.get(1);
        (CommunityId(row.get(0)), ScriptName::new(&script), row.get(2), row.get(3))
    };
    Ok(rows.iter().map(row).collect())
}

/// What was decided since then, the latest first, with what became of the posts.
pub async fn runs(db: &mut Db, since: TimeMs, take: i64) -> Result<Vec<RunOutcome>> {
    let sql = format!("{RUN} WHERE at >= $1 ORDER BY at DESC, community, script, name LIMIT $2");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(since).bind(take);
    let rows = query.fetch_all(&mut *db).await.map_err(failure)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let run = run(row);
        let sql = "SELECT dest, state, reason FROM delivery WHERE event = $1 AND script IS NOT DISTINCT FROM $2
            ORDER BY id";
        let posts = sqlx::query(sql).bind(run.event.0).bind(&run.script);
        let posts = posts.fetch_all(&mut *db).await.map_err(failure)?;
        let posts = posts.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        found.push(RunOutcome { run, posts });
    }
    Ok(found)
}
