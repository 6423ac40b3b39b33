//! What is said to a server and what it may answer.

use std::sync::Arc;
use std::time::Duration;

use qundao::news::guard::{Guard, SystemResolver};
use qundao::news::http::Http;
use qundao::news::{Fetched, Known};

use crate::server::{Answer, Server};

fn web(server: &Server) -> Http {
    let limit = Duration::from_secs(5);
    Http::new(Guard::except(&[server.address]), Arc::new(SystemResolver), limit)
}

fn known(etag: Option<&str>, modified: Option<&str>) -> Known {
    Known { etag: etag.map(str::to_owned), modified: modified.map(str::to_owned) }
}

#[tokio::test]
async fn a_feed_that_did_not_change_is_not_sent_again() {
    const DATE: &str = "Wed, 25 Nov 2026 00:00:00 GMT";
    let server = Server::start("127.0.0.1:0", |asked| {
        let head = asked.head.to_ascii_lowercase();
        let is_known = head.contains("if-none-match: w/\"7\"\r\n")
            && head.contains(&format!("if-modified-since: {}\r\n", DATE.to_ascii_lowercase()));
        if is_known {
            return Answer::new("304 Not Modified", &[], b"");
        }
        let headers = [
            ("Content-Type", "text/xml; charset=gbk"),
            ("ETag", "W/\"7\""),
            ("Last-Modified", DATE),
        ];
        Answer::new("200 OK", &headers, b"<rss/>")
    });
    let server = server.await.unwrap();
    let web = web(&server);
    let first = web.get(&server.url("/feed"), &Known::default()).await.unwrap();
    let Fetched::Feed(first) = first else { panic!("a feed") };
    assert_eq!(first.bytes, b"<rss/>");
    assert_eq!(first.charset.as_deref(), Some("gbk"));
    assert_eq!(first.known, known(Some("W/\"7\""), Some(DATE)));
    let again = web.get(&server.url("/feed"), &first.known).await.unwrap();
    assert_eq!(again, Fetched::NotModified);
    let other = web.get(&server.url("/feed"), &known(Some("\"6\""), None)).await.unwrap();
    assert!(matches!(other, Fetched::Feed(_)));
}

#[tokio::test]
async fn redirections_are_followed_three_times() {
    let server = Server::start("127.0.0.1:0", |asked| {
        let left: u32 = asked.path.trim_start_matches('/').parse().unwrap();
        if left == 0 {
            Answer::feed(b"<rss/>")
        } else {
            Answer::redirect(&format!("/{}", left - 1))
        }
    });
    let server = server.await.unwrap();
    let web = web(&server);
    assert!(web.get(&server.url("/3"), &Known::default()).await.is_ok());
    let error = web.get(&server.url("/4"), &Known::default()).await.unwrap_err();
    assert!(error.reason.contains("more than 3 times"), "{error}");
    for asked in server.asked() {
        let head = asked.head.to_ascii_lowercase();
        assert!(!head.contains("authorization") && !head.contains("cookie"), "{head}");
    }
}

#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is() {
    let server = Server::start("127.0.0.1:0", |asked| match asked.path.as_str() {
        "/busy" => Answer::new("429 Too Many Requests", &[("Retry-After", "120")], b""),
        "/gone" => Answer::new("410 Gone", &[], b""),
        "/nowhere" => Answer::new("302 Found", &[], b""),
        _ => Answer::new("200 OK", &[("Content-Encoding", "br")], b"x"),
    });
    let server = server.await.unwrap();
    let web = web(&server);
    let busy = web.get(&server.url("/busy"), &Known::default()).await.unwrap_err();
    assert_eq!(busy.retry_after_s, Some(120));
    assert!(busy.reason.contains("429"), "{busy}");
    for (path, why) in [("/gone", "410"), ("/nowhere", "nowhere"), ("/odd", "`br`")] {
        let error = web.get(&server.url(path), &Known::default()).await.unwrap_err();
        assert!(error.reason.contains(why), "{path}: {error}");
    }
}
