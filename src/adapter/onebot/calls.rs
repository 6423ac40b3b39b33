//! Calls that wait for their answer on one socket.
//!
//! `echo` is a text, because some implementations take nothing else, and counts per connection: an
//! answer that comes over another one is nobody's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::decode::Answer;
use super::outcome::Reply;

/// Calls that wait on one socket; more would only pile up behind an implementation that hangs.
const CALLS_MAX: usize = 1024;

/// The echo of a question that is only to show that somebody is there.
pub const PROBE: &str = "probe";

/// Something on its way to the socket.
#[derive(Debug)]
pub enum Outgoing {
    /// A call that somebody waits for: its number and its frame.
    Call(u64, String),
    /// A question whose answer is a sign of life.
    Probe(String),
    /// The same where there are no calls: a ping of the socket.
    Ping,
}

/// The end of a call.
enum End {
    Answer(Answer),
    /// The connection is gone; whether it was written.
    Gone {
        written: bool,
    },
}

struct Pending {
    heard: oneshot::Sender<End>,
    written: bool,
}

#[derive(Default)]
struct Book {
    next: u64,
    pending: HashMap<u64, Pending>,
    closed: bool,
}

/// What calls one socket, shared by everybody who does.
#[derive(Clone)]
pub struct Calls {
    book: Arc<Mutex<Book>>,
    queue: mpsc::Sender<Outgoing>,
}

impl Calls {
    /// Calls for a socket, and what its writer takes them from.
    pub fn new() -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, outgoing) = mpsc::channel(CALLS_MAX);
        (Self { book: Arc::default(), queue }, outgoing)
    }

    /// Makes a call and waits for its answer.
    pub async fn call(&self, action: &str, params: &Value, limit: Duration) -> Reply {
        let (heard, end) = oneshot::channel();
        let number = {
            let mut book = self.book();
            if book.closed {
                return Reply::NotWritten("the connection is closed".to_owned());
            }
            book.next += 1;
            let number = book.next;
            book.pending.insert(number, Pending { heard, written: false });
            number
        };
        // Whatever happens to who waits, the book forgets the call.
        let _entry = Entry { calls: self, number };
        let echo = number.to_string();
        let text = json!({ "action": action, "params": params, "echo": echo }).to_string();
        match self.queue.try_send(Outgoing::Call(number, text)) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => {
                return Reply::NotWritten("the connection is closed".to_owned());
            }
            Err(TrySendError::Full(_)) => {
                let reason = format!("{CALLS_MAX} calls wait for this implementation already");
                return Reply::NotWritten(reason);
            }
        }
        match tokio::time::timeout(limit, end).await {
            Ok(Ok(End::Answer(answer))) => Reply::Answer(answer),
            Ok(Ok(End::Gone { written: true })) => {
                Reply::Lost("the connection broke before the answer".to_owned())
            }
            Ok(Ok(End::Gone { written: false }) | Err(_)) => {
                Reply::NotWritten("the connection broke before the call was written".to_owned())
            }
            Err(_) if self.take(number).is_some_and(|pending| !pending.written) => {
                Reply::NotWritten("the connection did not take the call in time".to_owned())
            }
            Err(_) => Reply::Lost(format!("no answer within {} s", limit.as_secs())),
        }
    }

    /// Asks for a sign of life; what comes is not waited for here.
    pub fn probe(&self, has_calls: bool) {
        let probe = if has_calls {
            let text = json!({ "action": "get_status", "params": {}, "echo": PROBE });
            Outgoing::Probe(text.to_string())
        } else {
            Outgoing::Ping
        };
        if self.queue.try_send(probe).is_err() {
            tracing::debug!("OneBot: a connection takes nothing any more; it will be found dead");
        }
    }

    /// The writer is about to write this one; `false` when nobody waits for it any more.
    pub fn begin(&self, number: u64) -> bool {
        let mut book = self.book();
        let pending = book.pending.get_mut(&number);
        pending.is_some_and(|pending| {
            pending.written = true;
            true
        })
    }

    /// The writer could not write a byte of this one.
    pub fn not_written(&self, number: u64) {
        if let Some(pending) = self.take(number) {
            // Nobody may wait any more.
            let _ = pending.heard.send(End::Gone { written: false });
        }
    }

    /// An answer came; `false` when nobody waits for it.
    pub fn answer(&self, answer: Answer) -> bool {
        let number = answer.echo.as_deref().and_then(|echo| echo.parse().ok());
        match number.and_then(|number| self.take(number)) {
            Some(pending) => pending.heard.send(End::Answer(answer)).is_ok(),
            None => false,
        }
    }

    /// The connection is gone: every call ends.
    pub fn close(&self) {
        let pending = {
            let mut book = self.book();
            book.closed = true;
            std::mem::take(&mut book.pending)
        };
        for pending in pending.into_values() {
            let _ = pending.heard.send(End::Gone { written: pending.written });
        }
    }

    /// The connection is gone.
    pub fn is_closed(&self) -> bool {
        self.book().closed
    }

    /// Calls that wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.book().pending.len()
    }

    fn take(&self, number: u64) -> Option<Pending> {
        self.book().pending.remove(&number)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing in it can be half done.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in the book, as long as somebody waits for it.
struct Entry<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.calls.take(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn next(outgoing: &mut mpsc::Receiver<Outgoing>) -> (u64, String) {
        match outgoing.recv().await {
            Some(Outgoing::Call(number, text)) => (number, text),
            other => panic!("no call: {other:?}"),
        }
    }

    async fn called(calls: &Calls) -> Reply {
        calls.call("get_status", &json!({}), LIMIT).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_finds_its_call_and_a_stray_one_nobody() {
        let (calls, mut outgoing) = Calls::new();
        let implementation = async {
            let (number, text) = next(&mut outgoing).await;
            assert_eq!(text, r#"{"action":"get_status","echo":"1","params":{}}"#);
            assert!(calls.begin(number));
            let stray = Answer { echo: Some("7".into()), ..Answer::default() };
            assert!(!calls.answer(stray));
            assert!(calls.answer(Answer { echo: Some("1".into()), ..Answer::default() }));
            let again = Answer { echo: Some("1".into()), ..Answer::default() };
            assert!(!calls.answer(again));
        };
        let (reply, ()) = tokio::join!(called(&calls), implementation);
        assert!(matches!(reply, Reply::Answer(_)));
        assert_eq!(calls.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_says_whether_it_was_written() {
        for is_written in [true, false] {
            let (calls, mut outgoing) = Calls::new();
            let implementation = async {
                let (number, _) = next(&mut outgoing).await;
                if is_written {
                    assert!(calls.begin(number));
                }
                calls.close();
            };
            let (reply, ()) = tokio::join!(called(&calls), implementation);
            assert_eq!(matches!(reply, Reply::Lost(_)), is_written, "{reply:?}");
            assert_eq!(matches!(reply, Reply::NotWritten(_)), !is_written, "{reply:?}");
            assert!(matches!(called(&calls).await, Reply::NotWritten(_)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_is_not_written_any_more() {
        let (calls, mut outgoing) = Calls::new();
        assert!(matches!(called(&calls).await, Reply::NotWritten(_)));
        let (number, _) = next(&mut outgoing).await;
        assert!(!calls.begin(number));
        // Written and never answered: nobody knows.
        let implementation = async {
            let (number, _) = next(&mut outgoing).await;
            assert!(calls.begin(number));
        };
        let (reply, ()) = tokio::join!(called(&calls), implementation);
        assert!(matches!(reply, Reply::Lost(_)));
        assert_eq!(calls.waiting(), 0);
    }
}
