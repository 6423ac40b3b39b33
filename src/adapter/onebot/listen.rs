//! The port that implementations come to: reverse WebSocket and HTTP POST beside each other
//! (<https://github.com/botuniverse/onebot-11/blob/master/communication/ws-reverse.md>).
//!
//! Everything that a stranger can make this port do has a limit: connections, the time for a head
//! and for a body, the length of both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::SelfId;
use super::auth::is_authorized;
use super::dial::ByteStream;
use super::guests::{Guests, Place};
use super::hub::{Carries, Hub};
use super::post::Posts;
use super::socket::{self, Ended, Link};
use super::tally::Dropped;
use crate::adapter::Inbox;

/// Longest wait for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// The longest head.
const HEAD_BYTES: usize = 16 * 1024;
/// The pause after an error that would come again at once, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// An answer of this port.
pub type Answer = Response<Full<Bytes>>;

/// What every connection of the port shares.
pub struct Door {
    /// The accounts.
    pub hub: Arc<Hub>,
    /// Where events go.
    pub inbox: Arc<dyn Inbox>,
    /// Accounts whose events are posted.
    pub posts: Posts,
}

/// Takes connections for ever, as many at a time as there is room; more wait outside.
pub async fn serve(listener: TcpListener, door: Arc<Door>, guests: Arc<Guests>) {
    let mut connections = JoinSet::new();
    loop {
        guests.room().await;
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                // Only so that what has ended is forgotten.
                Some(_) = connections.join_next() => {}
            }
        };
        match accepted {
            Ok((stream, from)) => {
                let door = door.clone();
                let number = door.hub.number();
                let Some(place) = guests.admit(number, from.ip()) else {
                    door.hub.tally.add(Dropped::Refused, "one connection too many of an address");
                    continue;
                };
                connections.spawn(async move {
                    let leave = place.leave();
                    tokio::select! {
                        () = connection(stream, door, number, Arc::new(place)) => {}
                        () = leave.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "OneBot: a connection could not be taken");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// What a request for a WebSocket leaves behind.
type Upgrade = Mutex<Option<(OnUpgrade, Link)>>;

async fn connection(stream: TcpStream, door: Arc<Door>, number: u64, place: Arc<Place>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "OneBot: frames may be late");
    }
    let upgrade = Arc::new(Upgrade::default());
    let service = service_fn(|request| {
        let (door, upgrade, place) = (door.clone(), upgrade.clone(), place.clone());
        async move {
            let answer = answer(&door, &upgrade, request, number, place).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "OneBot: a connection to the port ended");
    }
    let upgraded = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((upgraded, link)) = upgraded else { return };
    let Ok(upgraded) = upgraded.await else { return };
    let stream: Box<dyn ByteStream> = Box::new(TokioIo::new(upgraded));
    let socket =
        WebSocketStream::from_raw_socket(stream, Role::Server, Some(socket::limits())).await;
    let account = link.self_id.map(|self_id| self_id.0);
    match socket::serve(&door.hub, &door.inbox, socket, link).await {
        Ended::Closed(why) => tracing::info!(account, why, "OneBot: a connection ended"),
        Ended::Dead(why) => tracing::warn!(account, why, "OneBot: a connection is dead"),
        Ended::Superseded(_) => tracing::info!(account, "OneBot: a newer connection took over"),
        Ended::Refused(why) => tracing::warn!(account, why, "OneBot: a connection was refused"),
    }
}

async fn answer(
    door: &Arc<Door>,
    upgrade: &Upgrade,
    request: Request<Incoming>,
    number: u64,
    place: Arc<Place>,
) -> Answer {
    if is_websocket(request.headers()) {
        return handshake(door, upgrade, request, number, place);
    }
    match *request.method() {
        Method::POST => door.posts.answer(door, request, &place).await,
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// An answer without a word: who may not be here learns nothing.
pub fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The server's half of the handshake (<https://datatracker.ietf.org/doc/html/rfc6455#section-4.2>).
fn handshake(
    door: &Door,
    upgrade: &Upgrade,
    mut request: Request<Incoming>,
    number: u64,
    place: Arc<Place>,
) -> Answer {
    let headers = request.headers();
    let query = request.uri().query().unwrap_or_default();
    if !is_authorized(door.hub.settings.token.as_ref(), headers, query) {
        door.hub.tally.add(Dropped::Refused, "token of a connection");
        return status(StatusCode::FORBIDDEN);
    }
    if door.hub.settings.token.is_some() {
        place.is_known();
    }
    let self_id = self_id(headers);
    if self_id.is_some_and(|self_id| !door.hub.settings.admits(self_id)) {
        door.hub.tally.add(Dropped::Refused, "account");
        return status(StatusCode::FORBIDDEN);
    }
    let is_thirteen = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|it| it == "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_thirteen);
    let Some(accept) = key.map(|key| derive_accept_key(key.as_bytes())) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let carries = carries(headers, request.uri().path());
    let link = Link { number, self_id, carries, place: Some(place) };
    let upgraded = hyper::upgrade::on(&mut request);
    *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgraded, link));
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default());
    answer.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The account that a request says it is of.
pub fn self_id(headers: &HeaderMap) -> Option<SelfId> {
    let value = headers.get("x-self-id")?.to_str().ok()?;
    value.trim().parse().ok().filter(|number| *number > 0).map(SelfId)
}

/// What a connection is for: its header says so, else its path.
fn carries(headers: &HeaderMap, path: &str) -> Carries {
    let role = headers.get("x-client-role").and_then(|value| value.to_str().ok());
    let role = role.unwrap_or_else(|| path.trim_end_matches('/').rsplit('/').next().unwrap_or(""));
    match role.to_ascii_lowercase().as_str() {
        "api" => Carries::Calls,
        "event" => Carries::Events,
        _ => Carries::Both,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;

    use super::*;
    use crate::adapter::{BoxFuture, Receipt};
    use crate::clock::SystemClock;
    use crate::config::AdapterConfig;
    use crate::event::Envelope;

    struct Nowhere;

    impl Inbox for Nowhere {
        fn offer(&self, _: Envelope, _: Option<Receipt>) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }

        fn offer_all(&self, _: Vec<(Envelope, Option<Receipt>)>) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    fn door() -> Arc<Door> {
        let mut section = AdapterConfig::default();
        let listen = toml::Value::String("127.0.0.1:0".to_owned());
        section.values.insert("listen".to_owned(), listen);
        let settings = super::super::settings::Settings::read(&section).expect("right");
        let hub = Arc::new(Hub::new(settings, SystemClock::with_offset(0)));
        let posts = Posts::new(mpsc::unbounded_channel().0);
        Arc::new(Door { hub, inbox: Arc::new(Nowhere), posts })
    }

    async fn answered(mut stream: TcpStream) -> Option<[u8; 12]> {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }

    #[tokio::test]
    async fn who_says_nothing_makes_room_for_who_does() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound");
        let serving = tokio::spawn(serve(listener, door(), Guests::new(2)));
        let mut idle = [
            TcpStream::connect(port).await.expect("a connection"),
            TcpStream::connect(port).await.expect("a connection"),
        ];
        let third = TcpStream::connect(port).await.expect("a connection");
        assert_eq!(answered(third).await.as_ref(), Some(b"HTTP/1.1 404"));
        // The first was closed for it.
        assert_eq!(idle[0].read(&mut [0; 1]).await.ok(), Some(0));
        serving.abort();
    }

    #[tokio::test]
    async fn who_finds_everybody_known_waits_until_somebody_goes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound");
        let guests = Guests::new(1);
        let known = guests.admit(0, port.ip()).expect("room");
        known.is_known();
        let serving = tokio::spawn(serve(listener, door(), guests));
        let waits = TcpStream::connect(port).await.expect("the system takes it");
        let waits = tokio::spawn(answered(waits));
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(!waits.is_finished(), "it was answered though there is no room");
        drop(known);
        assert_eq!(waits.await.expect("a task").as_ref(), Some(b"HTTP/1.1 404"));
        serving.abort();
    }

    #[test]
    fn the_header_says_what_a_connection_is_for_and_else_the_path() {
        let check = |role: Option<&str>, path: &str, expected: Carries| {
            let mut headers = HeaderMap::new();
            if let Some(role) = role {
                headers.insert("x-client-role", role.parse().expect("plain"));
            }
            assert_eq!(carries(&headers, path), expected, "{role:?} {path}");
        };
        check(Some("Universal"), "/ws/api", Carries::Both);
        check(Some("API"), "/", Carries::Calls);
        check(Some("Event"), "/", Carries::Events);
        check(None, "/ws/api/", Carries::Calls);
        check(None, "/event", Carries::Events);
        check(None, "/onebot/v11/ws", Carries::Both);
    }
}
