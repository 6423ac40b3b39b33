//! From the address of a database to a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Store, StoreError, Verification};
use crate::clock::TimeMs;

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// Nowhere: it is forgotten at the end.
    Memory,
    /// In a file of SQLite.
    File(PathBuf),
    /// On a server of PostgreSQL.
    Server(String),
}

impl Address {
    /// Reads `sqlite::memory:`, `sqlite:FILE` (relative to a folder) or `postgres://…`.
    pub fn read(url: &str, folder: &Path) -> Self {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::Server(url.to_owned());
        }
        match url.strip_prefix("sqlite:").unwrap_or(url) {
            ":memory:" => Self::Memory,
            path => Self::File(folder.join(path)),
        }
    }

    /// Opens it to work on; a server keeps it for this process alone for `lease_ms` at a time.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open(&self, lease_ms: u64) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Memory => Arc::new(Sqlite::in_memory().await?),
            Self::File(path) => Arc::new(Sqlite::open(path).await?),
            Self::Server(url) => Arc::new(Postgres::open(url, lease_ms).await?),
        })
    }

    /// Opens it for questions alone, beside a bot that runs; `None` where there is nothing yet.
    ///
    /// # Errors
    /// What the store says.
    pub async fn look(&self) -> Result<Option<Arc<dyn Store>>, StoreError> {
        Ok(match self {
            Self::Memory => None,
            Self::File(path) if !path.is_file() => None,
            Self::File(path) => Some(Arc::new(Sqlite::look(path).await?)),
            Self::Server(url) => {
                Postgres::look(url).await?.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
        })
    }

    /// Opens it to leave word in it, beside a bot that runs or without one; `None` where there is
    /// nothing yet.
    ///
    /// # Errors
    /// What the store says; also where the database is of an older version.
    pub async fn beside(&self) -> Result<Option<Arc<dyn Store>>, StoreError> {
        Ok(match self {
            Self::Memory => None,
            Self::File(path) if !path.is_file() => None,
            Self::File(path) => Some(Arc::new(Sqlite::beside(path).await?)),
            Self::Server(url) => {
                Postgres::beside(url).await?.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
        })
    }

    /// Writes a consistent copy into a new file, beside a bot that runs; the copy bears a mark. What
    /// a check says of the copy.
    ///
    /// # Errors
    /// There is nothing to copy, it lies on a server, or what the store and the disk say.
    pub async fn backup(&self, to: &Path, now: TimeMs) -> Result<Verification, StoreError> {
        let what = match self {
            Self::File(path) if path.is_file() => {
                Sqlite::look(path).await?.backup(to, now).await?;
                return Sqlite::look(to).await?.verify().await;
            }
            Self::Memory | Self::File(_) => "there is no database yet, so there is nothing to copy",
            Self::Server(_) => {
                "a database on a server is copied there, with `pg_dump`; after a restore start once \
                 with `qundao run --after-restore`"
            }
        };
        Err(StoreError::Io(what.to_owned()))
    }
}
