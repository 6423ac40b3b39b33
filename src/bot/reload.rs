//! Reloading: another configuration, other scripts and word lists, in force in one step.
//!
//! Scripts are compiled aside, the settings are checked against what they declare, and only then
//! everything is swapped. A turn that runs keeps the plan, and so the scripts, that it began with.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Bot;
use crate::config::{Config, ScriptTables, live};
use crate::dispatch::Registry;
use crate::id::ScriptName;
use crate::lane::Message;
use crate::moderation::WordLists;
use crate::script::load::{InForce, Prepared, prepare};
use crate::script::protocol::{Bundle, Manifest, ScriptHost, Source};
use crate::turn::EXPIRED;

/// Scripts in force.
pub(super) struct Scripts {
    host: Arc<dyn ScriptHost>,
    number: u64,
    in_force: InForce,
}

impl Bot {
    /// The scripts in force.
    pub async fn scripts_in_force(&self) -> InForce {
        self.scripts.lock().await.in_force.clone()
    }

    /// Compiles aside, on a thread that may block; nothing is put in force.
    pub async fn try_out(&self, sources: Vec<Source>) -> Prepared {
        let (host, old) = {
            let scripts = self.scripts.lock().await;
            (scripts.host.clone(), scripts.in_force.clone())
        };
        let tried = tokio::task::spawn_blocking(move || prepare(&*host, &old, sources));
        tried.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Puts all of it in force in one step; gives the scripts that are new, changed or gone. Keys
    /// that wait for a restart keep their value, and word lists that are absent stay.
    ///
    /// # Errors
    /// Settings that the scripts do not know: everything stays as it was.
    pub async fn put_in_force(
        &self,
        config: &Config,
        prepared: Prepared,
        words: Option<WordLists>,
    ) -> anyhow::Result<Vec<ScriptName>> {
        let mut scripts = self.scripts.lock().await;
        let config = Arc::new(live(&self.config(), config));
        let (changed, gone) = (prepared.changed.clone(), gone(&scripts.in_force, &prepared));
        let registry = scripts.swap(&config, prepared)?;
        *self.world.limits.write().expect("limits are only replaced whole") =
            Arc::new(config.limits.clone());
        if let Some(words) = words {
            *self.world.words.write().expect("word lists are only replaced whole") =
                Arc::new(words);
        }
        *self.config.write().expect("the configuration is only replaced whole") = config.clone();
        // Events that are offered from now on reach the lanes after this.
        let _ = self.lanes.send(Message::Reload(registry, config));
        self.forget_timers(&gone).await;
        Ok(changed)
    }

    /// Puts a configuration, scripts and word lists in force in one step. Scripts that are wrong
    /// keep their old version; the answer says which and why.
    ///
    /// # Errors
    /// Settings that the scripts do not know: everything stays as it was.
    pub async fn reload(
        &self,
        config: Arc<Config>,
        sources: Vec<Source>,
        words: Option<WordLists>,
    ) -> anyhow::Result<Vec<String>> {
        let prepared = self.try_out(sources).await;
        let problems = prepared.problems.iter().map(ToString::to_string).collect();
        self.put_in_force(&config, prepared, words).await?;
        Ok(problems)
    }

    /// Timers die with their script: they fall due now, when nobody hears them any more. What the
    /// domain does by timer is done at its time, with or without a script.
    async fn forget_timers(&self, gone: &[ScriptName]) {
        if gone.is_empty() {
            return;
        }
        match self.store.timers_of(gone, EXPIRED).await {
            Ok(timers) => {
                for (due, timer, community) in timers {
                    self.timers.remove(timer);
                    let fired = Message::Due(community, timer, due, self.gauge.ticket());
                    let _ = self.lanes.send(fired);
                }
            }
            Err(error) => tracing::warn!(%error, "timers of scripts that are gone were left"),
        }
    }
}

impl Scripts {
    /// No script yet.
    pub(super) fn new(host: Arc<dyn ScriptHost>) -> Self {
        Self { host, number: 0, in_force: InForce::new() }
    }

    /// Compiles and swaps: the first scripts of a bot. Also what is wrong with them.
    pub(super) fn first(
        &mut self,
        config: &Config,
        sources: Vec<Source>,
    ) -> anyhow::Result<(Arc<Registry>, Vec<String>)> {
        let prepared = prepare(&*self.host, &self.in_force, sources);
        let problems = prepared.problems.iter().map(ToString::to_string).collect();
        Ok((self.swap(config, prepared)?, problems))
    }

    /// Resolves the settings, and only then swaps.
    fn swap(&mut self, config: &Config, prepared: Prepared) -> anyhow::Result<Arc<Registry>> {
        let Prepared { in_force, left_out, .. } = prepared;
        let manifests: Vec<Manifest> = in_force.values().map(|(_, m)| m.clone()).collect();
        let resolved = crate::config::resolve(&without(config, &left_out), &manifests)?;
        self.number += 1;
        let sources =
            in_force.iter().map(|(name, (source, _))| (name.clone(), source.clone())).collect();
        let bundle = Arc::new(Bundle { number: self.number, sources });
        let registry = Registry::new(config, &resolved, manifests.iter(), &bundle);
        self.host.install(bundle);
        self.in_force = in_force;
        Ok(Arc::new(registry))
    }
}

/// Scripts that will be in force no more.
fn gone(old: &InForce, prepared: &Prepared) -> Vec<ScriptName> {
    old.keys().filter(|name| !prepared.in_force.contains_key(*name)).cloned().collect()
}

/// The configuration without the sections of scripts that are there but do not work: to call them
/// unknown would hide what is really wrong.
fn without(config: &Config, left_out: &BTreeSet<ScriptName>) -> Config {
    let mut config = config.clone();
    let strip = |tables: &mut ScriptTables| {
        for scripts in [&mut tables.features, &mut tables.rules] {
            scripts.retain(|name, _| !left_out.contains(&ScriptName::new(name)));
        }
    };
    if !left_out.is_empty() {
        strip(&mut config.scripts);
        config.communities.iter_mut().for_each(|community| strip(&mut community.scripts));
    }
    config
}
