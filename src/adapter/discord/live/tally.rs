//! What was not handed on, counted; the first of each kind is logged, the rest would fill the disk.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Why something was not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// An event that the library cannot read.
    Unreadable,
    /// Understood, and of no use here.
    Ignored,
    /// Said or done by our own account.
    Own,
    /// More came than could be kept; the history is asked for it afterwards.
    Overflow,
}

const KINDS: usize = 4;
/// Kinds whose first one is logged; beyond, somebody makes them up.
const LOGGED_MAX: usize = 200;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Tally {
    counts: [AtomicU64; KINDS],
    logged: Mutex<HashSet<String>>,
}

impl Tally {
    /// One more; `kind` says of what, without anything that a member wrote.
    pub fn add(&self, why: Dropped, kind: &str) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
        if why == Dropped::Own {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < LOGGED_MAX && logged.insert(format!("{why:?} {kind}")) {
            tracing::warn!(?why, kind, "Discord: not handed on; later ones are only counted");
        }
    }

    /// How many so far.
    pub fn count(&self, why: Dropped) -> u64 {
        self.counts[why as usize].load(Ordering::Relaxed)
    }
}
