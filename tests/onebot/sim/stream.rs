//! A stream of bytes that breaks where the test wants.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Breaks after so many bytes were read from it.
pub struct Cut<S> {
    inner: S,
    left: Option<usize>,
}

impl<S> Cut<S> {
    pub fn new(inner: S, left: Option<usize>) -> Self {
        Self { inner, left }
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
        let Some(left) = self.left else {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        };
        if left == 0 {
            return Poll::Ready(Err(Self::broken()));
        }
        let mut part = vec![0; left.min(buffer.remaining())];
        let mut read = ReadBuf::new(&mut part);
        match Pin::new(&mut self.inner).poll_read(context, &mut read) {
            Poll::Ready(Ok(())) => {
                let bytes = read.filled();
                self.left = Some(left - bytes.len());
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
        if self.left == Some(0) {
            return Poll::Ready(Err(Self::broken()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
