//! How much is under way: events not committed, deliveries not settled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::id::EventId;

/// Counts what is under way and wakes those who wait for nothing to be.
#[derive(Debug, Default)]
pub struct Gauge {
    count: AtomicUsize,
    empty: Notify,
    posts: Mutex<HashMap<EventId, usize>>,
}

impl Gauge {
    /// One more thing under way, until the ticket is dropped.
    pub fn ticket(self: &Arc<Self>) -> Ticket {
        self.count.fetch_add(1, Ordering::SeqCst);
        Ticket { gauge: self.clone(), heard: None }
    }

    /// One more post of a routine that is not settled, until this is dropped.
    pub fn post(self: &Arc<Self>, event: EventId) -> OpenPost {
        *self.posts().entry(event).or_insert(0) += 1;
        OpenPost(self.clone(), event)
    }

    /// Whether posts of this event are not settled.
    pub fn has_posts(&self, event: EventId) -> bool {
        self.posts().contains_key(&event)
    }

    fn posts(&self) -> MutexGuard<'_, HashMap<EventId, usize>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
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
pub struct Ticket {
    gauge: Arc<Gauge>,
    /// Who waits for it to end.
    heard: Option<oneshot::Sender<()>>,
}

impl Ticket {
    /// Ends when the ticket is given back: what it stood for is written.
    pub fn given_back(&mut self) -> oneshot::Receiver<()> {
        let (heard, ended) = oneshot::channel();
        self.heard = Some(heard);
        ended
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(heard) = self.heard.take() {
            let _ = heard.send(());
        }
        if self.gauge.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.gauge.empty.notify_waiters();
        }
    }
}

/// A post of a routine that is not settled.
#[derive(Debug)]
pub struct OpenPost(Arc<Gauge>, EventId);

impl Drop for OpenPost {
    fn drop(&mut self) {
        let mut posts = self.0.posts();
        let left = posts.get(&self.1).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            posts.remove(&self.1);
        } else {
            posts.insert(self.1, left);
        }
    }
}
