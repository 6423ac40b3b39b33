//! Forgetting a person while the bot runs: the lanes hold still until all that was decided is on the
//! disk, the database forgets her, and then memory does.
//!
//! No turn that knows her can so commit after she was forgotten. If something of hers still waits,
//! it is that of a newcomer.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Arrival, Lane, Lanes, Message, Phase};
use crate::bot::gauge::Ticket;
use crate::clock::TimeMs;
use crate::event::Event;
use crate::id::PersonId;
use crate::report::Notice;
use crate::store::{AuditRow, ForgetRow, StoreError};

/// The file is written anew at most this often, ms.
const WRITTEN_EVERY_MS: i64 = 600_000;

/// Wishes to be forgotten, in the order in which they came.
#[derive(Default)]
pub(super) struct Erasures {
    waiting: VecDeque<(ForgetRow, Ticket)>,
    is_busy: bool,
    /// When the file was last written anew, Unix ms.
    written_at: TimeMs,
}

impl Erasures {
    /// Whether no new turn may begin.
    pub(super) fn is_holding(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Lanes {
    /// Somebody is to be forgotten.
    pub(super) fn erase(&mut self, wish: ForgetRow, ticket: Ticket) {
        let same = |other: &ForgetRow| (other.person, other.community) == (wish.person, None);
        // Who asks twice before it is done is forgotten once.
        if !self.erasures.waiting.iter().any(|(other, _)| same(other)) {
            self.erasures.waiting.push_back((wish, ticket));
        }
    }

    /// Forgets the next one, if everything that was decided is on the disk.
    pub(super) fn go_on_erasing(&mut self) {
        if self.erasures.is_busy || !self.lanes.values().all(Lane::is_quiet) {
            return;
        }
        let Some((wish, _)) = self.erasures.waiting.front() else { return };
        self.erasures.is_busy = true;
        let (wish, store, back) = (*wish, self.store.clone(), self.back.clone());
        let line = self.line(&wish);
        tokio::spawn(async move {
            let result = store.forget(&wish, &line).await;
            // Nobody listens when the bot has stopped; the wish waits in the database.
            let _ = back.send(Message::Erased(wish, result));
        });
    }

    fn line(&self, wish: &ForgetRow) -> AuditRow {
        let at = self.clock.now();
        let action = if wish.community.is_some() { "forget.texts" } else { "forget" };
        AuditRow {
            event: None,
            community: wish.community,
            at,
            actor: "core".to_owned(),
            by: None,
            about: None,
            action: action.to_owned(),
            object: format!("person {}", wish.person),
            detail: String::new(),
            salt: self.world.salt(&[&at.to_be_bytes(), &wish.person.0.to_be_bytes()]),
        }
    }

    /// The database has forgotten her: now memory does.
    pub(super) fn erased(&mut self, wish: ForgetRow, result: Result<(), StoreError>) {
        self.erasures.is_busy = false;
        let ticket = self.erasures.waiting.pop_front().map(|(_, ticket)| ticket);
        match result {
            Ok(()) => {
                if wish.community.is_none() {
                    self.forget_person(wish.person);
                }
                self.compact(ticket);
            }
            Err(error) => {
                let text = format!(
                    "who asked to be forgotten (person {}) could not be: {error}; the next start \
                     tries again",
                    wish.person
                );
                self.tell(Notice { community: None, text, is_problem: true });
            }
        }
        if !self.erasures.is_holding() {
            let mut ids: Vec<_> = self.lanes.keys().copied().collect();
            // The same order each time, for whoever plays it again.
            ids.sort_unstable();
            ids.into_iter().for_each(|id| self.step(id));
        }
    }

    fn forget_person(&mut self, person: PersonId) {
        let newcomer = self.world.renumber(person);
        for lane in self.lanes.values_mut() {
            lane.queue.iter_mut().for_each(|arrival| arrival.renumber(person, newcomer));
            let knows_her = |phase: &Phase| match phase {
                Phase::Ready(community) => community.knows(person),
                Phase::Cold
                | Phase::Loading
                | Phase::Running(_)
                | Phase::Flushing(_)
                | Phase::Fetching => false,
            };
            if knows_her(&lane.phase) {
                lane.phase = Phase::Cold;
            }
        }
    }

    /// What was deleted leaves the file itself, once for all who are forgotten together. Commits wait
    /// for it, so that it is not done for everybody who asks in a row; then housekeeping does it.
    fn compact(&mut self, ticket: Option<Ticket>) {
        let now = self.clock.now();
        if self.erasures.is_holding() || now - self.erasures.written_at < WRITTEN_EVERY_MS {
            return;
        }
        self.erasures.written_at = now;
        let (store, commits) = (self.store.clone(), self.commits.clone());
        tokio::spawn(async move {
            if let Err(error) = store.compact().await {
                let text = format!(
                    "somebody was forgotten, but what was deleted may still lie in the file of the \
                     database: {error}; `qundao member compact` tries again"
                );
                let notice = Notice { community: None, text, is_problem: true };
                let _ = commits.send(crate::commit::Item::notice(notice));
            }
            drop(ticket);
        });
    }
}

impl Lane {
    /// Nothing that was decided waits for the disk, and nothing is being decided.
    fn is_quiet(&self) -> bool {
        let is_still = match &self.phase {
            Phase::Cold | Phase::Ready(_) => true,
            Phase::Loading | Phase::Running(_) | Phase::Flushing(_) | Phase::Fetching => false,
        };
        is_still && self.uncommitted == 0 && !self.unspilling && self.bounced.is_empty()
    }
}

impl Arrival {
    /// An event of somebody who was forgotten is that of a newcomer.
    pub(super) fn renumber(&mut self, person: PersonId, newcomer: PersonId) {
        if self.event.person == Some(person) {
            self.event = Arc::new(Event { person: Some(newcomer), ..(*self.event).clone() });
        }
    }
}
