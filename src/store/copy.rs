//! A whole database into another, of either kind: every table, row by row as it is.
//!
//! Balances are not copied: the transfers are, in their order, and the target's own triggers make the
//! balances of them, so that a copy is a check too. Tables are those that the databases themselves
//! name, so that none is forgotten.

use serde::Serialize;
use tokio::sync::mpsc;

use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Address, Store, StoreError, Verification};

/// Rows that travel together.
const ROWS: usize = 1000;
/// Rows on the way, in such heaps.
const UNDER_WAY: usize = 2;

/// What others point to, and in which order; everything else may follow in any.
const ORDER: [&str; 11] = [
    "community",
    "grp",
    "person",
    "account",
    "member",
    "bot_account",
    "event",
    "ledger_account",
    "ledger_transfer",
    "packet",
    "rule_version",
];
const NEWS: &str = "news_source";
/// What every new database has already, or what is its own.
const OWN: [&str; 6] =
    ["_sqlx_migrations", "bot_lease", "event_kind", "event_state", "late", "meta"];
/// Set while a copy is under way: such a database is not worked on.
const MARK: &str = "copying";

/// A table with its columns; whether each is a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<(String, bool)>,
}

impl Table {
    /// Columns that are copied: an account opens empty.
    pub(super) fn copied(&self) -> impl Iterator<Item = &(String, bool)> {
        let opens = ["id", "community", "kind", "owner"];
        let is_ledger = self.name == "ledger_account";
        self.columns.iter().filter(move |(name, _)| !is_ledger || opens.contains(&name.as_str()))
    }

    /// Their names, for a statement.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.copied().map(|(name, _)| format!("\"{name}\"")).collect();
        names.join(", ")
    }

    /// The order in which rows are read.
    pub(super) fn order(&self) -> &'static str {
        match self.name.as_str() {
            // Its lines are taken one after the other, without gaps.
            "audit" => "ORDER BY n",
            _ if self.columns.iter().any(|(name, _)| name == "id") => "ORDER BY id",
            _ => "",
        }
    }
}

/// What was copied.
#[derive(Debug, Serialize)]
pub struct Copied {
    /// Rows of each table, in the order of copying.
    pub tables: Vec<(String, u64)>,
    /// What the target says of its ledger.
    pub verification: Verification,
}

/// A database that is open on this side or that.
enum Side {
    Sqlite(Box<Sqlite>),
    Postgres(Box<Postgres>),
}

impl Side {
    async fn open(address: &Address, lease_ms: u64) -> Result<Self, StoreError> {
        Ok(match address {
            Address::Memory => {
                let what = "`sqlite::memory:` keeps nothing: there is nothing to copy from or to";
                return Err(StoreError::Data(what.to_owned()));
            }
            Address::File(path) => Self::Sqlite(Box::new(Sqlite::open(path).await?)),
            Address::Server(url) => Self::Postgres(Box::new(Postgres::open(url, lease_ms).await?)),
        })
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Sqlite(store) => &**store,
            Self::Postgres(store) => &**store,
        }
    }

    /// Tables in the order of copying.
    async fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let mut tables = match self {
            Self::Sqlite(store) => store.tables().await?,
            Self::Postgres(store) => store.tables().await?,
        };
        tables.retain(|table| !OWN.contains(&table.name.as_str()));
        let rank = |table: &Table| {
            let at = ORDER.iter().position(|name| *name == table.name).unwrap_or(ORDER.len());
            (at, table.name != NEWS, table.name.clone())
        };
        tables.sort_by_key(rank);
        for table in &mut tables {
            table.columns.sort();
        }
        Ok(tables)
    }

    async fn count(&self, table: &str) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.count(table).await,
            Self::Postgres(store) => store.count(table).await,
        }
    }

    async fn read(&self, table: &Table, to: mpsc::Sender<String>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.read_rows(table, to).await,
            Self::Postgres(store) => store.read_rows(table, to).await,
        }
    }

    async fn write(&self, table: &Table, rows: &str) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.write_rows(table, rows).await,
            Self::Postgres(store) => store.write_rows(table, rows).await,
        }
    }

    async fn mark(&self, is_on: bool) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.mark(MARK, is_on).await,
            Self::Postgres(store) => store.mark(MARK, is_on).await,
        }
    }

    /// Numbers that were given before a restore: they are not given again in the copy either.
    async fn marks(&self) -> Result<Vec<(String, String)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.marks().await,
            Self::Postgres(store) => store.marks().await,
        }
    }

    /// Balances of every account, in order.
    async fn balances(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Sqlite(store) => store.balances().await,
            Self::Postgres(store) => store.balances().await,
        }
    }
}

/// Copies everything into a database that is empty, and tells of each heap of rows.
///
/// # Errors
/// A target that is not empty, databases of different versions, or what either of them says.
pub async fn copy(
    from: &Address,
    to: &Address,
    lease_ms: u64,
    tell: &mut (dyn FnMut(&str, u64, u64) + Send),
) -> Result<Copied, StoreError> {
    if from == to {
        return Err(StoreError::Data("both addresses name the same database".to_owned()));
    }
    let from = Side::open(from, lease_ms).await?;
    let to = Side::open(to, lease_ms).await?;
    // A source that is half a copy itself says so.
    if from.store().start().await?.backup_of.is_some() {
        let what = "the source is a backup; start it once with `qundao run --after-restore`";
        return Err(StoreError::Data(what.to_owned()));
    }
    let tables = from.tables().await?;
    if tables != to.tables().await? {
        let what = "the two databases have different tables: they are of different versions";
        return Err(StoreError::Data(what.to_owned()));
    }
    for table in &tables {
        if to.count(&table.name).await? > 0 {
            return Err(StoreError::Data(format!(
                "the target is not empty: there are rows in `{}`; copy into a new database",
                table.name
            )));
        }
    }
    to.mark(true).await?;
    let mut copied = Vec::new();
    for table in &tables {
        copied.push((table.name.clone(), one(&from, &to, table, tell).await?));
    }
    marks(&from, &to).await?;
    if from.balances().await? != to.balances().await? {
        return Err(StoreError::Data("the balances of the two databases differ".to_owned()));
    }
    let verification = to.store().verify().await?;
    if verification.broken.is_empty() {
        to.mark(false).await?;
    }
    from.store().close().await;
    to.store().close().await;
    Ok(Copied { tables: copied, verification })
}

/// What is in no table of its own.
async fn marks(from: &Side, to: &Side) -> Result<(), StoreError> {
    let marks = from.marks().await?;
    let meta = Table {
        name: "meta".to_owned(),
        columns: vec![("key".to_owned(), false), ("value".to_owned(), false)],
    };
    let rows = serde_json::to_string(&marks).map_err(|e| StoreError::Data(e.to_string()))?;
    if !marks.is_empty() {
        to.write(&meta, &rows).await?;
    }
    Ok(())
}

/// One table; how many rows.
async fn one(
    from: &Side,
    to: &Side,
    table: &Table,
    tell: &mut (dyn FnMut(&str, u64, u64) + Send),
) -> Result<u64, StoreError> {
    let all = from.count(&table.name).await?;
    let (heaps, mut coming) = mpsc::channel::<String>(UNDER_WAY);
    // It owns its end, so that nobody goes on sending when it fails.
    let writing = async move {
        let mut rows = 0;
        while let Some(heap) = coming.recv().await {
            rows += to.write(table, &heap).await?;
            tell(&table.name, rows, all);
        }
        Ok::<_, StoreError>(rows)
    };
    let (read, written) = tokio::join!(from.read(table, heaps), writing);
    // Who cannot write lets the other stop reading: its reason is the one that counts.
    let written = written?;
    read?;
    let there = to.count(&table.name).await?;
    if written != all || there != all {
        return Err(StoreError::Data(format!(
            "`{}` has {all} rows, {there} arrived: did somebody write meanwhile?",
            table.name
        )));
    }
    Ok(all)
}

/// Rows as they come, in heaps: each is JSON, and so is the heap.
pub(super) struct Heap {
    text: String,
    rows: usize,
    to: mpsc::Sender<String>,
}

impl Heap {
    pub(super) fn new(to: mpsc::Sender<String>) -> Self {
        Self { text: String::new(), rows: 0, to }
    }

    /// Adds a row; `false` when nobody takes them any more.
    pub(super) async fn add(&mut self, row: &str) -> bool {
        self.text.push(if self.text.is_empty() { '[' } else { ',' });
        self.text.push_str(row);
        self.rows += 1;
        self.rows < ROWS || self.send().await
    }

    /// Sends what there is.
    pub(super) async fn send(&mut self) -> bool {
        self.rows = 0;
        if self.text.is_empty() {
            return true;
        }
        let mut text = std::mem::take(&mut self.text);
        text.push(']');
        self.to.send(text).await.is_ok()
    }
}
