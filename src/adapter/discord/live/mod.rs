//! The adapter itself: the library's gateway on a thread of its own (`gateway`), its events read
//! (`decode`) and brought to the core in order (`feed`), calls written (`encode`), kept within
//! Discord's rates (`limiter`), made (`rest`) and judged (`send`).

mod decode;
mod encode;
mod feed;
mod gateway;
mod history;
mod limiter;
mod markup;
mod message;
mod offer;
mod permission;
mod question;
mod recall;
mod rest;
mod route;
mod send;
mod settings;
mod shared;
mod slash;
mod table;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serenity::model::id::UserId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PLATFORM;
use crate::adapter::backoff::Backoff;
use crate::adapter::{
    Adapter, BoxFuture, Capabilities, CommandOffer, Inbox, Outcome, Rate, RateScope, Redelivery,
    Request, Risk, RoleSource, Seen, SendSafety, Visibility,
};
use crate::clock::{Clock, SystemClock, TimeMs};
use crate::config::AdapterConfig;
use crate::event::Element;
use crate::id::Ref;

use feed::Feed;
use gateway::Gateway;
use rest::Rest;
use settings::Settings;
use shared::Shared;
use slash::Offers;

pub use gateway::Pacing;
pub use tally::Dropped;

/// Calls that work. Discord has roles instead of admins, and nobody asks to join.
const ACTIONS: &[&str] = &[
    "card",
    "edit",
    "delete",
    "react",
    "pin",
    "mute",
    "unmute",
    "kick",
    "ban",
    "rename",
    "private_answers",
    "history",
];
/// Discord drops a repeat of a message for a few minutes; it does not say how many.
const WINDOW: Duration = Duration::from_secs(120);
/// Messages to one channel …
const CHANNEL_MESSAGES: u32 = 5;
/// … in so long.
const CHANNEL_PERIOD: Duration = Duration::from_secs(5);

/// What comes in from outside, so that a test can decide it.
pub struct Surroundings {
    /// Time, for what Discord gives none.
    pub clock: Arc<dyn Clock>,
    /// All chance: how long to wait before a new session.
    pub seed: [u8; 32],
    /// What makes calls.
    pub client: reqwest::Client,
    /// The library keeps the rates of calls instead of us; it then knows Discord's own address
    /// alone.
    pub rates_by_library: bool,
    /// How often sessions may begin.
    pub pacing: Pacing,
}

/// What makes calls: once, and to nobody but Discord.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}

impl Surroundings {
    /// Those of this machine.
    ///
    /// # Errors
    /// A system without chance or without TLS.
    pub fn of_system() -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("get chance from the operating system")?;
        Ok(Self {
            clock: Arc::new(SystemClock::default()),
            seed,
            client: client().build().context("prepare calls to Discord")?,
            rates_by_library: false,
            pacing: Pacing::default(),
        })
    }
}

/// The adapter.
pub struct Discord {
    shared: Arc<Shared>,
    account: Ref,
    seed: [u8; 32],
    pacing: Pacing,
    before: Mutex<Vec<(Ref, TimeMs)>>,
}

impl Discord {
    /// An adapter from its section; nothing is opened yet.
    ///
    /// # Errors
    /// What is wrong in the section, and what to do.
    pub fn new(section: &AdapterConfig, surroundings: Surroundings) -> anyhow::Result<Self> {
        let settings = Settings::read(section)?;
        let Surroundings { clock, seed, client, rates_by_library, pacing } = surroundings;
        let own = settings::account_of(settings.token.reveal()).map(UserId::new);
        let account = own.map_or_else(|| Ref::new(PLATFORM, "bot"), message::person);
        let rest = Rest::new(&settings, client, rates_by_library, pacing.calls_a_second);
        let shared = Arc::new(Shared::new(settings, clock, rest, own));
        Ok(Self { shared, account, seed, pacing, before: Mutex::default() })
    }

    /// How many of what came were not handed on for this reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.shared.tally.count(why)
    }

    async fn work(&self, inbox: Arc<dyn Inbox>, stop: CancellationToken) -> anyhow::Result<()> {
        let before =
            std::mem::take(&mut *self.before.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut feed, items) = Feed::new(self.shared.clone(), &before);
        let (events, mut heard) = mpsc::channel(gateway::EVENTS_MAX);
        let connected = CancellationToken::new();
        let _until_the_end = connected.clone().drop_guard();
        let end = gateway::spawn(Gateway {
            rest: self.shared.rest.clone(),
            calls: tokio::runtime::Handle::current(),
            events,
            tally: self.shared.tally.clone(),
            follows: self.shared.settings.is_discord,
            pacing: self.pacing,
            backoff: Backoff::new(self.seed),
            stop: connected,
        })
        .context("begin the gateway's thread")?;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(feed::hand_on(items, inbox));
        let mut is_offering = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.shared.rest.is_dead.cancelled() => anyhow::bail!(gateway::BAD_TOKEN),
                event = heard.recv() => match event {
                    Some(event) => feed.take(event),
                    // The thread says why as the last thing it does.
                    None => match end.await {
                        Ok(why) => anyhow::bail!(why),
                        Err(_) => anyhow::bail!("the gateway's thread broke; the log says where"),
                    },
                },
            }
            if let Some(application) = self.shared.application.get().filter(|_| !is_offering) {
                is_offering = true;
                tasks.spawn(offer::keep(self.shared.clone(), *application));
            }
        }
    }
}

impl Adapter for Discord {
    fn account(&self) -> Ref {
        self.account.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let rate = |scope, count, period| Rate { scope, count, period, drops_silently: false };
        Capabilities {
            actions: ACTIONS,
            mute_max: Some(Duration::from_millis(encode::MUTE_MAX_MS.unsigned_abs())),
            elements: encode::ELEMENTS,
            text_chars: encode::TEXT_CHARS,
            rates: vec![rate(RateScope::Destination, CHANNEL_MESSAGES, CHANNEL_PERIOD)],
            proactive: true,
            reply_window: None,
            visibility: Visibility::All,
            send_safety: SendSafety::Idempotent { window: WINDOW },
            redelivery: Redelivery::AtMostOnce,
            roles: RoleSource::Inline,
            risk: Risk::Official,
        }
    }

    fn run(
        &self,
        inbox: Arc<dyn Inbox>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(self.work(inbox, stop))
    }

    fn send<'a>(&'a self, request: &'a Request, now: TimeMs) -> BoxFuture<'a, Outcome> {
        Box::pin(self.make(request, now))
    }

    fn read_back<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Seen> {
        Box::pin(self.look_back(request))
    }

    fn unreadable(&self) -> u64 {
        self.dropped(Dropped::Unreadable)
    }

    fn length(&self, content: &[Element]) -> usize {
        encode::length(content)
    }

    fn offer_commands(&self, commands: &[CommandOffer]) {
        *self.shared.offers() = Offers::new(commands);
        self.shared.commands.send_replace(commands.into());
    }

    fn heard_before(&self, groups: &[Ref], until: TimeMs) {
        let known = groups.iter().map(|group| (group.clone(), until)).collect();
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}
