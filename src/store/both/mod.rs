//! What SQLite and PostgreSQL are asked in the same words.
//!
//! This folder is compiled twice, once below each of them, because their connections and rows are
//! different types: `Db`, `DbRow`, `failure`, `kept` and `kept_json` are those of the module above,
//! and `sql` there has the few texts that differ.

pub mod accounts;
pub mod forget;
pub mod health;
pub mod news;
pub mod read;
pub mod routine;
pub mod score;
pub mod verify;

use super::{Db, DbRow, failure, kept, kept_json, sql};
