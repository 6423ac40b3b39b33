//! How much is under way: events not committed, deliveries not settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts what is under way and wakes those who wait for nothing to be.
#[derive(Debug, Default)]
pub struct Gauge {
    count: AtomicUsize,
    empty: Notify,
}

impl Gauge {
    /// One more thing under way, until the ticket is dropped.
    pub fn ticket(self: &Arc<Self>) -> Ticket {
        self.count.fetch_add(1, Ordering::SeqCst);
        Ticket(self.clone())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Resolves when nothing is under way.
    pub async fn settled(&self) {
        loop {
            // Register before looking, so that the last ticket is not missed.
            let empty = self.empty.notified();
            tokio::pin!(empty);
            empty.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            empty.await;
        }
    }
}

/// One thing under way.
#[derive(Debug)]
pub struct Ticket(Arc<Gauge>);

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.empty.notify_waiters();
        }
    }
}
