//! The host as a script thread sees it from inside: calls go out, the thread waits for the reply.

use std::any::Any;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::wire::{self, Up};
use super::watchdog::Watch;
use crate::id::EventId;
use crate::script::protocol::{HostCall, HostCalls, HostReply};

/// The way out, shared by all threads.
pub(super) struct Outgoing {
    socket: Mutex<UnixStream>,
}

impl Outgoing {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket: Mutex::new(socket) }
    }

    /// Sends one message.
    pub(super) fn send(&self, message: &Up) {
        let mut bytes = Vec::new();
        wire::write(&mut bytes, message);
        self.send_all(&bytes);
    }

    /// Sends whole messages. A supervisor that is gone hears nothing, and neither needs to.
    pub(super) fn send_all(&self, bytes: &[u8]) {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if socket.write_all(bytes).is_err() {
            std::process::exit(0);
        }
    }
}

/// Messages of one thread that travel along with its next ones: few large writes are cheaper than
/// many small ones.
pub(super) struct Held {
    outgoing: Arc<Outgoing>,
    bytes: Mutex<Vec<u8>>,
}

impl Held {
    pub(super) fn new(outgoing: Arc<Outgoing>) -> Self {
        Self { outgoing, bytes: Mutex::default() }
    }

    /// Holds one message back; the bytes that wait now.
    pub(super) fn add(&self, message: &Up) -> usize {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write(&mut bytes, message);
        bytes.len()
    }

    /// Lets go of what is held back. The watchdog does so too, for a thread whose handler takes its
    /// time: the answers of others must not wait for it.
    pub(super) fn flush(&self) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if !bytes.is_empty() {
            self.outgoing.send_all(&bytes);
            bytes.clear();
        }
    }
}

/// Where the reader puts the replies that threads wait for.
pub(super) struct Replies {
    threads: Vec<Sender<HostReply>>,
}

impl Replies {
    pub(super) fn new(threads: Vec<Sender<HostReply>>) -> Self {
        Self { threads }
    }

    /// Wakes the thread that waits.
    pub(super) fn put(&self, thread: usize, reply: HostReply) {
        if let Some(sender) = self.threads.get(thread) {
            // A thread ends only with the process.
            let _ = sender.send(reply);
        }
    }
}

/// Answers host calls by asking the supervisor.
pub(super) struct Remote {
    pub(super) thread: usize,
    pub(super) turn: EventId,
    pub(super) replies: Receiver<HostReply>,
    pub(super) watch: Arc<Watch>,
    pub(super) held: Arc<Held>,
}

impl HostCalls for Remote {
    fn call(&mut self, call: HostCall) -> HostReply {
        self.held.add(&Up::Call { thread: self.thread, turn: self.turn, call });
        // The host's time is not the script's.
        self.watch.pause(self.thread);
        self.held.flush();
        let reply = self.replies.recv();
        self.watch.go_on(self.thread);
        // Without a reader the process is about to end.
        reply.unwrap_or(HostReply::Restart)
    }

    fn rollback(&mut self, run: usize) {
        self.held.add(&Up::Rollback { turn: self.turn, run });
    }

    fn restart(&mut self) {}

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
