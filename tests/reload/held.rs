//! A script host that holds frames back until told.

use std::sync::{Arc, Mutex};

use qundao::adapter::BoxFuture;
use qundao::config::Config;
use qundao::script::InProcessHost;
use qundao::script::protocol::{Bundle, Done, Manifest, ScriptError, ScriptHost, Source, Work};
use tokio::sync::mpsc::UnboundedSender;

/// Frames that were handed over, with where their answers go.
type Frames = Vec<(Vec<Work>, UnboundedSender<Done>)>;

/// A host that holds frames back until told.
pub struct Held {
    host: InProcessHost,
    frames: Mutex<Option<Frames>>,
    pub has_frame: tokio::sync::Notify,
}

impl Held {
    pub fn new(config: &Config) -> Arc<Self> {
        let limits = config.limits.script.clone();
        Arc::new(Self {
            host: InProcessHost::with_threads(limits, 1).unwrap(),
            frames: Mutex::new(Some(Vec::new())),
            has_frame: tokio::sync::Notify::new(),
        })
    }

    pub fn release(&self) {
        let frames = self.frames.lock().unwrap().take();
        for (batch, done) in frames.into_iter().flatten() {
            self.host.submit(batch, done);
        }
    }
}

impl ScriptHost for Held {
    fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        self.host.check(source)
    }

    fn install(&self, bundle: Arc<Bundle>) {
        self.host.install(bundle);
    }

    fn submit(&self, batch: Vec<Work>, done: UnboundedSender<Done>) {
        match &mut *self.frames.lock().unwrap() {
            Some(frames) => {
                frames.push((batch, done));
                self.has_frame.notify_one();
            }
            None => self.host.submit(batch, done),
        }
    }

    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>> {
        self.host.aside()
    }
}
