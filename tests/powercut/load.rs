//! A bot on a store, and a platform that brings it events until they are acknowledged.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use qundao::bot::Bot;
use qundao::clock::{Clock, SystemClock};
use qundao::config::Config;
use qundao::store::Store;
use tokio::sync::Notify;

use crate::traffic::{Chance, GROUPS, MEMBERS, event, offer, scripts};
use crate::world::{Platform, Setup, group_ref, in_time, seed};

/// Events that are on their way at once.
const WINDOW: usize = 50;

/// What the platform knows, and goes on knowing when the bot has lost its power.
pub struct World {
    pub chance: Chance,
    /// Every event, by number.
    pub said: BTreeMap<usize, String>,
    /// Numbers of those that were acknowledged.
    pub acknowledged: Arc<Mutex<BTreeSet<usize>>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let (said, acknowledged) = Default::default();
        Self { chance: Chance(seed), said, acknowledged }
    }

    pub fn acknowledged(&self) -> BTreeSet<usize> {
        self.acknowledged.lock().unwrap().clone()
    }
}

/// A bot that runs.
pub struct Load {
    pub bot: Bot,
    pub store: Arc<dyn Store>,
    pub platform: Arc<Platform>,
    on_the_way: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

impl Load {
    /// Starts a bot; a new database gets its members.
    pub async fn start(store: Arc<dyn Store>) -> anyhow::Result<Self> {
        // The machine that tests run on may have little room.
        Self::start_with(store, |config| config.limits.disk_free_mb = 0).await
    }

    /// The same with other settings.
    pub async fn start_with(
        store: Arc<dyn Store>,
        set: impl FnOnce(&mut Config),
    ) -> anyhow::Result<Self> {
        let platform = Platform::willing();
        let mut setup = Setup::new(scripts());
        setup.config.limits.commands = 1_000_000;
        set(&mut setup.config);
        let bot = setup.try_start(store.clone(), &platform).await?;
        let now = SystemClock::default().now();
        for group in 0..GROUPS {
            let group_ref = group_ref(&format!("g{group}"));
            if !bot.knows_group(&group_ref) {
                let name = |n: usize| seed(&format!("g{group}-{n}"), 1_000_000, now);
                bot.seed_members(&group_ref, (0..MEMBERS).map(name).collect()).await?;
            }
        }
        let (on_the_way, changed) = Default::default();
        Ok(Self { bot, store, platform, on_the_way, changed })
    }

    /// Brings one event.
    pub async fn bring(&self, world: &World, number: usize) {
        let now = SystemClock::default().now();
        let (_, accepted) = offer(&*self.bot.inbox(), &world.said[&number], now).await;
        self.on_the_way.fetch_add(1, Ordering::SeqCst);
        let (on_the_way, changed) = (self.on_the_way.clone(), self.changed.clone());
        let acknowledged = world.acknowledged.clone();
        tokio::spawn(async move {
            if accepted.await {
                acknowledged.lock().unwrap().insert(number);
            }
            on_the_way.fetch_sub(1, Ordering::SeqCst);
            changed.notify_waiters();
        });
    }

    /// Brings again what was not acknowledged.
    pub async fn bring_again(&self, world: &World) {
        let acknowledged = world.acknowledged();
        for number in world.said.keys().filter(|number| !acknowledged.contains(number)) {
            self.bring(world, *number).await;
        }
    }

    /// Says something new.
    pub async fn say(&self, world: &mut World) {
        let number = world.said.len();
        let line = event(&mut world.chance, number);
        world.said.insert(number, line);
        self.bring(world, number).await;
    }

    /// Waits until there is room for more; `false` when a while has passed.
    pub async fn has_room(&self, less_than: usize) -> bool {
        let room = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.on_the_way.load(Ordering::SeqCst) < less_than {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), room).await.is_ok()
    }

    /// Talks, with pauses for the log to be copied, until a condition holds.
    pub async fn talk_until(&self, world: &mut World, holds: impl Fn(&World) -> bool) {
        for n in 0.. {
            if holds(world) {
                return;
            }
            self.say(world).await;
            if n % 100 == 99 {
                // It does not close: it writes all counts and copies the log, as the end does.
                self.store.close().await;
            }
            assert!(self.has_room(WINDOW).await, "nothing is acknowledged any more");
        }
    }

    /// Ends as a bot should, after everything.
    pub async fn end(self) {
        in_time("everything", self.bot.settled()).await;
        self.bot.stop().await.unwrap();
    }
}
