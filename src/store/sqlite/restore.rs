//! Backups: a copy of a file that is worked on, and what must happen before such a copy is worked on.
//!
//! A copy knows nothing of what came after it. What it says is to be sent may have been sent, and
//! numbers that it would give next may have been given. So a copy carries a mark, a start refuses a
//! file that has one, and taking the mark away is one transaction with what makes the file safe.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::file::restrict;
use super::{begin, failure};
use crate::clock::TimeMs;
use crate::store::{NUMBERED, Restored, StoreError};

/// When a copy was made: the mark.
const BACKUP_AT: &str = "backup_at";
/// When a copy was last made fit to work on.
const RESTORED_AT: &str = "restored_at";
/// Numbers below which none is given any more: `floor_event` and so on.
const FLOOR: &str = "floor_";
/// Numbers that may have been given since the copy was made. Those of packets are read and typed by
/// members, and there are few of them.
const LEAP: i64 = 1_000_000_000;
const LEAP_OF_PACKETS: i64 = 10_000;
/// Why a delivery of a copy is not sent.
const REASON: &str = "restored from a backup: it may have been sent since";

/// Copies a database into a new file: consistent, complete on the disk, marked.
pub(super) async fn backup(
    db: &mut SqliteConnection,
    file: &Path,
    now: TimeMs,
) -> Result<(), StoreError> {
    if file.exists() {
        return Err(StoreError::Io(format!("`{}` is there already", file.display())));
    }
    let part = part_of(file);
    remove(&part)?;
    let Some(name) = part.to_str() else {
        return Err(StoreError::Io(format!("`{}` is no name for SQLite", part.display())));
    };
    // One read transaction: whatever is committed meanwhile is not in it.
    let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(db).await.map_err(failure);
    let marked = match copied {
        Ok(_) => mark(&part, now).await,
        Err(error) => Err(error),
    };
    if let Err(error) = marked.and_then(|()| publish(&part, file)) {
        remove(&part)?;
        return Err(error);
    }
    Ok(())
}

/// Beside the file, so that it can be renamed.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

/// What an attempt before this one left behind, or this one.
fn remove(part: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io(format!("remove `{}`: {error}", part.display())))
        }
        _ => Ok(()),
    }
}

async fn mark(part: &Path, now: TimeMs) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new().filename(part);
    let options = options.busy_timeout(Duration::from_secs(5)).pragma("journal_mode", "DELETE");
    let mut copy = options.connect().await.map_err(failure)?;
    set(&mut copy, BACKUP_AT, now).await?;
    copy.close().await.map_err(failure)
}

/// On the disk before it has its name: a file with the name is a whole one.
fn publish(part: &Path, file: &Path) -> Result<(), StoreError> {
    restrict(part);
    let published = File::open(part)
        .and_then(|copy| copy.sync_all())
        .and_then(|()| std::fs::rename(part, file))
        .and_then(|()| sync_folder(file));
    published.map_err(|error| StoreError::Io(format!("write `{}`: {error}", file.display())))
}

#[cfg(unix)]
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

async fn set(db: &mut SqliteConnection, key: &str, value: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta(key, value) VALUES($1, $2)
      ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    let set = sqlx::query(sql).bind(key).bind(value.to_string()).execute(db).await;
    set.map(drop).map_err(failure)
}

async fn get(db: &mut SqliteConnection, key: &str) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = $1";
    let row = sqlx::query(sql).bind(key).fetch_optional(db).await.map_err(failure)?;
    Ok(row.map(|row| row.get(0)))
}

/// When the copy was made that this file is; `None` where it is none, or is one no longer.
pub(super) async fn backup_of(db: &mut SqliteConnection) -> Result<Option<TimeMs>, StoreError> {
    get(db, BACKUP_AT).await
}

/// When this file was last restored.
pub(super) async fn restored_at(db: &mut SqliteConnection) -> Result<Option<TimeMs>, StoreError> {
    get(db, RESTORED_AT).await
}

/// Highest numbers in use, or given since the copy was made: never less than the floor of each.
pub(super) async fn lift(db: &mut SqliteConnection, numbers: &mut [i64]) -> Result<(), StoreError> {
    for (kind, number) in NUMBERED.iter().zip(numbers) {
        let floor = get(db, &format!("{FLOOR}{kind}")).await?;
        *number = floor.map_or(*number, |floor| floor.max(*number));
    }
    Ok(())
}

/// Makes a copy fit to be worked on.
pub(super) async fn restore(
    db: &mut SqliteConnection,
    now: TimeMs,
    numbers: &[i64],
) -> Result<Restored, StoreError> {
    let backup_of = backup_of(db).await?;
    let mut transaction = db.begin_with(begin()).await.map_err(failure)?;
    let sql = "UPDATE delivery SET state = 'unknown', reason = $1
      WHERE state IN('queued', 'sending')";
    let held = sqlx::query(sql).bind(REASON).execute(&mut *transaction).await.map_err(failure)?;
    for (kind, number) in NUMBERED.iter().zip(numbers) {
        let leap = if *kind == "packet" { LEAP_OF_PACKETS } else { LEAP };
        set(&mut transaction, &format!("{FLOOR}{kind}"), number + leap).await?;
    }
    set(&mut transaction, RESTORED_AT, now).await?;
    let unmark = sqlx::query("DELETE FROM meta WHERE key = $1").bind(BACKUP_AT);
    unmark.execute(&mut *transaction).await.map_err(failure)?;
    transaction.commit().await.map_err(failure)?;
    Ok(Restored { backup_of, held: held.rows_affected() })
}
