//! One process: the bot as it is in production, from its start to its end, and what happens meanwhile.

use std::sync::Arc;
use std::time::Duration;

use qundao::bot::{Bot, Parts, secret_from};
use qundao::clock::{Clock as _, TimeMs};
use qundao::config::{CommunityConfig, Config};
use qundao::moderation::WordLists;
use qundao::news::Sources;
use qundao::store::sqlite::Sqlite;
use qundao::zone::Zone;
use sqlx::SqliteConnection;
use tokio::sync::Mutex;

use crate::adapter::SimAdapter;
use crate::cast::{GROUPS, PLATFORMS, group_ref};
use crate::host::{SimHost, limits};
use crate::op::{Op, What, at};
use crate::oracle::{database, slots};
use crate::scripts::{Version, sources};
use crate::store::SimStore;
use crate::world::{Violation, World};
use crate::{block, deed};

/// The liveness phase may take so long, ms.
const CALM_MS: i64 = 10 * 60_000;
/// A clock that was put right is believed at the latest after so long, ms.
const HOLD_MS: i64 = 3 * 60_000;
/// Between two looks whether all is quiet, ms.
const LOOK_MS: u64 = 5_000;
/// The database is held against the truth after so many operations.
const CHECK_EVERY: usize = 60;

/// What every process of a world has in common.
pub struct Machine {
    /// The world.
    pub world: Arc<World>,
    /// The database, which outlives processes.
    pub disk: Arc<Mutex<SqliteConnection>>,
    /// The next operation.
    pub next: usize,
    /// Scripts in force.
    pub version: Version,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Another begins after so long, ms.
    Down(i64),
    /// The world is over.
    Over,
}

/// What an operation means for the process.
enum Then {
    GoOn,
    End(End),
}

impl Machine {
    /// Lives until the process ends.
    pub async fn live(&mut self) -> End {
        let world = self.world.clone();
        world.clock.begin();
        {
            let now = world.clock.real();
            let mut state = world.state();
            state.is_dead = false;
            state.crash_at_commit = None;
            state.figures.starts += 1;
            state.platforms.iter_mut().for_each(|platform| platform.process_began(now));
            state.model.sends.process_began();
        }
        world.log("start");
        let end = {
            let process = self.process();
            tokio::pin!(process);
            tokio::select! {
                biased;
                () = ended(&world) => None,
                end = &mut process => Some(end),
            }
        };
        let end = end.unwrap_or_else(|| self.died());
        world.log(format_args!("end {end:?}"));
        world.clock.end();
        end
    }

    /// The process was ended from outside, or something is wrong.
    fn died(&self) -> End {
        if self.world.state().violation.is_some() {
            return End::Over;
        }
        let before = self.next.checked_sub(1).and_then(|at| self.world.plan.ops.get(at));
        match before.map(|op| &op.what) {
            Some(What::Crash { down_ms }) => End::Down(*down_ms),
            _ => End::Down(1000),
        }
    }

    async fn process(&mut self) -> End {
        let world = self.world.clone();
        let bot = match self.start().await {
            Ok(bot) => bot,
            Err(error) => {
                world.judge(Err(Violation::new("start", format!("{error:#}"))));
                return End::Over;
            }
        };
        if self.next == 0 {
            self.seed(&bot).await;
        }
        world.set_calm(false);
        while self.next < world.plan.ops.len() {
            let op = world.plan.ops[self.next].clone();
            self.sleep_until(at(&world.plan.cast, &op)).await;
            self.next += 1;
            match self.perform(&bot, &op).await {
                Then::GoOn => {}
                Then::End(end) => {
                    if let End::Down(_) = end {
                        self.stop(bot).await;
                    }
                    return end;
                }
            }
            if self.next.is_multiple_of(CHECK_EVERY) {
                self.check().await;
            }
        }
        self.calm_down(&bot).await;
        End::Over
    }

    async fn start(&self) -> anyhow::Result<Bot> {
        let world = &self.world;
        let inner = block::on(Sqlite::over(self.disk.clone()))?;
        let adapters = (0..PLATFORMS.len())
            .map(|index| Arc::new(SimAdapter::new(index, world.clone())) as _)
            .collect();
        let parts = Parts {
            config: Arc::new(self.config()),
            clock: world.clock.clone(),
            secret: secret_from(world.plan.seed),
            store: Arc::new(SimStore::new(inner, world.clone())),
            host: SimHost::here(),
            sources: sources(self.version),
            words: WordLists::default(),
            feeds: Arc::new(Sources::files("")),
            adapters,
        };
        Bot::start(parts).await
    }

    fn config(&self) -> Config {
        let cast = &self.world.plan.cast;
        let mut config = Config::default();
        config.bot.timezone = product_zone(cast.zone);
        config.limits.script = limits();
        // Some worlds are narrow.
        if self.world.plan.seed.is_multiple_of(3) {
            config.limits.mailbox = 4;
            config.limits.commit_turns = 3;
            config.limits.communities_cached = 2;
        }
        config.communities = vec![CommunityConfig {
            id: "club".to_owned(),
            name: "club".to_owned(),
            groups: vec![group_ref(0), group_ref(4)],
            timezone: Some(product_zone(cast.club_zone)),
            ..CommunityConfig::default()
        }];
        config
    }

    /// Who was there before the bot.
    async fn seed(&self, bot: &Bot) {
        let cast = &self.world.plan.cast;
        for group in 0..GROUPS.len() {
            let members = (0..cast.members).map(|member| cast.seed_member(group, member));
            if let Err(error) = bot.seed_members(&group_ref(group), members.collect()).await {
                self.world.judge(Err(Violation::new("start", format!("{error:#}"))));
            }
        }
    }

    async fn sleep_until(&self, at: TimeMs) {
        let wait = at - self.world.clock.real();
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        }
    }

    async fn perform(&mut self, bot: &Bot, op: &Op) -> Then {
        let world = self.world.clone();
        if deed::happen(&world, op, true) {
            return Then::GoOn;
        }
        world.log(format_args!("op {} {:?}", op.id, op.what));
        world.state().figures.faults += 1;
        match &op.what {
            What::Crash { .. } => self.crash(op).await,
            What::Stop { down_ms } => return Then::End(End::Down(*down_ms)),
            What::Pause { ms } => self.pause(*ms).await,
            What::Jump { by_ms } => world.clock.jump(*by_ms),
            What::Correct => world.clock.correct(),
            What::Reload { has_extra } => {
                let version = Version {
                    probe: self.version.probe + 1,
                    has_extra: *has_extra,
                    is_broken: false,
                };
                self.reload(bot, version).await;
            }
            What::Break => self.reload(bot, Version { is_broken: true, ..self.version }).await,
            What::DiskFull { ms } => self.fill_disk(*ms).await,
            What::Disconnect { platform, ms } => {
                let until = world.clock.real() + ms;
                world.state().platforms[*platform].disconnect(until);
            }
            What::Say { .. }
            | What::Direct { .. }
            | What::Grant { .. }
            | What::Press { .. }
            | What::React { .. }
            | What::Leave { .. }
            | What::Join { .. }
            | What::Replay { .. } => {}
        }
        Then::GoOn
    }

    /// Ends at once, or with the next commit.
    async fn crash(&self, op: &Op) {
        let world = &self.world;
        let mut draw = crate::draw::Draw::new(world.plan.seed, &format!("crash {}", op.id));
        if draw.chance(world.plan.rates.crash_in_commit) {
            world.state().crash_at_commit = Some(draw.chance(5000));
            // Should no commit come, it ends without one.
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        world.kill();
        std::future::pending::<()>().await;
    }

    async fn pause(&mut self, ms: i64) {
        let until = self.world.clock.real() + ms;
        // Nothing of the process runs; its sockets fill.
        tokio::time::advance(Duration::ZERO).await;
        let ops = &self.world.plan.ops;
        let during =
            ops[self.next..].iter().take_while(|op| at(&self.world.plan.cast, op) <= until);
        let during: Vec<Op> = during.cloned().collect();
        for op in &during {
            if !deed::happen(&self.world, op, true) {
                break;
            }
            self.next += 1;
        }
        tokio::time::advance(Duration::from_millis(ms as u64)).await;
    }

    async fn reload(&mut self, bot: &Bot, version: Version) {
        match bot.reload(bot.config(), sources(version), None).await {
            Ok(problems) if problems.is_empty() != version.is_broken => {
                if !version.is_broken {
                    self.version = version;
                }
            }
            other => {
                let text = format!("{version:?}: {other:?}");
                self.world.judge(Err(Violation::new("reload", text)));
            }
        }
    }

    /// The disk takes no more pages for a while: SQLite itself says so.
    async fn fill_disk(&self, ms: i64) {
        database::limit_pages(&self.disk, true);
        self.world.state().full_until = self.world.clock.real() + ms;
        tokio::time::sleep(Duration::from_millis(ms as u64)).await;
        database::limit_pages(&self.disk, false);
    }

    async fn stop(&self, bot: Bot) {
        if let Err(error) = bot.stop().await {
            self.world.log(format_args!("stop: {error:#}"));
        }
    }

    /// Holds the database against the truth.
    async fn check(&self) {
        let verdict = database::check(&self.disk, &self.world);
        self.world.judge(verdict);
    }

    /// No more faults: everything must come to rest, and then be right.
    async fn calm_down(&self, bot: &Bot) {
        let world = &self.world;
        world.log("calm");
        world.set_calm(true);
        world.clock.correct();
        let begin = world.clock.real();
        loop {
            let now = world.clock.real();
            world.state().platforms.iter_mut().for_each(|platform| platform.hurry(now));
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
            let left = self.left(bot);
            // A clock is believed again when it has gone right for a while.
            let waits = if world.plan.has_jumps() { HOLD_MS } else { 0 };
            if left.is_empty() && world.clock.real() - begin >= waits {
                break;
            }
            if world.clock.real() - begin > CALM_MS {
                world.judge(Err(Violation::new("liveness", left.join(", "))));
                return;
            }
        }
        self.check().await;
        world.judge(slots::waits(world));
        let verdict = slots::check(world);
        world.judge(verdict);
        let verdict = database::verify(&self.disk, world);
        world.judge(verdict);
    }

    /// What is not at rest.
    fn left(&self, bot: &Bot) -> Vec<String> {
        let mut left = Vec::new();
        if bot.under_way() > 0 {
            left.push(format!("{} under way", bot.under_way()));
        }
        let state = self.world.state();
        for (index, platform) in state.platforms.iter().enumerate() {
            if !platform.is_quiet() {
                left.push(format!("platform {index} has {:?}", platform.pending()));
            }
        }
        let now = self.world.clock.now();
        let due = state.model.timers.values().filter(|timer| timer.due + 1000 < now);
        left.extend(
            due.map(|it| format!("timer {} {} is due since {}", it.script, it.name, it.due)),
        );
        drop(state);
        left.extend(database::left(&self.disk));
        left
    }
}

/// The process is dead, or something is wrong.
async fn ended(world: &World) {
    loop {
        {
            let state = world.state();
            if state.is_dead || state.violation.is_some() {
                return;
            }
        }
        world.ended.notified().await;
    }
}

/// The oracle reads the clocks of another database than the product.
fn product_zone(zone: chrono_tz::Tz) -> Zone {
    zone.name().parse().expect("both know the zones of the cast")
}
