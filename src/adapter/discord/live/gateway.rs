//! The connection that brings events: the library's shard on a thread of its own.
//!
//! One thread and a runtime of one thread, because the library hands each event to a task of its
//! own, and several threads would lose their order. The library resumes by itself; whenever that is
//! not possible its runner ends, and what happens then is decided here: Discord takes an account
//! away that begins too many sessions.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use serenity::all::{
    Context, Event, GatewayError, GatewayIntents, Http, RawEventHandler, Shard, ShardId, ShardInfo,
    ShardManager, ShardManagerOptions, ShardRunner, ShardRunnerOptions,
};
use serenity::http::LightMethod;
use serenity::prelude::TypeMap;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, RwLock, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rest::{Reply, Rest};
use super::route::{Op, Path};
use super::tally::{Dropped, Tally};
use crate::adapter::backoff::Backoff;

/// Events on their way from the gateway's thread.
pub const EVENTS_MAX: usize = 16_384;
/// Sessions that Discord must have left before we begin one; a human may need the rest.
const LEFT_MIN: u64 = 10;
/// A session that held for so long shows that all is well.
const HELD: Duration = Duration::from_secs(30);
/// Before Discord is asked again where its gateway is.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What the bot wants to hear of, and no more.
fn intents() -> GatewayIntents {
    GatewayIntents::GUILDS
        | GatewayIntents::GUILD_MEMBERS
        | GatewayIntents::GUILD_MODERATION
        | GatewayIntents::GUILD_MESSAGES
        | GatewayIntents::GUILD_MESSAGE_REACTIONS
        | GatewayIntents::DIRECT_MESSAGES
        | GatewayIntents::MESSAGE_CONTENT
}

/// How often sessions may begin and be resumed; a test is in a hurry.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Between the beginnings of two sessions. Discord's own rule.
    pub spacing: Duration,
    /// Sessions in an hour; Discord allows a thousand a day.
    pub sessions_an_hour: usize,
    /// A session that is resumed more often in a minute is given up.
    pub resumes_a_minute: usize,
    /// Waits grow with each failure.
    pub backs_off: bool,
    /// Calls of the account in a second. Discord's own rule.
    pub calls_a_second: usize,
}

impl Default for Pacing {
    fn default() -> Self {
        let spacing = Duration::from_secs(5);
        Self {
            spacing,
            sessions_an_hour: 30,
            resumes_a_minute: 60,
            backs_off: true,
            calls_a_second: 50,
        }
    }
}

/// All that the gateway's thread needs.
pub struct Gateway {
    /// The way out, for asking where the gateway is.
    pub rest: Arc<Rest>,
    /// Where calls are made: the runtime of the bot.
    pub calls: Handle,
    /// Where events go.
    pub events: mpsc::Sender<Event>,
    /// What did not fit.
    pub tally: Arc<Tally>,
    /// Sessions resume at the address that Discord names; not so through a proxy.
    pub follows: bool,
    /// How often.
    pub pacing: Pacing,
    /// Waits.
    pub backoff: Backoff,
    /// The end.
    pub stop: CancellationToken,
}

/// How a session ended.
enum Ended {
    /// Another one may be begun.
    Again,
    /// Never again: what to do.
    Fatal(String),
}

/// Runs the thread; its answer is why it will never work.
pub fn spawn(gateway: Gateway) -> std::io::Result<tokio::sync::oneshot::Receiver<String>> {
    let (ended, end) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("discord".to_owned()).spawn(move || {
        let address = Arc::new(Mutex::new(String::new()));
        let handler = Arc::new(Handler::new(&gateway, address.clone()));
        // Its queue would begin sessions by itself: it ends with the runtime that it began in.
        let manager = match tokio::runtime::Builder::new_current_thread().build() {
            Ok(mayfly) => {
                let _inside = mayfly.enter();
                idle_manager(gateway.rest.http(), address.clone())
            }
            Err(error) => {
                let _ = ended.send(format!("no runtime for the gateway: {error}"));
                return;
            }
        };
        let stop = gateway.stop.clone();
        let why = runtime.block_on(async move {
            tokio::select! {
                () = stop.cancelled() => None,
                why = keep(gateway, address, handler, manager) => Some(why),
            }
        });
        if let Some(why) = why {
            // Nobody listens when the bot has stopped meanwhile.
            let _ = ended.send(why);
        }
    })?;
    Ok(end)
}

/// A manager that manages nothing: a runner wants one to tell how it is.
fn idle_manager(http: Arc<Http>, address: Arc<Mutex<String>>) -> Arc<ShardManager> {
    let (manager, _) = ShardManager::new(ShardManagerOptions {
        data: Arc::new(RwLock::new(TypeMap::new())),
        event_handlers: Vec::new(),
        raw_event_handlers: Vec::new(),
        shard_index: 0,
        shard_init: 0,
        shard_total: 1,
        ws_url: address,
        http,
        intents: intents(),
        presence: None,
    });
    // A runner that ends waits for this word, five seconds long.
    manager.shutdown_finished(ShardId(0));
    manager
}

/// Begins sessions, one after the other, never in haste.
async fn keep(
    mut gateway: Gateway,
    address: Arc<Mutex<String>>,
    handler: Arc<Handler>,
    manager: Arc<ShardManager>,
) -> String {
    let mut budget = Budget::new(gateway.pacing);
    loop {
        tokio::time::sleep_until(budget.next()).await;
        match locate(&gateway).await {
            Ok(found) => *address.lock().await = found,
            Err(Wait::For(wait)) => {
                tokio::time::sleep(wait + gateway.backoff.next_wait()).await;
                continue;
            }
            Err(Wait::Forever(why)) => return why,
        }
        let began = Instant::now();
        match session(&gateway, &address, &handler, &manager, &mut budget).await {
            Ended::Fatal(why) => return why,
            Ended::Again if began.elapsed() >= HELD => gateway.backoff.reset(),
            Ended::Again => {}
        }
        if gateway.pacing.backs_off {
            let wait = gateway.backoff.next_wait();
            tracing::info!(
                wait_ms = wait.as_millis(),
                "Discord: the session ended, a new one begins"
            );
            tokio::time::sleep(wait).await;
        }
    }
}

/// One session with all its resumes.
async fn session(
    gateway: &Gateway,
    address: &Arc<Mutex<String>>,
    handler: &Arc<Handler>,
    manager: &Arc<ShardManager>,
    budget: &mut Budget,
) -> Ended {
    let http = gateway.rest.http();
    // The library makes one from nothing but JSON.
    let Ok(info) = serde_json::from_value::<ShardInfo>(serde_json::json!([0, 1])) else {
        return Ended::Fatal("this version of the library knows other shards".to_owned());
    };
    let shard = match Shard::new(address.clone(), http.token(), info, intents(), None).await {
        Ok(shard) => shard,
        Err(_) => {
            tracing::warn!("Discord: the gateway could not be reached");
            return Ended::Again;
        }
    };
    // Only who is connected can begin a session.
    budget.note(Instant::now());
    let mut runner = ShardRunner::new(ShardRunnerOptions {
        data: Arc::new(RwLock::new(TypeMap::new())),
        event_handlers: Vec::new(),
        raw_event_handlers: vec![handler.clone()],
        manager: manager.clone(),
        shard,
        http,
    });
    let result = tokio::select! {
        result = Box::pin(runner.run()) => result,
        () = handler.too_often.notified() => {
            tracing::warn!("Discord: resumed too often, the session is given up");
            return Ended::Again;
        }
    };
    match result {
        Ok(()) => Ended::Again,
        Err(serenity::Error::Gateway(GatewayError::InvalidAuthentication)) => {
            Ended::Fatal(BAD_TOKEN.to_owned())
        }
        Err(serenity::Error::Gateway(GatewayError::DisallowedGatewayIntents)) => Ended::Fatal(
            "Discord does not let this bot read (4014): on its page in the developer portal, under \
             Bot, switch on `Server Members Intent` and `Message Content Intent`, then start again"
                .to_owned(),
        ),
        Err(serenity::Error::Gateway(GatewayError::InvalidGatewayIntents)) => {
            Ended::Fatal("Discord does not know what this version asks to hear (4013)".to_owned())
        }
        Err(error) => {
            tracing::warn!(%error, "Discord: the session broke");
            Ended::Again
        }
    }
}

/// What to do about a token that is refused.
pub const BAD_TOKEN: &str = "Discord refused the token (4004): make a new one on the bot's page in \
                             the developer portal, put it where `token` says, then start again";

/// Why no session can begin now.
enum Wait {
    For(Duration),
    Forever(String),
}

/// Where the gateway is, if Discord lets a session begin.
async fn locate(gateway: &Gateway) -> Result<String, Wait> {
    let ask = |path| {
        let rest = gateway.rest.clone();
        let op = Op::new(LightMethod::Get, path, None);
        // On the bot's runtime, where the client has its connections.
        gateway.calls.spawn(async move { rest.call(&op).await })
    };
    let mut reply = ask(Path::GatewayBot).await;
    if matches!(reply, Ok(Reply::Refused { status: 404, .. })) {
        reply = ask(Path::Gateway).await;
    }
    let found = match reply {
        Ok(Reply::Done(found)) => found,
        Ok(Reply::Refused { status: 401, .. }) => return Err(Wait::Forever(BAD_TOKEN.to_owned())),
        Ok(Reply::Wait { after: Some(after), .. }) => return Err(Wait::For(after)),
        Ok(reply) => {
            tracing::warn!(?reply, "Discord: does not say where its gateway is");
            return Err(Wait::For(ASK_AGAIN));
        }
        Err(_) => return Err(Wait::For(ASK_AGAIN)),
    };
    let limit = &found["session_start_limit"];
    if let (Some(left), Some(reset_ms)) =
        (limit["remaining"].as_u64(), limit["reset_after"].as_u64())
        && left < LEFT_MIN
    {
        tracing::error!(left, reset_ms, "Discord: almost no sessions are left today; waiting");
        return Err(Wait::For(Duration::from_millis(reset_ms)));
    }
    let url = found["url"].as_str().filter(|url| url.starts_with("ws"));
    url.map(str::to_owned).ok_or(Wait::For(ASK_AGAIN))
}

/// Our own count of sessions.
#[derive(Debug)]
struct Budget {
    pacing: Pacing,
    began: VecDeque<Instant>,
}

impl Budget {
    fn new(pacing: Pacing) -> Self {
        Self { pacing, began: VecDeque::new() }
    }

    /// When the next session may begin.
    fn next(&self) -> Instant {
        let spaced = self.began.back().map(|last| *last + self.pacing.spacing);
        let is_full = self.began.len() >= self.pacing.sessions_an_hour;
        let freed = self.began.front().filter(|_| is_full);
        let freed = freed.map(|first| *first + Duration::from_secs(3600));
        spaced.max(freed).unwrap_or_else(Instant::now)
    }

    fn note(&mut self, now: Instant) {
        if self.began.len() >= self.pacing.sessions_an_hour {
            self.began.pop_front();
        }
        self.began.push_back(now);
    }
}

/// Hands events on and does nothing else.
struct Handler {
    events: mpsc::Sender<Event>,
    tally: Arc<Tally>,
    address: Arc<Mutex<String>>,
    follows: bool,
    resumes_a_minute: usize,
    resumed: StdMutex<VecDeque<Instant>>,
    too_often: Notify,
}

impl Handler {
    fn new(gateway: &Gateway, address: Arc<Mutex<String>>) -> Self {
        Self {
            events: gateway.events.clone(),
            tally: gateway.tally.clone(),
            address,
            follows: gateway.follows,
            resumes_a_minute: gateway.pacing.resumes_a_minute,
            resumed: StdMutex::default(),
            too_often: Notify::new(),
        }
    }

    fn note_resume(&self) {
        let now = Instant::now();
        let mut resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner);
        while resumed.front().is_some_and(|first| *first + Duration::from_secs(60) <= now) {
            resumed.pop_front();
        }
        resumed.push_back(now);
        if resumed.len() > self.resumes_a_minute {
            resumed.clear();
            self.too_often.notify_one();
        }
    }
}

#[serenity::async_trait]
impl RawEventHandler for Handler {
    async fn raw_event(&self, _: Context, event: Event) {
        match &event {
            Event::Ready(ready) if self.follows => {
                if let Ok(mut address) = self.address.try_lock() {
                    address.clone_from(&ready.ready.resume_gateway_url);
                }
            }
            Event::Resumed(_) => self.note_resume(),
            _ => {}
        }
        if self.events.try_send(event).is_err() {
            self.tally.add(Dropped::Overflow, "gateway");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_begin_spaced_and_not_too_many() {
        let pacing = Pacing { sessions_an_hour: 3, ..Pacing::default() };
        let (mut budget, began) = (Budget::new(pacing), Instant::now());
        let mut starts = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep_until(budget.next()).await;
            budget.note(Instant::now());
            starts.push(began.elapsed().as_secs());
        }
        assert_eq!(starts, [0, 5, 10, 3600, 3605, 3610]);
    }
}
