//! What is done about scripts that end the process in which they run: their owner is told, and
//! one that does it too often loses its place to the version before it.

use std::sync::{Arc, RwLock};

use tokio::sync::{Mutex, mpsc};

use super::reload::Scripts;
use crate::commit::{Listeners, tell};
use crate::config::Config;
use crate::lane::Message;
use crate::report::Notice;
use crate::script::protocol::Incident;

/// Hears of every incident.
pub(super) struct Attendant {
    pub(super) scripts: Arc<Mutex<Scripts>>,
    pub(super) config: Arc<RwLock<Arc<Config>>>,
    pub(super) lanes: mpsc::UnboundedSender<Message>,
    pub(super) notices: Arc<Listeners<Notice>>,
}

impl Attendant {
    /// Works until the script host is gone.
    pub(super) async fn run(self, mut incidents: mpsc::UnboundedReceiver<Incident>) {
        while let Some(incident) = incidents.recv().await {
            let place = self.place(&incident).await;
            let Incident { event, why, kills, .. } = &incident;
            let mut text = format!(
                "{place}: while this handler ran for event {event} it {why}; the process that runs \
                 scripts was replaced, nothing else is lost ({kills} times in ten minutes)"
            );
            if incident.is_condemned {
                text.push_str(&self.condemn(&incident).await);
            }
            tell(&self.notices, &Notice { community: None, text, is_problem: true });
        }
    }

    /// File and line of the handler.
    async fn place(&self, incident: &Incident) -> String {
        let scripts = self.scripts.lock().await;
        let line = scripts.line_of(&incident.script, &incident.revision, incident.handler);
        match line {
            Some(line) => format!("{}:{line}", incident.path),
            None => incident.path.clone(),
        }
    }

    /// Takes the version out of force; says what became of it.
    async fn condemn(&self, incident: &Incident) -> String {
        let mut scripts = self.scripts.lock().await;
        let config = self.config.read().expect("the configuration is only replaced whole").clone();
        let Incident { script, revision, why, .. } = incident;
        match scripts.condemn(&config, script, revision, why) {
            Ok(None) => "; that version is no longer in force".to_owned(),
            Ok(Some((registry, has_before))) => {
                // A bot that is ending needs no other plan.
                let _ = self.lanes.send(Message::Reload(registry, config));
                if has_before {
                    "; the version before it is in force again until the file is changed".to_owned()
                } else {
                    "; the script is out of force until its file is changed".to_owned()
                }
            }
            Err(error) => format!("; it could not be taken out of force: {error:#}"),
        }
    }
}
