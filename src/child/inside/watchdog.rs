//! Who is at what, for when it goes wrong: a record that outlives the process, and a thread that
//! ends the process when a handler does not come back.
//!
//! Rhai looks at its limits between operations. A native function that takes its time is beyond
//! them, and nothing can stop a thread; so the process goes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::super::process::{SLOT_BYTES, slot_bytes};
use super::super::wire::Up;
use super::remote::{Held, Outgoing};
use crate::id::EventId;
use crate::script::protocol::ScriptLimits;
use crate::script::wall_limit;

/// How often threads are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// A handler may be late by this much before it counts as stuck, ms.
const GRACE_MS: u64 = 100;
/// Nothing runs.
const IDLE: u64 = 0;
/// The watch has not looked at this handler yet.
const UNSEEN: u64 = u64::MAX;

/// One thread.
struct Slot {
    turn: AtomicI64,
    run: AtomicU64,
    /// Milliseconds of the watch's own clock when the handler began, or [`IDLE`].
    began_ms: AtomicU64,
    /// Processor time of the thread when the watch first saw this handler, ns, or [`UNSEEN`].
    first_ns: AtomicU64,
    clock: OnceLock<File>,
}

/// All threads.
pub(super) struct Watch {
    slots: Vec<Slot>,
    record: File,
    start: Instant,
    /// Milliseconds that the watch itself was held up for: the machine stood still or was busy with
    /// others, and the handlers with it.
    lost_ms: AtomicU64,
    /// Processor time after which a handler is stuck.
    processor: Duration,
    /// Time by the clock on the wall, likewise.
    wall: Duration,
}

impl Watch {
    pub(super) fn new(threads: usize, record: File, limits: &ScriptLimits) -> Self {
        let idle = |_| Slot {
            turn: AtomicI64::new(0),
            run: AtomicU64::new(0),
            began_ms: AtomicU64::new(IDLE),
            first_ns: AtomicU64::new(UNSEEN),
            clock: OnceLock::new(),
        };
        let grace = Duration::from_millis(GRACE_MS);
        Self {
            slots: (0..threads).map(idle).collect(),
            record,
            start: Instant::now(),
            lost_ms: AtomicU64::new(0),
            processor: Duration::from_millis(limits.handler_ms) + grace,
            wall: wall_limit(limits) + grace,
        }
    }

    /// Opens the clock of the calling thread, while files can still be opened.
    pub(super) fn open_clock(&self, thread: usize) {
        #[cfg(target_os = "linux")]
        {
            let path = format!("/proc/self/task/{}/schedstat", nix::unistd::gettid());
            if let (Ok(file), Some(slot)) = (File::open(path), self.slots.get(thread)) {
                // Each thread opens its own once.
                let _ = slot.clock.set(file);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = thread;
    }

    /// A handler begins: written down where the supervisor can read it after a crash.
    pub(super) fn began(&self, thread: usize, turn: EventId, run: usize) {
        let Some(slot) = self.slots.get(thread) else { return };
        slot.turn.store(turn.0, Ordering::Relaxed);
        slot.run.store(run as u64, Ordering::Relaxed);
        // What cannot be written down costs knowing who it was, no more.
        let _ = self.record.write_at(&slot_bytes(turn, run), (thread * SLOT_BYTES) as u64);
        self.go_on(thread);
    }

    /// The handler has ended.
    pub(super) fn ended(&self, thread: usize) {
        self.pause(thread);
    }

    /// The handler waits for the host.
    pub(super) fn pause(&self, thread: usize) {
        if let Some(slot) = self.slots.get(thread) {
            slot.began_ms.store(IDLE, Ordering::Release);
        }
    }

    /// The handler goes on; its time begins anew, which the limit of host calls bounds.
    pub(super) fn go_on(&self, thread: usize) {
        if let Some(slot) = self.slots.get(thread) {
            // Never [`IDLE`], even in the first millisecond.
            let now = self.now_ms().max(1);
            slot.first_ns.store(UNSEEN, Ordering::Relaxed);
            slot.began_ms.store(now, Ordering::Release);
        }
    }

    /// Looks at the threads for as long as the process lives.
    pub(super) fn run(&self, outgoing: &Outgoing, held: &[Arc<Held>]) {
        loop {
            let before = Instant::now();
            std::thread::sleep(LOOK);
            let late = before.elapsed().saturating_sub(2 * LOOK);
            self.lost_ms.fetch_add(late.as_millis() as u64, Ordering::Relaxed);
            for (slot, held) in self.slots.iter().zip(held) {
                if self.takes_its_time(slot) {
                    held.flush();
                }
                if let Some(after) = self.stuck(slot) {
                    let turn = EventId(slot.turn.load(Ordering::Relaxed));
                    let run = slot.run.load(Ordering::Relaxed) as usize;
                    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                    outgoing.send(&Up::Stuck { turn, run, after_ms });
                    std::process::exit(1);
                }
            }
        }
    }

    /// Whether a handler runs for as long as half the time between two looks.
    fn takes_its_time(&self, slot: &Slot) -> bool {
        let began = slot.began_ms.load(Ordering::Acquire);
        began != IDLE && u128::from(self.now_ms().saturating_sub(began)) >= LOOK.as_millis() / 2
    }

    /// How long the handler has run, if that is too long.
    fn stuck(&self, slot: &Slot) -> Option<Duration> {
        let began = slot.began_ms.load(Ordering::Acquire);
        if began == IDLE {
            return None;
        }
        let wall = Duration::from_millis(self.now_ms().saturating_sub(began));
        let over = wall > self.wall || self.has_worked_too_long(slot);
        // Still the same handler as when it was looked at.
        (over && slot.began_ms.load(Ordering::Acquire) == began).then_some(wall)
    }

    /// Processor time counts from the first look at a handler, so that beginning one costs no call
    /// of the system.
    fn has_worked_too_long(&self, slot: &Slot) -> bool {
        let Some(used) = slot.clock.get().and_then(used_ns) else { return false };
        match slot.first_ns.load(Ordering::Relaxed) {
            UNSEEN => {
                slot.first_ns.store(used, Ordering::Relaxed);
                false
            }
            first => Duration::from_nanos(used.saturating_sub(first)) > self.processor,
        }
    }

    fn now_ms(&self) -> u64 {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        passed.saturating_sub(self.lost_ms.load(Ordering::Relaxed))
    }
}

/// Processor time of a thread: the first number of its schedstat, in nanoseconds
/// (<https://docs.kernel.org/scheduler/sched-stats.html>).
fn used_ns(clock: &File) -> Option<u64> {
    let mut bytes = [0; 64];
    let length = clock.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
    text.split_whitespace().next()?.parse().ok()
}
