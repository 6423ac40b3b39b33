//! Addresses that lead to this machine or its neighbours, in every spelling: nobody is dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::BoxFuture;
use qundao::news::guard::{Guard, Resolver, public};
use qundao::news::http::Http;
use qundao::news::{Fetched, Known};

use crate::server::{Answer, Server};

/// Longest wait of one try; what is refused is refused at once.
const LIMIT: Duration = Duration::from_secs(2);

/// Spellings; `PORT` is the listener's. The guard is told that this port is as good as 80, so that
/// each is refused for its address alone.
const SPELLINGS: [&str; 78] = [
    // This machine by number, as people and libraries write it.
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.255.255.254:PORT/",
    "http://2130706433:PORT/",
    "http://2130706433.:PORT/",
    "http://017700000001:PORT/",
    "http://0x7f000001:PORT/",
    "http://0X7F000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://00000177.0x0.0.1:PORT/",
    "http://127.0x0.0.0x1:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0x0:PORT/",
    "http://0.0:PORT/",
    // The same in other characters, which the standard maps.
    "http://127。0。0。1:PORT/",
    "http://127．0．0．1:PORT/",
    "http://127｡0｡0｡1:PORT/",
    "http://１２７.０.０.１:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://0x7f%2e1:PORT/",
    // Slashes, spaces and line ends that parsers forgive.
    "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:///127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "  http://127.0.0.1:PORT/  ",
    "ht\ntp://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "http://127.0.0.1\t:PORT/",
    // Names that stand before what is meant.
    "http://news.example@127.0.0.1:PORT/",
    "http://news.example:80@127.0.0.1:PORT/",
    "http://news.example%40127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@news.example/",
    "http://127.0.0.1:PORT\\@news.example/",
    "http://news.example:PORT@[::1]:PORT/",
    // Version 6, and version 4 in it.
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2002:7f00:0001::1]:PORT/",
    "http://[2001:0:7f00:1::]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[fc00::1]:PORT/",
    "http://[fd00:ec2::254]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://[2001:db8::1]:PORT/",
    // Neighbours and the services of clouds.
    "http://169.254.169.254:PORT/latest/meta-data/",
    "http://0xa9fea9fe:PORT/latest/meta-data/",
    "http://2852039166:PORT/",
    "http://[::ffff:a9fe:a9fe]:PORT/",
    "http://100.100.100.200:PORT/latest/meta-data/",
    "http://168.63.129.16:PORT/",
    "http://10.0.0.1:PORT/",
    "http://192.168.1.1:PORT/",
    "http://172.31.255.255:PORT/",
    "http://192.0.0.192:PORT/",
    // Names, which all have the address of this machine here.
    "http://localhost:PORT/",
    "http://localhost.:PORT/",
    "http://LocalHost:PORT/",
    "http://127.0.0.1.nip.example:PORT/",
    "http://metadata.google.internal:PORT/",
    "http://news.example:PORT/",
];

/// Other schemes and ports: refused before anything is looked up.
const OTHERS: [&str; 14] = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_GET",
    "ftp://127.0.0.1:PORT/",
    "dict://127.0.0.1:PORT/",
    "ldap://127.0.0.1:PORT/",
    "data:text/xml,<rss/>",
    "javascript:alert(1)",
    "jar:http://127.0.0.1:PORT!/",
    "ws://127.0.0.1:PORT/",
    "http://news.example:22/",
    "http://news.example:6379/",
    "https://news.example:8443/",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
];

/// Every name is what it is told.
struct Names {
    answers: Mutex<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Names {
    /// The last answer is repeated for ever.
    fn answering(answers: &[&str]) -> Arc<Self> {
        let answers = answers.iter().rev().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop() } else { answers.last().copied() };
        Box::pin(async move { Ok(next.into_iter().collect()) })
    }
}

/// Somebody on this machine who must hear nothing: on every address of version 4, and on that of
/// version 6 where there is one.
async fn victims() -> (Vec<Server>, u16) {
    let first = Server::start("0.0.0.0:0", |_| Answer::feed(b"<rss/>")).await.unwrap();
    let port = first.address.port();
    let mut victims = vec![first];
    let six = format!("[::1]:{port}");
    victims.extend(Server::start(&six, |_| Answer::feed(b"<rss/>")).await.ok());
    (victims, port)
}

fn heard(victims: &[Server]) -> usize {
    victims.iter().map(Server::connections).sum()
}

#[tokio::test]
async fn no_spelling_reaches_this_machine() {
    let (victims, port) = victims().await;
    let guard = Guard::strict().and_port(port);
    let web = Http::new(guard, Names::answering(&["127.0.0.1"]), LIMIT);
    let spellings = SPELLINGS.iter().chain(&OTHERS);
    for spelling in spellings {
        let address = spelling.replace("PORT", &port.to_string());
        let got = web.get(&address, &Known::default()).await;
        let error = got.expect_err(&address);
        assert!(!error.reason.contains("within"), "{address} was dialled: {error}");
        assert_eq!(heard(&victims), 0, "{address}");
    }
    // The same listener is there for who may dial it: the silence above means something.
    let own = SocketAddr::from(([127, 0, 0, 1], port));
    let allowed = Http::new(Guard::except(&[own]), Names::answering(&["127.0.0.1"]), LIMIT);
    let got = allowed.get(&format!("http://news.example:{port}/"), &Known::default()).await;
    assert!(matches!(got, Ok(Fetched::Feed(_))), "{got:?}");
    assert_eq!(heard(&victims), 1);
}

#[tokio::test]
async fn no_redirection_reaches_this_machine() {
    let (victims, port) = victims().await;
    let spellings: Vec<String> =
        SPELLINGS.iter().chain(&OTHERS).map(|it| it.replace("PORT", &port.to_string())).collect();
    let targets = spellings.clone();
    let outside = Server::start("127.0.0.1:0", move |asked| {
        // Some spellings are a path of the server that says them.
        let at: Option<usize> = asked.path.trim_start_matches('/').parse().ok();
        at.map_or(Answer::new("404 Not Found", &[], b""), |at| Answer::redirect(&targets[at]))
    });
    let outside = outside.await.unwrap();
    let guard = Guard::except(&[outside.address]).and_port(port);
    let web = Http::new(guard, Names::answering(&["127.0.0.1"]), LIMIT);
    for (at, spelling) in spellings.iter().enumerate() {
        let got = web.get(&outside.url(&format!("/{at}")), &Known::default()).await;
        let error = got.expect_err(spelling);
        assert!(!error.reason.contains("within"), "{spelling} was dialled: {error}");
        assert_eq!(heard(&victims), 0, "{spelling}");
    }
    assert!(outside.connections() >= spellings.len(), "{}", outside.connections());
}

/// A name that is public when it is checked and private a moment later.
#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let (victims, port) = victims().await;
    let guard = || Guard::strict().and_port(port);
    let names = Names::answering(&["127.0.0.1", "10.0.0.1", "127.0.0.1"]);
    let web = Http::new(guard(), names.clone(), LIMIT);
    let address = format!("http://news.example:{port}/");
    for _ in 0..3 {
        web.get(&address, &Known::default()).await.expect_err("private");
    }
    assert_eq!((names.asked.load(Ordering::SeqCst), heard(&victims)), (3, 0));

    // The first answer may be dialled and is; the second, this machine, is never asked for.
    let other = Server::start("127.0.0.1:0", |_| Answer::feed(b"<rss/>")).await.unwrap();
    let names = Names::answering(&["127.0.0.1", "127.0.0.2"]);
    let web = Http::new(Guard::except(&[other.address]), names.clone(), LIMIT);
    let address = format!("http://news.example:{}/", other.address.port());
    web.get(&address, &Known::default()).await.expect("the checked address answers");
    assert_eq!((names.asked.load(Ordering::SeqCst), other.connections()), (1, 1));
    let error = web.get(&address, &Known::default()).await.expect_err("another address");
    assert!(error.reason.contains("127.0.0.2"), "{error}");
    assert_eq!((names.asked.load(Ordering::SeqCst), other.connections()), (2, 1));
}

#[test]
fn the_networks_of_the_registries() {
    for private in [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.0.1",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(public(private.parse().unwrap()).is_err(), "{private}");
    }
    for open in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.0.1",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2400:3200::1",
        "2606:4700::1111",
        "2003::1",
        "3ffe::1",
    ] {
        assert_eq!(public(open.parse().unwrap()), Ok(()), "{open}");
    }
}
