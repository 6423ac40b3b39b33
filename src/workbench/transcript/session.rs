//! A fresh bot with its clock and its console, to which lines are played one after the other.
//!
//! Transcripts and the pipe differ in where lines come from and where results go; what a line
//! does is decided here, once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::adapter::console::{Console, Misread, Room, Spot, Typed, decode};
use crate::bot::{Bot, Parts, SeedMember};
use crate::clock::{Clock as _, TimeMs, VirtualClock};
use crate::config::{CommunityConfig, Config, Mode, ScriptConfig, ScriptTables};
use crate::id::Ref;
use crate::report::{Line, TurnReport};
use crate::script::protocol::Source;
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use crate::value::Role;

use super::front::{FrontMatter, Home, MemberEntry};

/// Between two lines, so that no two events have the same time.
const TICK_MS: i64 = 2000;

/// Wall time of one handler in a case, ms: a net for what counts no operations.
const HANDLER_MS: u64 = 60_000;

/// Moves of the clock stop after so many timers: a timer that sets itself anew for the same
/// moment would never end otherwise.
const TIMERS_IN_A_MOVE: usize = 100_000;

/// Makes the parts of a bot for a case: the scripts come from disk, all else from the setup.
pub type Make<'a> = dyn Fn(&CaseSetup<'_>) -> anyhow::Result<Parts> + Send + Sync + 'a;

/// What a case wants of its bot.
pub struct CaseSetup<'a> {
    /// The head of the transcript.
    pub front: &'a FrontMatter,
    /// The folder that it stands in; `None` for a pipe without a head, where config.toml says
    /// which scripts run and how.
    pub home: Option<Home>,
    /// The transcript, for the places of wrong settings.
    pub path: PathBuf,
    /// Time.
    pub clock: Arc<VirtualClock>,
    /// The platform.
    pub console: Arc<Console>,
    /// A database of its own, in memory.
    pub store: Arc<dyn Store>,
}

impl CaseSetup<'_> {
    /// Whether the case runs with a script.
    pub fn picks(&self, source: &Source) -> bool {
        self.home.is_none_or(|home| self.front.picks(home, source.name.as_str(), source.is_rule))
    }

    /// The configuration of the case: limits and folders of `base`, everything else its own, so
    /// that a test does not change when a manager changes a setting.
    pub fn config(&self, base: &Config) -> Config {
        let front = self.front;
        let mut config = base.clone();
        config.store.url = crate::config::StoreUrl::new("sqlite::memory:");
        config.adapters = [("console".to_owned(), Default::default())].into();
        // What a case shows must not depend on how busy the machine is; the limit of operations,
        // which is the same everywhere, still ends a handler that does too much.
        config.limits.script.handler_ms = HANDLER_MS;
        config.bot.timezone = front.timezone;
        config.bot.locale.clone_from(&front.locale);
        config.communities = vec![CommunityConfig {
            id: "console".to_owned(),
            name: front.groups.first().cloned().unwrap_or_default(),
            groups: front.groups.iter().map(|name| Room::reference(name)).collect(),
            timezone: Some(front.timezone),
            locale: Some(front.locale.clone()),
            posting: None,
            scripts: ScriptTables::default(),
        }];
        if self.home.is_some() {
            config.path.clone_from(&self.path);
            config.roles.clear();
            config.routines.clear();
            config.scripts = ScriptTables::default();
        }
        config
    }

    /// Adds mode and settings of the scripts that run; call it once the sources are known, since
    /// only they tell a rule from a feature.
    pub fn apply_settings(&self, config: &mut Config, sources: &[Source]) {
        for source in sources {
            let name = source.name.as_str();
            let own = self.front.settings.get(name);
            let mode = (source.is_rule && self.front.mode == Mode::Shadow).then_some(Mode::Shadow);
            if own.is_none() && mode.is_none() {
                continue;
            }
            let tables = &mut config.scripts;
            let table = if source.is_rule { &mut tables.rules } else { &mut tables.features };
            let entry = table.entry(name.to_owned()).or_default();
            if let Some(ScriptConfig { settings, span, .. }) = own {
                entry.settings.extend(settings.clone());
                entry.span = span.clone();
            }
            entry.mode = mode.or(entry.mode);
        }
    }
}

/// Why a line could not be played.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It makes no sense at this point.
    #[error("{}", .0.0)]
    Line(#[from] Misread),
    /// The bot could not go on.
    #[error("{0:#}")]
    Bot(#[from] anyhow::Error),
}

/// A running case.
pub struct Session {
    bot: Bot,
    console: Arc<Console>,
    clock: Arc<VirtualClock>,
    reports: UnboundedReceiver<Arc<TurnReport>>,
    home_group: String,
    start: TimeMs,
    broken: Broken,
}

/// What a commit left in the ledger that does not hold; each commit of a case is checked.
type Broken = Arc<Mutex<Vec<String>>>;

impl Session {
    /// Starts a bot for a case and puts its members there.
    ///
    /// # Errors
    /// The scripts do not compile, a setting is unknown, or the store cannot be made.
    pub async fn open(
        front: &FrontMatter,
        home: Option<Home>,
        path: PathBuf,
        make: &Make<'_>,
    ) -> anyhow::Result<Self> {
        let clock = VirtualClock::starting_at(front.start);
        let mut room = Room::new("t", &front.groups);
        for member in &front.members {
            room.admit(&member.name, member.role, member.is_bot, &member.groups);
        }
        let console = Arc::new(Console::headless(room));
        let broken: Broken = Arc::default();
        let heard = broken.clone();
        let hearer = Box::new(move |found: &[String]| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(found);
        });
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await?.audited(hearer));
        let setup =
            CaseSetup { front, home, path, clock: clock.clone(), console: console.clone(), store };
        let bot = Bot::start(make(&setup)?).await?;
        let reports = bot.reports();
        for group in &front.groups {
            let is_here =
                |member: &&MemberEntry| member.groups.is_empty() || member.groups.contains(group);
            let members = front.members.iter().filter(is_here).map(seed).collect();
            bot.seed_members(&Room::reference(group), members).await?;
        }
        let home_group = front.groups.first().cloned().unwrap_or_default();
        let start = front.start;
        let mut session = Self { bot, console, clock, reports, home_group, start, broken };
        session.bot.settled().await;
        session.drain();
        Ok(session)
    }

    /// The console.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Puts somebody there who has always been there, if she is not there yet.
    ///
    /// # Errors
    /// The name cannot be one, or the store failed.
    pub async fn admit(&self, name: &str) -> Result<(), Trouble> {
        if self.console.room().guest(name).is_some() {
            return Ok(());
        }
        crate::adapter::console::check_name(name)?;
        let groups = {
            let mut room = self.console.room();
            room.admit(name, Role::Member, false, &[]);
            room.groups().to_vec()
        };
        let member = MemberEntry::long_standing(name, self.start);
        for group in groups {
            self.bot.seed_members(&Room::reference(&group), vec![seed(&member)]).await?;
        }
        Ok(())
    }

    /// Plays a line; gives everything that the bot did until nothing was under way.
    ///
    /// # Errors
    /// The line makes no sense at this point, or the bot failed.
    pub async fn play(&mut self, typed: &Typed) -> Result<Vec<Line>, Trouble> {
        let by_ms = if let Typed::Clock(ms) = typed { *ms } else { TICK_MS };
        self.advance(by_ms).await;
        let envelope = decode(&mut self.console.room(), typed, self.clock.now())?;
        if let Some(envelope) = envelope {
            self.bot.inbox().offer(envelope, None).await;
            self.bot.settled().await;
        }
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).join("; ");
        if !broken.is_empty() {
            return Err(Trouble::Bot(anyhow::anyhow!("the ledger does not hold: {broken}")));
        }
        Ok(self.drain())
    }

    /// The group that a line is about.
    pub fn place(&self, typed: &Typed) -> Ref {
        let (Typed::Say { to, .. }
        | Typed::Press { to, .. }
        | Typed::React { to, .. }
        | Typed::Join { to, .. }
        | Typed::Leave { to, .. }) = typed
        else {
            return Room::reference(&self.home_group);
        };
        match to {
            Spot::Group(name) => Room::reference(name),
            Spot::Here => Room::reference(self.console.room().here()),
            Spot::Bot => Room::reference(&self.home_group),
        }
    }

    /// Lets time pass, firing each timer at its own moment.
    async fn advance(&mut self, by_ms: i64) {
        let target = self.clock.now().saturating_add(by_ms);
        for _ in 0..TIMERS_IN_A_MOVE {
            let Some(due) = self.bot.next_due().filter(|due| *due <= target) else { break };
            self.clock.set(due);
            self.bot.fire_due().await;
            self.bot.settled().await;
        }
        self.clock.set(target);
    }

    fn drain(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            lines.extend(report.lines.iter().cloned());
        }
        lines
    }

    /// Stops the bot.
    ///
    /// # Errors
    /// What could not be finished.
    pub async fn close(self) -> anyhow::Result<()> {
        self.bot.stop().await
    }
}

fn seed(member: &MemberEntry) -> SeedMember {
    SeedMember {
        id: Room::reference(&member.name),
        name: member.name.clone(),
        role: member.role,
        trust: member.trust,
        points: member.points,
        joined_at: member.joined_at,
        is_bot: member.is_bot,
    }
}
