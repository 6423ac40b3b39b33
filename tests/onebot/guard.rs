//! Who may speak: tokens, signatures, accounts, and what strangers can do to the port.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::onebot::{Dropped, OneBot, Surroundings, Tcp};
use qundao::clock::SystemClock;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

use crate::rig::{Rig, section};
use crate::sim::http::sign;
use crate::sim::script::text;
use crate::sim::socket::Part;
use crate::sim::{Options, Sim};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn status(error: Error) -> u16 {
    match error {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("another error: {other}"),
    }
}

#[tokio::test]
async fn a_connection_needs_the_token() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0"), ("token", TOKEN)]);
    let port = rig.port().await;
    let wrong = format!("Bearer {}", TOKEN.replace('0', "1"));
    for given in [None, Some("Bearer"), Some(wrong.as_str()), Some("Bearer 0123456789abcdef")] {
        let refused = sim.connect_with(port, "/", Part::Universal, given, Some(10001)).await;
        assert_eq!(status(refused.unwrap_err()), 403, "{given:?}");
    }
    assert_eq!((rig.dropped(Dropped::Refused), sim.connections()), (4, 0));
    for (given, query) in [
        (Some(format!("Bearer {TOKEN}")), String::new()),
        (Some(format!("Token {TOKEN}")), String::new()),
        (None, format!("?access_token={TOKEN}")),
    ] {
        let path = format!("/onebot/v11/ws{query}");
        sim.connect_with(port, &path, Part::Universal, given.as_deref(), Some(10001))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_refused_token_is_told_with_the_next_step() {
    for (options, keys) in [
        (Options { token: Some(TOKEN.to_owned()), ..Options::default() }, vec![]),
        (Options { token: Some(TOKEN.to_owned()), ..Options::default() }, vec![("token", "other")]),
    ] {
        let (logs, _guard) = logs();
        let sim = Sim::with_group(options);
        let mut all = vec![("connect", "ws://sim")];
        all.extend(keys);
        let _rig = Rig::to(&sim, &all);
        until_logged(&logs, "the token was refused").await;
        let logs = logs.text();
        assert!(logs.contains("`token` of `[adapters.onebot]`"), "{logs}");
        assert!(!logs.contains(TOKEN) && !logs.contains("other"), "{logs}");
    }
}

#[tokio::test]
async fn only_the_accounts_of_the_section_may_connect() {
    let sim = Sim::with_group(Options::default());
    let keys = [("listen", "127.0.0.1:0"), ("self_id", "10002, 10003")];
    let rig = Rig::over_tcp(&keys);
    let port = rig.port().await;
    let refused = sim.connect(port, "/", Part::Universal).await.unwrap_err();
    assert_eq!(status(refused), 403);
    assert_eq!(sim.post(port, &json!({ "post_type": "message", "self_id": 10001 })).await, 403);
    // Without the header the first frame says whose it is.
    sim.connect_with(port, "/", Part::Universal, None, None).await.unwrap();
    sim.until_made(1, 0).await;
    assert_eq!(rig.dropped(Dropped::Refused), 2);
}

#[tokio::test]
async fn an_event_of_another_account_is_refused_and_counted() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::to(&sim, &[("connect", "ws://sim")]);
    sim.until_connected(1).await;
    let message = sim.keep(777, 20002, text("假的"));
    let mut forged = sim.event(&message);
    forged["self_id"] = json!(99999);
    sim.raw(&forged);
    sim.say(777, 20002, "真的");
    assert_eq!(rig.inbox.texts(1).await, ["真的"]);
    assert_eq!(rig.dropped(Dropped::Foreign), 1);
}

#[tokio::test]
async fn no_bit_of_a_signed_event_can_be_changed() {
    let sim = Sim::with_group(Options::default());
    let keys = [("listen", "127.0.0.1:0"), ("token", TOKEN), ("secret", "hunter2")];
    let rig = Rig::over_tcp(&keys);
    let port = rig.port().await;
    let message = sim.keep(777, 20002, text("转给我一百积分"));
    let body = sim.event(&message).to_string().into_bytes();
    let right = sign("hunter2", &body);
    let mut connection = Connection::open(port).await;
    let mut refused = 0;
    let mut n = 0;
    while refused < 10_000 {
        n += 1;
        // Bits of the body and of the signature, in an order that reaches both.
        let bit = n * 7919 % ((body.len() + right.len()) * 8);
        let (mut body, mut signature) = (body.clone(), right.clone().into_bytes());
        match body.get_mut(bit / 8) {
            Some(byte) => *byte ^= 1 << (bit % 8),
            None => signature[bit / 8 - body.len()] ^= 1 << (bit % 8),
        }
        // Another case of the same digit is the same signature.
        if signature.eq_ignore_ascii_case(right.as_bytes()) && bit / 8 >= body.len() {
            continue;
        }
        // What no header may hold never comes this far.
        if signature.iter().any(|byte| !(0x20..0x7f).contains(byte)) {
            continue;
        }
        let status = connection.post(port, &signature, &body).await;
        assert_eq!(status, 403, "bit {bit}");
        refused += 1;
    }
    assert_eq!(rig.dropped(Dropped::Refused), refused);
    assert!(rig.inbox.events().is_empty());
    // The token is no substitute where there is a key for signatures.
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(sim.post_raw(port, "/", body.clone(), None, &headers).await, 403);
    assert_eq!(sim.post_raw(port, "/", body, Some(&right), &[]).await, 204);
    assert_eq!(rig.inbox.texts(1).await.len(), 1);
}

/// One connection that posts again and again.
struct Connection(TcpStream);

impl Connection {
    async fn open(port: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(port).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    async fn post(&mut self, port: std::net::SocketAddr, signature: &[u8], body: &[u8]) -> u16 {
        let mut request = format!("POST / HTTP/1.1\r\nhost: {port}\r\nx-signature: ").into_bytes();
        request.extend_from_slice(signature);
        request.extend(format!("\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes());
        request.extend_from_slice(body);
        self.0.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(self.0.read_u8().await.expect("an answer"));
        }
        String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
    }
}

#[tokio::test]
async fn what_is_posted_has_a_limit_and_must_make_sense() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    let message = sim.keep(777, 20002, text("早"));
    let mut event = sim.event(&message);
    let post = async |body: String| sim.post_raw(port, "/", body.into_bytes(), None, &[]).await;
    event["raw_message"] = json!("长".repeat(80_000));
    assert_eq!(post(event.to_string()).await, 204);
    event["raw_message"] = json!("长".repeat(90_000));
    let status = post(event.to_string()).await;
    assert!(status == 413 || status == 0, "{status}");
    for nonsense in ["", "[]", "{}", "\u{feff}{}", "{\"post_type\":\"message\"}"] {
        assert_eq!(post(nonsense.to_owned()).await, 400, "{nonsense}");
    }
    // A page in a browser on the same machine may not speak either.
    let page = [("origin", "https://evil.example")];
    let body = sim.event(&message).to_string().into_bytes();
    assert_eq!(sim.post_raw(port, "/", body, None, &page).await, 403);
    let get = async {
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = get.await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_is_hung_up_on() {
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    let ended = async |beginning: &[u8]| {
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let began = tokio::time::Instant::now();
        let mut rest = Vec::new();
        // Reset or closed is the same to us.
        let _ = stream.read_to_end(&mut rest).await;
        (began.elapsed(), String::from_utf8_lossy(&rest).into_owned())
    };
    let (after, _) = ended(b"POST / HTTP/1.1\r\nhost: a\r\nx-slow").await;
    assert!(after <= Duration::from_secs(6), "{after:?} for a head");
    let (after, said) =
        ended(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"post").await;
    assert!(after <= Duration::from_secs(16), "{after:?} for a body");
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let (logs, _guard) = logs();
    let canary = "canary0123456789canary0123456789";
    let options = Options {
        token: Some(canary.to_owned()),
        secret: Some(canary.to_owned()),
        ..Options::default()
    };
    let sim = Sim::with_group(options);
    let address = sim.listen().await;
    let (connect, api) = (format!("ws://{address}"), format!("http://{}", sim.serve_http().await));
    let keys = [
        ("connect", connect.as_str()),
        ("listen", "127.0.0.1:0"),
        ("api", &api),
        ("token", canary),
        ("secret", canary),
    ];
    let rig = Rig::over_tcp(&keys);
    let port = rig.port().await;
    rig.until_callable(&sim).await;
    let query = format!("/?access_token={canary}");
    sim.connect_with(port, &query, Part::Universal, None, Some(10001)).await.unwrap();
    let wrong = format!("/?access_token={canary}x");
    sim.connect_with(port, &wrong, Part::Universal, None, Some(10001)).await.unwrap_err();
    sim.post_raw(port, &query, b"{}".to_vec(), Some("sha1=00"), &[]).await;
    sim.say(777, 20002, "悄悄话");
    rig.inbox.texts(1).await;
    sim.raw_text("{\"message\":\"悄悄话\",");
    until_logged(&logs, "Unreadable").await;
    let logs = logs.text();
    assert!(!logs.contains("canary") && !logs.contains("悄悄话"), "{logs}");
    let section = section(&keys);
    let surroundings =
        Surroundings { clock: SystemClock::with_offset(0), seed: [0; 32], dial: Arc::new(Tcp) };
    assert!(OneBot::new(&section, surroundings).is_ok());
    assert!(!format!("{section:?}").contains("canary"));
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logs() -> (Logs, tracing::subscriber::DefaultGuard) {
    let logs = Logs::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (logs, tracing::subscriber::set_default(subscriber))
}

/// Nothing tells of a new line, so this looks until it is there.
async fn until_logged(logs: &Logs, what: &str) {
    let look = async {
        while !logs.text().contains(what) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), look).await.is_err() {
        panic!("`{what}` was not logged: {}", logs.text());
    }
}
