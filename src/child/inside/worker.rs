//! The script threads: one takes a frame, runs its handlers, and holds the answer back for as
//! long as there is more to do at once.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::wire::{DownIn, FrameIn, RunIn, Up};
use super::remote::{Held, Outgoing, Remote, Replies};
use super::watchdog::Watch;
use crate::id::{CommunityId, EventId, ScriptName};
use crate::script::protocol::{
    Answer, Bundle, Done, Frame, HostReply, Run, RunEnd, ScriptLimits, Source, Work,
};
use crate::script::rota::Rota;
use crate::script::{Observer, Runner};
use crate::value::ValueMap;

/// Answers are let go of when they have this many bytes, or when nothing is left to do.
const HELD_BYTES: usize = 16 * 1024;

/// What all threads of the child share.
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) watch: Arc<Watch>,
    /// By thread.
    pub(super) held: Vec<Arc<Held>>,
    pub(super) replies: Replies,
    pub(super) limits: ScriptLimits,
    pub(super) known: Mutex<Known>,
}

/// What the supervisor has said once.
#[derive(Default)]
pub(super) struct Known {
    bundles: HashMap<u64, (Arc<Bundle>, Arc<[ScriptName]>)>,
    settings: HashMap<u32, Arc<ValueMap>>,
}

/// Something to do.
enum Job {
    Frame(Box<Frame>, Arc<Bundle>),
    Check(Box<Source>),
}

/// What waits for a thread.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Mutex<Rota<Job>>,
    more: Condvar,
}

impl Queue {
    /// New jobs are there.
    pub(super) fn wake(&self) {
        match lock(&self.jobs).len() {
            0 => {}
            1 => self.more.notify_one(),
            _ => self.more.notify_all(),
        }
    }

    fn push(&self, job: Job) {
        let community = match &job {
            Job::Frame(frame, _) => Some(frame.community),
            Job::Check(_) => None,
        };
        lock(&self.jobs).push(community, job);
    }

    /// The job that a thread had has ended; the next one, if one is there, and whose it is.
    fn try_next(&self, ended: Option<CommunityId>) -> Option<(Option<CommunityId>, Job)> {
        let mut jobs = lock(&self.jobs);
        ended.into_iter().for_each(|community| jobs.ended(community));
        jobs.take()
    }

    /// Waits for a job.
    fn next(&self) -> (Option<CommunityId>, Job) {
        let mut jobs = lock(&self.jobs);
        loop {
            if let Some(next) = jobs.take() {
                return next;
            }
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A handler failed: frames that went ahead in its community were made for another state, and
    /// may go the same way. Their turns.
    fn drop_ahead(&self, community: CommunityId) -> Vec<EventId> {
        let is_ahead = |job: &Job| matches!(job, Job::Frame(frame, _) if frame.is_ahead);
        let dropped = lock(&self.jobs).remove(community, is_ahead);
        let turn = |job: Job| match job {
            Job::Frame(frame, _) => Some(frame.turn),
            Job::Check(_) => None,
        };
        dropped.into_iter().filter_map(turn).collect()
    }
}

impl Shared {
    /// Takes one message in; the caller wakes the threads when it has no more.
    pub(super) fn hear(&self, message: DownIn) {
        match message {
            DownIn::Hello { .. } => {}
            DownIn::Bundle(bundle) => {
                let names = bundle.sources.keys().cloned().collect();
                let number = bundle.number;
                lock(&self.known).bundles.insert(number, (Arc::new(bundle), names));
            }
            DownIn::Forget { bundles, settings } => {
                let mut known = lock(&self.known);
                known.bundles.retain(|number, _| !bundles.contains(number));
                known.settings.retain(|number, _| !settings.contains(number));
            }
            DownIn::Settings { number, settings } => {
                lock(&self.known).settings.insert(number, Arc::new(settings));
            }
            DownIn::Frame(frame) => {
                if let Some(job) = lock(&self.known).job(*frame) {
                    self.queue.push(job);
                }
            }
            DownIn::Reply { thread, reply } => self.replies.put(thread, reply),
            DownIn::Check(source) => self.queue.push(Job::Check(Box::new(source))),
        }
    }
}

impl Known {
    /// A frame with its numbers resolved. The supervisor says what a number means before it uses
    /// it, so `None` is a frame of somebody else.
    fn job(&self, frame: FrameIn) -> Option<Job> {
        let (bundle, names) = self.bundles.get(&frame.bundle)?;
        let run = |run: RunIn| {
            Some(Run {
                script: names.get(run.script)?.clone(),
                handler: run.handler,
                args: run.args,
                settings: Arc::clone(self.settings.get(&run.settings)?),
                shadow: run.shadow,
                spared: run.spared.map(Box::new),
            })
        };
        let frame = Frame {
            turn: frame.turn,
            community: frame.community,
            is_ahead: frame.is_ahead,
            bundle: frame.bundle,
            now: frame.now,
            utc_offset_s: frame.utc_offset_s,
            locale: frame.locale,
            seed: frame.seed,
            event: frame.event,
            words: frame.words,
            runs: frame.runs.into_iter().map(run).collect::<Option<_>>()?,
        };
        Some(Job::Frame(Box::new(frame), Arc::clone(bundle)))
    }
}

/// Tells the watch what the thread is at.
struct Watched {
    thread: usize,
    watch: Arc<Watch>,
}

impl Observer for Watched {
    fn began(&self, turn: EventId, run: usize) {
        self.watch.began(self.thread, turn, run);
    }

    fn ended(&self) {
        self.watch.ended(self.thread);
    }
}

/// One thread's life; it ends with the process.
pub(super) fn serve(
    shared: &Shared,
    thread: usize,
    replies: Receiver<HostReply>,
    barrier: &Barrier,
) {
    let held = Arc::clone(&shared.held[thread]);
    shared.watch.open_clock(thread);
    let mut runner = Runner::new(shared.limits.clone());
    runner.watch(Box::new(Watched { thread, watch: Arc::clone(&shared.watch) }));
    let mut remote = Box::new(Remote {
        thread,
        turn: EventId(0),
        replies,
        watch: Arc::clone(&shared.watch),
        held: Arc::clone(&held),
    });
    barrier.wait();
    let mut community = None;
    loop {
        let job;
        (community, job) = match shared.queue.try_next(community) {
            Some(next) => next,
            None => {
                held.flush();
                shared.queue.next()
            }
        };
        let waiting = match job {
            Job::Frame(frame, bundle) => {
                remote.turn = frame.turn;
                let answer;
                (remote, answer) = run(&mut runner, *frame, &bundle, remote);
                if answer.outcomes.iter().any(|run| matches!(run.end, RunEnd::Failed(_))) {
                    let dropped = community.map(|community| shared.queue.drop_ahead(community));
                    for turn in dropped.into_iter().flatten() {
                        held.add(&Up::Answer(Answer { turn, outcomes: Vec::new(), restart: true }));
                    }
                }
                held.add(&Up::Answer(answer))
            }
            Job::Check(source) => {
                // The turn 0 is nobody's: the checker asks for one script at a time.
                shared.watch.began(thread, EventId(0), 0);
                let found = runner.check(&source);
                shared.watch.ended(thread);
                held.add(&Up::Checked(found))
            }
        };
        if waiting >= HELD_BYTES {
            held.flush();
        }
    }
}

/// Runs one frame.
fn run(
    runner: &mut Runner,
    frame: Frame,
    bundle: &Arc<Bundle>,
    remote: Box<Remote>,
) -> (Box<Remote>, Answer) {
    let Done { answer, host } = runner.run(Work { frame, host: remote }, Some(bundle));
    let remote = host
        .into_any()
        .downcast::<Remote>()
        .expect("a runner gives back the host that it was given");
    (remote, answer)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
