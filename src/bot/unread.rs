//! Events that adapters could not read: counted where `doctor` finds them, because the log is read by
//! nobody until something is missing.

use std::sync::Arc;
use std::time::Duration;

use crate::adapter::Adapter;
use crate::clock::Clock;
use crate::store::Store;

/// How often the counts are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// Writes down how many more there are, minute by minute. What the last minute before the end brings
/// is in the log alone.
pub(super) async fn count(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    adapters: Vec<Arc<dyn Adapter>>,
) {
    let mut known = vec![0; adapters.len()];
    loop {
        tokio::time::sleep(EVERY).await;
        for (adapter, known) in adapters.iter().zip(&mut known) {
            let (count, account) = (adapter.unreadable(), adapter.account());
            let more = count.saturating_sub(*known);
            if more == 0 {
                continue;
            }
            match store.note_unreadable(account.platform(), clock.now(), more).await {
                Ok(()) => *known = count,
                Err(error) => tracing::warn!(%error, "could not count what was not read"),
            }
        }
    }
}
