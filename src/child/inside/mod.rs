//! The child itself: confined first, then script threads that work off what comes.
//!
//! It trusts nothing it is told about scripts and tells nothing but answers. When the supervisor
//! is gone, so is it.

mod remote;
mod watchdog;
mod worker;

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use super::confine;
use super::host::Program;
use super::process::NAME;
use super::wire::{DownIn, Incoming, Up};
use crate::script::protocol::ScriptLimits;
use remote::{Held, Outgoing, Replies};
use watchdog::Watch;
use worker::{Queue, Shared};

/// Stack of a script thread; enough to drop anything that fits the limits, by measurement.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Bytes read at once.
const CHUNK: usize = 128 * 1024;

/// The whole life of the child: standard input is the socket, standard output the record of what
/// each thread is at. Ends when the socket does.
///
/// The limit of memory is set first, and the program started anew under it: an allocator that
/// makes room for a gigabyte at its start would have done so already.
pub fn main(memory_mib: u64, is_limited: bool) -> ExitCode {
    let ended = if is_limited { serve() } else { Err(start_anew(memory_mib)) };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Replaces this process by the same program under limits; comes back only if that fails.
fn start_anew(memory_mib: u64) -> String {
    confine::close_strays();
    let missing = confine::limits(memory_mib);
    if !missing.is_empty() {
        return format!("set {}", missing.join(", "));
    }
    let own = match Program::own() {
        Ok(own) => own,
        Err(error) => return format!("{error:#}"),
    };
    let error = std::process::Command::new(own.path)
        .args(own.args)
        .args(["--memory-mib", &memory_mib.to_string(), "--is-limited"])
        .arg0(NAME)
        .env_clear()
        .exec();
    format!("start under limits: {error}")
}

fn serve() -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let record = std::io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut pipe = Pipe {
        socket: UnixStream::from(socket),
        incoming: Incoming::default(),
        chunk: vec![0; CHUNK],
    };
    let Some(DownIn::Hello { limits, threads }) = pipe.next()? else {
        return Err("this process serves a running bot; it is not started by hand".to_owned());
    };
    let mut missing = confine::privileges();
    let shared = start(&pipe, File::from(record), limits, threads)?;
    missing.extend(confine::calls());
    shared.outgoing.send(&Up::Ready { missing });
    while let Some(message) = pipe.next()? {
        shared.hear(message);
        while let Some(message) = pipe.incoming.next()? {
            shared.hear(message);
        }
        shared.queue.wake();
    }
    Ok(())
}

/// Starts every thread, so that afterwards none needs to be.
fn start(
    pipe: &Pipe,
    record: File,
    limits: ScriptLimits,
    threads: usize,
) -> Result<Arc<Shared>, String> {
    let failed = |error: std::io::Error| format!("start a thread: {error}");
    let socket = pipe.socket.try_clone().map_err(failed)?;
    let (replies, listeners): (Vec<_>, Vec<_>) =
        (0..threads.max(1)).map(|_| std::sync::mpsc::channel()).unzip();
    let outgoing = Arc::new(Outgoing::new(socket));
    let held = (0..threads.max(1)).map(|_| Arc::new(Held::new(Arc::clone(&outgoing))));
    let shared = Arc::new(Shared {
        queue: Queue::default(),
        held: held.collect(),
        outgoing,
        watch: Arc::new(Watch::new(threads.max(1), record, &limits)),
        replies: Replies::new(replies),
        limits,
        known: std::sync::Mutex::default(),
    });
    let barrier = Arc::new(std::sync::Barrier::new(threads.max(1) + 2));
    for (index, listener) in listeners.into_iter().enumerate() {
        let (shared, barrier) = (Arc::clone(&shared), Arc::clone(&barrier));
        let work = move || worker::serve(&shared, index, listener, &barrier);
        let builder =
            thread::Builder::new().name(format!("script-{index}")).stack_size(STACK_BYTES);
        builder.spawn(work).map_err(failed)?;
    }
    // The last steps of a thread's start are calls that no thread may make later.
    let (watched, started) = (Arc::clone(&shared), Arc::clone(&barrier));
    let watchdog = move || {
        started.wait();
        watched.watch.run(&watched.outgoing, &watched.held);
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watchdog).map_err(failed)?;
    barrier.wait();
    Ok(shared)
}

/// The socket as a source of messages.
struct Pipe {
    socket: UnixStream,
    incoming: Incoming,
    /// Made once, so that it is not filled with zeros for each read.
    chunk: Vec<u8>,
}

impl Pipe {
    /// Waits for a message; `None` when the supervisor is gone.
    fn next(&mut self) -> Result<Option<DownIn>, String> {
        loop {
            if let Some(message) = self.incoming.next()? {
                return Ok(Some(message));
            }
            match self.socket.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(length) => self.incoming.push(&self.chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("read from the supervisor: {error}")),
            }
        }
    }
}
