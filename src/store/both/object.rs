//! Rows as JSON, column by column, for people who read them.

use serde_json::Value;
use sqlx::{Column as _, Row as _, TypeInfo as _, ValueRef as _};

use super::DbRow;

/// What the databases call their whole numbers.
const NUMBERS: [&str; 2] = ["INTEGER", "INT8"];

/// A row as an object.
pub fn object(row: &DbRow) -> Value {
    let cell = |at: usize| match row.try_get_raw(at) {
        Ok(raw) if raw.is_null() => Value::Null,
        Ok(raw) if NUMBERS.contains(&raw.type_info().name()) => {
            row.try_get::<i64, _>(at).map_or(Value::Null, Value::from)
        }
        Ok(_) => row.try_get::<&str, _>(at).map_or(Value::Null, Value::from),
        Err(_) => Value::Null,
    };
    let cells =
        row.columns().iter().map(|column| (column.name().to_owned(), cell(column.ordinal())));
    Value::Object(cells.collect())
}
