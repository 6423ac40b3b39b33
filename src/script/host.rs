//! Where scripts run: threads of this process, with big stacks.
//!
//! A stack overflow is an abort that nothing can catch, so depth is bounded by limits and the
//! stacks are far larger than those limits need.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use tokio::sync::mpsc::UnboundedSender;

use crate::adapter::BoxFuture;

use super::protocol::{
    Bundle, Done, Manifest, ScriptError, ScriptHost, ScriptLimits, Source, Work,
};
use super::rota::Rota;
use super::runner::Runner;
use crate::id::CommunityId;

/// Stack of a script thread; enough to drop anything that fits the limits, by measurement.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The current bundle and the one before it; older ones only as long as a plan holds them.
const BUNDLES_KEPT: usize = 2;

/// One frame on its way to a thread.
struct Job {
    work: Work,
    bundle: Option<Arc<Bundle>>,
    done: UnboundedSender<Done>,
    /// Dropped when the answer is in the channel.
    _finished: Option<mpsc::Sender<()>>,
}

/// What the threads share.
#[derive(Default)]
struct Queue {
    jobs: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: Rota<Job>,
    closed: bool,
}

/// Scripts on threads of this process.
pub struct InProcessHost {
    limits: ScriptLimits,
    queue: Arc<Queue>,
    bundles: RwLock<VecDeque<Arc<Bundle>>>,
    threads: Vec<JoinHandle<()>>,
}

impl InProcessHost {
    /// A host with as many threads as the machine has cores.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(limits: ScriptLimits) -> std::io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(limits, cores)
    }

    /// A host with this many threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn with_threads(limits: ScriptLimits, count: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let mut threads = Vec::new();
        for index in 0..count.max(1) {
            let (queue, limits) = (Arc::clone(&queue), limits.clone());
            let builder =
                thread::Builder::new().name(format!("script-{index}")).stack_size(STACK_BYTES);
            threads.push(builder.spawn(move || serve(&queue, limits))?);
        }
        Ok(Self { limits, queue, bundles: RwLock::default(), threads })
    }

    /// Puts one frame in the queue.
    fn push(&self, work: Work, done: UnboundedSender<Done>, finished: Option<mpsc::Sender<()>>) {
        let bundle = self.bundle(work.frame.bundle);
        let community = Some(work.frame.community);
        let job = Job { work, bundle, done, _finished: finished };
        lock(&self.queue.jobs).jobs.push(community, job);
        self.queue.more.notify_one();
    }

    /// The bundle of this number, if it is still kept. The job holds it from here on.
    fn bundle(&self, number: u64) -> Option<Arc<Bundle>> {
        let bundles = self.bundles.read().unwrap_or_else(PoisonError::into_inner);
        bundles.iter().find(|bundle| bundle.number == number).cloned()
    }
}

impl ScriptHost for InProcessHost {
    fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        let (limits, own) = (self.limits.clone(), source.clone());
        let thread = thread::Builder::new()
            .name("script-check".into())
            .stack_size(STACK_BYTES)
            .spawn(move || Runner::new(limits).check(&own));
        let failed = |reason: &str| {
            vec![ScriptError {
                path: source.path.clone(),
                line: 0,
                column: 0,
                message: format!("this script could not be checked: {reason}"),
                limit: None,
            }]
        };
        match thread.map(JoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(failed("the checker itself failed, please report this script")),
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    fn install(&self, bundle: Arc<Bundle>) {
        let mut bundles = self.bundles.write().unwrap_or_else(PoisonError::into_inner);
        bundles.retain(|kept| kept.number != bundle.number);
        bundles.push_front(bundle);
        // A turn may wait for the database over several reloads; its plan holds its bundle.
        let mut place = 0;
        bundles.retain(|kept| {
            place += 1;
            place <= BUNDLES_KEPT || Arc::strong_count(kept) > 1
        });
    }

    fn submit(&self, batch: Vec<Work>, done: UnboundedSender<Done>) {
        for work in batch {
            self.push(work, done.clone(), None);
        }
    }

    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>> {
        Box::pin(async { aside(&self.limits) })
    }
}

fn aside(limits: &ScriptLimits) -> anyhow::Result<Arc<dyn ScriptHost>> {
    let host = InlineHost::new(limits.clone()).context("start a script thread")?;
    Ok(Arc::new(host))
}

impl Drop for InProcessHost {
    fn drop(&mut self) {
        lock(&self.queue.jobs).closed = true;
        self.queue.more.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            thread.join().ok();
        }
    }
}

/// A host whose answers are in the channel when `submit` returns: for tests and transcripts.
pub struct InlineHost(InProcessHost);

impl InlineHost {
    /// A host with one thread that the caller waits for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(limits: ScriptLimits) -> std::io::Result<Self> {
        InProcessHost::with_threads(limits, 1).map(Self)
    }
}

impl ScriptHost for InlineHost {
    fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        self.0.check(source)
    }

    fn install(&self, bundle: Arc<Bundle>) {
        self.0.install(bundle);
    }

    fn submit(&self, batch: Vec<Work>, done: UnboundedSender<Done>) {
        for work in batch {
            let (finished, wait) = mpsc::channel();
            self.0.push(work, done.clone(), Some(finished));
            // Nothing is ever sent: the sender is dropped with the finished job.
            wait.recv().ok();
        }
    }

    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>> {
        self.0.aside()
    }
}

/// One thread's life.
fn serve(queue: &Queue, limits: ScriptLimits) {
    let mut runner = Runner::new(limits);
    let mut ended = None;
    while let Some((community, job)) = next(queue, ended) {
        ended = community;
        let done = runner.run(job.work, job.bundle.as_ref());
        // Nobody listens any more when the bot is ending.
        job.done.send(done).ok();
    }
}

/// Waits for a job; `None` when the host is being dropped and nothing is left.
fn next(queue: &Queue, ended: Option<CommunityId>) -> Option<(Option<CommunityId>, Job)> {
    let mut waiting = lock(&queue.jobs);
    ended.into_iter().for_each(|community| waiting.jobs.ended(community));
    loop {
        if let Some(next) = waiting.jobs.take() {
            return Some(next);
        }
        if waiting.closed {
            return None;
        }
        waiting = queue.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
    }
}

fn lock(jobs: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner)
}
