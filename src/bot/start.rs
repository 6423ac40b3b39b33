//! Starting: the store is read, what was left is taken up, every part begins to work.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gauge::Gauge;
use super::keep::Housekeeper;
use super::reload::Scripts;
use super::timers::Timers;
use super::unread;
use super::watch::Watcher;
use super::{Bot, Parts, condemn, fire_due};
use crate::adapter::Adapter;
use crate::clock::TimeMs;
use crate::commit::{Committer, Figures, Listeners, OUTCOMES_WAIT};
use crate::id::{EventId, Ref};
use crate::intake::space::SpaceWatch;
use crate::intake::{Door, Intake};
use crate::lane::{Lanes, Message};
use crate::news::{Newsroom, NewsroomParts};
use crate::outbox::{Orders, Outbox, OutboxDue, OutboxParts, Watched, take_up};
use crate::report::Notice;
use crate::store::{Start, Store};
use crate::turn::{Numbers, Places, Platform, World};

impl Bot {
    /// Reads the store, takes up what was left, starts every part.
    ///
    /// # Errors
    /// A store that cannot be read, or settings that the scripts do not know.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { config, clock, secret, store, host, sources, words, feeds, adapters } = parts;
        let start = store.start().await?;
        refuse_backup(&start)?;
        let world = Arc::new(World {
            numbers: Numbers::after(&start.numbers),
            places: RwLock::new(Places::new(&start)),
            platforms: adapters.iter().map(platform).collect(),
            limits: RwLock::new(Arc::new(config.limits.clone())),
            words: RwLock::new(Arc::new(words)),
            frozen: RwLock::new(start.frozen.iter().copied().collect()),
            desk: Arc::default(),
            privacy: RwLock::new(Arc::new(config.privacy.clone())),
            forgotten: RwLock::default(),
            secret,
            restored_at: start.restored_at.unwrap_or(TimeMs::MIN),
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

        take_up(&*store, &world, &gauge, &outbox_tx, &settle_tx, clock.now()).await?;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let watched = Arc::new(Watched::default());
        let (orders_tx, orders_rx) = mpsc::unbounded_channel();
        let orders = Orders {
            store: store.clone(),
            outbox: outbox_tx.clone(),
            gauge: gauge.clone(),
            stop: stop.clone(),
        };

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
            outcomes_wait: if clock.flows() { OUTCOMES_WAIT } else { Duration::ZERO },
            lanes: lanes_tx.clone(),
            outbox: outbox_tx,
            gauge: gauge.clone(),
            timers: timers.clone(),
            orders: orders_tx,
            watched: watched.clone(),
            outbox_due: outbox_due.clone(),
            reports: reports.clone(),
            notices: notices.clone(),
            figures: figures.clone(),
            epochs: HashMap::new(),
        };
        let settlements = settle_tx.clone();
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
            watched,
        };
        let wishes = store.forgetting().await?;
        for adapter in &adapters {
            remind(&**adapter, &world, &*store).await?;
        }
        // From here on nothing may end this start: what was spawned would go on, with the database.
        let mut tasks = vec![
            tokio::spawn(intake.run(offered)),
            tokio::spawn(lanes.run(lanes_rx, finished)),
            tokio::spawn(committer.run(commits_rx, settle_rx)),
            tokio::spawn(Outbox::run(outbox, outbox_rx)),
            tokio::spawn(orders.run(orders_rx, clock.flows() && store.is_shared())),
            tokio::spawn(unread::count(store.clone(), clock.clone(), adapters.clone())),
        ];
        let space_watch = SpaceWatch {
            space: door.space(),
            store: store.clone(),
            config: shared_config.clone(),
            notices: notices.clone(),
        };
        let housekeeper = Arc::new(Housekeeper::new(
            store.clone(),
            clock.clone(),
            shared_config.clone(),
            notices.clone(),
            adapters.iter().map(|adapter| adapter.account().platform().to_owned()).collect(),
        ));
        if clock.flows() {
            // Before anybody can offer anything.
            space_watch.look();
            tasks.push(tokio::spawn(space_watch.run()));
            tasks.push(tokio::spawn(housekeeper.clone().run()));
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
        for wish in wishes {
            let _ = lanes_tx.send(Message::Erase(wish, gauge.ticket()));
        }
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
        tasks.push(tokio::spawn(replaced(store.clone(), notices.clone(), ended.clone())));
        let mut bot = Self {
            clock,
            door,
            gauge,
            timers,
            outbox_due,
            lanes: lanes_tx,
            store,
            world,
            newsroom,
            housekeeper,
            settlements,
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
        bot.tasks.push(tokio::spawn(bot.auditor().run()));
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

/// A backup says that things are still to be sent which were, and would give numbers once more.
fn refuse_backup(start: &Start) -> anyhow::Result<()> {
    let Some(at) = start.backup_of else { return Ok(()) };
    let ago = chrono::DateTime::from_timestamp_millis(at).unwrap_or_default();
    anyhow::bail!(
        "the database is a backup of {}; start it once with `qundao run --after-restore`: what was to \
         be sent then is not sent again, and no number is given twice",
        ago.format("%Y-%m-%d %H:%M:%S UTC")
    )
}

/// Ends the bot when another process has taken its place.
async fn replaced(
    store: Arc<dyn Store>,
    notices: Arc<Listeners<Notice>>,
    ended: CancellationToken,
) {
    store.replaced().await;
    let text = "another qundao has taken over the database, so this one stops; if that was not \
                meant, stop the other or give it a database of its own"
        .to_owned();
    crate::commit::tell(&notices, &Notice { community: None, text, is_problem: true });
    ended.cancel();
}

/// Tells an adapter where it was and until when.
async fn remind(adapter: &dyn Adapter, world: &World, store: &dyn Store) -> anyhow::Result<()> {
    let account = adapter.account();
    let Some(until) = store.last_heard(account.platform()).await? else { return Ok(()) };
    let places = world.places.read().expect("places are only replaced whole");
    let is_there = |group: &&Ref| group.platform() == account.platform();
    let mut groups: Vec<Ref> = places.by_ref.keys().filter(is_there).cloned().collect();
    groups.sort_unstable();
    adapter.heard_before(&groups, until);
    Ok(())
}

fn platform(adapter: &Arc<dyn Adapter>) -> (String, Platform) {
    let platform = Platform::of(adapter);
    (platform.account.platform().to_owned(), platform)
}
