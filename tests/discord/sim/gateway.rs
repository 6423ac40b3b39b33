//! The simulated gateway: hello, identify, resume, heartbeats, compression, and every way to break
//! (<https://discord.com/developers/docs/events/gateway>).

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::world::{APPLICATION, BOT, GUILD};
use super::{Inner, TOKEN};

/// Guilds, members, moderation, messages, reactions, direct messages, content: these and no more.
const INTENTS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 15;
/// Larger payloads come compressed, where the client said that it can read them.
const COMPRESSED_FROM: usize = 200;

/// A session, connected or not.
#[derive(Default)]
pub struct Session {
    seq: u64,
    events: Vec<(u64, Value)>,
    out: Option<mpsc::UnboundedSender<Frame>>,
}

/// What has become of connections.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    pub identified: usize,
    pub resumed: usize,
    pub is_alive: bool,
}

/// How to break a connection.
#[derive(Clone, Copy, Debug)]
pub enum Break {
    /// Without a word.
    Drop,
    /// With a code; the session lives.
    Close(u16),
    /// "Connect again" (op 7).
    Reconnect,
    /// "The session is invalid" (op 9): it lives, or it is gone.
    Invalid { resumable: bool },
    /// No heartbeat is answered any more.
    Deaf,
}

enum Frame {
    Payload(Value),
    Break(Break),
}

pub fn dispatch(inner: &Inner, kind: &str, data: Value) {
    for session in inner.sessions.lock().unwrap().values_mut() {
        session.seq += 1;
        let payload = json!({ "op": 0, "t": kind, "s": session.seq, "d": data });
        session.events.push((session.seq, payload.clone()));
        if let Some(out) = &session.out {
            // Who is not connected hears it when she resumes.
            let _ = out.send(Frame::Payload(payload));
        }
    }
}

pub async fn disturb(inner: &Inner, how: Break) {
    let out = {
        let mut sessions = inner.sessions.lock().unwrap();
        let out = sessions.values().find_map(|session| session.out.clone());
        if matches!(how, Break::Invalid { resumable: false }) {
            sessions.clear();
        }
        out
    };
    if let Some(out) = out {
        inner.wires.send_modify(|wire| wire.is_alive = false);
        let _ = out.send(Frame::Break(how));
    }
}

pub async fn serve(inner: Arc<Inner>, listener: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let inner = inner.clone();
        connections.spawn(async move {
            let check = inner.clone();
            #[allow(clippy::result_large_err, reason = "the shape of the library")]
            let look = move |request: &Request, response: Response| {
                if request.uri().query() != Some("v=10") {
                    check.complain(format!("no v=10 in {}", request.uri()));
                }
                Ok(response)
            };
            if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, look).await {
                Connection { inner, socket, compress: false, session: None }.talk().await;
            }
        });
    }
}

struct Connection {
    inner: Arc<Inner>,
    socket: WebSocketStream<TcpStream>,
    compress: bool,
    session: Option<String>,
}

impl Connection {
    async fn talk(mut self) {
        let interval = self.inner.options.heartbeat;
        let hello = json!({ "op": 10, "s": null, "t": null,
            "d": { "heartbeat_interval": interval.as_millis() as u64 } });
        if !self.send(&hello).await {
            return;
        }
        let (out, mut frames) = mpsc::unbounded_channel();
        let mut is_deaf = false;
        loop {
            let patience = tokio::time::sleep(interval.mul_f64(2.5));
            tokio::select! {
                Some(frame) = frames.recv() => match frame {
                    Frame::Payload(payload) => if !self.send(&payload).await { break },
                    Frame::Break(Break::Deaf) => is_deaf = true,
                    Frame::Break(Break::Drop) => break,
                    Frame::Break(Break::Close(code)) => { self.close(code).await; break },
                    Frame::Break(Break::Reconnect) => {
                        if !self.send(&json!({ "op": 7, "d": null, "s": null, "t": null })).await { break }
                    }
                    Frame::Break(Break::Invalid { resumable }) => {
                        let invalid = json!({ "op": 9, "d": resumable, "s": null, "t": null });
                        if !self.send(&invalid).await { break }
                    }
                },
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let Ok(payload) = serde_json::from_str::<Value>(&text) else {
                            self.close(4002).await;
                            break;
                        };
                        if !self.heard(&payload, &out, is_deaf).await { break }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => break,
                },
                () = patience => { self.inner.complain("no heartbeat"); self.close(4009).await; break }
            }
        }
        self.forget(&out);
    }

    fn forget(&self, out: &mpsc::UnboundedSender<Frame>) {
        let mut sessions = self.inner.sessions.lock().unwrap();
        for session in sessions.values_mut() {
            if session.out.as_ref().is_some_and(|its| its.same_channel(out)) {
                session.out = None;
                self.inner.wires.send_modify(|wire| wire.is_alive = false);
            }
        }
    }

    /// Whether the connection goes on.
    async fn heard(
        &mut self,
        it: &Value,
        out: &mpsc::UnboundedSender<Frame>,
        is_deaf: bool,
    ) -> bool {
        match it["op"].as_u64() {
            Some(1) if is_deaf => true,
            Some(1) => self.send(&json!({ "op": 11, "d": null, "s": null, "t": null })).await,
            Some(2) => self.identify(&it["d"], out).await,
            Some(6) => self.resume(&it["d"], out).await,
            Some(3 | 4 | 8) => true,
            _ => {
                self.inner.complain(format!("unknown opcode: {it}"));
                self.close(4001).await;
                false
            }
        }
    }

    async fn identify(&mut self, data: &Value, out: &mpsc::UnboundedSender<Frame>) -> bool {
        if self.session.is_some() {
            self.close(4005).await;
            return false;
        }
        if data["token"] != TOKEN && data["token"] != format!("Bot {TOKEN}") {
            self.close(4004).await;
            return false;
        }
        if !self.inner.options.intents_allowed {
            self.close(4014).await;
            return false;
        }
        let properties = &data["properties"];
        if data["intents"] != INTENTS
            || !["os", "browser", "device"].iter().all(|it| properties[it].is_string())
        {
            self.inner.complain(format!("intents or properties: {} {properties}", data["intents"]));
        }
        self.compress = data["compress"] == true;
        let id = format!("session-{}", self.inner.wires.borrow().identified + 1);
        let (user, guild) = self.inner.world_mut(|world| (world.user(BOT), world.guild()));
        let mut user = user;
        user["mfa_enabled"] = false.into();
        let ready = json!({
            "v": 10, "user": user, "guilds": [{ "id": GUILD.to_string(), "unavailable": true }],
            "session_id": id, "resume_gateway_url": self.inner.gateway_url(), "shard": [0, 1],
            "application": { "id": APPLICATION.to_string(), "flags": 0 },
        });
        let first = [(1, "READY", ready), (2, "GUILD_CREATE", guild)];
        let events: Vec<(u64, Value)> = first
            .map(|(seq, kind, data)| (seq, json!({ "op": 0, "t": kind, "s": seq, "d": data })))
            .into();
        // A bot has one session here.
        let session = Session { seq: 2, events: events.clone(), out: Some(out.clone()) };
        *self.inner.sessions.lock().unwrap() = [(id.clone(), session)].into();
        self.session = Some(id);
        for (_, payload) in &events {
            if !self.send(payload).await {
                return false;
            }
        }
        self.inner
            .wires
            .send_modify(|wire| (wire.identified, wire.is_alive) = (wire.identified + 1, true));
        true
    }

    async fn resume(&mut self, data: &Value, out: &mpsc::UnboundedSender<Frame>) -> bool {
        if data["token"] != TOKEN && data["token"] != format!("Bot {TOKEN}") {
            self.close(4004).await;
            return false;
        }
        let id = data["session_id"].as_str().unwrap_or_default().to_owned();
        let seq = data["seq"].as_u64().unwrap_or(u64::MAX);
        self.compress = true;
        let missed = {
            let mut sessions = self.inner.sessions.lock().unwrap();
            sessions.get_mut(&id).filter(|session| seq <= session.seq).map(|session| {
                session.out = Some(out.clone());
                session.seq += 1;
                let resumed =
                    json!({ "op": 0, "t": "RESUMED", "s": session.seq, "d": { "_trace": [] } });
                let missed = session.events.iter().filter(|(its, _)| *its > seq);
                let missed: Vec<Value> = missed.map(|(_, event)| event.clone()).collect();
                session.events.push((session.seq, resumed.clone()));
                missed.into_iter().chain([resumed]).collect::<Vec<_>>()
            })
        };
        let Some(missed) = missed else {
            return self.send(&json!({ "op": 9, "d": false, "s": null, "t": null })).await;
        };
        self.session = Some(id);
        for payload in &missed {
            if !self.send(payload).await {
                return false;
            }
        }
        self.inner
            .wires
            .send_modify(|wire| (wire.resumed, wire.is_alive) = (wire.resumed + 1, true));
        true
    }

    async fn send(&mut self, payload: &Value) -> bool {
        let text = payload.to_string();
        let message = if self.compress && text.len() > COMPRESSED_FROM {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            Message::binary(encoder.finish().unwrap())
        } else {
            Message::text(text)
        };
        self.socket.send(message).await.is_ok()
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let _ = self.socket.close(Some(frame)).await;
        // Read on until the other side has closed too.
        let drain = async { while self.socket.next().await.is_some_and(|it| it.is_ok()) {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
    }
}
