//! GET over our own dialler: what the guard lets through, in a bounded time and size.
//!
//! There is no proxy from the environment, no cookie and no password: a request says which feed it
//! wants and nothing else, wherever it is redirected to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::body::Body;
use super::fetch::{Failure, Fetched, Known, Payload};
use super::guard::{Guard, Resolver, SystemResolver, Target};

/// Redirections that are followed.
const REDIRECTS_MAX: usize = 3;
/// All headers of an answer together, bytes.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// Headers of an answer.
const HEADERS_MAX: usize = 100;
/// Longest `ETag`, `Last-Modified` and character set that are kept, bytes.
const KEPT_MAX: usize = 512;
/// Everything together: names, redirections, the whole body.
const TOTAL_MS: u64 = 10_000;
/// The longest that a source can ask to be left alone, s.
const RETRY_AFTER_MAX_S: i64 = 24 * 3600;

/// The web, as feeds are got from it.
pub struct Http {
    guard: Guard,
    resolver: Arc<dyn Resolver>,
    total: Duration,
}

impl Default for Http {
    /// The public internet and nothing else.
    fn default() -> Self {
        Self::new(Guard::strict(), Arc::new(SystemResolver), Duration::from_millis(TOTAL_MS))
    }
}

/// What one answer leads to.
enum Step {
    Done(Fetched),
    Redirected(String),
}

impl Http {
    /// The web behind a guard and a resolver; a request may take `total`.
    pub fn new(guard: Guard, resolver: Arc<dyn Resolver>, total: Duration) -> Self {
        Self { guard, resolver, total }
    }

    /// Asks for a feed.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, address: &str, known: &Known) -> Result<Fetched, Failure> {
        let got = tokio::time::timeout(self.total, self.follow(address, known)).await;
        got.unwrap_or_else(|_| {
            let seconds = self.total.as_secs_f32();
            Err(Failure::new(format!("did not answer wholly within {seconds} s")))
        })
    }

    async fn follow(&self, address: &str, known: &Known) -> Result<Fetched, Failure> {
        let denied = |denied: super::guard::Denied| Failure::new(denied.0);
        let mut target = self.guard.target(address).map_err(denied)?;
        for _ in 0..=REDIRECTS_MAX {
            match self.ask(&target, known).await? {
                Step::Done(fetched) => return Ok(fetched),
                Step::Redirected(location) => {
                    target = self.guard.redirected(&target, &location).map_err(denied)?;
                }
            }
        }
        Err(Failure::new(format!("redirects more than {REDIRECTS_MAX} times")))
    }

    async fn ask(&self, target: &Target, known: &Known) -> Result<Step, Failure> {
        let addresses = self.guard.addresses(target, &*self.resolver).await;
        let addresses = addresses.map_err(|denied| Failure::new(denied.0))?;
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{} cannot be reached: {error}", target.shown()))
        };
        let tcp = connect(&addresses).await.map_err(|error| failed(&error))?;
        if !target.is_secure() {
            return exchange(tcp, target, known).await;
        }
        let name = target.host.to_string();
        let name = name.trim_matches(['[', ']']).trim_end_matches('.').to_owned();
        let name = ServerName::try_from(name).map_err(|error| failed(&error))?;
        let config = crate::tls::client().map_err(|error| failed(&error))?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect(name, tcp).await.map_err(|error| failed(&error))?;
        exchange(stream, target, known).await
    }
}

/// The first of these addresses that takes the connection; each has been checked.
async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn exchange<S>(stream: S, target: &Target, known: &Known) -> Result<Step, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("{} does not answer as it should: {error}", target.shown()))
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADERS_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let request = request(target, known).map_err(|error| failed(&error))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        read(response).await
    };
    tokio::pin!(answered);
    tokio::select! {
        step = &mut answered => step,
        // The connection may end before its last bytes have been read here.
        _ = connection => answered.await,
    }
}

fn request(target: &Target, known: &Known) -> hyper::http::Result<Request<Empty<Bytes>>> {
    let host = &target.url[url::Position::BeforeHost..url::Position::AfterPort];
    let path = &target.url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("qundao/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5")
        .header(header::ACCEPT_ENCODING, "gzip, deflate")
        .header(header::CONNECTION, "close");
    if let Some(etag) = &known.etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    if let Some(modified) = &known.modified {
        request = request.header(header::IF_MODIFIED_SINCE, modified);
    }
    request.body(Empty::new())
}

async fn read(response: Response<Incoming>) -> Result<Step, Failure> {
    let (head, mut incoming) = response.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(Step::Done(Fetched::NotModified)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {
            let location = text(&head.headers, header::LOCATION, usize::MAX);
            let missing = || Failure::new("redirects to nowhere");
            return location.map(Step::Redirected).ok_or_else(missing);
        }
        status => return Err(refused(status, &head.headers)),
    }
    let unreadable = |error: &dyn std::fmt::Display| Failure::new(format!("broke off: {error}"));
    let encoding = text(&head.headers, header::CONTENT_ENCODING, KEPT_MAX).unwrap_or_default();
    let mut body = Body::new(&encoding).map_err(|error| unreadable(&error))?;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        if let Some(bytes) = frame.data_ref() {
            body.add(bytes).map_err(|error| unreadable(&error))?;
        }
    }
    let bytes = body.finish().map_err(|error| unreadable(&error))?;
    let known = Known {
        etag: text(&head.headers, header::ETAG, KEPT_MAX),
        modified: text(&head.headers, header::LAST_MODIFIED, KEPT_MAX),
    };
    let charset = text(&head.headers, header::CONTENT_TYPE, KEPT_MAX);
    let charset = charset.as_deref().and_then(charset_of);
    Ok(Step::Done(Fetched::Feed(Payload { bytes, charset, known })))
}

/// A header as text; one that is too long counts as absent.
fn text(headers: &HeaderMap, name: HeaderName, most: usize) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= most).then(|| value.to_owned())
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Failure {
    let retry_after = text(headers, header::RETRY_AFTER, KEPT_MAX);
    let retry_after = retry_after.and_then(|value| value.trim().parse::<i64>().ok());
    Failure {
        reason: format!("answers {status}"),
        retry_after_s: retry_after.map(|seconds| seconds.clamp(0, RETRY_AFTER_MAX_S)),
    }
}

/// `charset=…` of a content type.
fn charset_of(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_character_set() {
        assert_eq!(charset_of("text/xml; charset=GBK").as_deref(), Some("GBK"));
        assert_eq!(charset_of("text/xml;Charset=\"utf-8\"; x=y").as_deref(), Some("utf-8"));
        assert_eq!(charset_of("text/xml"), None);
    }

    #[test]
    fn a_request_says_what_it_wants_and_no_more() {
        let target = Guard::strict().target("https://A.example/feed?a=1#x").expect("an address");
        let known = Known { etag: Some("\"1\"".to_owned()), modified: None };
        let request = request(&target, &known).expect("a request");
        assert_eq!(request.uri(), "/feed?a=1");
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        let wanted = ["host", "user-agent", "accept", "accept-encoding", "connection"];
        assert_eq!(names[..5], wanted);
        assert_eq!(names[5..], ["if-none-match"]);
        assert_eq!(request.headers()["host"], "a.example");
    }
}
