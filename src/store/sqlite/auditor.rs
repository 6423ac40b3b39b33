//! Checks of ledgers: on a connection of their own, and after every commit where a test asks for it.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::Mutex;

use super::{Sqlite, connect, failure, verify};
use crate::id::CommunityId;
use crate::store::parts::ledgers_of;
use crate::store::{LedgerAudit, StoreError, Write};

/// Hears of ledgers that do not hold.
pub type Hearer = Box<dyn Fn(&[String]) + Send + Sync>;

impl Sqlite {
    /// Checks the ledgers that a commit touched, right after it, and tells what does not hold: for
    /// tests and transcripts, since it costs more than the commit.
    #[must_use]
    pub fn audited(mut self, hearer: Hearer) -> Self {
        self.hearer = Some(hearer);
        self
    }

    /// The connection for checks, which take long: nobody else waits for it.
    pub(super) async fn auditor(&self) -> Result<&Mutex<SqliteConnection>, StoreError> {
        let Some(path) = &self.path else { return Ok(&self.writer) };
        let open = || async {
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            connect(options).await.map(Mutex::new)
        };
        self.auditor.get_or_try_init(open).await
    }

    /// Checks one ledger.
    pub(super) async fn check_one(&self, id: CommunityId) -> Result<LedgerAudit, StoreError> {
        let mut auditor = self.auditor().await?.lock().await;
        let audit = verify::audit(&mut auditor, id).await?;
        if self.path.is_some() {
            // Nobody needs these pages for the next hour.
            let rest = sqlx::query("PRAGMA shrink_memory").execute(&mut *auditor).await;
            rest.map_err(failure)?;
        }
        Ok(audit)
    }

    /// Checks what a commit touched, if somebody wants to hear of it.
    pub(super) async fn look_after(
        &self,
        writer: &mut SqliteConnection,
        batch: &[Write],
    ) -> Result<(), StoreError> {
        let Some(hearer) = &self.hearer else { return Ok(()) };
        for id in ledgers_of(batch) {
            let audit = verify::audit(writer, id).await?;
            if !audit.broken.is_empty() {
                hearer(&audit.broken);
            }
        }
        Ok(())
    }
}
