//! Forward WebSocket: we connect to implementations, and again when a connection ends
//! (<https://github.com/botuniverse/onebot-11/blob/master/communication/ws.md>).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::{self, http};

use super::SelfId;
use super::caller::Caller;
use super::dial::{Address, Dial};
use super::http_api::HttpApi;
use super::hub::{Carries, Hub};
use super::outcome::{Reply, TOKEN};
use super::socket::{self, Ended, Link};
use super::wire::Id;
use crate::adapter::Inbox;
use crate::adapter::backoff::Backoff;

/// Longest wait for a connection and its handshake.
const CONNECT: Duration = Duration::from_secs(20);
/// A connection that lived for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// What connections are made with.
#[derive(Clone)]
pub struct Maker {
    /// The accounts.
    pub hub: Arc<Hub>,
    /// Where events go.
    pub inbox: Arc<dyn Inbox>,
    /// How streams are opened.
    pub dial: Arc<dyn Dial>,
}

/// Keeps a connection to one address for ever.
pub async fn keep(maker: Maker, address: Address, mut backoff: Backoff) {
    let mut told = String::new();
    loop {
        let began = Instant::now();
        let ended = connect(&maker, &address).await;
        if began.elapsed() >= GOOD {
            backoff.reset();
            told.clear();
        }
        if let Ended::Superseded(self_id) = ended {
            // A connection that the implementation made itself stands in our place.
            tracing::info!(address = address.authority, "OneBot: a newer connection took over");
            vacancy(&maker.hub, self_id, carries(&address)).await;
            continue;
        }
        let why = reason(&ended);
        let wait = backoff.next_wait();
        if told == why {
            tracing::debug!(address = address.authority, why, ?wait, "OneBot: still not connected");
        } else {
            tracing::warn!(
                address = address.authority,
                why,
                "OneBot: not connected, and tried again until it is"
            );
            told = why;
        }
        tokio::time::sleep(wait).await;
    }
}

fn reason(ended: &Ended) -> String {
    match ended {
        Ended::Closed(why) | Ended::Refused(why) => why.clone(),
        Ended::Dead(why) => (*why).to_owned(),
        Ended::Superseded(_) => "a newer connection took over".to_owned(),
    }
}

/// What an address offers: `/event` and `/api` are halves, everything else is both.
fn carries(address: &Address) -> Carries {
    match address.path.rsplit('/').next() {
        Some("event") => Carries::Events,
        Some("api") => Carries::Calls,
        _ => Carries::Both,
    }
}

async fn connect(maker: &Maker, address: &Address) -> Ended {
    let opened = tokio::time::timeout(CONNECT, open(maker, address)).await;
    let socket = match opened {
        Ok(Ok(socket)) => socket,
        Ok(Err(ended)) => return ended,
        Err(_) => return Ended::Closed(format!("no connection within {} s", CONNECT.as_secs())),
    };
    let self_id = match maker.hub.settings.accounts[..] {
        [only] => Some(only),
        _ => None,
    };
    let (number, carries) = (maker.hub.number(), carries(address));
    let link = Link { number, self_id, carries, place: None };
    socket::serve(&maker.hub, &maker.inbox, socket, link).await
}

async fn open(
    maker: &Maker,
    address: &Address,
) -> Result<tokio_tungstenite::WebSocketStream<Box<dyn super::dial::ByteStream>>, Ended> {
    let stream = address.open(&*maker.dial).await;
    let stream = stream.map_err(|error| {
        Ended::Closed(format!("{error}; is the implementation running, and at this address?"))
    })?;
    // Within TLS the handshake is the same.
    let uri = format!("ws://{}{}/", address.authority, address.path);
    let uri = uri.parse().map_err(|error| Ended::Closed(format!("{error}")))?;
    let mut request = ClientRequestBuilder::new(uri);
    if let Some(token) = &maker.hub.settings.token {
        request = request.with_header("Authorization", format!("Bearer {}", token.reveal()));
    }
    match client_async_with_config(request, stream, Some(socket::limits())).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(answered(response.status())),
        Err(error) => Err(Ended::Closed(error.to_string())),
    }
}

fn answered(status: http::StatusCode) -> Ended {
    Ended::Refused(match status.as_u16() {
        401 | 403 => format!("the token was refused ({status}); {TOKEN}"),
        404 => format!("there is no WebSocket at this path ({status}); correct `connect`"),
        _ => format!("the handshake was answered with {status}"),
    })
}

/// Waits until the account has no connection of this kind any more.
async fn vacancy(hub: &Hub, self_id: SelfId, carries: Carries) {
    loop {
        let changed = hub.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if !hub.has(self_id, carries) {
            return;
        }
        changed.await;
    }
}

/// Learns whose an HTTP interface is, and puts it at the account's service.
pub async fn introduce(hub: Arc<Hub>, api: Arc<HttpApi>, mut backoff: Backoff) {
    loop {
        let reply = api.call("get_login_info", &json!({}), hub.settings.timeout).await;
        if let Some(self_id) = whose(&reply).filter(|self_id| hub.settings.admits(*self_id)) {
            hub.set_http(self_id, Caller::http(api));
            return;
        }
        let address = &api.address.authority;
        tracing::debug!(address, "OneBot: the HTTP interface does not say whose it is");
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

fn whose(reply: &Reply) -> Option<SelfId> {
    #[derive(serde::Deserialize)]
    struct Login {
        user_id: Id,
    }
    let Reply::Answer(answer) = reply else { return None };
    let login: Login = serde_json::from_str(answer.data.as_deref()?.get()).ok()?;
    login.user_id.0.map(SelfId)
}
