//! Many rows in one statement: a trip to SQLite's thread costs more than a row.
//!
//! Values are bound, not spread from JSON, which costs three times as much. Statements have one of
//! a few sizes, so that each is compiled once.

use std::sync::OnceLock;

use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::failure;
use crate::store::StoreError;

/// Rows of one statement, the largest first; the last takes what is left.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// A statement that is being bound.
pub(super) type Bound = Query<'static, Sqlite, SqliteArguments>;

/// A statement over any number of rows: `head (?,?),(?,?) tail`.
pub(super) struct Bulk {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; SIZES.len()],
}

impl Bulk {
    /// `tail` follows the rows.
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
            let fitting = SIZES.iter().position(|size| *size <= rows.len());
            let size = fitting.unwrap_or(SIZES.len() - 1);
            let mut query = sqlx::query(self.text(size));
            for row in rows.by_ref().take(SIZES[size]) {
                query = bind(query, row);
            }
            query.execute(&mut *connection).await.map_err(failure)?;
        }
        Ok(())
    }

    fn text(&'static self, size: usize) -> &'static str {
        self.texts[size].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns].join(","));
            format!("{} {} {}", self.head, vec![row; SIZES[size]].join(","), self.tail)
        })
    }
}
