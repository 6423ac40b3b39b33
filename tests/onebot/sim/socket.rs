//! The WebSocket transports of the simulated implementation, in both directions, over TCP or in
//! memory (<https://github.com/botuniverse/onebot-11/blob/master/communication/ws.md>).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{SinkExt as _, StreamExt as _};
use qundao::adapter::BoxFuture;
use qundao::adapter::onebot::{ByteStream, Dial};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest as _};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use super::{Cut, Inner, Sim};

/// What a connection is for, in the words of `X-Client-Role`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    Universal,
    Event,
    Api,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Universal => "Universal",
            Self::Event => "Event",
            Self::Api => "API",
        }
    }
}

/// In memory: the program dials, the implementation answers; works while the clock stands still.
impl Dial for Sim {
    fn dial<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            self.accept(theirs);
            Ok(Box::new(ours) as Box<dyn ByteStream>)
        })
    }
}

impl Sim {
    /// Forward: a WebSocket server on a port of its own.
    pub async fn listen(&self) -> SocketAddr {
        self.listen_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// The same on a port that was free a moment ago.
    pub async fn listen_at(&self, address: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = self.inner.clone();
        // Weak, so that a task does not keep alive what owns it.
        let (tasks, ports) = (Arc::downgrade(&self.tasks), Arc::downgrade(&self.ports));
        self.ports.lock().unwrap().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Without it, an event waits until the program's system has acknowledged the last:
                // up to 40 ms that no implementation would take.
                if stream.set_nodelay(true).is_err() {
                    // It has gone already.
                    continue;
                }
                let Some((tasks, ports)) = tasks.upgrade().zip(ports.upgrade()) else { return };
                Sim { inner: inner.clone(), tasks, ports }.accept(stream);
            }
        });
        address
    }

    /// Serves a stream that the program has opened.
    pub fn accept(&self, stream: impl ByteStream + 'static) {
        let inner = self.inner.clone();
        let allowance = inner.allowance();
        self.spawn(async move {
            let mut part = Part::Universal;
            let token = inner.options.token.clone();
            #[expect(clippy::result_large_err, reason = "tungstenite wants it so")]
            let check = |request: &Request, response: Response| {
                part = match request.uri().path().trim_end_matches('/') {
                    "/api" => Part::Api,
                    "/event" => Part::Event,
                    "" => Part::Universal,
                    _ => return Err(refused(StatusCode::NOT_FOUND)),
                };
                let wanted = token.as_ref().map(|token| format!("Bearer {token}"));
                let given = request.headers().get("authorization");
                match (wanted, given) {
                    (None, _) => Ok(response),
                    (Some(_), None) => Err(refused(StatusCode::UNAUTHORIZED)),
                    (Some(wanted), Some(given)) if *given == *wanted => Ok(response),
                    (Some(_), Some(_)) => Err(refused(StatusCode::FORBIDDEN)),
                }
            };
            if let Ok(socket) = accept_hdr_async(Cut::new(stream, allowance), check).await {
                serve(inner, socket, part).await;
            }
        });
    }

    /// Reverse: connects to the program. The error is what the handshake was answered with.
    pub async fn connect(&self, address: SocketAddr, path: &str, part: Part) -> Result<(), Error> {
        let token = self.inner.options.token.clone();
        let token = token.map(|token| format!("Bearer {token}"));
        self.connect_with(address, path, part, token.as_deref(), Some(self.self_id())).await
    }

    /// The same with a header of one's own.
    pub async fn connect_with(
        &self,
        address: SocketAddr,
        path: &str,
        part: Part,
        authorization: Option<&str>,
        self_id: Option<i64>,
    ) -> Result<(), Error> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("x-client-role", HeaderValue::from_static(part.word()));
        if let Some(self_id) = self_id {
            headers.insert("x-self-id", HeaderValue::from(self_id));
        }
        if let Some(authorization) = authorization {
            headers.insert("authorization", HeaderValue::from_str(authorization).unwrap());
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = Cut::new(stream, self.inner.allowance());
        let (socket, _) = client_async(request, stream).await?;
        let inner = self.inner.clone();
        self.spawn(async move { serve(inner, socket, part).await });
        Ok(())
    }
}

fn refused(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}

/// A connection as long as it lasts.
struct Counted(Arc<Inner>, usize);

impl Counted {
    fn new(inner: &Arc<Inner>) -> Self {
        let number = inner.next.fetch_add(1, Ordering::SeqCst);
        inner.connected.fetch_add(1, Ordering::SeqCst);
        inner.changed.notify_waiters();
        Self(inner.clone(), number)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.listeners.lock().unwrap().remove(&self.1);
        self.0.connected.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

async fn serve<S: ByteStream>(inner: Arc<Inner>, socket: WebSocketStream<S>, part: Part) {
    let (mut sink, mut source) = socket.split();
    let (out, mut outgoing) = mpsc::unbounded_channel();
    let connection = Counted::new(&inner);
    if part != Part::Api {
        inner.listeners.lock().unwrap().insert(connection.1, out.clone());
        inner.changed.notify_waiters();
        let connect = json!({
            "time": inner.options.clock.now() / 1000, "self_id": inner.options.self_id,
            "post_type": "meta_event", "meta_event_type": "lifecycle", "sub_type": "connect",
        });
        if !inner.is_silent() {
            let _ = out.send(inner.written(connect).to_string());
        }
    }
    let mut beats = inner.options.heartbeat.map(tokio::time::interval);
    loop {
        tokio::select! {
            Some(text) = outgoing.recv() => {
                if sink.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
            frame = source.next() => match frame {
                Some(Ok(Message::Text(text))) if part != Part::Event => {
                    if !inner.is_silent() {
                        answer(&inner, &out, &text);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            () = beat(&mut beats), if part != Part::Api => {
                if !inner.is_silent() {
                    let _ = out.send(inner.written(heartbeat(&inner)).to_string());
                }
            }
        }
    }
}

async fn beat(beats: &mut Option<tokio::time::Interval>) {
    match beats {
        Some(beats) => drop(beats.tick().await),
        None => std::future::pending().await,
    }
}

fn heartbeat(inner: &Inner) -> Value {
    let online = !inner.offline.load(Ordering::SeqCst);
    let interval = inner.options.heartbeat.unwrap_or_default();
    json!({
        "time": inner.options.clock.now() / 1000, "self_id": inner.options.self_id,
        "post_type": "meta_event", "meta_event_type": "heartbeat",
        "status": { "online": online, "good": online }, "interval": interval.as_millis() as u64,
    })
}

fn answer(inner: &Inner, out: &mpsc::UnboundedSender<String>, text: &str) {
    let answer = match serde_json::from_str::<Value>(text) {
        Ok(call) => {
            let action = call["action"].as_str().unwrap_or_default();
            inner.perform(action, &call["params"], &call["echo"])
        }
        Err(_) => json!({ "status": "failed", "retcode": 1400, "data": null }),
    };
    let text = answer.to_string();
    match &mut *inner.held.lock().unwrap() {
        Some(held) => held.push((out.clone(), text)),
        None => drop(out.send(text)),
    }
}
