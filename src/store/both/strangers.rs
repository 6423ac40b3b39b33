//! Accounts that the database has, as fingerprints in memory: of people whom it has never met it need
//! not be asked, and a lively day brings many of them at once.
//!
//! Only the process that works on the database writes accounts, so that none can be missing here. One
//! that was forgotten meanwhile, or looks like another, only costs a question.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt as _;
use sqlx::Row as _;

use super::{Db, failure};
use crate::id::Ref;
use crate::store::{StoreError, Write};

/// With more accounts than this the database is always asked: these take 5 MiB.
const MOST: usize = 458_752;

/// Who is not known to the database.
#[derive(Default)]
pub struct Strangers {
    hasher: RandomState,
    /// `None` where somebody may be missing.
    known: Mutex<Option<HashSet<u64>>>,
}

impl Strangers {
    /// What the database knows.
    pub async fn load(connection: &mut Db) -> Result<Self, StoreError> {
        let (strangers, mut known) = (Self::default(), HashSet::new());
        let mut rows = sqlx::query("SELECT ref FROM account").fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(failure)? {
            known.insert(strangers.hasher.hash_one(row.get::<&str, _>(0)));
            if known.len() > MOST {
                return Ok(strangers);
            }
        }
        *strangers.known() = Some(known);
        Ok(strangers)
    }

    /// Before these are written.
    pub fn note(&self, batch: &[Write]) {
        let turns = batch.iter().filter_map(|write| match write {
            Write::Turn(rows) => Some(rows),
            Write::Deliver(_) | Write::Settle(_) | Write::Audit(_) => None,
        });
        let mut known = self.known();
        for person in turns.flat_map(|rows| &rows.persons) {
            let Some(some) = known.as_mut() else { return };
            some.insert(self.hasher.hash_one(person.account.as_str()));
            if some.len() > MOST {
                *known = None;
            }
        }
    }

    /// Whether the database knows none of them, so that it need not be asked.
    pub fn are(&self, accounts: &[Ref]) -> bool {
        self.known().as_ref().is_some_and(|known| {
            accounts.iter().all(|account| !known.contains(&self.hasher.hash_one(account.as_str())))
        })
    }

    fn known(&self) -> MutexGuard<'_, Option<HashSet<u64>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
