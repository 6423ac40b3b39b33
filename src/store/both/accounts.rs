//! The bot's own accounts by number: every event names one, and there are few.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sqlx::Row;

use super::{Db, DbRow, failure};
use crate::id::Ref;
use crate::store::StoreError;

/// Numbers of accounts, as the table `bot_account` has them.
#[derive(Default)]
pub struct BotAccounts {
    numbers: RwLock<HashMap<Ref, i64>>,
}

impl BotAccounts {
    /// What the database knows.
    pub async fn load(connection: &mut Db) -> Result<Self, StoreError> {
        let rows = sqlx::query("SELECT ref, id FROM bot_account").fetch_all(connection).await;
        let pair = |row: &DbRow| Some((Ref::parse(row.get(0))?, row.get(1)));
        let numbers = rows.map_err(failure)?.iter().filter_map(pair).collect();
        Ok(Self { numbers: RwLock::new(numbers) })
    }

    /// The number of an account; `None` where no event of it was ever committed.
    pub fn known(&self, account: &Ref) -> Option<i64> {
        self.numbers.read().unwrap_or_else(PoisonError::into_inner).get(account).copied()
    }

    /// The number of an account that [`Self::learn`] has seen.
    pub fn number(&self, account: &Ref) -> i64 {
        self.known(account).unwrap_or_default()
    }

    /// Gives numbers to accounts that have none, at once and for good.
    pub async fn learn<'a>(
        &self,
        connection: &mut Db,
        accounts: impl Iterator<Item = &'a Ref>,
    ) -> Result<(), StoreError> {
        let mut last: Option<&Ref> = None;
        for account in accounts {
            if last == Some(account) || self.known(account).is_some() {
                last = Some(account);
                continue;
            }
            let sql = "INSERT INTO bot_account(ref) VALUES($1)
                ON CONFLICT(ref) DO UPDATE SET ref = excluded.ref RETURNING id";
            let row = sqlx::query(sql).bind(account.as_str().to_owned());
            let number = row.fetch_one(&mut *connection).await.map_err(failure)?.get(0);
            let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
            numbers.insert(account.clone(), number);
        }
        Ok(())
    }
}
