//! A whole transaction in one trip to SQLite's thread.
//!
//! A trip wakes two threads, which costs more than the rows of a small batch. So all statements
//! travel as one text between `BEGIN` and `COMMIT`. Tables that every batch writes have room for one
//! of a few numbers of rows, so that there are few texts and each is compiled once; what fewer write
//! comes as JSON, and small batches go without the statements of which they have no rows.

use std::sync::OnceLock;

use sqlx::sqlite::SqliteConnection;

use super::bulk::{Bound, Bulk};
use super::{begin, failure};
use crate::store::StoreError;

/// Tables in a trip.
const TABLES: usize = 4;
/// Rows in each table, in the order of the tables.
pub(super) type Rows = [usize; TABLES];
/// Rows that there is room for. Counts follow slowly and few messages are answered, so there are
/// fewer of them than events. A text with the most room takes a megabyte when it is compiled.
const ROOMS: [Rows; 4] = [[24, 8, 8, 8], [48, 32, 16, 16], [64, 128, 48, 48], [256, 256, 64, 64]];
/// Rooms so small that what few batches write is left out where it can be. Larger batches have
/// some of it more often than not.
const SPARE: usize = 2;
/// With the JSON statements in the middle, and without.
const VARIANTS: usize = ROOMS.len() + SPARE;

/// Statements that go together: JSON, two tables, JSON, two tables.
pub(super) struct Trip {
    json: [&'static [&'static str]; 2],
    tables: [&'static Bulk; TABLES],
    texts: [OnceLock<String>; VARIANTS],
}

impl Trip {
    pub(super) const fn new(
        json: [&'static [&'static str]; 2],
        tables: [&'static Bulk; TABLES],
    ) -> Self {
        Self { json, tables, texts: [const { OnceLock::new() }; VARIANTS] }
    }

    /// A trip with room for so many rows; `None` where they are too many for one.
    pub(super) fn with_room(&'static self, rows: Rows, is_rare: bool) -> Option<Load> {
        let fits = |room: &Rows| rows.iter().zip(room).all(|(rows, room)| rows <= room);
        let size = ROOMS.iter().position(fits)?;
        let has_rare = is_rare || size >= SPARE;
        let query = sqlx::query(self.variant(size, has_rare));
        Some(Load { query, trip: self, room: ROOMS[size], has_rare, at: 0, missing: 0 })
    }

    /// Compiles all texts before anybody waits for one, which takes tens of milliseconds.
    pub(super) async fn warm(
        &'static self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let all = (0..SPARE).map(|size| (size, false));
        for (size, has_rare) in all.chain((0..ROOMS.len()).map(|size| (size, true))) {
            // Nothing is bound, so there are no rows.
            let warmed = sqlx::query(self.variant(size, has_rare)).execute(&mut *connection).await;
            warmed.map_err(failure)?;
        }
        Ok(())
    }

    fn variant(&'static self, size: usize, has_rare: bool) -> &'static str {
        let at = if has_rare { SPARE + size } else { size };
        self.texts[at].get_or_init(|| self.text(ROOMS[size], has_rare))
    }

    fn text(&self, room: Rows, has_rare: bool) -> String {
        let mut statements = vec![begin().to_owned()];
        let halves =
            self.json.iter().zip([true, has_rare]).zip([0..TABLES / 2, TABLES / 2..TABLES]);
        for ((json, has_json), tables) in halves {
            if has_json {
                statements.extend(json.iter().map(|&sql| sql.to_owned()));
            }
            statements.extend(tables.map(|at| self.tables[at].text(room[at])));
        }
        statements.push("COMMIT".to_owned());
        statements.join(";\n")
    }
}

/// A trip that is being loaded, table by table.
pub(super) struct Load {
    query: Bound,
    trip: &'static Trip,
    room: Rows,
    /// Whether the second half begins with JSON.
    pub(super) has_rare: bool,
    /// The next table.
    at: usize,
    /// Values that the tables before it have room for and no rows.
    missing: usize,
}

impl Load {
    /// Rows as JSON for the statements that come next.
    pub(super) fn json(mut self, rows: Vec<String>) -> Self {
        self = self.filled();
        self.query = rows.into_iter().fold(self.query, |query, rows| query.bind(rows));
        self
    }

    /// All rows of the next table.
    pub(super) fn rows<T>(
        mut self,
        rows: impl ExactSizeIterator<Item = T>,
        bind: impl Fn(Bound, T) -> Bound,
    ) -> Self {
        let free = (self.room[self.at] - rows.len()) * self.trip.tables[self.at].columns();
        if rows.len() > 0 {
            self = self.filled();
            self.query = rows.fold(self.query, bind);
        }
        // What follows the last value is left unbound, which is `NULL` as well.
        Self { missing: self.missing + free, at: self.at + 1, ..self }
    }

    /// Fills the room that is free before the next value.
    fn filled(mut self) -> Self {
        let missing = std::mem::take(&mut self.missing);
        self.query = (0..missing).fold(self.query, |query, _| query.bind(None::<i64>));
        self
    }

    /// Commits all of it, or nothing.
    pub(super) async fn commit(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let result = self.query.execute(&mut *connection).await;
        if result.is_err() {
            roll_back(connection).await;
        }
        result.map(drop).map_err(failure)
    }
}

/// Ends a transaction that sqlx does not know of. SQLite may have ended it itself, or never have
/// begun it, so a refusal says nothing.
async fn roll_back(connection: &mut SqliteConnection) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        tracing::debug!(%error, "roll back");
    }
}
