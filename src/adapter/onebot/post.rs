//! HTTP POST: an implementation brings each event by itself and waits for the answer
//! (<https://github.com/botuniverse/onebot-11/blob/master/communication/http-post.md>).
//!
//! The answer is given only after the commit. There is no timestamp under the signature, so a
//! request that is played again is told by the event's key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::SelfId;
use super::auth::{is_authorized, is_signed};
use super::decode::{Heard, decode, self_id};
use super::feed::Feed;
use super::guests::Place;
use super::hub::{Item, Seat};
use super::listen::{Answer, Door, self_id as self_id_of, status};
use super::liveness::{Liveness, Step};
use super::tally::Dropped;
use crate::adapter::{Accepted, BoxFuture};

/// The longest body.
const BODY_MAX: usize = 256 * 1024;
/// Longest wait for a body.
const BODY: Duration = Duration::from_secs(10);
/// Batches that wait for the inbox.
const BATCHES: usize = 16;
/// Signs of life that wait to be looked at.
const BEATS: usize = 64;

/// Accounts whose events are posted; each has a task as long as it is heard.
pub struct Posts {
    sessions: Mutex<HashMap<SelfId, mpsc::Sender<Option<i64>>>>,
    tasks: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
}

impl Posts {
    /// Nobody yet; tasks are given to whoever owns them.
    pub fn new(tasks: mpsc::UnboundedSender<BoxFuture<'static, ()>>) -> Self {
        Self { sessions: Mutex::default(), tasks }
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        door: &Arc<Door>,
        request: Request<Incoming>,
        place: &Place,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        // Where a token says it, nothing of a stranger's body is read.
        if door.hub.settings.secret.is_none() && !is_genuine(door, &head.headers, query, &[]) {
            door.hub.tally.add(Dropped::Refused, "token of a post");
            return status(StatusCode::FORBIDDEN);
        }
        let body = Limited::new(body, BODY_MAX).collect();
        let body = match tokio::time::timeout(BODY, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return status(StatusCode::PAYLOAD_TOO_LARGE),
            Err(_) => return status(StatusCode::REQUEST_TIMEOUT),
        };
        if !is_genuine(door, &head.headers, query, &body) {
            door.hub.tally.add(Dropped::Refused, "signature of a post");
            return status(StatusCode::FORBIDDEN);
        }
        place.is_known();
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let Some(self_id) = self_id(text) else {
            door.hub.tally.add(Dropped::Unreadable, "post");
            return status(StatusCode::BAD_REQUEST);
        };
        let named = self_id_of(&head.headers);
        if named.is_some_and(|named| named != self_id) || !door.hub.settings.admits(self_id) {
            door.hub.tally.add(Dropped::Foreign, "post");
            return status(StatusCode::FORBIDDEN);
        }
        self.take(door, self_id, text).await
    }

    async fn take(&self, door: &Arc<Door>, self_id: SelfId, text: &str) -> Answer {
        let hub = &door.hub;
        hub.heard(self_id);
        let (mut beat, mut online, mut items) = (None, None, Vec::new());
        let mut committed = None;
        match decode(text, &hub.ear(self_id), hub.clock.now()) {
            Heard::Event(envelope) => {
                let (receipt, hears) = oneshot::channel();
                committed = Some(hears);
                items.push((*envelope, Some(receipt)));
            }
            Heard::Own(message) => hub.note_own(self_id, message),
            Heard::Beat { interval_ms, online: status } => (beat, online) = (interval_ms, status),
            Heard::Online(status) => online = Some(status),
            Heard::Foreign | Heard::Answer(_) => return status(StatusCode::BAD_REQUEST),
            Heard::Ignored(kind) => hub.tally.add(Dropped::Ignored, &kind),
            Heard::Unreadable(kind) => {
                hub.tally.add(Dropped::Unreadable, &kind);
                return status(StatusCode::BAD_REQUEST);
            }
        }
        let feed = self.feed(door, self_id, beat);
        let news = online.and_then(|online| hub.note_online(self_id, online));
        items.extend(news.map(|news| (news, None)));
        if !items.is_empty() && feed.send(items).await.is_err() {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        // The feed ends when nobody holds it any more.
        drop(feed);
        match committed {
            None => status(StatusCode::NO_CONTENT),
            Some(committed) => match committed.await {
                Ok(Accepted::New | Accepted::Duplicate) => status(StatusCode::NO_CONTENT),
                Ok(Accepted::Failed(_)) | Err(_) => status(StatusCode::SERVICE_UNAVAILABLE),
            },
        }
    }

    /// Where the account's events go: to its connection where it has one, else to a task of its
    /// own, which is made now if need be.
    fn feed(
        &self,
        door: &Arc<Door>,
        self_id: SelfId,
        beat: Option<i64>,
    ) -> mpsc::Sender<Vec<Item>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = door.hub.feed(self_id) {
            if let Some(beats) = sessions.get(&self_id) {
                // A full queue is a sign of life as well.
                let _ = beats.try_send(beat);
            }
            return feed;
        }
        let (feed, events) = mpsc::channel(BATCHES);
        let (beats, heard) = mpsc::channel(BEATS);
        let _ = beats.try_send(beat);
        sessions.insert(self_id, beats);
        if let Some((seat, arrived)) =
            door.hub.attach(door.hub.number(), self_id, Some(feed.clone()), None)
        {
            let door = door.clone();
            let session = async move {
                let handing_on = Feed::new(door.hub.clone(), self_id, door.inbox.clone());
                let handing_on = handing_on.run(arrived, events);
                tokio::join!(watch(&door, &seat, heard), handing_on);
                door.hub.vacate(self_id);
            };
            // Nobody takes tasks any more when the bot has stopped.
            let _ = self.tasks.send(Box::pin(session));
        }
        feed
    }
}

/// Whether a post comes from the implementation: by its signature, or by the token where there is
/// no key for signatures.
fn is_genuine(door: &Door, headers: &HeaderMap, query: &str, body: &[u8]) -> bool {
    let settings = &door.hub.settings;
    match &settings.secret {
        Some(secret) => is_signed(secret, headers, body),
        None => is_authorized(settings.token.as_ref(), headers, query),
    }
}

/// Watches whether the account is still heard; ends when it is not, or when a connection has taken
/// its place.
async fn watch(door: &Door, seat: &Seat, mut heard: mpsc::Receiver<Option<i64>>) {
    let mut liveness = Liveness::new(Instant::now(), true);
    loop {
        let next = match liveness.step(Instant::now()) {
            Step::Dead(why) => {
                tracing::warn!(account = seat.self_id.0, why, "OneBot: nothing is posted any more");
                break;
            }
            Step::Probe => {
                // Without an interface to ask nobody can tell; then silence is peace.
                let Some(caller) = door.hub.caller(seat.self_id) else {
                    liveness.heard(Instant::now());
                    continue;
                };
                liveness.probed(Instant::now());
                let limit = door.hub.settings.timeout;
                let reply = caller.call("get_status", &json!({}), limit).await;
                if matches!(reply, super::outcome::Reply::Answer(_)) {
                    liveness.heard(Instant::now());
                }
                continue;
            }
            Step::Wait(next) => next,
        };
        tokio::select! {
            beat = heard.recv() => {
                liveness.heard(Instant::now());
                match beat {
                    Some(beat) => beat.into_iter().for_each(|ms| liveness.beat(ms)),
                    None => break,
                }
            }
            () = seat.superseded.cancelled() => break,
            () = tokio::time::sleep_until(next) => {}
        }
    }
    door.hub.leave(seat);
}
