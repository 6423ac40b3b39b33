//! The auditor: every hour it checks each ledger, without holding anybody up. What does not hold
//! freezes that ledger alone, is told once and written down for people to look into.
//!
//! A wrong number must not be built upon; everything else that the bot does goes on.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::Bot;
use crate::clock::{Clock, TimeMs};
use crate::commit::{Listeners, tell};
use crate::id::CommunityId;
use crate::report::Notice;
use crate::store::{FreezeRow, LedgerAudit, LedgerDump, Store};
use crate::turn::World;

/// How often each ledger is checked.
const EVERY: Duration = Duration::from_secs(3600);
/// Folder of dumps, below the data folder.
const FOLDER: &str = "forensics";
/// Transfers in a dump, the latest.
const DUMP_TRANSFERS: i64 = 100_000;
/// Sentences in a notice; the dump has all.
const SENTENCES: usize = 3;

/// What the auditor works with.
#[derive(Clone)]
pub(super) struct Auditor {
    pub(super) store: Arc<dyn Store>,
    pub(super) world: Arc<World>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) notices: Arc<Listeners<Notice>>,
    /// The data folder.
    pub(super) data: PathBuf,
}

/// What lies in a dump.
#[derive(Serialize)]
struct Dump<'a> {
    community: CommunityId,
    key: &'a str,
    at: TimeMs,
    audit: &'a LedgerAudit,
    rows: &'a LedgerDump,
}

impl Auditor {
    /// Checks again and again.
    pub(super) async fn run(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.round().await {
                tracing::warn!("the ledgers could not be checked: {error:#}");
            }
        }
    }

    /// Checks every ledger; how many did not hold.
    pub(super) async fn round(&self) -> anyhow::Result<usize> {
        let mut known: Vec<(CommunityId, String)> = {
            let places = self.world.places.read().expect("places are only replaced whole");
            places.keys.iter().map(|(id, key)| (*id, key.clone())).collect()
        };
        known.sort();
        let mut wrong = 0;
        for (id, key) in known {
            let audit = self.store.audit(id).await.context("check a ledger")?;
            if !audit.broken.is_empty() {
                wrong += 1;
                self.freeze(id, &key, &audit).await?;
            }
            // Others have waited.
            tokio::task::yield_now().await;
        }
        Ok(wrong)
    }

    async fn freeze(&self, id: CommunityId, key: &str, audit: &LedgerAudit) -> anyhow::Result<()> {
        // First that nothing moves any more, then what is to be said about it.
        if !self.world.freeze(id) {
            return Ok(());
        }
        let at = self.clock.now();
        let dump = match self.dump(id, key, at, audit).await {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("none ({error:#})"),
        };
        let said: Vec<&str> = audit.broken.iter().take(SENTENCES).map(String::as_str).collect();
        let more = audit.broken.len() - said.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let reason = format!("{}{more}; dump: {dump}", said.join("; "));
        let row = FreezeRow { community: id, at, reason: reason.clone() };
        let noted = self.store.freeze(&row).await;
        let text = format!(
            "the ledger of `{key}` does not hold and is frozen, everything else goes on: {reason}; \
             when it is repaired, stop the bot and run `qundao ledger thaw {key}`"
        );
        tell(&self.notices, &Notice { community: Some(id), text, is_problem: true });
        // It is frozen until the bot stops, and the next check finds it again.
        noted.context("note that a ledger is frozen")
    }

    async fn dump(
        &self,
        id: CommunityId,
        key: &str,
        at: TimeMs,
        audit: &LedgerAudit,
    ) -> anyhow::Result<PathBuf> {
        let rows = self.store.dump(id, DUMP_TRANSFERS).await?;
        let dump = Dump { community: id, key, at, audit, rows: &rows };
        let text = serde_json::to_vec_pretty(&dump)?;
        let path = self.data.join(FOLDER).join(format!("ledger-{id}-{at}.json"));
        let to = path.clone();
        tokio::task::spawn_blocking(move || write_private(&to, &text)).await??;
        Ok(path)
    }
}

/// Only the owner may read it.
fn write_private(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("make `{}`", folder.display()))?;
    let mut options = std::fs::File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).with_context(|| format!("write `{}`", path.display()))?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(())
}

impl Bot {
    /// Checks every ledger now, as every hour; how many did not hold.
    ///
    /// # Errors
    /// What the store says.
    pub async fn audit(&self) -> anyhow::Result<usize> {
        self.auditor().round().await
    }

    pub(super) fn auditor(&self) -> Auditor {
        Auditor {
            store: self.store.clone(),
            world: self.world.clone(),
            clock: self.clock.clone(),
            notices: self.notices.clone(),
            data: self.config().bot.data.clone(),
        }
    }
}
