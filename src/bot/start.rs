//! Starting: the store is read, what was left is taken up, every part begins to work.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gauge::Gauge;
use super::reload::Scripts;
use super::timers::Timers;
use super::watch::Watcher;
use super::{Bot, Parts, condemn, fire_due};
use crate::adapter::{Adapter, SendSafety};
use crate::clock::Clock;
use crate::commit::{Committer, Figures, Listeners};
use crate::config::Config;
use crate::effect::{Call, Delivery, DeliveryState, Policy};
use crate::id::{EventId, Ref};
use crate::intake::{Door, Intake};
use crate::lane::{Lanes, Message};
use crate::news::{Newsroom, NewsroomParts};
use crate::outbox::{Outbox, OutboxDue, OutboxParts, Outgoing};
use crate::report::Notice;
use crate::store::{Settlement, Store, StoreError, Write};
use crate::turn::{Numbers, Places, Platform, World};

/// How often old texts and keys are forgotten, ms.
const HOUSEKEEPING_MS: u64 = 3_600_000;
/// Keys are needed as long as a platform may repeat an event; days.
const KEYS_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3_600_000;

impl Bot {
    /// Reads the store, takes up what was left, starts every part.
    ///
    /// # Errors
    /// A store that cannot be read, or settings that the scripts do not know.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { config, clock, secret, store, host, sources, words, feeds, adapters } = parts;
        let start = store.start().await?;
        let world = Arc::new(World {
            numbers: Numbers::after(&start.numbers),
            places: RwLock::new(Places::new(&start)),
            platforms: adapters.iter().map(|adapter| platform(&**adapter)).collect(),
            limits: RwLock::new(Arc::new(config.limits.clone())),
            words: RwLock::new(Arc::new(words)),
            desk: Arc::default(),
            secret,
        });
        let mut scripts = Scripts::new(host.clone(), adapters.clone());
        let (registry, problems) = scripts.first(&config, sources, &world.words())?;
        let incidents = host.incidents();

        let gauge = Arc::new(Gauge::default());
        let timers = Arc::new(Timers::default());
        for (due, id, community) in &start.timers {
            timers.add(*due, *id, *community);
        }
        let reports: Arc<Listeners<_>> = Arc::default();
        let notices: Arc<Listeners<Notice>> = Arc::default();
        let figures = Arc::new(Figures::default());
        let newsroom = Newsroom::open(NewsroomParts {
            clock: clock.clone(),
            store: store.clone(),
            fetch: feeds,
            desk: world.desk.clone(),
            notices: notices.clone(),
            seed: world.event_seed(EventId(0)),
        })
        .await?;
        newsroom.follow(scripts.feeds.clone(), config.news.every_min);
        newsroom.read_files().await;
        let outbox_due = Arc::new(OutboxDue::default());
        let shared_config = Arc::new(RwLock::new(config.clone()));
        let (door, offered) = Door::new(config.limits.mailboxes, gauge.clone());
        let (lanes_tx, lanes_rx) = mpsc::unbounded_channel();
        let (commits_tx, commits_rx) = mpsc::unbounded_channel();
        let (outbox_tx, outbox_rx) = mpsc::unbounded_channel();
        let (settle_tx, settle_rx) = mpsc::unbounded_channel();

        let left = store.open_deliveries().await?;
        mark_sending(&*store, &left).await?;
        take_up(left, &world, &gauge, &outbox_tx, &settle_tx, clock.now());

        let intake = Intake::new(
            clock.clone(),
            world.clone(),
            store.clone(),
            lanes_tx.clone(),
            shared_config.clone(),
            notices.clone(),
        );
        let looked = registry.clone();
        let (lanes, finished) = Lanes::new(
            clock.clone(),
            world.clone(),
            store.clone(),
            host,
            commits_tx,
            lanes_tx.clone(),
            gauge.clone(),
            registry,
            config.clone(),
            door.pressure(),
        );
        let committer = Committer {
            store: store.clone(),
            batch: config.limits.commit_turns,
            lanes: lanes_tx.clone(),
            outbox: outbox_tx,
            gauge: gauge.clone(),
            timers: timers.clone(),
            reports: reports.clone(),
            notices: notices.clone(),
            figures: figures.clone(),
            epochs: HashMap::new(),
        };
        let outbox = OutboxParts {
            clock: clock.clone(),
            world: world.clone(),
            store: store.clone(),
            adapters: adapters
                .iter()
                .map(|adapter| (adapter.account().platform().to_owned(), adapter.clone()))
                .collect(),
            settlements: settle_tx,
            notices: notices.clone(),
            gauge: gauge.clone(),
            due: outbox_due.clone(),
        };
        let mut tasks = vec![
            tokio::spawn(intake.run(offered)),
            tokio::spawn(lanes.run(lanes_rx, finished)),
            tokio::spawn(committer.run(commits_rx, settle_rx)),
            tokio::spawn(Outbox::run(outbox, outbox_rx)),
            tokio::spawn(housekeep(store.clone(), clock.clone(), shared_config.clone())),
        ];
        if clock.flows() {
            let watcher = Watcher {
                timers: timers.clone(),
                gauge: gauge.clone(),
                lanes: lanes_tx.clone(),
                clock: clock.clone(),
                notices: notices.clone(),
            };
            tasks.push(tokio::spawn(watcher.run()));
            tasks.push(tokio::spawn(newsroom.clone().run()));
        }
        // What was due while the bot was down goes before anything new.
        let _ = lanes_tx.send(Message::Resume(start.waiting));
        fire_due(&timers, &gauge, &lanes_tx, clock.now());

        let scripts = Arc::new(tokio::sync::Mutex::new(scripts));
        if let Some(incidents) = incidents {
            let attend = condemn::Attendant {
                scripts: scripts.clone(),
                config: shared_config.clone(),
                lanes: lanes_tx.clone(),
                notices: notices.clone(),
            };
            tasks.push(tokio::spawn(attend.run(incidents)));
        }
        let door = Arc::new(door);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        tasks.push(tokio::spawn(replaced(store.clone(), notices.clone(), ended.clone())));
        let bot = Self {
            clock,
            door,
            gauge,
            timers,
            outbox_due,
            lanes: lanes_tx,
            store,
            world,
            newsroom,
            config: shared_config,
            scripts,
            reports,
            notices,
            figures,
            stop,
            ended,
            tasks,
            adapters: Vec::new(),
        };
        for adapter in &adapters {
            remind(&**adapter, &bot.world, &*bot.store).await?;
        }
        for problem in problems {
            bot.notify(&Notice { community: None, text: problem, is_problem: true });
        }
        bot.look_at_routines(&looked).await;
        Ok(bot.with_adapters(adapters))
    }

    /// Lets the adapters bring events.
    fn with_adapters(mut self, adapters: Vec<Arc<dyn Adapter>>) -> Self {
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(adapters.len()));
        for adapter in adapters {
            let (inbox, stop) = (self.inbox(), self.stop.clone());
            let (running, ended) = (running.clone(), self.ended.clone());
            let notices = self.notices.clone();
            self.adapters.push(tokio::spawn(async move {
                if let Err(error) = adapter.run(inbox, stop).await {
                    let text = format!("`{}` ended: {error:#}", adapter.account());
                    let notice = Notice { community: None, text, is_problem: true };
                    crate::commit::tell(&notices, &notice);
                }
                if running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                    ended.cancel();
                }
            }));
        }
        self
    }
}

/// Ends the bot when another process has taken its place.
async fn replaced(
    store: Arc<dyn Store>,
    notices: Arc<Listeners<Notice>>,
    ended: CancellationToken,
) {
    store.replaced().await;
    let text = "another qundao has taken over the database; this one stops".to_owned();
    crate::commit::tell(&notices, &Notice { community: None, text, is_problem: true });
    ended.cancel();
}

/// Tells an adapter where it was and until when.
async fn remind(adapter: &dyn Adapter, world: &World, store: &dyn Store) -> anyhow::Result<()> {
    let account = adapter.account();
    let Some(until) = store.last_heard(account.platform()).await? else { return Ok(()) };
    let places = world.places.read().expect("places are only replaced whole");
    let is_there = |group: &&Ref| group.platform() == account.platform();
    let groups: Vec<Ref> = places.by_ref.keys().filter(is_there).cloned().collect();
    adapter.heard_before(&groups, until);
    Ok(())
}

fn platform(adapter: &dyn Adapter) -> (String, Platform) {
    let account = adapter.account();
    let platform = Platform { account: account.clone(), capabilities: adapter.capabilities() };
    (account.platform().to_owned(), platform)
}

/// What was left for this start goes out now, and its rows must say so before it does.
async fn mark_sending(store: &dyn Store, left: &[Delivery]) -> Result<(), StoreError> {
    let queued = left.iter().filter(|delivery| delivery.state == DeliveryState::Queued);
    let writes: Vec<Write> = queued
        .map(|delivery| {
            Write::Settle(Settlement {
                id: delivery.id,
                state: DeliveryState::Sending,
                reason: None,
                attempts: delivery.attempts,
                platform_id: None,
            })
        })
        .collect();
    if writes.is_empty() { Ok(()) } else { store.commit(&writes).await }
}

/// Deliveries that had not ended when the last process did. One that was being sent may have
/// arrived: repeating is safe, or its policy says so, or a human decides.
fn take_up(
    left: Vec<Delivery>,
    world: &World,
    gauge: &Arc<Gauge>,
    outbox: &mpsc::UnboundedSender<Outgoing>,
    settle: &mpsc::UnboundedSender<crate::commit::Settling>,
    now: i64,
) {
    for delivery in left {
        let safety = world
            .platforms
            .get(delivery.account.platform())
            .map_or(SendSafety::None, |platform| platform.capabilities.send_safety);
        let was_sending = delivery.state == DeliveryState::Sending;
        let repeatable = matches!(safety, SendSafety::Idempotent { .. } | SendSafety::ReadBack)
            || delivery.policy == Policy::Retry
            || !matches!(delivery.call, Call::Send { .. });
        let end = if delivery.expires_at <= now {
            Some((DeliveryState::Skipped, "expired while the bot was down"))
        } else if was_sending && !repeatable {
            Some((DeliveryState::Unknown, "the bot stopped while it was being sent"))
        } else {
            None
        };
        match end {
            Some((state, reason)) => {
                let settlement = Settlement {
                    id: delivery.id,
                    state,
                    reason: Some(reason.to_owned()),
                    attempts: delivery.attempts,
                    platform_id: None,
                };
                let _ = settle.send((Write::Settle(settlement), Some(gauge.ticket())));
            }
            None => {
                let ticket = Some(gauge.ticket());
                let post = Some(gauge.post(delivery.event));
                let _ = outbox.send(Outgoing { post, delivery, ticket, in_doubt: was_sending });
            }
        }
    }
}

/// Forgets what need not be kept.
async fn housekeep(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: Arc<RwLock<Arc<Config>>>) {
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(HOUSEKEEPING_MS)).await;
        let days = {
            let config = config.read().expect("the configuration is only replaced whole");
            i64::from(config.privacy.archive_days)
        };
        let now = clock.now();
        match store.housekeep(now - days * DAY_MS, now - KEYS_DAYS.max(days) * DAY_MS).await {
            Ok(rows) => tracing::debug!(rows, "forgot what is old"),
            Err(error) => tracing::warn!(%error, "could not forget what is old"),
        }
    }
}
