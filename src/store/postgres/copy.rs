//! PostgreSQL's side of a copy: tables as the catalogue names them, rows as JSON.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _};
use tokio::sync::mpsc;

use super::commit::Job;
use super::{Postgres, failure, restore};
use crate::store::StoreError;
use crate::store::copy::{Heap, Table};

impl Postgres {
    /// Every table with its columns.
    pub(in crate::store) async fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let sql = "SELECT c.table_name::text, c.column_name::text, c.data_type = 'bigint'
            FROM information_schema.columns c JOIN information_schema.tables t
              USING(table_schema, table_name)
            WHERE table_schema = current_schema() AND t.table_type = 'BASE TABLE'
            ORDER BY 1";
        let rows = sqlx::query(sql).fetch_all(&mut *self.reader().await?).await.map_err(failure)?;
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
        let row = sqlx::query(sql).fetch_one(&mut *self.reader().await?).await.map_err(failure)?;
        Ok(row.get::<i64, _>(0).unsigned_abs())
    }

    /// Sends all rows of a table.
    pub(in crate::store) async fn read_rows(
        &self,
        table: &Table,
        to: mpsc::Sender<String>,
    ) -> Result<(), StoreError> {
        let (names, order) = (table.names(), table.order());
        let sql = format!("SELECT json_build_array({names})::text FROM \"{}\" {order}", table.name);
        let mut db = self.reader().await?;
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

    /// Writes rows of a table, and lets its own numbers go on behind them.
    pub(in crate::store) async fn write_rows(
        &self,
        table: &Table,
        rows: &str,
    ) -> Result<u64, StoreError> {
        let cells: Vec<_> = table
            .copied()
            .enumerate()
            .map(|(at, (_, is_number))| match is_number {
                true => format!("(v->>{at})::bigint"),
                false => format!("v->>{at}"),
            })
            .collect();
        let sql = format!(
            "INSERT INTO \"{}\"({}) SELECT {} FROM jsonb_array_elements($1::jsonb)
             WITH ORDINALITY r(v, n) ORDER BY n",
            table.name,
            table.names(),
            cells.join(", ")
        );
        let written = self.write(Job::Copy(&sql, rows)).await?;
        if table.columns.iter().any(|(name, _)| name == "id") {
            let name = &table.name;
            let sql = format!(
                "SELECT setval(sequence, highest) FROM (SELECT
                   pg_get_serial_sequence('\"{name}\"', 'id') AS sequence,
                   (SELECT max(id) FROM \"{name}\") AS highest) s
                 WHERE sequence IS NOT NULL AND $1 = ''"
            );
            self.write(Job::Copy(&sql, "")).await?;
        }
        Ok(written)
    }

    /// Says that a copy is under way, or no longer.
    pub(in crate::store) async fn mark(&self, key: &str, is_on: bool) -> Result<(), StoreError> {
        let sql = if is_on {
            "INSERT INTO meta(key, value) VALUES($1, '1')"
        } else {
            "DELETE FROM meta WHERE key = $1"
        };
        self.write(Job::Copy(sql, key)).await.map(drop)
    }

    /// What else the target must know.
    pub(in crate::store) async fn marks(&self) -> Result<Vec<(String, String)>, StoreError> {
        restore::marks(&mut *self.reader().await?).await
    }

    /// The balances of all accounts.
    pub(in crate::store) async fn balances(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT id || ':' || debits || ':' || credits || ':' || debits_pending || ':'
            || credits_pending FROM ledger_account ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&mut *self.reader().await?).await.map_err(failure)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
