//! The HTTP interface of an implementation: one request, one answer
//! (<https://github.com/botuniverse/onebot-11/blob/master/communication/http.md>).
//!
//! A connection for each call: calls are few, and a connection that was kept may be dead without
//! anybody knowing, which would make every outcome after it doubtful.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::decode::{Answer, Ear, Heard, decode};
use super::dial::{Address, Dial};
use super::outcome::Reply;
use super::{SelfId, hub};
use crate::config::Secret;

/// The longest answer; a page of history with long cards is far below.
const BODY_MAX: usize = 8 * 1024 * 1024;

/// One HTTP interface.
pub struct HttpApi {
    /// Where.
    pub address: Address,
    token: Option<Secret>,
    dial: Arc<dyn Dial>,
}

impl HttpApi {
    /// An interface at an address.
    pub fn new(address: Address, token: Option<Secret>, dial: Arc<dyn Dial>) -> Self {
        Self { address, token, dial }
    }

    /// Makes a call and waits for its answer.
    pub async fn call(&self, action: &str, params: &Value, limit: Duration) -> Reply {
        let connecting = tokio::time::timeout(limit, self.address.open(&*self.dial));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Reply::NotWritten(self.failed(&error)),
            Err(_) => return Reply::NotWritten(self.failed(&"no connection in time")),
        };
        match tokio::time::timeout(limit, self.exchange(stream, action, params)).await {
            Ok(reply) => reply,
            Err(_) => Reply::Lost(format!("no answer within {} s", limit.as_secs())),
        }
    }

    async fn exchange(
        &self,
        stream: Box<dyn super::dial::ByteStream>,
        action: &str,
        params: &Value,
    ) -> Reply {
        let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
            Ok(parts) => parts,
            Err(error) => return Reply::NotWritten(self.failed(&error)),
        };
        let request = match self.request(action, params) {
            Ok(request) => request,
            Err(error) => return Reply::NotWritten(self.failed(&error)),
        };
        let answered = async {
            match sender.try_send_request(request).await {
                Ok(response) => self.read(response).await,
                Err(mut error) => {
                    // The request comes back untouched where nothing of it was written.
                    let is_back = error.take_message().is_some();
                    let why = self.failed(error.error());
                    if is_back { Reply::NotWritten(why) } else { Reply::Lost(why) }
                }
            }
        };
        tokio::pin!(answered);
        tokio::select! {
            reply = &mut answered => reply,
            // The connection ends before or after the answer; the answer counts.
            _ = connection => answered.await,
        }
    }

    fn request(&self, action: &str, params: &Value) -> hyper::http::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{action}", self.address.path))
            .header(header::HOST, &self.address.authority)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        request.body(Full::new(Bytes::from(params.to_string())))
    }

    async fn read(&self, response: Response<Incoming>) -> Reply {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if !status.is_success() {
            return Reply::Http(status.as_u16(), retry_after);
        }
        let body = match Limited::new(response.into_body(), BODY_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Reply::Lost(self.failed(&error)),
        };
        match answer(&body) {
            Some(answer) => Reply::Answer(answer),
            None => Reply::Lost(self.failed(&"the answer is not what the standard says")),
        }
    }

    /// A reason with the place; the token is in no address.
    fn failed(&self, error: &dyn std::fmt::Display) -> String {
        format!("call {}: {error}", self.address.authority)
    }
}

/// Reads an answer as the sockets have it.
fn answer(body: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(body).ok()?;
    let nobody = SelfId(0);
    let ear = Ear { self_id: nobody, account: hub::reference(nobody), own: Arc::default() };
    match decode(text, &ear, 0) {
        Heard::Answer(answer) => Some(answer),
        _ => None,
    }
}
