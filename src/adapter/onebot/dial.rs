//! Addresses of implementations, and the byte streams to them.

use std::io;

use hyper::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::adapter::BoxFuture;

/// A stream of bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// How streams are opened; a test hands out its own.
pub trait Dial: Send + Sync {
    /// Opens a stream to a host and port.
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>>;
}

/// TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            // A call is one small frame that somebody waits for.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// Where an implementation is. It holds no secret: those come from the section's own keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Through TLS.
    pub secure: bool,
    /// Name or number, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path without the slash at its end; empty is the root.
    pub path: String,
    /// Scheme, host and port, for people and for the `Host` header.
    pub authority: String,
}

impl Address {
    /// Reads an address with one of two schemes, the plain one first.
    pub fn parse(text: &str, [plain, secure]: [&str; 2]) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?;
        let is_secure = scheme == secure;
        if !is_secure && scheme != plain {
            return None;
        }
        let host = uri.host().filter(|host| !host.is_empty())?;
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Some(Self {
            secure: is_secure,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
            authority: format!("{host}:{port}"),
        })
    }

    /// Opens a stream, through TLS where the address says so.
    ///
    /// # Errors
    /// What the network or the certificate says.
    pub async fn open(&self, dial: &dyn Dial) -> io::Result<Box<dyn ByteStream>> {
        let stream = dial.dial(&self.host, self.port).await?;
        if !self.secure {
            return Ok(stream);
        }
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let connector = tokio_rustls::TlsConnector::from(crate::tls::client()?);
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        let read = |text: &str| Address::parse(text, ["ws", "wss"]);
        let plain = read("ws://127.0.0.1:3001/").expect("an address");
        assert_eq!((plain.secure, plain.port, plain.path.as_str()), (false, 3001, ""));
        let secure = read("wss://bot.a.cn/onebot/v11/ws").expect("an address");
        assert_eq!((secure.secure, secure.port), (true, 443));
        assert_eq!(secure.path, "/onebot/v11/ws");
        let six = read("ws://[::1]:3001/event").expect("an address");
        assert_eq!((six.host.as_str(), six.authority.as_str()), ("::1", "[::1]:3001"));
        for wrong in ["http://a.cn", "a.cn:80", "ws://", "", "ws://a b"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
