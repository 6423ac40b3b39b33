//! The database held against the truth, with SQL of its own. The chain of the audit log (O8) is
//! checked by the product itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use qundao::store::Store as _;
use qundao::store::sqlite::Sqlite;
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::block;
use crate::oracle::sends::is_open;
use crate::world::{Verdict, Violation, World};

/// The database of a world.
pub type Disk = Arc<Mutex<SqliteConnection>>;

fn wrong(text: String) -> Verdict {
    Err(Violation::new("durability", text))
}

/// Rows of a question, each as text.
fn ask(disk: &Disk, sql: &'static str) -> Vec<Vec<String>> {
    block::on(async {
        let mut disk = disk.lock().await;
        let rows = sqlx::query(sql).fetch_all(&mut *disk).await.unwrap_or_default();
        let cells = |row: &sqlx::sqlite::SqliteRow| {
            (0..row.len()).map(|at| row.get::<String, _>(at)).collect()
        };
        rows.iter().map(cells).collect()
    })
}

/// Lets the database have no more pages, or as many as it wants.
pub fn limit_pages(disk: &Disk, is_full: bool) {
    block::on(async {
        let mut disk = disk.lock().await;
        let used = sqlx::query("PRAGMA page_count").fetch_one(&mut *disk).await;
        let used: i64 = used.map_or(0, |row| row.get(0));
        let sql = if is_full {
            format!("PRAGMA max_page_count = {used}")
        } else {
            "PRAGMA max_page_count = 1073741823".to_owned()
        };
        let _ = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *disk).await;
    });
}

/// Everything that was committed is there, and nothing else.
pub fn check(disk: &Disk, world: &World) -> Verdict {
    events(disk, world)?;
    accounts(disk, world)?;
    deliveries(disk, world)?;
    timers(disk, world)
}

fn events(disk: &Disk, world: &World) -> Verdict {
    let rows = ask(
        disk,
        "SELECT a.ref, e.key, CAST(e.id AS TEXT) FROM event e
      JOIN bot_account a ON a.id = e.account",
    );
    let state = world.state();
    let known = &state.model.events;
    let found: BTreeMap<(&str, &str), &str> =
        rows.iter().map(|row| ((row[0].as_str(), row[1].as_str()), row[2].as_str())).collect();
    for ((account, key), event) in known {
        // What a clock that was a year behind has noted is old before its time; nothing repeats it.
        if world.plan.has_jumps() && account.platform() == "core" {
            continue;
        }
        let id = event.id.to_string();
        if found.get(&(account.as_str(), &**key)) != Some(&id.as_str()) {
            return wrong(format!("event {id} with key {key} of {account} is gone"));
        }
    }
    let extra = rows.len() as i64 - known.len() as i64;
    // Members who were there before came by themselves.
    let own = ask(
        disk,
        "SELECT CAST(count(*) AS TEXT) FROM event e
      JOIN bot_account a ON a.id = e.account WHERE e.key LIKE 'seed%'",
    );
    let seeded = own.first().and_then(|row| row[0].parse().ok()).unwrap_or(0);
    if extra > seeded { wrong(format!("{extra} events that nobody committed")) } else { Ok(()) }
}

fn accounts(disk: &Disk, world: &World) -> Verdict {
    let rows = ask(
        disk,
        "SELECT CAST(id AS TEXT), CAST(debits AS TEXT), CAST(credits AS TEXT),
      CAST(debits_pending AS TEXT), CAST(credits_pending AS TEXT) FROM ledger_account",
    );
    let state = world.state();
    let found: BTreeMap<i64, [i64; 4]> = rows
        .iter()
        .map(|row| {
            let number = |at: usize| row[at].parse::<i64>().unwrap_or(i64::MIN);
            (number(0), [number(1), number(2), number(3), number(4)])
        })
        .collect();
    for (id, account) in &state.model.books.accounts {
        if found.get(id) != Some(&account.totals) {
            return wrong(format!("account {id} is {:?}, not {:?}", found.get(id), account.totals));
        }
    }
    Ok(())
}

fn deliveries(disk: &Disk, world: &World) -> Verdict {
    let rows = ask(disk, "SELECT key, state FROM delivery");
    let state = world.state();
    let found: BTreeMap<&str, &str> =
        rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    for (key, known) in &state.model.sends.by_key {
        let word = found.get(key.as_str()).copied();
        // What ended long ago may be forgotten.
        let is_gone = word.is_none() && !is_open(known.state);
        if word != Some(known.state.as_str()) && !is_gone {
            return wrong(format!("delivery {key} is {word:?}, not {}", known.state.as_str()));
        }
    }
    Ok(())
}

fn timers(disk: &Disk, world: &World) -> Verdict {
    let rows = ask(disk, "SELECT CAST(id AS TEXT) FROM timer ORDER BY id");
    let found: Vec<i64> = rows.iter().filter_map(|row| row[0].parse().ok()).collect();
    let known: Vec<i64> = world.state().model.timers.keys().copied().collect();
    if found == known { Ok(()) } else { wrong(format!("timers are {found:?}, not {known:?}")) }
}

/// What is not at rest.
pub fn left(disk: &Disk) -> Vec<String> {
    let count = |what: &str, sql| {
        let rows = ask(disk, sql);
        let count: i64 = rows.first().and_then(|row| row[0].parse().ok()).unwrap_or(-1);
        (count != 0).then(|| format!("{count} {what}"))
    };
    let waiting = "SELECT CAST(count(*) AS TEXT) FROM event WHERE state = 1";
    let open = "SELECT CAST(count(*) AS TEXT) FROM delivery WHERE state IN('queued','sending')";
    count("events wait", waiting).into_iter().chain(count("deliveries are open", open)).collect()
}

/// O8: no line of the audit log was changed, taken out or put in.
fn chain(disk: &Disk) -> Verdict {
    let verified = block::on(async {
        let store = Sqlite::over(disk.clone()).await?;
        store.verify_audit(None).await
    });
    match verified {
        Ok(report) if report.broken.is_none() => Ok(()),
        other => Err(Violation::new("O8 audit", format!("{other:?}"))),
    }
}

/// What the product itself says of its ledger, and that the probe has counted every message.
pub fn verify(disk: &Disk, world: &World) -> Verdict {
    let verified = block::on(async {
        let store = Sqlite::over(disk.clone()).await?;
        store.verify().await
    });
    match verified {
        Ok(found) if found.broken.is_empty() => {}
        Ok(found) => return Err(Violation::new("O3 verify", found.broken.join("; "))),
        Err(error) => return Err(Violation::new("O3 verify", error.to_string())),
    }
    chain(disk)?;
    let state = world.state();
    let (seen, handled) = (&state.model.seen, &state.model.handled);
    if seen == handled || state.model.quarantined > 0 {
        return Ok(());
    }
    let text = format!("{handled:?} messages were handled, the probe saw {seen:?}");
    Err(Violation::new("O1 state", text))
}
