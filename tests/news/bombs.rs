//! Feeds that are made to hurt: each ends in bounded time and memory.
//!
//! Memory is that of a process of its own, as the system counts it: this very test program, which
//! takes one bomb and says how much it grew.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use qundao::news::guard::{Guard, SystemResolver};
use qundao::news::http::Http;
use qundao::news::parse::Parser;
use qundao::news::{FEED_MAX, Fetched, Known};

use crate::server::{Answer, Server};

/// The variable that makes this program the child.
const BOMB: &str = "NEWS_BOMB";
/// The time that the child's fetcher has for one feed, ms; in the program it is ten seconds.
const TOTAL_MS: u64 = 1_500;
/// How much a process may grow, KiB.
const GROWTH_MAX_KIB: u64 = 48 * 1024;

const HEAD: &str = "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>t</title>";
const TAIL: &str = "</channel></rss>";
const ITEM: &str = "<item><title>好</title><link>https://a.example/</link></item>";

fn rss(middle: &str) -> Vec<u8> {
    format!("{HEAD}{middle}{TAIL}").into_bytes()
}

fn gzip(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    (0..times).for_each(|_| out.write_all(bytes).unwrap());
    out.finish().unwrap()
}

fn zipped(body: &[u8]) -> Answer {
    Answer::new("200 OK", &[("Content-Encoding", "gzip")], body)
}

fn endless(head: &str, chunk: &[u8], pause_ms: u64) -> Answer {
    let first = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
    Answer { first, endless: chunk.to_vec(), pause_ms }
}

fn laughs(entities: usize) -> Vec<u8> {
    let mut out = "<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY l0 \"lol\">".to_owned();
    for n in 1..entities {
        let many = format!("&l{};", n - 1).repeat(10);
        out += &format!("<!ENTITY l{n} \"{many}\">");
    }
    let item = ITEM.replace('好', &format!("&l{};", entities - 1));
    out += &format!("]><rss version=\"2.0\"><channel><title>t</title>{item}{TAIL}");
    out.into_bytes()
}

/// All that fits, of one piece.
fn full_of(piece: &str) -> String {
    piece.repeat((FEED_MAX - 1024) / piece.len())
}

/// The bombs by path, with a part of what is said of each; nothing where the feed is read after all.
const BOMBS: [(&str, &str); 27] = [
    ("/gzip-of-256-mebibytes", "larger than 2 MiB"),
    ("/gzip-of-gzip", "no feed"),
    ("/gzip-of-nothing-for-ever", "2 MiB|within"),
    ("/billion-laughs", ""),
    ("/external-entity", ""),
    ("/external-doctype", ""),
    ("/attributes", ""),
    ("/namespaces", ""),
    ("/depth-of-unknown", "nested deeper"),
    ("/depth-of-groups", "nested deeper"),
    ("/depth-of-json", "no JSON Feed"),
    ("/fifty-thousand-items", ""),
    ("/empty-items", ""),
    ("/links-in-one-item", ""),
    ("/enclosures-in-one-item", ""),
    ("/media-in-one-item", ""),
    ("/json-of-empty-items", ""),
    ("/json-of-attachments", ""),
    ("/one-long-title", ""),
    ("/one-long-tag", "no feed"),
    ("/comments", ""),
    ("/json-of-items", ""),
    ("/slow-body", "within"),
    ("/slow-head", "within"),
    ("/endless-chunks", "larger than 2 MiB"),
    ("/endless-headers", "does not answer as it should"),
    ("/redirect-loop", "more than 3 times"),
];

fn answer(path: &str) -> Answer {
    let external = "<!DOCTYPE rss [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    match path {
        "/gzip-of-256-mebibytes" => zipped(&gzip(&vec![b' '; 1 << 20], 256)),
        "/gzip-of-gzip" => zipped(&gzip(&gzip(&vec![0; 1 << 20], 256), 1)),
        "/gzip-of-nothing-for-ever" => {
            endless("Content-Encoding: gzip\r\n", &gzip(b"", 1).repeat(999), 0)
        }
        "/billion-laughs" => Answer::feed(&laughs(12)),
        "/external-entity" => {
            let item = ITEM.replace('好', "x&x;y");
            let body = format!("<?xml version=\"1.0\"?>{external}<rss version=\"2.0\"><channel>");
            Answer::feed(format!("{body}<title>t</title>{item}{TAIL}").as_bytes())
        }
        "/external-doctype" => {
            let doctype = "<!DOCTYPE rss SYSTEM \"http://127.0.0.1:1/x.dtd\">";
            Answer::feed(
                format!("{doctype}{HEAD}{ITEM}{TAIL}")
                    .replace("<?xml version=\"1.0\"?>", "")
                    .as_bytes(),
            )
        }
        "/attributes" => {
            let many: String = (0..120_000).map(|n| format!(" a{n}=\"\"")).collect();
            Answer::feed(&rss(&ITEM.replace("<item>", &format!("<item{many}>"))))
        }
        "/namespaces" => {
            let many: String = (0..100).map(|n| format!(" xmlns:n{n}=\"urn:{n}\"")).collect();
            Answer::feed(&rss(&ITEM.replace("<item>", &format!("<item{many}>")).repeat(600)))
        }
        "/depth-of-unknown" => Answer::feed(&rss(&full_of("<a>"))),
        "/depth-of-groups" => {
            let group = "<media:group xmlns:media=\"http://search.yahoo.com/mrss/\">";
            Answer::feed(&rss(&format!("<item>{}", full_of(group))))
        }
        "/depth-of-json" => {
            let head = "{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"t\",\"items\":";
            Answer::feed(format!("{head}{}", full_of("[")).as_bytes())
        }
        "/fifty-thousand-items" => Answer::feed(&rss(&full_of(
            "<item><link>https://a.example/</link></item>",
        )[..44 * 47_000])),
        "/links-in-one-item" => {
            let item = ITEM.replace("</item>", "");
            Answer::feed(&rss(&format!(
                "{item}{}</item>",
                full_of("<link>https://a.example/</link>")
            )))
        }
        "/empty-items" => Answer::feed(&rss(&full_of("<item/>"))),
        "/enclosures-in-one-item" => {
            let item = ITEM.replace("</item>", "");
            Answer::feed(&rss(&format!("{item}{}</item>", full_of("<enclosure/>"))))
        }
        "/media-in-one-item" => {
            let item = "<item xmlns:m=\"http://search.yahoo.com/mrss/\"><title>好</title><link>https://a.example/</link>";
            Answer::feed(&rss(&format!("{item}{}</item>", full_of("<m:content/>"))))
        }
        "/json-of-empty-items" => {
            let head =
                "{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"t\",\"items\":[";
            Answer::feed(
                format!("{head}{}{{\"id\":\"\"}}]}}", full_of("{\"id\":\"\"},")).as_bytes(),
            )
        }
        "/json-of-attachments" => {
            let head = "{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"t\",\"items\":[{\"id\":\"1\",\"url\":\"https://a.example/\",\"title\":\"好\",\"attachments\":[";
            let one = "{\"url\":\"\",\"mime_type\":\"\"},";
            Answer::feed(
                format!("{head}{}{}]}}]}}", full_of(one), one.trim_end_matches(',')).as_bytes(),
            )
        }
        "/one-long-title" => Answer::feed(&rss(&ITEM.replace('好', &full_of("字")))),
        "/one-long-tag" => Answer::feed(format!("{HEAD}<{}", full_of("x")).as_bytes()),
        "/comments" => Answer::feed(&rss(&format!("{ITEM}{}", full_of("<!-- -->")))),
        "/json-of-items" => {
            let head =
                "{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"t\",\"items\":[";
            let item = "{\"id\":\"1\",\"url\":\"https://a.example/\",\"title\":\"好\"},";
            Answer::feed(
                format!("{head}{}{}]}}", full_of(item), item.trim_end_matches(',')).as_bytes(),
            )
        }
        "/slow-body" => endless("Content-Length: 100\r\n", b"x", 100),
        "/slow-head" => {
            Answer { first: b"HTTP/1.1 200 OK\r\n".to_vec(), endless: b"x".to_vec(), pause_ms: 100 }
        }
        "/endless-chunks" => {
            let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
            endless("Transfer-Encoding: chunked\r\n", chunk.as_bytes(), 0)
        }
        "/endless-headers" => {
            let header = format!("X-A: {}\r\n", "a".repeat(1000));
            Answer {
                first: b"HTTP/1.1 200 OK\r\n".to_vec(),
                endless: header.into_bytes(),
                pause_ms: 0,
            }
        }
        "/redirect-loop" => Answer::redirect("/redirect-loop"),
        other => panic!("no bomb {other}"),
    }
}

/// Peak and present size of this process, KiB.
fn size_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// The child: takes the bomb that it was given and says what came of it. Without one it is no test.
#[tokio::test]
async fn takes_a_bomb() {
    let Ok(url) = std::env::var(BOMB) else { return };
    let address: SocketAddr = url.split('/').nth(2).unwrap().parse().unwrap();
    let limit = Duration::from_millis(TOTAL_MS);
    let web = Http::new(Guard::except(&[address]), Arc::new(SystemResolver), limit);
    let parser = Parser::default();
    let (before, start) = (size_kib("VmRSS:"), Instant::now());
    let said = match web.get(&url, &Known::default()).await {
        Err(error) => error.reason,
        Ok(Fetched::NotModified) => "nothing new".to_owned(),
        Ok(Fetched::Feed(payload)) => match parser.parse(payload, &url).await {
            Err(error) => error.reason,
            Ok(feed) => {
                assert!(feed.entries.len() <= 500);
                let is_short = |title: &str| title.chars().count() <= 200;
                assert!(feed.entries.iter().all(|entry| is_short(&entry.title)));
                let first = feed.entries.first().map(|entry| entry.title.clone());
                format!("read {} {}", feed.entries.len(), first.unwrap_or_default())
            }
        },
    };
    let ms = start.elapsed().as_millis();
    let grown = size_kib("VmHWM:").saturating_sub(before);
    println!("BOMB\t{ms}\t{grown}\t{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bomb_ends_in_bounded_time_and_memory() {
    // Made before anybody waits for them.
    let answers: HashMap<&str, Answer> =
        BOMBS.iter().map(|(path, _)| (*path, answer(path))).collect();
    let server = Server::start("127.0.0.1:0", move |asked| answers[asked.path.as_str()].clone());
    let server = server.await.unwrap();
    let mut table = String::new();
    for (path, why) in BOMBS {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["bombs::takes_a_bomb", "--exact", "--nocapture", "--test-threads=1"]);
        child.env(BOMB, server.url(path)).stdin(Stdio::null());
        let child = tokio::task::spawn_blocking(move || child.output().unwrap());
        let out = tokio::time::timeout(Duration::from_secs(60), child).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        // The harness writes its own words before ours.
        let line = text.lines().find_map(|line| line.split_once("BOMB\t")).map(|(_, rest)| rest);
        let line = line
            .unwrap_or_else(|| panic!("{path}: {text}{}", String::from_utf8_lossy(&out.stderr)));
        let mut parts = line.splitn(3, '\t');
        let ms: u64 = parts.next().unwrap().parse().unwrap();
        let kib: u64 = parts.next().unwrap().parse().unwrap();
        let said = parts.next().unwrap();
        table += &format!("{path:28} {ms:6} ms {kib:7} KiB  {said}\n");
        let mut reasons = if why.is_empty() { "read" } else { why }.split('|');
        assert!(reasons.any(|why| said.contains(why)), "{path}: {said}");
        assert!(!said.contains("root:"), "{path}: {said}");
        assert!(kib <= GROWTH_MAX_KIB, "{path} took {kib} KiB\n{table}");
        assert!(ms <= TOTAL_MS + 2 * 2_000 + 1_000, "{path} took {ms} ms\n{table}");
    }
    println!("{table}");
}
