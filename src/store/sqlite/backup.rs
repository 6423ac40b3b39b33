//! Backups: a copy of a file that is worked on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::failure;
use super::file::restrict;
use super::restore::{BACKUP_AT, set};
use crate::clock::TimeMs;
use crate::store::StoreError;

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
