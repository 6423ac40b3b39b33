//! A bot in a test: real store, real scripts, and a platform that the test plays itself.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

#[path = "../postgres/cluster.rs"]
pub mod cluster;
mod database;

pub use database::{Database, Peek};

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::{
    Adapter, BoxFuture, Capabilities, Inbox, Outcome, Rate, Redelivery, Request, Risk, RoleSource,
    Seen, SendSafety, Support, Visibility,
};
use qundao::bot::{Bot, Parts, SeedMember, secret_from};
use qundao::clock::{Clock, SystemClock, TimeMs};
use qundao::config::Config;
use qundao::effect::Call;
use qundao::event::{Actor, Element, Envelope, EventKind, KeyQuality, Place, plain_text};
use qundao::id::Ref;
use qundao::moderation::WordLists;
use qundao::news::{Fetch, Sources};
use qundao::script::InProcessHost;
use qundao::script::load::source;
use qundao::script::protocol::{ScriptHost, Source};
use qundao::store::Store;
use qundao::store::sqlite::Sqlite;
use qundao::value::Role;
use sqlx::{Connection, Row, SqliteConnection};
use tokio_util::sync::CancellationToken;

/// What the platform says to a request.
pub type Answer = Box<dyn FnMut(&Request) -> Outcome + Send>;

/// A platform whose every answer the test decides.
pub struct Platform {
    pub requests: Mutex<Vec<Request>>,
    answer: Mutex<Answer>,
    rates: &'static [Rate],
    safety: SendSafety,
    text_chars: usize,
    /// What it tells of calls that are in doubt, one after the other; then nothing.
    pub seen: Mutex<VecDeque<Seen>>,
}

impl Platform {
    /// Takes everything.
    pub fn willing() -> Arc<Self> {
        let mut next = 0;
        Self::answering(move |_| {
            next += 1;
            Outcome::Done { id: Some(format!("m{next}")), degraded: Vec::new() }
        })
    }

    pub fn answering(answer: impl FnMut(&Request) -> Outcome + Send + 'static) -> Arc<Self> {
        Self::with(&[], SendSafety::None, answer)
    }

    pub fn with(
        rates: &'static [Rate],
        safety: SendSafety,
        answer: impl FnMut(&Request) -> Outcome + Send + 'static,
    ) -> Arc<Self> {
        let answer: Mutex<Answer> = Mutex::new(Box::new(answer));
        Arc::new(Self {
            requests: Mutex::default(),
            answer,
            rates,
            safety,
            text_chars: 10_000,
            seen: Mutex::default(),
        })
    }

    /// Takes no longer texts than this.
    pub fn short(
        text_chars: usize,
        answer: impl FnMut(&Request) -> Outcome + Send + 'static,
    ) -> Arc<Self> {
        let platform = Self::answering(answer);
        let platform = Arc::into_inner(platform).expect("nobody else has it");
        Arc::new(Self { text_chars, ..platform })
    }

    /// From now on it answers so.
    pub fn answer_with(&self, answer: impl FnMut(&Request) -> Outcome + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// Texts of the messages that were sent, in order, with their group.
    pub fn said(&self) -> Vec<(String, String)> {
        let requests = self.requests.lock().unwrap();
        let text = |request: &Request| match &request.call {
            Call::Send { content, .. } | Call::Card { content, .. } => {
                Some((request.to.reference().local().to_owned(), plain_text(content)))
            }
            _ => None,
        };
        requests.iter().filter_map(text).collect()
    }
}

impl Adapter for Platform {
    fn account(&self) -> Ref {
        Ref::new("test", "bot")
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            actions: &["edit", "delete", "react", "pin", "mute", "unmute", "kick", "ban"],
            mute_max: None,
            elements: &[("text", Support::Native), ("button", Support::Native)],
            text_chars: self.text_chars,
            rates: self.rates.to_vec(),
            proactive: true,
            reply_window: None,
            visibility: Visibility::All,
            send_safety: self.safety,
            redelivery: Redelivery::AtLeastOnce,
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

    fn send<'a>(&'a self, request: &'a Request, _now: TimeMs) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.requests.lock().unwrap().push(request.clone());
            (self.answer.lock().unwrap())(request)
        })
    }

    fn read_back<'a>(&'a self, _request: &'a Request) -> BoxFuture<'a, Seen> {
        Box::pin(async move { self.seen.lock().unwrap().pop_front().unwrap_or(Seen::Unknown) })
    }
}

/// A message of a member in a group; `key` makes it what it is.
pub fn message(key: &str, group: &str, person: &str, text: &str, at: TimeMs) -> Envelope {
    let elements = [Element::Text(text.to_owned())].into();
    let kind = EventKind::Message { id: key.to_owned(), elements, quote: None, to_bot: false };
    event(key, group, person, kind, at)
}

/// Anything that a member does in a group.
pub fn event(key: &str, group: &str, person: &str, kind: EventKind, at: TimeMs) -> Envelope {
    Envelope {
        account: Ref::new("test", "bot"),
        key: key.into(),
        key_quality: KeyQuality::Stable,
        at,
        group: Some(Place { id: group_ref(group), name: None, community: None }),
        actor: Some(Actor {
            id: person_ref(person),
            name: person.to_owned(),
            nickname: None,
            role: None,
            is_bot: false,
        }),
        kind,
        backfilled: false,
    }
}

pub fn group_ref(group: &str) -> Ref {
    Ref::new("test", group)
}

pub fn person_ref(person: &str) -> Ref {
    Ref::new("test", format!("u-{person}"))
}

/// A member of long standing.
pub fn seed(name: &str, points: i64, now: TimeMs) -> SeedMember {
    SeedMember {
        id: person_ref(name),
        name: name.to_owned(),
        role: Role::Member,
        trust: 2,
        points,
        joined_at: now - 60 * 24 * 3_600_000,
        is_bot: false,
    }
}

/// A rule or feature written in a test.
pub fn script(name: &str, text: &str) -> Source {
    source(name, &format!("scripts/{name}.rhai"), false, text)
}

/// A script that ships.
pub fn shipped(name: &str) -> Source {
    let path = format!("{}/scripts/{name}.rhai", env!("CARGO_MANIFEST_DIR"));
    script(name, &std::fs::read_to_string(path).unwrap())
}

/// What a test changes about its bot.
pub struct Setup {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub sources: Vec<Source>,
    pub host: Option<Arc<dyn ScriptHost>>,
    pub words: WordLists,
    /// Where feeds come from; without it there are none but files.
    pub feeds: Option<Arc<dyn Fetch>>,
}

impl Setup {
    pub fn new(sources: Vec<Source>) -> Self {
        let clock = SystemClock::with_offset(0);
        let mut config = Config::default();
        // A machine that is busy with other tests must not make honest handlers late.
        config.limits.script.handler_ms = 10_000;
        Self { config, clock, sources, host: None, words: WordLists::default(), feeds: None }
    }

    /// The word lists that ship.
    pub fn shipped_words() -> WordLists {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/words");
        WordLists::load(&folder).0
    }

    pub async fn start(self, store: Arc<dyn Store>, platform: &Arc<Platform>) -> Bot {
        self.start_on(store, vec![platform.clone()]).await
    }

    /// On any platforms.
    pub async fn start_on(self, store: Arc<dyn Store>, adapters: Vec<Arc<dyn Adapter>>) -> Bot {
        self.try_start_on(store, adapters).await.unwrap()
    }

    /// Where the start may fail.
    pub async fn try_start(
        self,
        store: Arc<dyn Store>,
        platform: &Arc<Platform>,
    ) -> anyhow::Result<Bot> {
        self.try_start_on(store, vec![platform.clone()]).await
    }

    async fn try_start_on(
        self,
        store: Arc<dyn Store>,
        adapters: Vec<Arc<dyn Adapter>>,
    ) -> anyhow::Result<Bot> {
        let limits = self.config.limits.script.clone();
        let host =
            self.host.unwrap_or_else(|| Arc::new(InProcessHost::with_threads(limits, 2).unwrap()));
        let parts = Parts {
            config: Arc::new(self.config),
            clock: self.clock,
            secret: secret_from(7),
            store,
            host,
            sources: self.sources,
            words: self.words,
            feeds: self.feeds.unwrap_or_else(|| Arc::new(Sources::files(""))),
            adapters,
        };
        Bot::start(parts).await
    }
}

/// A file whose ledgers are checked after every commit that touches them.
pub async fn sqlite(path: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(path).await.unwrap().audited(Box::new(outraged)))
}

/// Likewise in memory.
pub async fn memory() -> Arc<dyn Store> {
    Arc::new(Sqlite::in_memory().await.unwrap().audited(Box::new(outraged)))
}

/// A file whose ledgers are checked where the test asks for it: many transfers make the checks slow.
pub async fn unaudited(path: &Path) -> Arc<dyn Store> {
    Arc::new(Sqlite::open(path).await.unwrap())
}

/// A panic of the committer would only be a test that hangs.
fn outraged(broken: &[String]) {
    eprintln!("a commit left a ledger that does not hold:\n{}", broken.join("\n"));
    std::process::abort();
}

/// A look at the file from outside, with every constraint in force.
pub async fn peek(path: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// One number from the database.
pub async fn number(db: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(db).await.unwrap().get(0)
}

/// Nothing in a test may hang for ever.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(120), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen in two minutes"),
    }
}
