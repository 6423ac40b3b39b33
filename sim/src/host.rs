//! Scripts run on a thread that the world waits for, and no script is checked twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use qundao::adapter::BoxFuture;
use qundao::script::InlineHost;
use qundao::script::protocol::{
    Bundle, Done, Manifest, ScriptError, ScriptHost, ScriptLimits, Source, Work,
};
use tokio::sync::mpsc::UnboundedSender;

type Checked = Result<Manifest, Vec<ScriptError>>;

static CHECKED: Mutex<Option<HashMap<(String, String), Checked>>> = Mutex::new(None);

thread_local! {
    static HOST: Arc<InlineHost> =
        Arc::new(InlineHost::new(limits()).expect("a thread for scripts"));
}

/// Limits that no honest script reaches, however slow the machine.
pub fn limits() -> ScriptLimits {
    ScriptLimits { handler_ms: 60_000, ..ScriptLimits::default() }
}

/// The host of this thread's worlds.
pub struct SimHost(Arc<InlineHost>);

impl SimHost {
    /// The one of this thread.
    pub fn here() -> Arc<dyn ScriptHost> {
        Arc::new(Self(HOST.with(Arc::clone)))
    }
}

impl ScriptHost for SimHost {
    fn check(&self, source: &Source) -> Checked {
        let key = (source.name.to_string(), source.revision.clone());
        let known = {
            let checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
            checked.as_ref().and_then(|checked| checked.get(&key).cloned())
        };
        known.unwrap_or_else(|| {
            let found = self.0.check(source);
            let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
            checked.get_or_insert_default().insert(key, found.clone());
            found
        })
    }

    fn install(&self, bundle: Arc<Bundle>) {
        self.0.install(bundle);
    }

    fn submit(&self, batch: Vec<Work>, done: UnboundedSender<Done>) {
        self.0.submit(batch, done);
    }

    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>> {
        self.0.aside()
    }
}
