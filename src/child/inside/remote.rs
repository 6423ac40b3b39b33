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
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) replies: Receiver<HostReply>,
    pub(super) watch: Arc<Watch>,
    /// Answers that travel along with the next message.
    pub(super) held: Vec<u8>,
}

impl Remote {
    /// Lets go of what is held back.
    pub(super) fn flush(&mut self) {
        if !self.held.is_empty() {
            self.outgoing.send_all(&self.held);
            self.held.clear();
        }
    }
}

impl HostCalls for Remote {
    fn call(&mut self, call: HostCall) -> HostReply {
        let message = Up::Call { thread: self.thread, turn: self.turn, call };
        wire::write(&mut self.held, &message);
        // The host's time is not the script's.
        self.watch.pause(self.thread);
        self.flush();
        let reply = self.replies.recv();
        self.watch.go_on(self.thread);
        // Without a reader the process is about to end.
        reply.unwrap_or(HostReply::Restart)
    }

    fn rollback(&mut self, run: usize) {
        wire::write(&mut self.held, &Up::Rollback { turn: self.turn, run });
    }

    fn restart(&mut self) {}

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
