//! What SQLite and PostgreSQL are asked in the same words.
//!
//! This folder is compiled twice, once below each of them, because their connections and rows are
//! different types: `Db`, `DbRow`, `failure`, `kept` and `kept_json` are those of the module above,
//! and `sql` there has the few texts that differ. Whoever writes is in a transaction already.

pub mod accounts;
pub mod audit;
pub mod delivery;
pub mod forget;
pub mod health;
pub mod keep;
pub mod ledger;
pub mod news;
pub mod object;
pub mod read;
pub mod restore;
pub mod routine;
pub mod score;
pub mod strangers;
pub mod verify;

use super::{Db, DbRow, failure, kept, kept_json, sql};
