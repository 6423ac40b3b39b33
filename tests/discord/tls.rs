//! Over TLS to `discord.com`, with the library keeping the rates: the way of a bot that trusts it
//! with both. The name leads to this machine, and the authority is one of the test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qundao::adapter::discord::{Discord, Surroundings};
use qundao::clock::SystemClock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::rig::{Rig, channel, done, hurried, say, section, words};
use crate::sim::world::{CHANNEL, SOMEBODY};
use crate::sim::{Forced, Options, Sim, rest};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/discord/tls").join(name)
}

/// The interface of the simulated Discord behind a certificate for `discord.com`.
async fn behind_tls(sim: &Sim) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap();
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inner = sim.inner.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust the certificate hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(rest::serve(inner.clone(), stream));
            }
        }
    });
    address
}

#[tokio::test]
async fn over_tls_the_library_may_keep_the_rates() {
    let sim = Sim::start(Options::default()).await;
    let port = behind_tls(&sim).await.port();
    let authority = std::fs::read(file("ca.pem")).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .add_root_certificate(reqwest::Certificate::from_pem(&authority).unwrap())
        .resolve("discord.com", SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        .build()
        .unwrap();
    let surroundings = Surroundings {
        clock: SystemClock::with_offset(0),
        seed: [1; 32],
        client,
        rates_by_library: true,
        pacing: hurried(),
    };
    let rig =
        Rig::of(Arc::new(Discord::new(&section("https://discord.com"), surroundings).unwrap()));
    sim.until_alive(1).await;
    sim.say(CHANNEL, SOMEBODY, "早");
    assert_eq!(words(&rig.inbox.wait("message", 1).await[0]), "早");
    sim.prepare("POST", "/messages", Forced::TooMany { retry_after_s: 0.6, global: false });
    let began = Instant::now();
    done(rig.send(channel(CHANNEL), say("早上好")).await);
    assert!(began.elapsed() >= Duration::from_millis(900), "the library waits by the header");
    let calls = sim.calls_to("POST", "/messages");
    assert_eq!(calls.iter().map(|it| it.status).collect::<Vec<_>>(), [429, 200]);
}
