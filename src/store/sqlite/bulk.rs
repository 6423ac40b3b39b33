//! Many rows in one statement: a trip to SQLite's thread costs more than a row.
//!
//! Values are bound, not spread from JSON, which costs three times as much. A statement has one of
//! a few sizes, so that each is compiled once; rows that are not there are unbound, which is
//! `NULL`, and left out by their first column.

use std::sync::OnceLock;

use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::failure;
use crate::store::StoreError;

/// Rows that a statement has room for.
const SIZES: [usize; 3] = [8, 64, 256];
const LARGEST: usize = SIZES[SIZES.len() - 1];

/// A statement that is being bound.
pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// A statement over any number of rows, whose first column is never `NULL`.
pub(super) struct Bulk {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; SIZES.len()],
}

impl Bulk {
    /// `head SELECT * FROM (VALUES …) … tail`
    pub(super) const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self { head, columns, tail, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// Runs it for all rows, in their order.
    pub(super) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        mut rows: impl ExactSizeIterator<Item = T>,
        bind: impl Fn(Bound, T) -> Bound,
    ) -> Result<(), StoreError> {
        while rows.len() > 0 {
            let fitting = SIZES.iter().position(|size| rows.len() <= *size);
            let size = fitting.unwrap_or(SIZES.len() - 1);
            let text = self.texts[size].get_or_init(|| self.text(SIZES[size]));
            let mut query = sqlx::query(text.as_str());
            for row in rows.by_ref().take(LARGEST) {
                query = bind(query, row);
            }
            query.execute(&mut *connection).await.map_err(failure)?;
        }
        Ok(())
    }

    /// The statement with room for so many rows.
    pub(super) fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(","));
        let rows = vec![row; rows].join(",");
        let Self { head, tail, .. } = self;
        format!("{head} SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL {tail}")
    }

    /// Values in a row.
    pub(super) const fn columns(&self) -> usize {
        self.columns
    }
}
