//! PostgreSQL's errors, sorted by what can be done about them.

use crate::store::StoreError;

/// Raised by `bot_stamp`: somebody else has the lease.
const LEASE_LOST: &str = "QD001";

/// Sorts an error. Classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(super) fn failure(error: sqlx::Error) -> StoreError {
    let inner = match &error {
        sqlx::Error::Database(inner) => inner,
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound => {
            return StoreError::Data(error.to_string());
        }
        _ => return StoreError::Io(error.to_string()),
    };
    let code = inner.code().unwrap_or_default();
    let said = inner.message().to_owned();
    match code.get(..2).unwrap_or_default() {
        _ if code == LEASE_LOST => lost(),
        "23" if inner.constraint() == Some("event_happens_once") => StoreError::Repeat,
        // A constraint, a value that does not fit, a row that is too large for its index, the same
        // row twice: the data is the reason.
        "23" | "22" | "54" | "21" => StoreError::Constraint(said),
        // A table or column that is not there: another version made this database.
        "42" => StoreError::Data(said),
        _ => StoreError::Io(said),
    }
}

/// The refusal of a process that was replaced.
pub(super) fn lost() -> StoreError {
    StoreError::InUse(
        "another qundao has taken over this database, because this one did not answer for longer \
         than its lease; this one stops"
            .to_owned(),
    )
}

/// Two transactions met, and this one has to run again: nothing is wrong with it.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|inner| inner.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
