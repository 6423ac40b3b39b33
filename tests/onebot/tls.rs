//! `wss://`: only a certificate that the machine trusts is good enough.
//!
//! The certificates in `tests/fixtures/onebot/tls/` are for `localhost`, of an authority whose key
//! nobody has.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::rig::{Rig, done, group, say};
use crate::sim::{Options, Sim};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onebot/tls").join(name)
}

fn acceptor() -> TlsAcceptor {
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
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_decides() {
    // The other test runs this one where the authority is trusted.
    let is_trusted = std::env::var_os("SSL_CERT_FILE").is_some_and(|it| file("ca.pem") == *it);
    let sim = Sim::with_group(Options::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rig = Rig::over_tcp(&[("connect", &format!("wss://localhost:{port}"))]);
    let (stream, _) = listener.accept().await.unwrap();
    match acceptor().accept(stream).await {
        Ok(stream) => {
            assert!(is_trusted, "a stranger's certificate was taken");
            sim.accept(stream);
            rig.until_callable(&sim).await;
            done(rig.send(group(777), say("早")).await);
            assert_eq!(sim.world().said(777), ["早"]);
        }
        Err(error) => assert!(!is_trusted, "{error}"),
    }
}

#[test]
fn where_the_authority_is_trusted_the_connection_stands() {
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["tls::a_certificate_decides", "--exact"])
        .env("SSL_CERT_FILE", file("ca.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
}
