//! A stream of bytes that breaks where the test wants.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes a connection still carries in either direction; it is gone when one is used up.
#[derive(Debug)]
pub struct Allowance {
    heard: AtomicUsize,
    said: AtomicUsize,
}

impl Allowance {
    /// So many bytes from the program; as many as one likes to it.
    pub fn new(heard: Option<usize>) -> Arc<Self> {
        let (heard, said) = (heard.unwrap_or(usize::MAX), usize::MAX);
        Arc::new(Self { heard: heard.into(), said: said.into() })
    }

    /// From now on so many.
    pub fn set(&self, heard: Option<usize>, said: Option<usize>) {
        self.heard.store(heard.unwrap_or(usize::MAX), Ordering::SeqCst);
        self.said.store(said.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    fn left(of: &AtomicUsize) -> usize {
        of.load(Ordering::SeqCst)
    }

    /// Takes off what was carried; without a limit nothing is.
    fn take(of: &AtomicUsize, bytes: usize) {
        let less = |left: usize| (left != usize::MAX).then(|| left.saturating_sub(bytes));
        // There is nothing to take where there is no limit.
        let _ = of.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    fn is_used_up(&self) -> bool {
        Self::left(&self.heard) == 0 || Self::left(&self.said) == 0
    }
}

/// Breaks when its allowance is used up, in the middle of a frame if need be.
pub struct Cut<S> {
    inner: S,
    allowance: Arc<Allowance>,
}

impl<S> Cut<S> {
    pub fn new(inner: S, allowance: Arc<Allowance>) -> Self {
        Self { inner, allowance }
    }

    fn broken() -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionReset, "cut by the test")
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance.is_used_up() {
            return Poll::Ready(Err(Self::broken()));
        }
        let left = Allowance::left(&self.allowance.heard);
        let mut part = vec![0; left.min(buffer.remaining())];
        let mut read = ReadBuf::new(&mut part);
        match Pin::new(&mut self.inner).poll_read(context, &mut read) {
            Poll::Ready(Ok(())) => {
                let bytes = read.filled();
                Allowance::take(&self.allowance.heard, bytes.len());
                buffer.put_slice(bytes);
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.allowance.is_used_up() {
            return Poll::Ready(Err(Self::broken()));
        }
        let some = bytes.len().min(Allowance::left(&self.allowance.said));
        let written = Pin::new(&mut self.inner).poll_write(context, &bytes[..some]);
        if let Poll::Ready(Ok(count)) = written {
            Allowance::take(&self.allowance.said, count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
