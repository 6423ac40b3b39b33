//! The script host that the bot sees: frames go to the supervisor, checks to the checker.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::checker::Checker;
use super::process::Child;
use super::supervisor::{Order, Supervisor};
use super::wire::Up;
use crate::adapter::BoxFuture;
use crate::script::protocol::{
    Bundle, Done, Incident, Manifest, ScriptError, ScriptHost, ScriptLimits, Source, Work,
};

/// Longest wait for the first child.
const START: Duration = Duration::from_secs(20);

/// The program that a child runs: this one, asked to serve scripts.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What makes it a child.
    pub args: Vec<String>,
}

impl Program {
    /// The child's command of the `qundao` program at this path.
    pub fn at(path: PathBuf) -> Self {
        Self { path, args: vec!["script-child".to_owned()] }
    }

    /// The running program itself, even if its file was replaced meanwhile.
    ///
    /// # Errors
    /// The system does not tell where it is.
    pub fn own() -> anyhow::Result<Self> {
        let own = PathBuf::from("/proc/self/exe");
        if cfg!(target_os = "linux") && own.exists() {
            return Ok(Self::at(own));
        }
        std::env::current_exe().map(Self::at).context("find this program's own file")
    }
}

/// What is heard of the children.
#[derive(Debug, Default)]
pub struct Figures {
    deaths: AtomicU64,
    missing: Mutex<Vec<String>>,
}

impl Figures {
    /// Children that ended without being told to.
    pub fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::Relaxed)
    }

    /// What this system cannot do to confine a child.
    pub fn missing(&self) -> Vec<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note_death(&self) {
        self.deaths.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_missing(&self, missing: Vec<String>) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }
}

/// How many children, and how many threads in each.
#[derive(Clone, Copy)]
pub(super) struct Threads {
    pub(super) count: usize,
    pub(super) has_spare: bool,
}

/// Scripts in a process of their own.
pub struct ChildHost {
    orders: UnboundedSender<Order>,
    checker: Checker,
    incidents: Mutex<Option<UnboundedReceiver<Incident>>>,
    figures: Arc<Figures>,
    program: Program,
    limits: ScriptLimits,
}

impl ChildHost {
    /// Starts the first child with as many script threads as the machine has cores.
    ///
    /// # Errors
    /// No child can be started, or it does not say that it is ready.
    pub async fn start(program: Program, limits: ScriptLimits) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(program, limits, cores).await
    }

    /// The same with this many script threads.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn with_threads(
        program: Program,
        limits: ScriptLimits,
        count: usize,
    ) -> anyhow::Result<Self> {
        Self::begin(program, limits, Threads { count, has_spare: true }).await
    }

    async fn begin(
        program: Program,
        limits: ScriptLimits,
        threads: Threads,
    ) -> anyhow::Result<Self> {
        let context = "start the process that runs scripts";
        let mut first = Child::start(&program, &limits, threads.count).context(context)?;
        first.push();
        let figures = Arc::new(Figures::default());
        let ready = tokio::time::timeout(START, ready(&mut first)).await;
        match ready {
            Ok(Ok(missing)) => figures.note_missing(missing),
            Ok(Err(error)) => {
                let why = first.bury().why;
                return Err(error.context(format!("it {why}"))).context(context);
            }
            Err(_) => anyhow::bail!("{context}: it did not say within {START:?} that it is ready"),
        }
        first.is_ready = true;
        let (orders, taken) = unbounded_channel();
        let (report, incidents) = unbounded_channel();
        let supervisor = Supervisor::new(
            program.clone(),
            limits.clone(),
            threads,
            first,
            report,
            figures.clone(),
        );
        tokio::spawn(supervisor.run(taken));
        Ok(Self {
            orders,
            checker: Checker::new(program.clone(), &limits),
            incidents: Mutex::new(Some(incidents)),
            figures,
            program,
            limits,
        })
    }

    /// Deaths of children, and what confines them.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}

async fn ready(child: &mut Child) -> anyhow::Result<Vec<String>> {
    loop {
        child.heard().await?;
        match child.next().map_err(anyhow::Error::msg)? {
            Some(Up::Ready { missing }) => return Ok(missing),
            Some(other) => anyhow::bail!("its first word was {other:?}"),
            None => {}
        }
    }
}

impl ScriptHost for ChildHost {
    fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        self.checker.check(source)
    }

    fn install(&self, bundle: Arc<Bundle>) {
        self.checker.rest();
        // The supervisor ends with this host.
        let _ = self.orders.send(Order::Install(bundle));
    }

    fn submit(&self, batch: Vec<Work>, done: UnboundedSender<Done>) {
        let _ = self.orders.send(Order::Batch(batch, done));
    }

    fn incidents(&self) -> Option<UnboundedReceiver<Incident>> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>> {
        Box::pin(async {
            let threads = Threads { count: 1, has_spare: false };
            let host = Self::begin(self.program.clone(), self.limits.clone(), threads).await?;
            Ok(Arc::new(host) as Arc<dyn ScriptHost>)
        })
    }
}
