//! QQ by way of OneBot v11 (<https://github.com/botuniverse/onebot-11>): the application's side,
//! for implementations such as NapCat and Lagrange.
//!
//! Three ways to be connected, in any combination: we connect to the implementation (`forward`),
//! it connects to us (`listen`), it posts its events (`post`) and has an HTTP interface
//! (`http_api`). All of them end in the same place: frames are read (`decode`), put into order
//! (`feed`) and handed on; calls are written (`encode`) and judged (`outcome`). Which
//! connection counts and who serves which group is decided in one place (`hub`).

mod auth;

mod caller;
mod calls;
mod cq;
mod decode;
mod dial;
mod encode;
mod feed;
mod forward;
mod guests;
mod history;
mod http_api;
mod hub;
mod listen;
mod liveness;
mod loose;
mod message;
mod notice;
mod outcome;
mod post;
mod serving;
mod settings;
mod socket;
mod tally;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Adapter, AdapterSpec, BoxFuture, Capabilities, Inbox, Outcome, Redelivery, Request, Risk,
    RoleSource, Seen, SendSafety, Visibility,
};
use crate::clock::{Clock, SystemClock, TimeMs};
use crate::config::AdapterConfig;
use crate::event::Element;
use crate::id::Ref;

use super::backoff::Backoff;
use forward::Maker;
use guests::{CONNECTIONS_MAX, Guests};
use history::{Fetched, Wanted};
use http_api::HttpApi;
use hub::Hub;
use listen::Door;
use outcome::{barred, outcome};
use post::Posts;
use settings::Settings;

pub use dial::{ByteStream, Dial, Tcp};
pub use tally::Dropped;

/// The first half of every reference.
const PLATFORM: &str = "onebot";

/// The number of one of our own accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct SelfId(i64);

/// The line in the table of adapters.
pub const SPEC: AdapterSpec = AdapterSpec {
    name: PLATFORM,
    about: "QQ by way of OneBot v11 (NapCat, Lagrange); unofficial, the account is at risk",
    log: "",
    keys: settings::KEYS,
    build: |section| {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("get chance from the operating system")?;
        let clock = Arc::new(SystemClock::default());
        let dial = Arc::new(Tcp);
        Ok(Arc::new(OneBot::new(section, Surroundings { clock, seed, dial })?))
    },
};

/// Calls that work; QQ cannot change a message, and OneBot v11 has neither reactions nor pins.
const ACTIONS: &[&str] =
    &["card", "delete", "mute", "unmute", "kick", "ban", "set_admin", "rename", "admit"];

/// The longest mute.
const MUTE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What comes in from outside, so that a test can decide it.
pub struct Surroundings {
    /// Time, for events that we make ourselves.
    pub clock: Arc<dyn Clock>,
    /// All chance: how long to wait before connecting again.
    pub seed: [u8; 32],
    /// How streams to implementations are opened.
    pub dial: Arc<dyn Dial>,
}

/// The adapter.
pub struct OneBot {
    hub: Arc<Hub>,
    seed: [u8; 32],
    dial: Arc<dyn Dial>,
    listening: watch::Sender<Option<SocketAddr>>,
    /// All connections. It ends with the adapter and not with [`Adapter::run`], because answers
    /// to the last events are sent after that.
    engine: Mutex<Option<JoinHandle<()>>>,
}

impl OneBot {
    /// An adapter from its section; nothing is opened yet.
    ///
    /// # Errors
    /// What is wrong in the section, and what to do.
    pub fn new(section: &AdapterConfig, surroundings: Surroundings) -> anyhow::Result<Self> {
        let Surroundings { clock, seed, dial } = surroundings;
        let hub = Arc::new(Hub::new(Settings::read(section)?, clock));
        let (listening, _) = watch::channel(None);
        Ok(Self { hub, seed, dial, listening, engine: Mutex::default() })
    }

    /// Where it listens, once it does; the port is the system's choice where the section says 0.
    pub async fn listening(&self) -> Option<SocketAddr> {
        let mut listening = self.listening.subscribe();
        listening.wait_for(Option::is_some).await.ok().and_then(|address| *address)
    }

    /// How many of what came were not handed on for this reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.hub.tally.count(why)
    }

    fn backoff(&self, what: &str) -> Backoff {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(what);
        Backoff::new(hash.finalize().into())
    }

    /// Every task that keeps the adapter connected.
    async fn start(&self, inbox: &Arc<dyn Inbox>) -> anyhow::Result<JoinSet<()>> {
        let mut tasks = JoinSet::new();
        let settings = &self.hub.settings;
        if let Some(address) = settings.listen {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("listen on {address}; is another program there?"))?;
            let bound = listener.local_addr().unwrap_or(address);
            self.listening.send_replace(Some(bound));
            tracing::info!(address = %bound, "OneBot: waiting for implementations to connect");
            let (sessions, made) = mpsc::unbounded_channel();
            let posts = Posts::new(sessions);
            let door = Door { hub: self.hub.clone(), inbox: inbox.clone(), posts };
            let guests = Guests::new(CONNECTIONS_MAX);
            tasks.spawn(listen::serve(listener, Arc::new(door), guests));
            tasks.spawn(look_after(made));
        }
        for address in &settings.connect {
            let (hub, dial) = (self.hub.clone(), self.dial.clone());
            let maker = Maker { hub, inbox: inbox.clone(), dial };
            let backoff = self.backoff(&format!("{address:?}"));
            tasks.spawn(forward::keep(maker, address.clone(), backoff));
        }
        for address in &settings.api {
            let token = settings.token.clone();
            let api = Arc::new(HttpApi::new(address.clone(), token, self.dial.clone()));
            let backoff = self.backoff(&format!("{address:?}"));
            tasks.spawn(forward::introduce(self.hub.clone(), api, backoff));
        }
        self.hub.expect_accounts();
        tasks.spawn(tell_who_is_gone(self.hub.clone(), inbox.clone()));
        Ok(tasks)
    }

    async fn call(&self, request: &Request, now: TimeMs) -> Outcome {
        let Some((self_id, caller)) = self.hub.pick(request) else {
            let reason = format!("`{}` is not connected", request.account);
            return if self.hub.is_anybody_there() {
                Outcome::NotSent { reason, retry_after: None }
            } else {
                Outcome::Offline { reason }
            };
        };
        let asked = hub::self_id_of(&request.account);
        let is_own = asked.is_none_or(|asked| asked == self_id);
        match encode::encode(request, is_own, now) {
            Err(reason) => Outcome::Permanent { reason },
            Ok(action) => {
                let limit = self.hub.settings.timeout;
                let reply = caller.call(action.name, &action.params, limit).await;
                match barred(outcome(reply, action.degraded), &request.call, &request.to) {
                    // The implementation is there, and QQ is not.
                    Outcome::NotSent { reason, retry_after: None }
                        if self.hub.is_logged_out(self_id) =>
                    {
                        Outcome::Offline { reason }
                    }
                    outcome => outcome,
                }
            }
        }
    }

    async fn look_back(&self, request: &Request) -> Seen {
        let Some(wanted) = Wanted::of(&request.call, &request.to, request.since) else {
            // Doing it again does no harm.
            return Seen::No;
        };
        let Some((self_id, caller)) = self.hub.pick(request) else { return Seen::Later };
        let told =
            self.hub.find_own(self_id, |message| message.is_to(&request.to) && wanted.is(message));
        if let Some(told) = told {
            return Seen::Yes(Some(told.id));
        }
        let ask = || history::fetch(&caller, &request.to, self.hub.settings.timeout);
        let fetched = match ask().await {
            // Once more before anything is sent again: this process may have stood still while
            // the time for the answer ran out.
            Fetched::Failed(_) if !caller.is_gone() => ask().await,
            fetched => fetched,
        };
        match fetched {
            Fetched::Messages(data) => {
                let ear = self.hub.ear(self_id);
                let (others, own) = history::messages(&data, &ear, self.hub.clock.now());
                wanted.seen(&others, &own)
            }
            Fetched::Absent => Seen::Unknown,
            Fetched::Failed(reason) => {
                tracing::debug!(reason, "OneBot: the history could not be asked");
                // A question that broke off with its connection was not answered at all.
                let is_away = caller.is_gone() || self.hub.caller(self_id).is_none();
                if is_away { Seen::Later } else { Seen::Unknown }
            }
        }
    }
}

impl Adapter for OneBot {
    fn account(&self) -> Ref {
        match self.hub.settings.accounts.first() {
            Some(first) => hub::reference(*first),
            // No account has this name, so that any may stand in for it.
            None => Ref::new(PLATFORM, "any"),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            actions: ACTIONS,
            mute_max: Some(MUTE_MAX),
            elements: encode::ELEMENTS,
            text_chars: encode::TEXT_CHARS,
            rates: self.hub.settings.rates.clone(),
            proactive: true,
            reply_window: None,
            visibility: Visibility::All,
            send_safety: SendSafety::ReadBack,
            redelivery: Redelivery::AtMostOnce,
            roles: RoleSource::Inline,
            risk: Risk::Unofficial,
        }
    }

    fn run(
        &self,
        inbox: Arc<dyn Inbox>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            let mut tasks = self.start(&inbox).await?;
            let (ended, is_over) = tokio::sync::oneshot::channel::<()>();
            let engine = tokio::spawn(async move {
                // Whoever has done its part ends; one that panics takes the others with it.
                while let Some(Ok(())) = tasks.join_next().await {}
                drop(ended);
            });
            *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine);
            tokio::select! {
                () = stop.cancelled() => {
                    self.hub.become_deaf();
                    Ok(())
                }
                _ = is_over => anyhow::bail!("a part of the adapter broke; the log says where"),
            }
        })
    }

    fn send<'a>(&'a self, request: &'a Request, now: TimeMs) -> BoxFuture<'a, Outcome> {
        Box::pin(self.call(request, now))
    }

    fn unreadable(&self) -> u64 {
        self.dropped(Dropped::Unreadable)
    }

    fn length(&self, content: &[Element]) -> usize {
        encode::length(content)
    }

    fn read_back<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Seen> {
        Box::pin(self.look_back(request))
    }
}

impl Drop for OneBot {
    fn drop(&mut self) {
        let engine = self.engine.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = engine {
            engine.abort();
        }
    }
}

/// Runs the tasks of accounts whose events are posted.
async fn look_after(mut made: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            Some(session) = made.recv() => drop(sessions.spawn(session)),
            Some(_) = sessions.join_next() => {}
            else => std::future::pending().await,
        }
    }
}

/// Tells when an account has been away for longer than reconnecting takes.
async fn tell_who_is_gone(hub: Arc<Hub>, inbox: Arc<dyn Inbox>) {
    loop {
        let (gone, next) = hub.gone();
        for envelope in gone {
            inbox.offer(envelope, None).await;
        }
        match next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => hub.departed.notified().await,
        }
    }
}
