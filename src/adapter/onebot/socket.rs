//! One WebSocket connection, whoever made it: what comes is read, told and answered, what goes is
//! written, until one side is gone.
//!
//! Reading, writing and handing on are one task that borrows everything, so that nothing of a
//! connection outlives it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::SelfId;
use super::caller::Caller;
use super::calls::{Calls, Outgoing, PROBE};
use super::decode::{Answer, Ear, Heard, decode, self_id};
use super::dial::ByteStream;
use super::feed::Feed;
use super::guests::Place;
use super::hub::{Carries, Hub, Item};
use super::liveness::{Liveness, Step};
use super::outcome::TOKEN;
use super::tally::Dropped;
use super::wire::{Id, Status};
use crate::adapter::Inbox;

/// The longest frame; a page of history with long cards is far below.
const FRAME_MAX: usize = 16 * 1024 * 1024;
/// Frames that are looked at together.
const TOGETHER: usize = 256;
/// While frames come faster than this for so many looks, those that come within it are looked at
/// together: each look wakes a thread at every step of the way. Nobody feels a millisecond, and the
/// processor has a third less to do.
const GATHER: Duration = Duration::from_millis(1);
const BUSY: u32 = 64;
/// Batches of events that wait for the inbox; with more the socket is not read, and the
/// implementation feels it.
const BATCHES: usize = 16;
/// Longest wait until a connection says whose it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// The echo of the question whose connection it is.
const WHOSE: &str = "whose";
/// Longest wait for a polite goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection as it was made.
pub struct Link {
    /// Its number among all, in the order in which they were made.
    pub number: u64,
    /// Whose; `None` where only its frames can tell.
    pub self_id: Option<SelfId>,
    /// What it carries.
    pub carries: Carries,
    /// Its place at the port, where it came to ours.
    pub place: Option<Arc<Place>>,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The other side closed it, or the network did.
    Closed(String),
    /// It was silent for too long.
    Dead(&'static str),
    /// A newer one has taken its place: of which account.
    Superseded(SelfId),
    /// It should not have been made: why, and what to do.
    Refused(String),
}

type Socket = WebSocketStream<Box<dyn ByteStream>>;
type Source = SplitStream<Socket>;
type Sink = SplitSink<Socket, Message>;

/// Read at once. The library fills as much with zeros before each read, so that more is not better.
const READ_BYTES: usize = 16 * 1024;

/// Calls that are written at once. If the connection breaks meanwhile, all of them are in doubt.
const WRITTEN_TOGETHER: usize = 16;

/// Limits of every WebSocket.
pub fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(FRAME_MAX))
        .max_frame_size(Some(FRAME_MAX))
}

/// Serves a connection until it ends.
pub async fn serve(hub: &Arc<Hub>, inbox: &Arc<dyn Inbox>, socket: Socket, link: Link) -> Ended {
    let (mut sink, mut source) = socket.split();
    let carries = link.carries;
    let (self_id, early) = match link.self_id {
        Some(self_id) => (self_id, Vec::new()),
        None => match introduction(&mut source, &mut sink, carries).await {
            Ok(known) => known,
            Err(ended) => return ended,
        },
    };
    let (calls, outgoing) = Calls::new();
    let (feed, events) = mpsc::channel(BATCHES);
    let place = hub.attach(
        link.number,
        self_id,
        carries.events().then(|| feed.clone()),
        carries.calls().then(|| Caller::socket(calls.clone())),
    );
    let Some((seat, arrived)) = place else {
        hub.tally.add(Dropped::Refused, "account");
        return Ended::Refused(format!(
            "account {} is not in `self_id` of `[adapters.onebot]`; add it, or correct the \
             implementation",
            self_id.0
        ));
    };
    link.place.iter().for_each(|place| place.is_known());
    tracing::info!(account = self_id.0, ?carries, "OneBot: connected");
    let reader = Reader { hub, self_id, carries, calls: &calls, feed };
    let traffic = async {
        let ended = tokio::select! {
            ended = reader.read(source, early) => ended,
            ended = write(&mut sink, &calls, outgoing) => ended,
            () = seat.superseded.cancelled() => Ended::Superseded(self_id),
        };
        hub.leave(&seat);
        calls.close();
        drop(reader);
        // The other side may be gone already, and need not be waited for.
        let _ = tokio::time::timeout(GOODBYE, sink.close()).await;
        ended
    };
    let handing_on = Feed::new(hub.clone(), self_id, inbox.clone()).run(arrived, events);
    let (ended, ()) = tokio::join!(traffic, handing_on);
    hub.vacate(self_id);
    ended
}

/// Learns whose connection it is: from its first event, or by asking. What came until then is
/// given back, to be read.
async fn introduction(
    source: &mut Source,
    sink: &mut Sink,
    carries: Carries,
) -> Result<(SelfId, Vec<Utf8Bytes>), Ended> {
    if carries.calls() {
        let text = json!({ "action": "get_login_info", "params": {}, "echo": WHOSE });
        sink.send(Message::text(text.to_string())).await.map_err(|error| broken(&error))?;
    }
    let mut early = Vec::new();
    let listen = async {
        while let Some(frame) = source.next().await {
            let text = match text(frame) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(ended) => return Err(ended),
            };
            if let Some(found) = whose(&text)? {
                early.push(text);
                return Ok(found);
            }
            early.push(text);
        }
        Err(Ended::Closed("the other side closed it".to_owned()))
    };
    match tokio::time::timeout(INTRODUCTION, listen).await {
        Ok(found) => found.map(|found| (found, early)),
        Err(_) => Err(Ended::Refused(
            "it did not say which account it is of; write its number as `self_id` of \
             `[adapters.onebot]`"
                .to_owned(),
        )),
    }
}

/// The account that a first frame tells of.
fn whose(text: &str) -> Result<Option<SelfId>, Ended> {
    if let Some(found) = self_id(text) {
        return Ok(Some(found));
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Login {
        user_id: Id,
    }
    let nobody = SelfId(0);
    let ear = Ear { self_id: nobody, account: super::hub::reference(nobody), own: Arc::default() };
    let Heard::Answer(answer) = decode(text, &ear, 0) else { return Ok(None) };
    refusal(&answer)?;
    let data = answer.data.as_deref().map_or("null", |data| data.get());
    let login: Option<Login> = serde_json::from_str(data).ok();
    Ok(login.and_then(|login| login.user_id.0).map(SelfId))
}

/// NapCat takes any connection, and says only then that the token was wrong
/// (`authorize` in <https://github.com/NapNeko/NapCatQQ>).
fn refusal(answer: &Answer) -> Result<(), Ended> {
    match answer.retcode {
        1401 | 1403 if answer.echo.is_none() => {
            Err(Ended::Refused(format!("the token was refused; {TOKEN}")))
        }
        _ => Ok(()),
    }
}

/// The text of a frame; nothing for frames that only keep the socket alive.
fn text(frame: Result<Message, Error>) -> Result<Option<Utf8Bytes>, Ended> {
    match frame {
        Ok(Message::Text(text)) => Ok(Some(text)),
        Ok(Message::Binary(bytes)) => Ok(Utf8Bytes::try_from(bytes).ok()),
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(None),
        Ok(Message::Close(frame)) => {
            let why = frame.map(|frame| frame.to_string()).unwrap_or_default();
            Err(Ended::Closed(format!("the other side closed it {why}").trim_end().to_owned()))
        }
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &Error) -> Ended {
    Ended::Closed(error.to_string())
}

/// The side that listens.
struct Reader<'a> {
    hub: &'a Arc<Hub>,
    self_id: SelfId,
    carries: Carries,
    calls: &'a Calls,
    feed: mpsc::Sender<Vec<Item>>,
}

impl Reader<'_> {
    async fn read(&self, source: Source, early: Vec<Utf8Bytes>) -> Ended {
        let mut liveness = Liveness::new(Instant::now(), true);
        let early = futures_util::stream::iter(early).map(|text| Ok(Message::Text(text)));
        let mut chunks = early.chain(source).ready_chunks(TOGETHER);
        let (mut looked, mut in_a_row) = (Instant::now(), 0_u32);
        loop {
            let next = match liveness.step(Instant::now()) {
                Step::Dead(why) => return Ended::Dead(why),
                Step::Probe => {
                    self.calls.probe(self.carries.calls());
                    liveness.probed(Instant::now());
                    continue;
                }
                Step::Wait(next) => next,
            };
            tokio::select! {
                chunk = chunks.next() => {
                    let Some(chunk) = chunk else {
                        return Ended::Closed("the other side closed it".to_owned());
                    };
                    let now = Instant::now();
                    liveness.heard(now);
                    in_a_row = if now - looked < 2 * GATHER { in_a_row.saturating_add(1) } else { 0 };
                    looked = now;
                    let is_full = chunk.len() == TOGETHER;
                    if let Err(ended) = self.take(chunk, &mut liveness).await {
                        return ended;
                    }
                    if in_a_row > BUSY && !is_full {
                        tokio::time::sleep_until(looked + GATHER).await;
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Takes the frames that came together, and hands their events on together.
    async fn take(
        &self,
        chunk: Vec<Result<Message, Error>>,
        liveness: &mut Liveness,
    ) -> Result<(), Ended> {
        if self.carries.events() {
            self.hub.heard(self.self_id);
        }
        let (ear, now) = (self.hub.ear(self.self_id), self.hub.clock.now());
        let mut items = Vec::with_capacity(chunk.len());
        let mut answers = Vec::new();
        let mut ended = Ok(());
        for frame in chunk {
            match text(frame) {
                Ok(Some(text)) => match decode(&text, &ear, now) {
                    Heard::Answer(answer) => answers.push(answer),
                    heard => self.hear(heard, liveness, &mut items),
                },
                Ok(None) => {}
                Err(end) => ended = Err(end),
            }
        }
        self.hand_on(items).await;
        // Behind the events that came with them: a history has messages in it that were told
        // before, and whoever asked for it must have heard of them.
        let mut news = Vec::new();
        for answer in answers {
            self.answer(answer, &mut news)?;
        }
        self.hand_on(news).await;
        ended
    }

    async fn hand_on(&self, items: Vec<Item>) {
        // Closed when the bot stops, and then nobody wants them.
        if !items.is_empty() && self.feed.send(items).await.is_err() {
            tracing::debug!("OneBot: nobody takes events any more");
        }
    }

    fn hear(&self, heard: Heard, liveness: &mut Liveness, items: &mut Vec<Item>) {
        let tally = &self.hub.tally;
        match heard {
            Heard::Event(envelope) if self.carries.events() => items.push((*envelope, None)),
            Heard::Event(_) => tally.add(Dropped::Ignored, "an event over a connection for calls"),
            Heard::Own(message) => {
                tally.add(Dropped::Own, "message");
                self.hub.note_own(self.self_id, message);
            }
            Heard::Beat { interval_ms, online } => {
                interval_ms.into_iter().for_each(|ms| liveness.beat(ms));
                self.status(online, items);
            }
            Heard::Online(online) => self.status(Some(online), items),
            // They are taken apart from the rest.
            Heard::Answer(_) => {}
            Heard::Foreign => tally.add(Dropped::Foreign, "event"),
            Heard::Ignored(kind) => tally.add(Dropped::Ignored, &kind),
            Heard::Unreadable(kind) => tally.add(Dropped::Unreadable, &kind),
        }
    }

    fn answer(&self, answer: Answer, items: &mut Vec<Item>) -> Result<(), Ended> {
        refusal(&answer)?;
        match answer.echo.as_deref() {
            Some(PROBE) => self.status(online(&answer), items),
            // The answer to the introduction, where the first event was faster.
            Some(WHOSE) => {}
            _ => {
                if !self.calls.answer(answer) {
                    self.hub.tally.add(Dropped::Stray, "answer");
                }
            }
        }
        Ok(())
    }

    fn status(&self, online: Option<bool>, items: &mut Vec<Item>) {
        if let Some(online) = online.filter(|_| self.carries.events()) {
            let news = self.hub.note_online(self.self_id, online);
            items.extend(news.map(|news| (news, None)));
        }
    }
}

/// What `get_status` says.
fn online(answer: &Answer) -> Option<bool> {
    let data = answer.data.as_deref()?.get();
    let status: Status<'_> = serde_json::from_str(data).ok()?;
    status.online()
}

/// The side that speaks. Calls that come together leave together: a write of the system each would
/// cost more than all that is written.
async fn write(sink: &mut Sink, calls: &Calls, mut outgoing: mpsc::Receiver<Outgoing>) -> Ended {
    let mut batch = Vec::with_capacity(WRITTEN_TOGETHER);
    while outgoing.recv_many(&mut batch, WRITTEN_TOGETHER).await > 0 {
        for next in batch.drain(..) {
            let fed = match next {
                Outgoing::Call(number, text) => {
                    if !calls.begin(number) {
                        continue;
                    }
                    let fed = sink.feed(Message::text(text)).await;
                    if matches!(fed, Err(Error::ConnectionClosed | Error::AlreadyClosed)) {
                        calls.not_written(number);
                    }
                    fed
                }
                Outgoing::Probe(text) => sink.feed(Message::text(text)).await,
                Outgoing::Ping => sink.feed(Message::Ping(Vec::new().into())).await,
            };
            if let Err(error) = fed {
                return broken(&error);
            }
        }
        if let Err(error) = sink.flush().await {
            return broken(&error);
        }
    }
    // The calls outlive their writer.
    std::future::pending().await
}
