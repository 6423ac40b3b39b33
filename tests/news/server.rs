//! A web server on this machine that answers by path, and counts who connects.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request: its path and all of its head.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub head: String,
}

/// What a server does with a connection once it has read the request.
pub type Act = dyn Fn(Asked) -> Answer + Send + Sync;

/// An answer, byte by byte.
#[derive(Clone)]
pub struct Answer {
    /// Head and what comes at once.
    pub first: Vec<u8>,
    /// What comes again and again after it, until the other side hangs up.
    pub endless: Vec<u8>,
    /// Between two of those, ms.
    pub pause_ms: u64,
}

impl Answer {
    pub fn new(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "Connection: close\r\n\r\n";
        let first = [head.as_bytes(), body].concat();
        Self { first, endless: Vec::new(), pause_ms: 0 }
    }

    pub fn feed(body: &[u8]) -> Self {
        Self::new("200 OK", &[("Content-Type", "application/rss+xml")], body)
    }

    pub fn redirect(to: &str) -> Self {
        Self::new("302 Found", &[("Location", to)], b"")
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(
        host: &str,
        act: impl Fn(Asked) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(host).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (count, note) = (connections.clone(), asked.clone());
        let act: Arc<Act> = Arc::new(act);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (act, note) = (act.clone(), note.clone());
                // Whoever hangs up in the middle ends this, as it should.
                tokio::spawn(async move { drop(serve(stream, &*act, &note).await) });
            }
        });
        Ok(Self { address, connections, asked, task })
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, act: &Act, note: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await?;
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { path, head };
    note.lock().unwrap().push(asked.clone());
    let answer = act(asked);
    stream.write_all(&answer.first).await?;
    while !answer.endless.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(answer.pause_ms)).await;
        stream.write_all(&answer.endless).await?;
    }
    stream.shutdown().await
}
