//! A folder with scripts, a bot on it, and a platform that keeps what it was told.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::{
    Adapter, BoxFuture, Capabilities, Inbox, Outcome, Redelivery, Request, Risk, RoleSource,
    SendSafety, Support, Visibility,
};
use qundao::bot::{Bot, Parts, SeedMember, secret_from};
use qundao::clock::{Clock, VirtualClock};
use qundao::config::{self, Config};
use qundao::event::{Actor, Element, Envelope, EventKind, KeyQuality, Place};
use qundao::id::Ref;
use qundao::report::{Line, TurnReport};
use qundao::script::protocol::ScriptHost;
use qundao::script::{InProcessHost, load};
use qundao::store::Store;
use qundao::store::sqlite::Sqlite;
use qundao::value::Role;
use qundao::workbench::reload::{Reloaded, Reloader};
use qundao::workbench::workspace::words;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

/// Monday, 2026-11-23, 09:00 in Shanghai.
pub const START: i64 = 1_795_395_600_000;
/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A platform that does what it is told as long as its gate is open.
pub struct Chat {
    pub sent: Mutex<Vec<Request>>,
    pub gate: tokio::sync::Semaphore,
    /// Somebody waits before the gate.
    pub is_busy: tokio::sync::Notify,
}

impl Chat {
    pub fn open() -> Arc<Self> {
        Self::with_room(tokio::sync::Semaphore::MAX_PERMITS)
    }

    pub fn with_room(sends: usize) -> Arc<Self> {
        let gate = tokio::sync::Semaphore::new(sends);
        Arc::new(Self { sent: Mutex::default(), gate, is_busy: tokio::sync::Notify::new() })
    }

    pub fn keys(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|request| request.key.clone()).collect()
    }
}

impl Adapter for Chat {
    fn account(&self) -> Ref {
        Ref::new("chat", "bot")
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            actions: &["card", "delete", "edit", "mute"],
            mute_max: None,
            elements: &[("text", Support::Native), ("button", Support::Native)],
            text_chars: 4000,
            rates: Vec::new(),
            proactive: true,
            reply_window: None,
            visibility: Visibility::All,
            send_safety: SendSafety::None,
            redelivery: Redelivery::AtMostOnce,
            roles: RoleSource::Inline,
            risk: Risk::Official,
        }
    }

    fn run(
        &self,
        _inbox: Arc<dyn Inbox>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            stop.cancelled().await;
            Ok(())
        })
    }

    fn send<'a>(&'a self, request: &'a Request, _now: i64) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.is_busy.notify_one();
            self.gate.acquire().await.expect("the gate is never closed").forget();
            let mut sent = self.sent.lock().unwrap();
            sent.push(request.clone());
            Outcome::Done { id: Some(sent.len().to_string()), degraded: Vec::new() }
        })
    }
}

/// A bot on a folder.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub bot: Bot,
    pub clock: Arc<VirtualClock>,
    pub reloader: Reloader,
    pub reports: UnboundedReceiver<Arc<TurnReport>>,
}

impl Stage {
    /// With these files; config.toml may be among them.
    pub async fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "config.toml", "[bot]\nlocale = 'zh'\n");
        for (name, text) in files {
            write(folder.path(), name, text);
        }
        let config = read(folder.path());
        let host = Arc::new(InProcessHost::with_threads(config.limits.script.clone(), 1).unwrap());
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().await.unwrap());
        let clock = VirtualClock::starting_at(START);
        let parts = parts(&config, clock.clone(), host, store, Chat::open());
        let bot = Bot::start(parts).await.unwrap();
        let reports = bot.reports();
        Self { folder, bot, clock, reloader: Reloader::new(config), reports }
    }

    pub fn write(&self, name: &str, text: &str) {
        write(self.folder.path(), name, text);
    }

    /// Reloads what stands in the folder.
    pub async fn reload(&self) -> Reloaded {
        tokio::time::timeout(PATIENCE, self.reloader.reload(&self.bot)).await.unwrap()
    }

    /// Reloads and gives the one notice for people, with the folder's own path cut out.
    pub async fn notice(&self) -> String {
        let notice = self.reload().await.notice("zh").text;
        notice.replace(&format!("{}/", self.folder.path().display()), "")
    }

    /// Says something and gives what the bot did.
    pub async fn say(&mut self, who: &str, text: &str) -> Vec<Line> {
        self.bot.inbox().offer(message(who, text, self.clock.now()), None).await;
        self.lines().await
    }

    /// What the bot did since the last question.
    pub async fn lines(&mut self) -> Vec<Line> {
        tokio::time::timeout(PATIENCE, self.bot.settled()).await.unwrap();
        let mut lines = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            lines.extend(report.lines.iter().cloned());
        }
        lines
    }

    /// Says something and gives the texts of the answers.
    pub async fn hear(&mut self, who: &str, text: &str) -> Vec<String> {
        let said = |line: Line| match line {
            Line::Said { text, .. } | Line::Card { text, .. } => Some(text),
            _ => None,
        };
        self.say(who, text).await.into_iter().filter_map(said).collect()
    }

    /// Lets time pass, with every timer at its moment.
    pub async fn pass(&mut self, ms: i64) -> Vec<Line> {
        let target = self.clock.now() + ms;
        while let Some(due) = self.bot.next_due().filter(|due| *due <= target) {
            self.clock.set(due);
            self.bot.fire_due().await;
            tokio::time::timeout(PATIENCE, self.bot.settled()).await.unwrap();
        }
        self.clock.set(target);
        self.lines().await
    }

    /// Long-standing members with points.
    pub async fn seed(&mut self, names: &[(&str, i64)]) {
        let seed = |(name, points): &(&str, i64)| SeedMember {
            id: Ref::new("chat", name),
            name: (*name).to_owned(),
            role: Role::Member,
            trust: 2,
            points: *points,
            joined_at: START - 60 * 86_400_000,
            is_bot: false,
        };
        let members = names.iter().map(seed).collect();
        self.bot.seed_members(&Ref::new("chat", "g"), members).await.unwrap();
        self.lines().await;
    }
}

pub fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub fn read(folder: &Path) -> Arc<Config> {
    let config = config::load(&folder.join("config.toml"));
    Arc::new(config.unwrap_or_else(|problems| panic!("{problems}")))
}

pub fn parts(
    config: &Arc<Config>,
    clock: Arc<dyn Clock>,
    host: Arc<dyn ScriptHost>,
    store: Arc<dyn Store>,
    chat: Arc<Chat>,
) -> Parts {
    Parts {
        config: config.clone(),
        clock,
        secret: secret_from(7),
        store,
        host,
        sources: load::read(&config.bot.scripts, &config.bot.rules).0,
        words: words(config).0,
        feeds: Arc::new(qundao::news::Sources::files("")),
        adapters: vec![chat],
    }
}

/// A message in the one group.
pub fn message(who: &str, text: &str, at: i64) -> Envelope {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let key = KEYS.fetch_add(1, Ordering::SeqCst).to_string();
    Envelope {
        account: Ref::new("chat", "bot"),
        key: key.as_str().into(),
        key_quality: KeyQuality::Stable,
        at,
        group: Some(Place { id: Ref::new("chat", "g"), name: None, community: None }),
        actor: Some(Actor {
            id: Ref::new("chat", who),
            name: who.to_owned(),
            nickname: None,
            role: Some(Role::Member),
            is_bot: false,
        }),
        kind: EventKind::Message {
            id: key,
            elements: vec![Element::Text(text.to_owned())].into(),
            quote: None,
            to_bot: false,
        },
        backfilled: false,
    }
}
