//! SQLite's side of a copy: tables as the file names them, rows as JSON.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::mpsc;

use super::{Sqlite, failure, restore};
use crate::store::StoreError;
use crate::store::copy::{Heap, Table};

impl Sqlite {
    /// Every table with its columns.
    pub(in crate::store) async fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let sql = "SELECT t.name, c.name, c.type = 'INTEGER' FROM pragma_table_list t,
              pragma_table_info(t.name) c
            WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
            ORDER BY t.name";
        let rows = sqlx::query(sql).fetch_all(&mut *self.reader().await).await.map_err(failure)?;
        let mut tables: Vec<Table> = Vec::new();
        for row in rows {
            let (name, column): (String, (String, bool)) = (row.get(0), (row.get(1), row.get(2)));
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.columns.push(column),
                None => tables.push(Table { name, columns: vec![column] }),
            }
        }
        Ok(tables)
    }

    /// Rows of a table.
    pub(in crate::store) async fn count(&self, table: &str) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\""));
        let row = sqlx::query(sql).fetch_one(&mut *self.reader().await).await.map_err(failure)?;
        Ok(row.get::<i64, _>(0).unsigned_abs())
    }

    /// Sends all rows of a table.
    pub(in crate::store) async fn read_rows(
        &self,
        table: &Table,
        to: mpsc::Sender<String>,
    ) -> Result<(), StoreError> {
        let (names, order) = (table.names(), table.order());
        let sql = format!("SELECT json_array({names}) FROM \"{}\" {order}", table.name);
        let mut db = self.reader().await;
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *db);
        let mut heap = Heap::new(to);
        while let Some(row) = rows.try_next().await.map_err(failure)? {
            if !heap.add(row.get(0)).await {
                return Ok(());
            }
        }
        heap.send().await;
        Ok(())
    }

    /// Writes rows of a table.
    pub(in crate::store) async fn write_rows(
        &self,
        table: &Table,
        rows: &str,
    ) -> Result<u64, StoreError> {
        let cells: Vec<_> = (0..table.copied().count()).map(|at| format!("value->>{at}")).collect();
        let sql = format!(
            "INSERT INTO \"{}\"({}) SELECT {} FROM json_each($1)",
            table.name,
            table.names(),
            cells.join(", ")
        );
        let mut writer = self.writer.lock().await;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failure)?;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(rows);
        let done = query.execute(&mut *transaction).await.map_err(failure)?;
        transaction.commit().await.map_err(failure)?;
        Ok(done.rows_affected())
    }

    /// Says that a copy is under way, or no longer.
    pub(in crate::store) async fn mark(&self, key: &str, is_on: bool) -> Result<(), StoreError> {
        let sql = if is_on {
            "INSERT INTO meta(key, value) VALUES($1, '1')"
        } else {
            "DELETE FROM meta WHERE key = $1"
        };
        let mut writer = self.writer.lock().await;
        sqlx::query(sql).bind(key).execute(&mut *writer).await.map(drop).map_err(failure)
    }

    /// What else the target must know.
    pub(in crate::store) async fn marks(&self) -> Result<Vec<(String, String)>, StoreError> {
        restore::marks(&mut *self.reader().await).await
    }

    /// The balances of all accounts.
    pub(in crate::store) async fn balances(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT id || ':' || debits || ':' || credits || ':' || debits_pending || ':'
            || credits_pending FROM ledger_account ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&mut *self.reader().await).await.map_err(failure)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
