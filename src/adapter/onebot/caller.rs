//! Where the calls of one account go: over its socket, or to its HTTP interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::calls::Calls;
use super::http_api::HttpApi;
use super::outcome::Reply;

/// What calls an account.
#[derive(Clone)]
pub struct Caller {
    line: Line,
    /// Whether it has the two interfaces of the history; known after they were asked once.
    groups: Arc<Known>,
    friends: Arc<Known>,
}

#[derive(Clone)]
enum Line {
    Socket(Calls),
    Http(Arc<HttpApi>),
}

/// Whether an interface that is not in the standard is there.
#[derive(Debug, Default)]
pub struct Known(AtomicU8);

impl Known {
    /// It is certainly not there.
    pub fn is_absent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }

    /// Not to be asked again over this connection.
    pub fn set_absent(&self) {
        self.0.store(1, Ordering::Relaxed);
    }
}

impl Caller {
    /// Over a socket.
    pub fn socket(calls: Calls) -> Self {
        Self { line: Line::Socket(calls), groups: Arc::default(), friends: Arc::default() }
    }

    /// To an HTTP interface.
    pub fn http(api: Arc<HttpApi>) -> Self {
        Self { line: Line::Http(api), groups: Arc::default(), friends: Arc::default() }
    }

    /// Makes a call and waits for its answer.
    pub async fn call(&self, action: &str, params: &Value, limit: Duration) -> Reply {
        match &self.line {
            Line::Socket(calls) => calls.call(action, params, limit).await,
            Line::Http(api) => api.call(action, params, limit).await,
        }
    }

    /// The connection that calls went over is gone, whether or not there is a newer one.
    pub fn is_gone(&self) -> bool {
        match &self.line {
            Line::Socket(calls) => calls.is_closed(),
            Line::Http(_) => false,
        }
    }

    /// Whether the history of groups can be asked for.
    pub fn group_history(&self) -> &Known {
        &self.groups
    }

    /// Whether the history of direct messages can be asked for.
    pub fn friend_history(&self) -> &Known {
        &self.friends
    }
}
