//! Calls to Discord's interface. The library writes the request; it is sent here, because its own
//! errors hide the headers that say how long to wait. Nothing is tried again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use serenity::http::{Http, HttpBuilder, HttpError, LightMethod, RatelimitingBucket, Request};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limiter::{Limiter, Told};
use super::route::Op;
use super::settings::Settings;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done, and what it says.
    Done(Value),
    /// Refused: status, Discord's own code, its words.
    Refused {
        /// HTTP status.
        status: u16,
        /// Discord's code, 0 where it gave none.
        code: i64,
        /// In its words.
        message: String,
    },
    /// Not sent, or turned away for being too many.
    Wait {
        /// Why.
        reason: String,
        /// Not before, where that is known.
        after: Option<Duration>,
    },
    /// Nobody knows.
    Unknown(String),
    /// Nobody knows, and Discord would not recognise a repeat.
    Unrepeatable(String),
}

type Bucket = (RatelimitingBucket, LightMethod);

/// The way out.
#[derive(Debug)]
pub struct Rest {
    http: Arc<Http>,
    client: reqwest::Client,
    timeout: Duration,
    limiter: Mutex<Limiter<Bucket>>,
    /// The library keeps the rates, and waits by itself.
    by_library: bool,
    /// The token was refused: nothing is called any more.
    pub is_dead: CancellationToken,
}

impl Rest {
    /// A way out with this token.
    pub fn new(
        settings: &Settings,
        client: reqwest::Client,
        by_library: bool,
        calls_a_second: usize,
    ) -> Self {
        let mut http = HttpBuilder::new(settings.token.reveal())
            .client(client.clone())
            .ratelimiter_disabled(!by_library);
        if !by_library {
            http = http.proxy(settings.base_url.clone());
        }
        Self {
            http: Arc::new(http.build()),
            client,
            timeout: settings.timeout,
            limiter: Mutex::new(Limiter::new(calls_a_second)),
            by_library,
            is_dead: CancellationToken::new(),
        }
    }

    /// The library's own, for its gateway.
    pub fn http(&self) -> Arc<Http> {
        self.http.clone()
    }

    /// Makes one call.
    pub async fn call(&self, op: &Op) -> Reply {
        if self.is_dead.is_cancelled() {
            let message = "the token was refused; the account is stopped".to_owned();
            return Reply::Refused { status: 401, code: 0, message };
        }
        let body = op.body.as_ref().map(|body| body.to_string().into_bytes());
        let query = (!op.query.is_empty()).then(|| op.query.clone());
        let request = Request::new(op.path.route(), op.method).body(body).params(query);
        let reply = if self.by_library {
            tokio::time::timeout(self.timeout, self.by_library(request)).await
        } else {
            tokio::time::timeout(self.timeout, self.by_ourselves(op, request)).await
        };
        let reply = reply.unwrap_or_else(|_| {
            Reply::Unknown(format!("no answer within {} s", self.timeout.as_secs()))
        });
        if matches!(reply, Reply::Refused { status: 401, .. }) && !op.path.is_answer() {
            self.is_dead.cancel();
        }
        reply
    }

    async fn by_ourselves(&self, op: &Op, request: Request<'_>) -> Reply {
        let bucket = (op.path.route().ratelimiting_bucket(), op.method);
        if let Err(wait) = self.limiter().take(&bucket, !op.path.is_answer(), Instant::now()) {
            let reason = "a rate of Discord is used up".to_owned();
            return Reply::Wait { reason, after: Some(wait) };
        }
        let built = request.build(&self.client, self.http.token(), self.http.proxy.as_deref());
        let built = built.map(|built| built.build());
        let Ok(Ok(request)) = built else {
            return refused(400, 0, "the call could not be written");
        };
        let response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let reason = "Discord could not be reached".to_owned();
                return Reply::Wait { reason, after: None };
            }
            // What the error says may hold the address, and that the token of an interaction.
            Err(_) => return Reply::Unknown("the connection broke".to_owned()),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await;
        let Ok(body) = body else { return Reply::Unknown("the answer broke off".to_owned()) };
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let told = told(&headers, &body, status);
        self.limiter().note(bucket, status, told, Instant::now());
        judge(status, body, told)
    }

    async fn by_library(&self, request: Request<'_>) -> Reply {
        match self.http.request(request).await {
            Ok(response) => match response.bytes().await {
                Ok(body) => Reply::Done(serde_json::from_slice(&body).unwrap_or(Value::Null)),
                Err(_) => Reply::Unknown("the answer broke off".to_owned()),
            },
            Err(serenity::Error::Http(HttpError::UnsuccessfulRequest(response))) => {
                let status = response.status_code.as_u16();
                let code = i64::try_from(response.error.code).unwrap_or_default();
                let body = serde_json::json!({ "code": code, "message": response.error.message });
                judge(status, body, Told::default())
            }
            Err(serenity::Error::Http(HttpError::Request(error))) if error.is_connect() => {
                Reply::Wait { reason: "Discord could not be reached".to_owned(), after: None }
            }
            Err(_) => Reply::Unknown("the connection broke".to_owned()),
        }
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter<Bucket>> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(status: u16, code: i64, message: &str) -> Reply {
    // Enough for a human; what lies behind a proxy may be a whole page.
    Reply::Refused { status, code, message: message.chars().take(300).collect() }
}

fn judge(status: u16, body: Value, told: Told) -> Reply {
    let message = || body["message"].as_str().unwrap_or("no reason given").to_owned();
    match status {
        200..=299 => Reply::Done(body),
        429 => Reply::Wait { reason: "Discord asks to wait".to_owned(), after: told.retry_after },
        408 | 500.. => Reply::Unknown(format!("Discord answered {status}")),
        _ => refused(status, body["code"].as_i64().unwrap_or_default(), &message()),
    }
}

fn told(headers: &reqwest::header::HeaderMap, body: &Value, status: u16) -> Told {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let span = |text: &str| {
        let seconds: f64 = text.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    // The longer of the two: one is whole seconds, the other more exact.
    let in_body = body["retry_after"].as_f64().and_then(|it| Duration::try_from_secs_f64(it).ok());
    let retry_after = text("retry-after").and_then(span).max(in_body);
    let is_global = text("x-ratelimit-global").is_some() || body["global"] == true;
    Told {
        remaining: text("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
        reset_after: text("x-ratelimit-reset-after").and_then(span),
        // Behind Cloudflare there is no word of how long.
        retry_after: (status == 429).then(|| retry_after.unwrap_or(Duration::from_secs(5))),
        is_global,
    }
}
