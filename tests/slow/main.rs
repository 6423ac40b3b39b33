//! A thousand connections that say nothing, or a byte now and then, or shake hands and are silent: who
//! has something to say is heard as before, the bot's memory is bounded, and a connection that stands
//! keeps its place.
//!
//! The bot is the real program without a token, so that nobody is known by that. Those who are slow come
//! again a second after they were sent away. What this does not show: thousands that come every second,
//! which is for a firewall to keep out.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const SLOW: usize = 1000;
/// Messages that are posted, each over a connection of its own.
const POSTS: usize = 200;
/// What is promised; on a machine that is busy with other tests, so many times what it takes there
/// without the slow ones.
const P99: Duration = Duration::from_millis(200);
const TIMES: u32 = 5;
/// What a thousand of them may cost.
const MEMORY_KIB: u64 = 64 * 1024;
/// A slow one says a byte this often, and comes again so long after it was sent away.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start(folder: &Path) -> Self {
        let config = "[bot]\nlocale = \"zh\"\n[limits]\ndisk_free_mb = 0\n[adapters.onebot]\n\
            enabled = true\nlisten = \"127.0.0.1:0\"\n";
        std::fs::write(folder.join("config.toml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_qundao"))
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains("waiting for"));
        let line = line.expect("it listens");
        let address = line.rsplit_once("address=").unwrap().1.trim().parse().unwrap();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    fn memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a connection is slow.
#[derive(Clone, Copy)]
enum Slow {
    Head,
    Body,
    HalfOpen,
}

impl Slow {
    fn first_words(self) -> &'static str {
        match self {
            Self::Head => "POST / HTTP/1.1\r\nhost: a\r\nx-slow: ",
            Self::Body => "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{",
            Self::HalfOpen => {
                "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
        }
    }
}

/// Keeps one slow connection open for ever.
async fn be_slow(address: SocketAddr, slow: Slow, begun: Arc<AtomicUsize>) {
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let _ = stream.write_all(slow.first_words().as_bytes()).await;
        begun.fetch_add(1, Ordering::SeqCst);
        let mut heard = [0; 1024];
        loop {
            match tokio::time::timeout(NOW_AND_THEN, stream.read(&mut heard)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => break,
                Err(_) if matches!(slow, Slow::HalfOpen) => {}
                Err(_) => {
                    if stream.write_all(b"x").await.is_err() {
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(NOW_AND_THEN).await;
    }
}

/// Posts one message over a connection of its own; how long it took until it was accepted.
async fn post(address: SocketAddr, number: usize) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let body = format!(
        r#"{{"time":{now},"self_id":10001,"post_type":"message","message_type":"group","sub_type":"normal","message_id":{number},"group_id":7,"user_id":9,"message":[{{"type":"text","data":{{"text":"早"}}}}],"raw_message":"早","sender":{{"nickname":"阿明"}}}}"#
    );
    let request = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nx-self-id: 10001\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    began.elapsed()
}

/// The slowest of a hundred.
async fn p99(address: SocketAddr, first: usize) -> Duration {
    let mut took = Vec::new();
    for number in first..first + POSTS {
        took.push(post(address, number).await);
    }
    took.sort();
    took[POSTS * 99 / 100 - 1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_connections_keep_nobody_out() {
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .expect("every process has it");
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let address = program.address;
    // One that stands: it has said whose it is.
    let url = format!("ws://{address}/");
    let (mut stands, _) =
        tokio_tungstenite::client_async(url, TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
    let alive = r#"{"time":1,"self_id":10002,"post_type":"meta_event","meta_event_type":"lifecycle","sub_type":"connect"}"#;
    stands.send(Message::text(alive)).await.unwrap();

    let before = p99(address, 1).await;
    let memory = program.memory_kib();
    let begun = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..SLOW {
        let slow = [Slow::Head, Slow::Body, Slow::HalfOpen][number % 3];
        tasks.spawn(be_slow(address, slow, begun.clone()));
    }
    while begun.load(Ordering::SeqCst) < SLOW {
        tokio::task::yield_now().await;
    }
    let during = p99(address, 10_000).await;
    let grown = program.memory_kib().saturating_sub(memory);
    let came = begun.load(Ordering::SeqCst);
    println!("p99 {before:?} before, {during:?} during; {grown} KiB more; {came} came");
    assert!(during < P99.max(before * TIMES), "p99 {during:?}, and {before:?} without them");
    assert!(grown < MEMORY_KIB, "{grown} KiB more");

    stands.send(Message::Ping(b"still there?".to_vec().into())).await.unwrap();
    let pong = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match stands.next().await {
                Some(Ok(Message::Pong(_))) => return true,
                Some(Ok(_)) => {}
                _ => return false,
            }
        }
    });
    assert_eq!(pong.await, Ok(true), "the one that stands was sent away");
}
