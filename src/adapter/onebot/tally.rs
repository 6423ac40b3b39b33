//! What was not handed on, counted; the first of each kind is logged, the rest would fill the disk.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Why something was not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Not understood.
    Unreadable,
    /// Understood, and of no use here.
    Ignored,
    /// It names another account than its connection.
    Foreign,
    /// Of a group that another of our accounts serves.
    ServedByAnother,
    /// Said by one of our own accounts.
    Own,
    /// An answer that nobody waits for.
    Stray,
    /// Wrong token, wrong signature, account not allowed.
    Refused,
}

const KINDS: usize = 7;
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
        if matches!(why, Dropped::ServedByAnother | Dropped::Own) {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < LOGGED_MAX && logged.insert(format!("{why:?} {kind}")) {
            match why {
                Dropped::Ignored | Dropped::Stray => {
                    tracing::info!(
                        ?why,
                        kind,
                        "OneBot: not handed on; later ones are only counted"
                    );
                }
                _ => {
                    tracing::warn!(
                        ?why,
                        kind,
                        "OneBot: not handed on; later ones are only counted"
                    );
                }
            }
        }
    }

    /// How many so far.
    pub fn count(&self, why: Dropped) -> u64 {
        self.counts[why as usize].load(Ordering::Relaxed)
    }
}
