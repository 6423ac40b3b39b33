//! The adapters of a simulated process: they bring what the platforms have, and make calls whose fate
//! is drawn.

use std::sync::Arc;
use std::time::Duration;

use qundao::adapter::{Adapter, BoxFuture, Capabilities, Inbox, Outcome, Request, Seen};
use qundao::clock::TimeMs;
use qundao::event::Envelope;
use qundao::id::Ref;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::cast::{ACKED, account};
use crate::draw::Draw;
use crate::oracle::sends;
use crate::platform::{capabilities, makes_message};
use crate::world::World;

/// One platform, as a process is connected to it.
pub struct SimAdapter {
    index: usize,
    world: Arc<World>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Done, and told so.
    Done,
    /// Nobody is connected.
    Away,
    /// Refused for good.
    Refused,
    /// Turned away for a while.
    Busy(Duration),
    /// Not done, and the platform said so.
    NotDone,
    /// Not done, nobody knows.
    DoubtBefore,
    /// Done, nobody knows.
    DoubtAfter,
}

impl SimAdapter {
    /// An adapter of a process.
    pub fn new(index: usize, world: Arc<World>) -> Self {
        Self { index, world }
    }

    async fn bring(&self, inbox: &Arc<dyn Inbox>, envelope: Envelope) {
        let key = envelope.key.clone();
        self.world.log(format_args!("in {} {key}", self.index));
        self.world.state().figures.offered += 1;
        if self.index != ACKED {
            inbox.offer(envelope, None).await;
            return;
        }
        let (receipt, answer) = oneshot::channel();
        inbox.offer(envelope, Some(receipt)).await;
        let (world, index) = (self.world.clone(), self.index);
        tokio::spawn(async move {
            let accepted = answer.await;
            if world.state().is_dead {
                return;
            }
            world.log(format_args!("ack {key} {accepted:?}"));
            let now = world.clock.real();
            match accepted {
                Ok(_) => {
                    let verdict = world.state().model.acked(&account(index), &key);
                    world.judge(verdict);
                    world.state().platforms[index].acked(&key);
                }
                Err(_) => world.state().platforms[index].not_acked(&key, now),
            }
        });
    }

    /// What becomes of a try, and how long it takes before and after it is done.
    fn fate(&self, request: &Request, tries: u32) -> (Fate, Duration, Duration) {
        let world = &self.world;
        let now = world.clock.real();
        if now < world.state().platforms[self.index].away_until {
            return (Fate::Away, Duration::ZERO, Duration::ZERO);
        }
        if world.is_calm() {
            return (Fate::Done, Duration::ZERO, Duration::ZERO);
        }
        let mut draw = Draw::new(world.plan.seed, &format!("out {} {tries}", request.key));
        let rates = &world.plan.rates;
        let slow = if draw.chance(rates.slow) { 60_000 } else { 300 };
        let mut wait = || Duration::from_millis(draw.below(slow));
        let (before, after) = (wait(), wait());
        let fate = if draw.chance(rates.refused) {
            Fate::Refused
        } else if draw.chance(rates.busy) {
            Fate::Busy(Duration::from_millis(1000 + draw.below(60_000)))
        } else if draw.chance(rates.failed_before) {
            if draw.chance(5000) { Fate::NotDone } else { Fate::DoubtBefore }
        } else if draw.chance(rates.failed_after) || draw.chance(rates.answer_lost) {
            Fate::DoubtAfter
        } else {
            Fate::Done
        };
        (fate, before, after)
    }

    async fn call(&self, request: &Request) -> Outcome {
        let world = &self.world;
        let verdict = sends::before(world, self.index, request);
        world.judge(verdict);
        let tries = {
            let mut state = world.state();
            state.figures.calls += 1;
            let effect =
                state.platforms[self.index].effects.entry(request.key.clone()).or_default();
            effect.tries += 1;
            // Until an answer says otherwise.
            effect.in_doubt = true;
            effect.tries
        };
        let (fate, before, after) = self.fate(request, tries);
        let (to, word) = (request.to.reference(), request.call.word());
        world.log(format_args!("call {} {word} {to} try {tries}: {fate:?}", request.key));
        if fate != Fate::Done {
            world.state().figures.faults += 1;
        }
        wait(before).await;
        let mut id = None;
        if matches!(fate, Fate::Done | Fate::DoubtAfter) && !world.state().is_dead {
            let now = world.clock.real();
            let (message, is_new) = world.state().platforms[self.index].perform(request, now);
            if is_new {
                world.log(format_args!("shown {} {to}", request.key));
                let verdict = sends::shown(world, self.index, request);
                world.judge(verdict);
            }
            id = message;
        }
        wait(after).await;
        let outcome = self.answer(fate, id);
        if !matches!(outcome, Outcome::Unknown { .. }) && !world.state().is_dead {
            let mut state = world.state();
            if let Some(effect) = state.platforms[self.index].effects.get_mut(&request.key) {
                effect.in_doubt = false;
            }
        }
        outcome
    }

    fn answer(&self, fate: Fate, id: Option<String>) -> Outcome {
        let not_sent =
            |reason: &str, retry_after| Outcome::NotSent { reason: reason.to_owned(), retry_after };
        match fate {
            Fate::Done => Outcome::Done { id, degraded: Vec::new() },
            Fate::Away => Outcome::Offline { reason: "nobody is connected".to_owned() },
            Fate::Busy(wait) => not_sent("too many", Some(wait)),
            Fate::NotDone => not_sent("could not be done now", None),
            Fate::Refused => Outcome::Permanent { reason: "forbidden".to_owned() },
            Fate::DoubtBefore | Fate::DoubtAfter => {
                Outcome::Unknown { reason: "no answer came".to_owned() }
            }
        }
    }
}

async fn wait(time: Duration) {
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
    }
}

impl Adapter for SimAdapter {
    fn account(&self) -> Ref {
        account(self.index)
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(self.index)
    }

    fn run(
        &self,
        inbox: Arc<dyn Inbox>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            let changed = self.world.state().platforms[self.index].changed.clone();
            loop {
                let now = self.world.clock.real();
                let (due, next) = self.world.state().platforms[self.index].take_due(now);
                for envelope in due {
                    self.bring(&inbox, envelope).await;
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    () = changed.notified() => {}
                    () = tokio::time::sleep(next.unwrap_or(Duration::from_secs(86_400))) => {}
                }
            }
        })
    }

    fn send<'a>(&'a self, request: &'a Request, _now: TimeMs) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if self.world.state().is_dead {
                std::future::pending::<()>().await;
            }
            let outcome = self.call(request).await;
            if let Outcome::NotSent { retry_after: Some(wait), .. } = &outcome {
                sends::turned_away(&self.world, self.index, request, *wait);
            }
            outcome
        })
    }

    fn read_back<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Seen> {
        Box::pin(async move {
            let world = &self.world;
            if world.state().is_dead {
                std::future::pending::<()>().await;
            }
            let reads = {
                let mut state = world.state();
                state.reads += 1;
                state.reads
            };
            let mut draw = Draw::new(world.plan.seed, &format!("seen {} {reads}", request.key));
            let is_away = world.clock.real() < world.state().platforms[self.index].away_until;
            let seen = if is_away || (!world.is_calm() && draw.chance(world.plan.rates.unseen)) {
                Seen::Later
            } else {
                let mut state = world.state();
                let effect = state.platforms[self.index].effects.entry(request.key.clone());
                let effect = effect.or_default();
                effect.in_doubt = false;
                if effect.shown > 0 && makes_message(&request.call) {
                    Seen::Yes(Some(effect.message.clone()))
                } else {
                    Seen::No
                }
            };
            world.log(format_args!("seen {} {seen:?}", request.key));
            seen
        })
    }
}
