//! What waits for one destination: in order, and beside it what held the others up for too long.

use std::collections::VecDeque;

use super::Outgoing;
use super::cards;
use super::chunks::Chunk;
use crate::clock::TimeMs;
use crate::effect::Delivery;

/// A delivery that fails holds up what stands behind it for so long, ms; then it is set aside.
pub(super) const HOLD_UP_MS: i64 = 60_000;

/// Sends and retries of one destination.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Outgoing>,
    aside: Vec<Aside>,
    /// One is with the adapter.
    pub(super) busy: bool,
    /// Its account has too many calls under way; it goes on when one of them ends.
    pub(super) stalled: bool,
    /// The platform, or what stands first, wants nothing sent before, Unix ms.
    pub(super) not_before: TimeMs,
    /// When the first is to be looked at again, Unix ms.
    pub(super) due: TimeMs,
}

/// A delivery that waits beside the queue, with the parts that follow it.
struct Aside {
    due: TimeMs,
    parts: VecDeque<Outgoing>,
}

impl Queue {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.aside.iter().map(|aside| aside.parts.len()).sum::<usize>()
    }

    /// Nothing waits, nothing is under way, and nobody asked for a wait that what comes next must keep.
    pub(super) fn is_over(&self, now: TimeMs) -> bool {
        !self.busy && self.len() == 0 && self.not_before <= now
    }

    /// When there is something to do; `None` while one is with the adapter.
    pub(super) fn next(&self) -> Option<TimeMs> {
        if self.busy || self.stalled {
            return None;
        }
        let first = (!self.waiting.is_empty()).then_some(self.due);
        let asides = self.aside.iter().map(|aside| aside.due.max(self.not_before));
        first.into_iter().chain(asides).min()
    }

    /// Lets the others pass: this one waits beside them, with the later parts of its message.
    pub(super) fn set_aside(&mut self, outgoing: Outgoing, due: TimeMs) {
        let mut parts = VecDeque::from([outgoing]);
        if let Some(chain) = chain_of(&parts[0].delivery) {
            let (mine, others) = self
                .waiting
                .drain(..)
                .partition(|other| chain_of(&other.delivery).as_deref() == Some(&chain));
            self.waiting = others;
            let mine: VecDeque<Outgoing> = mine;
            parts.extend(mine);
        }
        self.aside.push(Aside { due, parts });
    }

    /// What was set aside and whose time has come goes in front.
    pub(super) fn recall(&mut self, now: TimeMs) {
        let mut at = 0;
        while at < self.aside.len() {
            if self.aside[at].due > now {
                at += 1;
                continue;
            }
            let aside = self.aside.remove(at);
            for outgoing in aside.parts.into_iter().rev() {
                self.waiting.push_front(outgoing);
            }
        }
    }

    /// A later part of a message stands behind those that were set aside with the earlier ones.
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        let chain = chain_of(&outgoing.delivery);
        let is_mine = |aside: &&mut Aside| {
            let first = aside.parts.front().and_then(|first| chain_of(&first.delivery));
            chain.is_some() && first == chain
        };
        match self.aside.iter_mut().find(is_mine) {
            Some(aside) => aside.parts.push_back(outgoing),
            None => self.waiting.push_back(outgoing),
        }
    }

    /// A card that still waits is replaced by a newer state of the same card.
    pub(super) fn take_superseded(&mut self, newer: &Delivery) -> Option<Outgoing> {
        let queues = self.aside.iter_mut().map(|aside| &mut aside.parts);
        let found = std::iter::once(&mut self.waiting)
            .chain(queues)
            .find_map(|waiting| cards::take_superseded(waiting, newer));
        self.aside.retain(|aside| !aside.parts.is_empty());
        found
    }

    /// The parts of a message that wait behind one of them.
    pub(super) fn take_tail(&mut self, chain: &str) -> Vec<Outgoing> {
        let mut tail = Vec::new();
        let asides = self.aside.iter_mut().map(|aside| &mut aside.parts);
        for waiting in std::iter::once(&mut self.waiting).chain(asides) {
            let (mine, others): (VecDeque<_>, VecDeque<_>) = waiting
                .drain(..)
                .partition(|outgoing| chain_of(&outgoing.delivery).as_deref() == Some(chain));
            *waiting = others;
            tail.extend(mine);
        }
        self.aside.retain(|aside| !aside.parts.is_empty());
        tail
    }

    /// The clock was put back: every wait keeps its length.
    pub(super) fn put_back(&mut self, by_ms: i64) {
        self.not_before -= by_ms;
        self.due -= by_ms;
        self.waiting.iter_mut().for_each(|waiting| waiting.put_back(by_ms));
        for aside in &mut self.aside {
            aside.due -= by_ms;
            aside.parts.iter_mut().for_each(|part| part.put_back(by_ms));
        }
    }

    /// Everything that waits, to be given back.
    pub(super) fn take_all(&mut self) -> Vec<Outgoing> {
        let aside = self.aside.drain(..).flat_map(|aside| aside.parts);
        self.waiting.drain(..).chain(aside).collect()
    }

    /// Tickets of all that wait: they wait for the clock, so nothing of them is under way.
    pub(super) fn take_tickets(&mut self) -> Vec<crate::bot::gauge::Ticket> {
        let aside = self.aside.iter_mut().flat_map(|aside| aside.parts.iter_mut());
        self.waiting.iter_mut().chain(aside).filter_map(|waiting| waiting.ticket.take()).collect()
    }
}

fn chain_of(delivery: &Delivery) -> Option<String> {
    Chunk::of(&delivery.key).map(|chunk| chunk.chain.to_owned())
}
