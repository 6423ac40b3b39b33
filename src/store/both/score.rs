//! Scores in the database: what a community starts with, what an evaluation asks, and whether each
//! score is the sum of its log.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use sqlx::Row as _;

use super::read::{Result, all};
use super::sql::DONE;
use super::{Db, DbRow, failure};
use crate::community::score::{Day, Facts, Kind, REVIEWS_KEPT, replay};
use crate::id::{CommunityId, EventId, PersonId};
use crate::store::{CoreFanRow, FanReviewRow, RelationRow, ScoreEntryRow, ScoreRow, StoreError};

/// Sentences about scores that are not their log; more say nothing new.
const BROKEN_MAX: usize = 100;

pub async fn values(db: &mut Db, id: CommunityId) -> Result<Vec<ScoreRow>> {
    let sql = "SELECT person, score, day, days, added FROM member_score WHERE community = $1";
    let row = |row: &DbRow| ScoreRow {
        community: id,
        person: PersonId(row.get(0)),
        score: row.get(1),
        day: row.get(2),
        days: row.get(3),
        added: row.get(4),
    };
    Ok(all(db, sql, &[id.0]).await?.iter().map(row).collect())
}

pub async fn relations(db: &mut Db, id: CommunityId) -> Result<Vec<RelationRow>> {
    let sql = "WITH latest(day) AS (SELECT max(CASE WHEN replied > liked THEN replied ELSE liked END) FROM relation
          WHERE community = $1)
        SELECT person, source, replied, liked FROM relation, latest
        WHERE community = $1 AND (replied = latest.day OR liked = latest.day)";
    let row = |row: &DbRow| RelationRow {
        community: id,
        person: PersonId(row.get(0)),
        source: PersonId(row.get(1)),
        replied: row.get(2),
        liked: row.get(3),
    };
    Ok(all(db, sql, &[id.0]).await?.iter().map(row).collect())
}

pub async fn core_fans(db: &mut Db, id: CommunityId) -> Result<Vec<CoreFanRow>> {
    let sql = "SELECT person, since, above, below, grace_until FROM core_fan
        WHERE community = $1 AND (since IS NOT NULL OR above > 0)";
    let row = |row: &DbRow| CoreFanRow {
        community: id,
        person: PersonId(row.get(0)),
        since: row.get(1),
        above: row.get::<i64, _>(2).clamp(0, 255) as u8,
        below: row.get::<i64, _>(3).clamp(0, 255) as u8,
        grace_until: row.get(4),
    };
    Ok(all(db, sql, &[id.0]).await?.iter().map(row).collect())
}

pub async fn reviews(db: &mut Db, id: CommunityId) -> Result<Vec<FanReviewRow>> {
    let sql = "SELECT week, version, event, at, eligible, eligible_core, active, active_core,
          entered, gone, moved FROM fan_review WHERE community = $1 ORDER BY week DESC LIMIT $2";
    let row = |row: &DbRow| FanReviewRow {
        community: id,
        week: row.get(0),
        version: row.get(1),
        event: EventId(row.get(2)),
        at: row.get(3),
        eligible: row.get(4),
        eligible_core: row.get(5),
        active: row.get(6),
        active_core: row.get(7),
        entered: row.get(8),
        gone: row.get(9),
        moved: row.get(10),
    };
    Ok(all(db, sql, &[id.0, REVIEWS_KEPT as i64]).await?.iter().rev().map(row).collect())
}

pub async fn facts(db: &mut Db, id: CommunityId, since: Day) -> Result<Facts> {
    let people = "SELECT person, count(*) FROM relation
        WHERE community = $1 AND (replied >= $2 OR liked >= $2) GROUP BY person";
    let mut facts = Facts::default();
    for row in all(db, people, &[id.0, since]).await? {
        facts.people.insert(PersonId(row.get(0)), row.get(1));
    }
    for row in all(db, DONE, &[id.0, since]).await? {
        let of = facts.contributions.entry(PersonId(row.get(0))).or_default();
        if let Some(kind) = Kind::parse(row.get(1)) {
            of.add(kind, row.get(2));
        }
    }
    Ok(facts)
}

pub async fn log(
    db: &mut Db,
    community: CommunityId,
    person: PersonId,
    take: i64,
) -> Result<Vec<ScoreEntryRow>> {
    let sql = "SELECT day, kind, event, n, weight, source, reason FROM score_log
        WHERE community = $1 AND person = $2
        ORDER BY day DESC, kind DESC, event DESC, n DESC LIMIT $3";
    let row = |row: &DbRow| {
        Some(ScoreEntryRow {
            community,
            person,
            day: row.get(0),
            kind: Kind::parse(row.get(1))?,
            event: EventId(row.get(2)),
            n: row.get(3),
            weight: row.get(4),
            source: row.get::<Option<i64>, _>(5).map(PersonId),
            reason: row.get(6),
        })
    };
    Ok(all(db, sql, &[community.0, person.0, take]).await?.iter().filter_map(row).collect())
}

/// L12: every score is the sum of its log, and no log is without a score. How many were checked.
pub async fn verify(db: &mut Db, id: CommunityId, broken: &mut Vec<String>) -> Result<i64> {
    type Key = (i64, i64);
    let mut logs: HashMap<Key, Vec<(Day, i64)>> = HashMap::new();
    let sql = "SELECT community, person, day, CAST(sum(weight) AS BIGINT) FROM score_log WHERE community = $1
        GROUP BY community, person, day ORDER BY community, person, day";
    let mut checked = 0;
    let values = "SELECT community, person, score, day FROM member_score WHERE community = $1";
    let values = all(db, values, &[id.0]).await?;
    let mut rows = sqlx::query(sql).bind(id.0).fetch(&mut *db);
    while let Some(row) = rows.try_next().await.map_err(failure)? {
        let log = logs.entry((row.get(0), row.get(1))).or_default();
        log.push((row.get(2), row.get(3)));
    }
    let mut found = Vec::new();
    for row in &values {
        let key: Key = (row.get(0), row.get(1));
        let (score, day): (i64, Day) = (row.get(2), row.get(3));
        let says = replay(logs.remove(&key).unwrap_or_default(), day);
        checked += 1;
        if says != score {
            let (community, person) = key;
            found.push(format!(
                "L12: the score of member {person} of community {community} is {score}, its log \
                 says {says}"
            ));
        }
    }
    let lost = logs.keys().map(|(community, person)| {
        format!("L12: member {person} of community {community} has a log and no score")
    });
    found.extend(lost);
    found.sort();
    broken.extend(found.into_iter().take(BROKEN_MAX));
    Ok::<_, StoreError>(checked)
}
