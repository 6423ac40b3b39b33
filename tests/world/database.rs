//! A database of either kind, with a look into it from outside.

use std::path::PathBuf;
use std::sync::Arc;

use qundao::store::postgres::{LEASE_MS, Postgres};
use qundao::store::sqlite::Sqlite;
use qundao::store::{Store, StoreError};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};
use tempfile::TempDir;

use super::cluster::Cluster;

/// Where a test keeps its data.
pub enum Database {
    Sqlite { folder: TempDir },
    Postgres { cluster: Arc<Cluster>, url: String },
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite { folder: tempfile::tempdir().unwrap() }
    }

    pub fn postgres() -> Self {
        Self::on(&Arc::new(Cluster::start()))
    }

    /// Another database of the same server.
    pub fn on(cluster: &Arc<Cluster>) -> Self {
        Self::Postgres { cluster: cluster.clone(), url: cluster.database() }
    }

    /// An empty one beside it.
    pub fn another(&self) -> Self {
        match self {
            Self::Sqlite { .. } => Self::sqlite(),
            Self::Postgres { cluster, .. } => Self::on(cluster),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }

    pub fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite { folder } => folder.path().join("qundao.db"),
            Self::Postgres { url, .. } => panic!("{url} is no file"),
        }
    }

    /// As `[store] url` says it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { .. } => format!("sqlite:{}", self.file().display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    pub async fn try_open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite { .. } => Arc::new(Sqlite::open(&self.file()).await?),
            Self::Postgres { url, .. } => Arc::new(Postgres::open(url, LEASE_MS).await?),
        })
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        self.try_open().await.unwrap()
    }

    /// A look from outside, with every constraint in force.
    pub async fn peek(&self) -> Peek {
        match self {
            Self::Sqlite { .. } => Peek::Sqlite(super::peek(&self.file()).await),
            Self::Postgres { url, .. } => {
                Peek::Postgres(Box::new(PgConnection::connect(url).await.unwrap()))
            }
        }
    }
}

/// A connection of the test's own.
pub enum Peek {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

impl Peek {
    /// One number; of PostgreSQL a `bigint`.
    pub async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(db) => sqlx::query(sql).fetch_one(db).await.unwrap().get(0),
            Self::Postgres(db) => sqlx::query(sql).fetch_one(&mut **db).await.unwrap().get(0),
        }
    }

    /// Numbers of the first column.
    pub async fn numbers(&mut self, sql: &str) -> Vec<i64> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(db) => {
                let rows = sqlx::query(sql).fetch_all(db).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(db) => {
                let rows = sqlx::query(sql).fetch_all(&mut **db).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Runs a statement; how many rows it touched, or what the database says against it.
    pub async fn run(&mut self, sql: &str) -> Result<u64, String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(db) => db.execute(sql).await.map(|done| done.rows_affected()),
            Self::Postgres(db) => db.execute(sql).await.map(|done| done.rows_affected()),
        }
        .map_err(|error| error.to_string())
    }
}

/// Every test of a suite, over both databases.
#[macro_export]
macro_rules! over_both {
    ($($(#[$attribute:meta])* $name:ident;)*) => {
        mod over_sqlite {$(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Database::sqlite()).await;
            }
        )*}
        mod over_postgres {$(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Database::postgres()).await;
            }
        )*}
    };
}
