//! One child as its supervisor holds it: started with nothing, spoken to without waiting, and
//! looked at after its death.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child as OsChild, Command, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::host::Program;
use super::wire::{self, Down, Incoming, Up};
use crate::id::EventId;
use crate::script::protocol::ScriptLimits;

/// The child's name in lists of processes.
pub(super) const NAME: &str = "qundao-scripts";
/// Bytes of one thread's record: turn and run.
pub(super) const SLOT_BYTES: usize = 16;
/// Bytes of its last words that are looked at.
const LAST_WORDS: usize = 4096;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// A thread's record, as it is written.
pub(super) fn slot_bytes(turn: EventId, run: usize) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    let (first, second) = bytes.split_at_mut(SLOT_BYTES / 2);
    first.copy_from_slice(&turn.0.to_le_bytes());
    second.copy_from_slice(&(run as u64).to_le_bytes());
    bytes
}

/// The operating system's side of a child.
pub(super) struct Os {
    process: OsChild,
    threads: usize,
    record: File,
    words: File,
}

/// What is known of a child that has ended.
#[derive(Debug)]
pub(super) struct Death {
    /// Turn and run that each thread was at last.
    pub(super) at: Vec<(EventId, usize)>,
    /// Why it ended, as a sentence goes on after "it".
    pub(super) why: String,
    /// Somebody killed it who is neither the supervisor nor anything that ran in it: the system
    /// for want of memory, or an operator.
    pub(super) is_from_outside: bool,
}

impl Os {
    /// Starts a child with `threads` script threads; gives our end of its socket.
    pub(super) fn start(
        program: &Program,
        memory_mib: u64,
        threads: usize,
    ) -> io::Result<(Self, StdUnixStream)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let (record, words) = (scratch("qundao-record")?, scratch("qundao-words")?);
        let mut command = Command::new(&program.path);
        command
            .args(&program.args)
            .args(["--memory-mib", &memory_mib.to_string()])
            .arg0(NAME)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(record.try_clone()?))
            .stderr(Stdio::from(words.try_clone()?));
        let process = command.spawn()?;
        Ok((Self { process, threads, record, words }, ours))
    }

    /// Makes sure that it is gone, and looks at what it left.
    pub(super) fn bury(mut self) -> Death {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let status = self.process.wait();
        let mut at = Vec::new();
        for thread in 0..self.threads {
            let mut bytes = [0; SLOT_BYTES];
            let read = self.record.read_at(&mut bytes, (thread * SLOT_BYTES) as u64);
            if read.is_ok_and(|length| length == SLOT_BYTES) {
                let (turn, run) = bytes.split_at(SLOT_BYTES / 2);
                let number =
                    |half: &[u8]| half.try_into().map(u64::from_le_bytes).unwrap_or_default();
                at.push((EventId(number(turn).cast_signed()), number(run) as usize));
            }
        }
        let words = self.last_words();
        let signal = status.as_ref().ok().and_then(|status| status.signal());
        let is_from_outside = is_killed(signal) && known_end(&words).is_none();
        Death { at, why: why(signal, &words), is_from_outside }
    }

    fn last_words(&self) -> String {
        let length = self.words.metadata().map_or(0, |data| data.len());
        let mut bytes = vec![0; LAST_WORDS];
        let from = length.saturating_sub(LAST_WORDS as u64);
        let read = self.words.read_at(&mut bytes, from).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
    }
}

/// A nameless file in memory, which outlives whoever writes to it.
#[cfg(target_os = "linux")]
fn scratch(name: &str) -> io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?))
}

/// A file without a name, which outlives whoever writes to it.
#[cfg(not(target_os = "linux"))]
fn scratch(name: &str) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    let file = File::options().create(true).read(true).write(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// What a child says of its own end, where it is one that is known.
fn known_end(words: &str) -> Option<&'static str> {
    if words.contains("overflowed its stack") {
        Some("nested values or calls so deeply that the stack overflowed")
    } else if words.contains("memory allocation of") || words.contains("out of memory") {
        Some("wanted more memory than the process may have (limit `script_memory_mib`)")
    } else {
        None
    }
}

fn is_killed(signal: Option<i32>) -> bool {
    signal == Some(nix::libc::SIGKILL)
}

/// The reason in words.
fn why(signal: Option<i32>, words: &str) -> String {
    if let Some(known) = known_end(words) {
        return known.to_owned();
    }
    match (signal, words.lines().last()) {
        _ if is_killed(signal) => "was killed from outside, by the system perhaps".to_owned(),
        (Some(signal), None) => format!("ended the process with signal {signal}"),
        (Some(signal), Some(last)) => format!("ended the process with signal {signal}: {last}"),
        (None, Some(last)) => format!("ended the process: {last}"),
        (None, None) => "ended the process".to_owned(),
    }
}

/// A child to talk to.
pub(super) struct Child {
    os: Option<Os>,
    socket: UnixStream,
    incoming: Incoming,
    out: Vec<u8>,
    written: usize,
    chunk: Vec<u8>,
    /// Bundles that it knows.
    pub(super) bundles: Vec<u64>,
    /// Settings that it knows.
    pub(super) settings: HashSet<u32>,
    /// It has said that it is confined.
    pub(super) is_ready: bool,
    /// When it last said something, or was first given something to say.
    heard: Instant,
    /// What it said about its end.
    pub(super) stuck: Option<(EventId, usize, u64)>,
    /// It lives and makes no sense, and the supervisor will end it.
    pub(super) is_given_up: bool,
    /// It was given up after so long a silence.
    silent: Option<Duration>,
}

impl Child {
    /// Starts one and greets it.
    pub(super) fn start(
        program: &Program,
        limits: &ScriptLimits,
        threads: usize,
    ) -> io::Result<Self> {
        let (os, socket) = Os::start(program, limits.memory_mib, threads)?;
        socket.set_nonblocking(true)?;
        let mut child = Self {
            os: Some(os),
            socket: UnixStream::from_std(socket)?,
            incoming: Incoming::default(),
            out: Vec::new(),
            written: 0,
            chunk: vec![0; CHUNK],
            bundles: Vec::new(),
            settings: HashSet::new(),
            is_ready: false,
            heard: Instant::now(),
            stuck: None,
            is_given_up: false,
            silent: None,
        };
        child.say(&Down::Hello { limits, threads });
        Ok(child)
    }

    /// Puts a message behind those that wait; [`Self::push`] sends them.
    pub(super) fn say(&mut self, message: &Down<'_>) {
        wire::write(&mut self.out, message);
    }

    /// Writes as much as the socket takes without waiting. A broken socket shows when it is read;
    /// what should have gone out goes nowhere then, and waiting for it to go would be for ever.
    pub(super) fn push(&mut self) {
        while self.written < self.out.len() {
            match self.socket.try_write(&self.out[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.out.clear();
        self.written = 0;
    }

    /// Waits until the child says something; what it says is taken with [`Self::next`]. Safe to
    /// drop at any moment.
    ///
    /// # Errors
    /// The child is gone.
    pub(super) async fn heard(&mut self) -> io::Result<()> {
        loop {
            let waits = self.written < self.out.len();
            let interest =
                if waits { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let ready = self.socket.ready(interest).await?;
            if waits && ready.is_writable() {
                self.push();
            }
            match self.socket.try_read(&mut self.chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.incoming.push(&self.chunk[..length]);
                    self.heard = Instant::now();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message that has come whole.
    ///
    /// # Errors
    /// Something that no child of ours says.
    pub(super) fn next(&mut self) -> Result<Option<Up>, String> {
        self.incoming.next()
    }

    /// It had nothing to do and has now: what it did not say before does not count as silence.
    pub(super) fn expect(&mut self) {
        self.heard = Instant::now();
    }

    /// Whether it has been silent for so long; then it is given up.
    pub(super) fn gives_up(&mut self, limit: Duration) -> bool {
        let silence = self.heard.elapsed();
        self.silent = (silence > limit).then_some(silence);
        self.silent.is_some()
    }

    /// Memory of its own, KiB; `None` where the system does not tell.
    pub(super) fn own_kib(&self) -> Option<u64> {
        let process = self.os.as_ref()?.process.id();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Ends it and looks at what it left.
    pub(super) fn bury(mut self) -> Death {
        let stuck = self.stuck.take();
        let mut death = match self.os.take() {
            Some(os) => os.bury(),
            None => {
                let why = "ended the process".to_owned();
                Death { at: Vec::new(), why, is_from_outside: false }
            }
        };
        if let Some((turn, run, after_ms)) = stuck {
            death.at = vec![(turn, run)];
            death.why = format!("did not come back for {after_ms} ms");
            death.is_from_outside = false;
        } else if let Some(silence) = self.silent {
            // The signal that it ended with was ours.
            death.why = format!("kept its process silent for {} ms", silence.as_millis());
            death.is_from_outside = false;
        } else if self.is_given_up {
            "made no sense, and was ended".clone_into(&mut death.why);
            death.is_from_outside = false;
        }
        death
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(os) = self.os.take() {
            os.bury();
        }
    }
}

/// A blocking conversation with a child, for what is done aside.
pub(super) struct Aside {
    os: Option<Os>,
    socket: StdUnixStream,
    incoming: Incoming,
}

impl Aside {
    /// Starts one and greets it.
    pub(super) fn start(program: &Program, limits: &ScriptLimits) -> io::Result<Self> {
        let (os, socket) = Os::start(program, limits.memory_mib, 1)?;
        let mut aside = Self { os: Some(os), socket, incoming: Incoming::default() };
        aside.say(&Down::Hello { limits, threads: 1 })?;
        Ok(aside)
    }

    /// Sends a message.
    pub(super) fn say(&mut self, message: &Down<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        wire::write(&mut bytes, message);
        io::Write::write_all(&mut self.socket, &bytes)
    }

    /// Waits for a message, for so long at most.
    ///
    /// # Errors
    /// It is gone, late, or says what no child of ours says.
    pub(super) fn hear<T: DeserializeOwned>(&mut self, limit: Duration) -> io::Result<T> {
        let end = std::time::Instant::now() + limit;
        let mut chunk = vec![0; CHUNK];
        loop {
            if let Some(message) = self.incoming.next().map_err(io::Error::other)? {
                return Ok(message);
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            match io::Read::read(&mut self.socket, &mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.incoming.push(&chunk[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends it and looks at what it left.
    pub(super) fn bury(mut self) -> Option<Death> {
        self.os.take().map(Os::bury)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(os) = self.os.take() {
            os.bury();
        }
    }
}
