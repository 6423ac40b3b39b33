//! HTTP of the simulated implementation: it posts events, and has an interface for actions
//! (<https://github.com/botuniverse/onebot-11/blob/master/communication/http.md>).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::net::{TcpListener, TcpStream};

use super::{Inner, Sim};

impl Sim {
    /// Posts an event; the status that the program answered.
    pub async fn post(&self, address: SocketAddr, event: &Value) -> u16 {
        let body = self.inner.written(event.clone()).to_string();
        let signature =
            self.inner.options.secret.as_ref().map(|secret| sign(secret, body.as_bytes()));
        self.post_raw(address, "/", body.into_bytes(), signature.as_deref(), &[]).await
    }

    /// Posts bytes with a signature of one's own.
    pub async fn post_raw(
        &self,
        address: SocketAddr,
        path: &str,
        body: Vec<u8>,
        signature: Option<&str>,
        headers: &[(&str, &str)],
    ) -> u16 {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driven = tokio::spawn(connection);
        let mut request = Request::post(path)
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .header("x-self-id", self.self_id());
        if let Some(signature) = signature {
            request = request.header("x-signature", signature);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let status = match sender.send_request(request).await {
            Ok(response) => response.status().as_u16(),
            // Whoever is sent too much hangs up.
            Err(_) => 0,
        };
        driven.abort();
        status
    }

    /// The interface for actions, on a port of its own.
    pub async fn serve_http(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = self.inner.clone();
        self.ports.lock().unwrap().spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let inner = inner.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| {
                        let inner = inner.clone();
                        async move { Ok::<_, Infallible>(act(&inner, request).await) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        address
    }
}

/// `sha1=…` over a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let digits: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha1={digits}")
}

async fn act(inner: &Arc<Inner>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let status = |status: StatusCode| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    };
    if let Some(token) = &inner.options.token {
        match head.headers.get("authorization") {
            None => return status(StatusCode::UNAUTHORIZED),
            Some(given) if *given != *format!("Bearer {token}") => {
                return status(StatusCode::FORBIDDEN);
            }
            Some(_) => {}
        }
    }
    if head.headers.get("content-type").is_none_or(|kind| kind != "application/json") {
        return status(StatusCode::NOT_ACCEPTABLE);
    }
    let Ok(body) = body.collect().await else { return status(StatusCode::BAD_REQUEST) };
    let Ok(params) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let action = head.uri.path().trim_matches('/').to_owned();
    let answer = inner.perform(&action, &params, &Value::Null);
    match answer["retcode"].as_i64() {
        Some(1404) => status(StatusCode::NOT_FOUND),
        Some(1400) => status(StatusCode::BAD_REQUEST),
        // So that a test can prepare any status.
        Some(code @ 4000..) => status(StatusCode::from_u16((code - 4000) as u16 + 400).unwrap()),
        _ => {
            let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
    }
}

/// A heartbeat to post.
pub fn heartbeat(self_id: i64, time: i64, interval_ms: i64) -> Value {
    json!({
        "time": time, "self_id": self_id, "post_type": "meta_event",
        "meta_event_type": "heartbeat", "interval": interval_ms,
        "status": { "online": true, "good": true },
    })
}
