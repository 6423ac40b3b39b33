//! From the address of a database to a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Store, StoreError};

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
}
