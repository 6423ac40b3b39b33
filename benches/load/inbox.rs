//! A platform inside the process: events go straight to the door, as fast as they are committed.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use qundao::adapter::Accepted;
use qundao::bot::Bot;
use qundao::event::Envelope;
use tokio::sync::oneshot;

/// Events that come together.
const BATCH: usize = 64;
/// Batches under way.
const WINDOW: usize = 32;

/// Offers events for so long, or so many; returns how many were committed, and the seconds.
pub async fn offer_all(
    bot: &Bot,
    mut event: impl FnMut(usize) -> Envelope,
    (most, time): (usize, Duration),
) -> (usize, f64) {
    let (inbox, began, mut sent) = (bot.inbox(), Instant::now(), 0);
    let mut under_way: VecDeque<Vec<oneshot::Receiver<Accepted>>> = VecDeque::new();
    while sent < most && began.elapsed() < time {
        if under_way.len() == WINDOW {
            committed(under_way.pop_front()).await;
        }
        let mut receipts = Vec::with_capacity(BATCH);
        let batch = (0..BATCH.min(most - sent)).map(|n| {
            let (receipt, heard) = oneshot::channel();
            receipts.push(heard);
            (event(sent + n), Some(receipt))
        });
        let batch: Vec<_> = batch.collect();
        sent += batch.len();
        under_way.push_back(receipts);
        inbox.offer_all(batch).await;
    }
    for receipts in under_way {
        committed(Some(receipts)).await;
    }
    bot.settled().await;
    (sent, began.elapsed().as_secs_f64())
}

async fn committed(receipts: Option<Vec<oneshot::Receiver<Accepted>>>) {
    for receipt in receipts.into_iter().flatten() {
        assert_eq!(receipt.await, Ok(Accepted::New));
    }
}
