//! Stopping: nothing new comes in, what has begun is finished, the rest waits in the database.
//!
//! Whatever was offered before the door closed is committed, or set aside as waiting; a delivery
//! that no adapter had is `queued` again, one that an adapter did not end stays `sending`, and the
//! next start knows that nobody knows.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Bot;
use crate::lane::Message;
use crate::planted::{self, Point};

/// Longest wait for the adapters to end.
const ADAPTERS: Duration = Duration::from_secs(2);
/// The part of `shutdown_s` that is kept for setting aside what could not be finished.
const ASIDE: u32 = 3;

impl Bot {
    /// Stops intake, finishes every turn and delivery within the limit, closes the store.
    ///
    /// # Errors
    /// What could not be finished in time; it is safe in the database.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let limit = Duration::from_secs(self.config().limits.shutdown_s);
        let end = Instant::now() + limit;
        self.end_adapters(end).await;
        self.door.close();
        let in_time = timeout_at(end - limit / ASIDE, self.gauge.settled()).await.is_ok();
        if !in_time {
            // What has not begun is set aside; what has begun gets the rest of the time.
            let _ = self.lanes.send(Message::SetAside);
        }
        let parked = async {
            self.outbox_due.park();
            self.outbox_due.is_parked.notified().await;
            self.gauge.settled().await;
        };
        let is_settled = timeout_at(end, parked).await.is_ok();
        let left = self.gauge.count();
        for task in &self.tasks {
            task.abort();
        }
        planted::reach(Point::Stopping);
        self.store.close().await;
        anyhow::ensure!(
            is_settled,
            "{left} events or deliveries were not finished within `shutdown_s`; what was accepted \
             is in the database and goes on with the next start"
        );
        Ok(())
    }

    /// Adapters end by themselves; one that does not is ended.
    async fn end_adapters(&mut self, end: Instant) {
        self.stop.cancel();
        let last = end.min(Instant::now() + ADAPTERS);
        for adapter in &mut self.adapters {
            if timeout_at(last, &mut *adapter).await.is_err() {
                tracing::warn!("an adapter did not end when it was told to");
                adapter.abort();
            }
        }
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in self.tasks.iter().chain(&self.adapters) {
            task.abort();
        }
    }
}
