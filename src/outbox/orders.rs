//! Deliveries that somebody wants sent after all: marked `queued` in the database by a command
//! beside the bot or in a chat, and taken up from there.
//!
//! A running bot marks nothing so but what it leaves for its next start, so that a queued row is an
//! order. No listener is needed, and an order that is given while the bot is down is not lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Outgoing, left};
use crate::bot::gauge::{Gauge, Ticket};
use crate::effect::DeliveryState;
use crate::store::{DeliveryQuery, Store, StoreError, Write};

/// How often the database is asked, ms; one small question.
const LOOK_MS: u64 = 2000;
/// Orders that are taken up at once.
const TAKE_MAX: i64 = 100;

/// What takes up orders.
pub struct Orders {
    /// Where they stand.
    pub store: Arc<dyn Store>,
    /// Where they go.
    pub outbox: mpsc::UnboundedSender<Outgoing>,
    /// What is under way.
    pub gauge: Arc<Gauge>,
    /// The bot stops: what is queued from now on is for its next start.
    pub stop: CancellationToken,
}

impl Orders {
    /// Looks again and again, and at once when an order was committed in a chat.
    pub async fn run(self, mut given: mpsc::UnboundedReceiver<Ticket>, is_looking: bool) {
        loop {
            let look = async {
                match is_looking {
                    true => tokio::time::sleep(Duration::from_millis(LOOK_MS)).await,
                    false => std::future::pending().await,
                }
            };
            let ticket = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                ticket = given.recv() => match ticket {
                    Some(ticket) => Some(ticket),
                    None => return,
                },
                () = look => None,
            };
            if let Err(error) = self.take().await {
                tracing::warn!(%error, "could not look for deliveries to send after all");
            }
            drop(ticket);
        }
    }

    async fn take(&self) -> Result<(), StoreError> {
        let queued = DeliveryQuery::of(DeliveryState::Queued, TAKE_MAX);
        let found = self.store.find_deliveries(&queued).await?;
        if found.is_empty() {
            return Ok(());
        }
        let writes: Vec<Write> = found.iter().map(left::sending).collect();
        self.store.commit(&writes).await?;
        for delivery in found {
            let since = delivery.not_before;
            let mut outgoing = Outgoing::new(delivery, Some(self.gauge.ticket()), None);
            outgoing.in_doubt = Some(since);
            outgoing.is_ordered = true;
            if self.outbox.send(outgoing).is_err() {
                tracing::debug!("the outbox has stopped; the delivery waits in the database");
            }
        }
        Ok(())
    }
}
