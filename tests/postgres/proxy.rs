//! Stands between a store and its server and breaks the connection around a `COMMIT`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

/// What happens to a connection that sends a `COMMIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Never,
    /// It breaks, and the server never hears of the `COMMIT`.
    Before,
    /// The server gets it, the answer is lost.
    After,
    /// It breaks, and the server gets the `COMMIT` a while later, from who is no longer there.
    Late(Duration),
}

/// A proxy that runs as long as this value.
pub struct Proxy {
    pub port: u16,
    cut: Arc<Mutex<Cut>>,
    /// How many connections were cut.
    pub cuts: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(server: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(Mutex::new(Cut::Never));
        let cuts = Arc::new(AtomicUsize::new(0));
        let (next, count) = (cut.clone(), cuts.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(backend) = UnixStream::connect(&server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = backend.into_split();
                let (next, count) = (next.clone(), count.clone());
                tokio::spawn(async move {
                    let back = tokio::spawn(copy(from_server, to_client));
                    requests(from_client, to_server, &next, &count, &back).await;
                    back.abort();
                });
            }
        });
        Self { port, cut, cuts, task }
    }

    /// The next `COMMIT` meets this.
    pub fn cut_next(&self, cut: Cut) {
        *self.cut.lock().unwrap() = cut;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    next: &Mutex<Cut>,
    count: &AtomicUsize,
    back: &tokio::task::JoinHandle<()>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        let is_commit = bytes.windows(7).any(|window| window == b"COMMIT\0");
        let cut = if is_commit {
            std::mem::replace(&mut *next.lock().unwrap(), Cut::Never)
        } else {
            Cut::Never
        };
        if cut != Cut::Never {
            count.fetch_add(1, Ordering::SeqCst);
            // Nothing more reaches the client: the end of this task closes its connection.
            back.abort();
        }
        match cut {
            Cut::Never => {
                if to.write_all(bytes).await.is_err() {
                    return;
                }
            }
            Cut::Before => return,
            Cut::After => {
                let _ = to.write_all(bytes).await;
                return;
            }
            Cut::Late(delay) => {
                drop(from);
                tokio::time::sleep(delay).await;
                let _ = to.write_all(bytes).await;
                // The server reads it before it finds nobody there.
                tokio::time::sleep(delay).await;
                return;
            }
        }
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
