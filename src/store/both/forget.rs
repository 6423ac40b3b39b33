//! Everything that is kept of a person: told, and taken away.
//!
//! docs/privacy.md lists every table with what it holds of people; who adds a column that does is
//! led here by `tests/privacy`, which compares that list with the schema.

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Row as _};

use super::object::object;
use super::sql::{AUDIT_ERASE, AUDIT_MINE, KEY_GONE, names_one_of};
use super::{Db, DbRow, failure, kept_json};
use crate::id::{CommunityId, EventId, PersonId, Ref};
use crate::store::scrub::Traces;
use crate::store::{ForgetRow, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// What is hers in each table; `$1` is her number.
const MINE: [(&str, &str); 20] = [
    ("person", "SELECT * FROM person WHERE id = $1"),
    ("account", "SELECT ref FROM account WHERE person = $1"),
    ("member", "SELECT * FROM member WHERE person = $1"),
    ("member_tally", "SELECT * FROM member_tally WHERE person = $1"),
    (
        "event",
        "SELECT e.id, e.community, e.grp, k.word AS kind, e.at, e.text FROM event e
         JOIN event_kind k ON k.code = e.kind WHERE e.person = $1 ORDER BY e.id",
    ),
    (
        "ledger_transfer",
        "SELECT t.* FROM ledger_transfer t WHERE EXISTS(SELECT 1 FROM ledger_account a
           WHERE a.kind = 'member' AND a.owner = $1 AND a.id IN (t.debit, t.credit))
         ORDER BY t.id",
    ),
    (
        "packet",
        "SELECT id, community, mode, total, count, wish, created_at, state FROM packet
         WHERE sender = $1 ORDER BY id",
    ),
    ("packet_share", "SELECT * FROM packet_share WHERE person = $1"),
    ("checkin", "SELECT * FROM checkin WHERE person = $1"),
    ("rule_version", "SELECT * FROM rule_version WHERE author = $1"),
    ("rule_ack", "SELECT * FROM rule_ack WHERE person = $1"),
    ("warning", "SELECT * FROM warning WHERE person = $1"),
    ("script_state", "SELECT * FROM script_state WHERE scope = 'member:' || $1"),
    ("routine_made", "SELECT * FROM routine_made WHERE author = $1"),
    ("member_score", "SELECT * FROM member_score WHERE person = $1"),
    ("score_log", "SELECT * FROM score_log WHERE person = $1"),
    ("relation", "SELECT * FROM relation WHERE person = $1 OR source = $1"),
    ("core_fan", "SELECT * FROM core_fan WHERE person = $1"),
    (
        "delivery",
        "SELECT d.id, d.dest, d.call, d.body, d.state FROM delivery d
         WHERE d.dest IN (SELECT '@' || ref FROM account WHERE person = $1) ORDER BY d.id",
    ),
    ("audit", AUDIT_MINE),
];

/// What becomes of what is hers, in an order that satisfies the foreign keys.
const TAKE: [&str; 25] = [
    "DELETE FROM event WHERE person = $1 AND state = 1",
    "UPDATE delivery SET body = '{}', reason = NULL
      WHERE event IN (SELECT id FROM event WHERE person = $1) AND state NOT IN('queued','sending')",
    "UPDATE delivery SET body = '{}', state = 'unknown', reason = 'forgotten'
      WHERE event IN (SELECT id FROM event WHERE person = $1) AND state IN('queued','sending')",
    "DELETE FROM delivery WHERE dest IN (SELECT '@' || ref FROM account WHERE person = $1)",
    "UPDATE event SET text = NULL, body = NULL, outcome = NULL WHERE person = $1",
    "UPDATE ledger_transfer SET reason = '' WHERE reason <> '' AND (actor = $1 OR EXISTS(
       SELECT 1 FROM ledger_account a WHERE a.kind = 'member' AND a.owner = $1
         AND a.id IN (ledger_transfer.debit, ledger_transfer.credit)))",
    "UPDATE packet SET wish = '' WHERE sender = $1",
    "DELETE FROM checkin WHERE person = $1",
    "DELETE FROM rule_ack WHERE person = $1",
    "DELETE FROM warning WHERE person = $1",
    "DELETE FROM core_fan WHERE person = $1",
    "DELETE FROM relation WHERE person = $1 OR source = $1",
    "DELETE FROM score_log WHERE person = $1",
    "DELETE FROM member_score WHERE person = $1",
    "DELETE FROM member_tally WHERE person = $1",
    "UPDATE event SET n = NULL, counted = NULL WHERE person = $1",
    "DELETE FROM member WHERE person = $1",
    "DELETE FROM script_state WHERE scope = 'member:' || $1",
    // What holds for all stays, without its author.
    "UPDATE rule_version SET author = NULL WHERE author = $1",
    "UPDATE routine_made SET author = NULL WHERE author = $1",
    AUDIT_ERASE,
    "DELETE FROM account WHERE person = $1",
    "UPDATE score_log SET reason = '' WHERE source = $1 AND reason <> ''",
    "UPDATE person SET created_at = 0 WHERE id = $1",
    "DELETE FROM forgetting WHERE person = $1",
];

/// What is done where others named her.
#[derive(Clone, Copy)]
enum Named {
    /// The name is taken out of a text.
    Text,
    /// The same, of JSON.
    Json,
    /// The row is changed as this says; `$1` is the row's key.
    Do(&'static str),
}

/// Columns that others fill: how their rows are told apart, the column, what is done.
const OTHERS: [(&str, &str, &str, Named); 17] = [
    ("event", "id", "text", Named::Text),
    ("event", "id", "body", Named::Json),
    ("event", "id", "outcome", Named::Do("UPDATE event SET outcome = NULL WHERE id = $1")),
    ("event", "id", "key", Named::Do(KEY_GONE)),
    ("delivery", "id", "body", Named::Do(BODY_GONE)),
    ("delivery", "id", "reason", Named::Do("UPDATE delivery SET reason = NULL WHERE id = $1")),
    ("delivery", "id", "slot", Named::Do("UPDATE delivery SET slot = NULL WHERE id = $1")),
    ("packet", "id", "wish", Named::Text),
    (
        "ledger_transfer",
        "id",
        "reason",
        Named::Do("UPDATE ledger_transfer SET reason = '' WHERE id = $1"),
    ),
    (
        "ledger_transfer",
        "id",
        "key",
        Named::Do("UPDATE ledger_transfer SET key = 'forgotten:' || id WHERE id = $1"),
    ),
    (
        "audit",
        "n",
        "payload",
        Named::Do("UPDATE audit SET salt = NULL, payload = NULL WHERE n = $1"),
    ),
    ("timer", "id", "data", Named::Json),
    ("warning", WARNING, "reason", Named::Text),
    ("score_log", SCORE, "reason", Named::Do(SCORE_GONE)),
    ("rule_version", "community || '/' || version", "text", Named::Text),
    ("script_state", STATE, "value", Named::Json),
    ("script_state", STATE, "key", Named::Do(STATE_GONE)),
];
/// The same of a routine that is named after her, or speaks of her: it goes.
const ROUTINES: [&str; 2] = ["name", "text"];

const WARNING: &str = "community || '/' || person || '/' || event || '/' || n";
const SCORE: &str =
    "community || '/' || person || '/' || day || '/' || kind || '/' || event || '/' || n";
const STATE: &str = "community || '/' || script || '/' || scope || '/' || key";
const SCORE_GONE: &str = "UPDATE score_log SET reason = '' WHERE
  community || '/' || person || '/' || day || '/' || kind || '/' || event || '/' || n = $1";
const STATE_GONE: &str = "DELETE FROM script_state WHERE
  community || '/' || script || '/' || scope || '/' || key = $1";
/// One that is under way is not made again from a body that is gone.
const BODY_GONE: &str = "UPDATE delivery SET body = '{}',
    reason = CASE WHEN state IN('queued','sending') THEN 'forgotten' ELSE reason END,
    state = CASE WHEN state IN('queued','sending') THEN 'unknown' ELSE state END WHERE id = $1";

/// Everything that is hers, by table; `None` where she is not known.
pub async fn export(db: &mut Db, person: PersonId) -> Result<Option<Value>> {
    let mut all = Map::new();
    for (table, sql) in MINE {
        let rows = sqlx::query(sql).bind(person.0).fetch_all(&mut *db).await.map_err(failure)?;
        if table == "person" && rows.is_empty() {
            return Ok(None);
        }
        all.insert(table.to_owned(), Value::Array(rows.iter().map(object).collect()));
    }
    Ok(Some(Value::Object(all)))
}

/// Forgets a person, or what she wrote in one community. In a transaction.
pub async fn forget(db: &mut Db, wish: &ForgetRow) -> Result<()> {
    match wish.community {
        Some(community) => texts(db, wish, community).await,
        None => altogether(db, wish.person).await,
    }
}

/// The words that she wrote in a community.
async fn texts(db: &mut Db, wish: &ForgetRow, community: CommunityId) -> Result<()> {
    for sql in [
        "UPDATE event SET text = NULL WHERE person = $1 AND community = $2 AND text IS NOT NULL
           AND state <> 1 AND id <= $3",
        "DELETE FROM forgetting WHERE person = $1 AND community = $2 AND event <= $3",
    ] {
        let query = sqlx::query(sql).bind(wish.person.0).bind(community.0).bind(wish.event.0);
        query.execute(&mut *db).await.map_err(failure)?;
    }
    Ok(())
}

async fn altogether(db: &mut Db, person: PersonId) -> Result<()> {
    let traces = traces(db, person).await?;
    for sql in TAKE {
        sqlx::query(sql).bind(person.0).execute(&mut *db).await.map_err(failure)?;
    }
    for (table, key, column, named) in OTHERS {
        scrub(db, &traces, (table, key, column), named).await?;
    }
    for column in ROUTINES {
        let rows = format!("SELECT community || '/' || name, {column} FROM routine_made");
        for (key, text) in candidates(db, &traces, rows, &format!("routine_made.{column}")).await? {
            if !traces.are_in(&text) {
                continue;
            }
            for sql in [
                "DELETE FROM routine_run WHERE community || '/' || name = $1",
                "DELETE FROM routine_made WHERE community || '/' || name = $1",
            ] {
                change(db, sql.to_owned(), &key, None).await?;
            }
        }
    }
    Ok(())
}

/// By what she is known.
async fn traces(db: &mut Db, person: PersonId) -> Result<Traces> {
    let sql = "SELECT ref FROM account WHERE person = $1 UNION SELECT ref FROM member
        WHERE person = $1";
    let rows = sqlx::query(sql).bind(person.0).fetch_all(&mut *db).await.map_err(failure)?;
    let accounts: Vec<Ref> = rows.iter().filter_map(|row| Ref::parse(row.get(0))).collect();
    let sql = "SELECT name FROM member WHERE person = $1 UNION
        SELECT nickname FROM member WHERE person = $1 AND nickname IS NOT NULL";
    let rows = sqlx::query(sql).bind(person.0).fetch_all(&mut *db).await.map_err(failure)?;
    Ok(Traces::of(&accounts, rows.iter().map(|row| row.get::<&str, _>(0))))
}

/// How a row is found again.
enum Key {
    Number(i64),
    Text(String),
}

/// Runs a statement on a row, whose key is `$1`.
async fn change(db: &mut Db, sql: String, row: &Key, value: Option<String>) -> Result<()> {
    let query = sqlx::query(AssertSqlSafe(sql));
    let query = match row {
        Key::Number(number) => query.bind(*number),
        Key::Text(text) => query.bind(text.clone()),
    };
    let query = match value {
        Some(value) => query.bind(value),
        None => query,
    };
    query.execute(db).await.map(drop).map_err(failure)
}

/// Rows whose column may name her: `(key, text)`.
async fn candidates(
    db: &mut Db,
    traces: &Traces,
    rows: String,
    column: &str,
) -> Result<Vec<(Key, String)>> {
    // In JSON what is unusual in a text is written otherwise.
    let escaped = |word: &String| {
        let json = Value::from(word.as_str()).to_string();
        json[1..json.len() - 1].to_owned()
    };
    let mut words: Vec<String> = traces.words().to_vec();
    words.extend(traces.words().iter().map(escaped));
    words.dedup();
    let words = serde_json::to_string(&words).map_err(|e| StoreError::Data(e.to_string()))?;
    let sql = format!("{rows} WHERE {}", names_one_of(column));
    let query = sqlx::query(AssertSqlSafe(sql)).bind(kept_json(words));
    let found = query.fetch_all(db).await.map_err(failure)?;
    let text = |row: &DbRow| {
        let key = row.try_get(0).map(Key::Number);
        (key.unwrap_or_else(|_| Key::Text(row.get(0))), row.get(1))
    };
    Ok(found.iter().map(text).collect())
}

async fn scrub(
    db: &mut Db,
    traces: &Traces,
    (table, key, column): (&str, &str, &str),
    named: Named,
) -> Result<()> {
    let rows = format!("SELECT {key}, {column} FROM {table}");
    for (row, text) in candidates(db, traces, rows, &format!("{table}.{column}")).await? {
        let left = match named {
            Named::Text => traces.out_of(&text),
            Named::Json => traces.out_of_json(&text),
            Named::Do(sql) => {
                if traces.are_in(&text) || traces.out_of_json(&text).is_some() {
                    change(db, sql.to_owned(), &row, None).await?;
                }
                continue;
            }
        };
        let Some(left) = left else { continue };
        let sql = format!("UPDATE {table} SET {column} = $2 WHERE {key} = $1");
        change(db, sql, &row, Some(left)).await?;
    }
    Ok(())
}

/// Wishes that are not done.
pub async fn forgetting(db: &mut Db) -> Result<Vec<ForgetRow>> {
    let sql = "SELECT person, community, event, at FROM forgetting ORDER BY id";
    let rows = sqlx::query(sql).fetch_all(db).await.map_err(failure)?;
    let wish = |row: &DbRow| ForgetRow {
        person: PersonId(row.get(0)),
        community: row.get::<Option<i64>, _>(1).map(CommunityId),
        event: EventId(row.get(2)),
        at: row.get(3),
    };
    Ok(rows.iter().map(wish).collect())
}
