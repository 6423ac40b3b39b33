//! Reloading: another configuration, other scripts and word lists, in force in one step.
//!
//! Scripts are compiled aside, the settings are checked against what they declare, and only then
//! everything is swapped. A turn that runs keeps the plan, and so the scripts, that it began with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Bot;
use super::planned::{self, Planned};
use crate::adapter::{Adapter, CommandOffer};
use crate::blocking;
use crate::config::{Config, Effective, Resolved, ScriptTables, changes, live};
use crate::dispatch::Registry;
use crate::id::{CommunityId, ScriptName};
use crate::lane::Message;
use crate::moderation::WordLists;
use crate::report::Notice;
use crate::script::lint;
use crate::script::load::{InForce, Prepared, prepare};
use crate::script::protocol::{
    Bundle, Command, HandlerId, Manifest, ScriptError, ScriptHost, Source, Trigger,
};
use crate::text;
use crate::turn::{EXPIRED, is_in_step};
use crate::value::ValueMap;

/// Scripts in force.
pub(super) struct Scripts {
    host: Arc<dyn ScriptHost>,
    /// Who shows the commands in force to members.
    adapters: Vec<Arc<dyn Adapter>>,
    number: u64,
    in_force: InForce,
    /// The version of each script before the one in force.
    before: InForce,
    /// Versions that ended the script process too often, and why.
    condemned: Condemned,
    /// Sources of news that the scripts in force name.
    pub(super) feeds: BTreeSet<String>,
    /// Routines in force.
    planned: Planned,
}

/// Versions that are not put in force again.
type Condemned = BTreeMap<(ScriptName, String), String>;

impl Bot {
    /// The scripts in force.
    pub async fn scripts_in_force(&self) -> InForce {
        self.scripts.lock().await.in_force.clone()
    }

    /// The versions of all scripts in force, for the audit log.
    pub async fn versions(&self) -> String {
        let scripts = self.scripts.lock().await;
        reloaded(&scripts.versions(scripts.in_force.keys()), &[], &[])
    }

    /// Where scripts run.
    pub async fn script_host(&self) -> Arc<dyn ScriptHost> {
        self.scripts.lock().await.host.clone()
    }

    /// Compiles aside, on a thread that may block; nothing is put in force.
    pub async fn try_out(&self, sources: Vec<Source>) -> Prepared {
        let (host, old, condemned) = {
            let scripts = self.scripts.lock().await;
            (scripts.host.clone(), scripts.in_force.clone(), scripts.condemned.clone())
        };
        let tried = blocking::run(move || {
            prepare(&|source| judge(&condemned, &*host, source), &old, sources)
        });
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
        let keys = changes(&self.config(), &config).into_iter().map(|change| change.path);
        let keys: Vec<String> = keys.collect();
        let (changed, gone) = (prepared.changed.clone(), gone(&scripts.in_force, &prepared));
        let registry = scripts.swap(&config, prepared)?;
        let versions = scripts.versions(changed.iter());
        let object = format!("bundle {}", scripts.number);
        self.note("core", "reload", object, reloaded(&versions, &gone, &keys));
        self.newsroom.follow(scripts.feeds.clone(), config.news.every_min);
        *self.world.limits.write().expect("limits are only replaced whole") =
            Arc::new(config.limits.clone());
        *self.world.privacy.write().expect("the settings are only replaced whole") =
            Arc::new(config.privacy.clone());
        if let Some(words) = words {
            *self.world.words.write().expect("word lists are only replaced whole") =
                Arc::new(words);
        }
        *self.config.write().expect("the configuration is only replaced whole") = config.clone();
        // Events that are offered from now on reach the lanes after this.
        let looked = registry.clone();
        let _ = self.lanes.send(Message::Reload(registry, config));
        self.forget_timers(&gone).await;
        self.look_at_routines(&looked).await;
        for text in planned::changed(&scripts.planned, &looked, self.clock.now()) {
            self.notify(&Notice { community: None, text, is_problem: false });
        }
        scripts.planned = planned::planned(&looked);
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

    /// Communities that are quiet learn of new, changed and gone routines; busy ones see for
    /// themselves with their next event.
    pub(super) async fn look_at_routines(&self, registry: &Registry) {
        let waiting = match self.store.routines_waiting().await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::warn!(%error, "could not look for changed routines");
                return;
            }
        };
        let mut by_community: HashMap<CommunityId, Vec<_>> = HashMap::new();
        for (community, script, name, data) in waiting {
            by_community.entry(community).or_default().push((script, name, data));
        }
        let mut known: Vec<(CommunityId, String)> = {
            let places = self.world.places.read().expect("places are only replaced whole");
            places.keys.iter().map(|(id, key)| (*id, key.clone())).collect()
        };
        known.sort_unstable();
        for (id, key) in known {
            let timers = by_community.get(&id).map(Vec::as_slice).unwrap_or_default();
            if !is_in_step(&registry.plan(&key), timers, self.clock.now()) {
                let _ = self.lanes.send(Message::Look(id, self.gauge.ticket()));
            }
        }
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
    pub(super) fn new(host: Arc<dyn ScriptHost>, adapters: Vec<Arc<dyn Adapter>>) -> Self {
        Self {
            host,
            adapters,
            number: 0,
            in_force: InForce::new(),
            before: InForce::new(),
            condemned: Condemned::new(),
            feeds: BTreeSet::new(),
            planned: Planned::new(),
        }
    }

    /// Compiles and swaps: the first scripts of a bot. Also what is wrong with them.
    pub(super) fn first(
        &mut self,
        config: &Config,
        sources: Vec<Source>,
        words: &WordLists,
    ) -> anyhow::Result<(Arc<Registry>, Vec<String>)> {
        let prepared = prepare(&|source| self.host.check(source), &self.in_force, sources);
        let mut problems: Vec<String> = prepared.problems.iter().map(ToString::to_string).collect();
        let registry = self.swap(config, prepared)?;
        self.planned = planned::planned(&registry);
        let manifests: Vec<Manifest> = self.in_force.values().map(|(_, m)| m.clone()).collect();
        let resolved = crate::config::resolve(config, &manifests).ok();
        let unknown = resolved.map(|resolved| lint::unknown_lists(&manifests, &resolved, words));
        problems.extend(unknown.into_iter().flatten().map(|problem| problem.to_string()));
        Ok((registry, problems))
    }

    /// Resolves the settings, and only then swaps.
    fn swap(&mut self, config: &Config, prepared: Prepared) -> anyhow::Result<Arc<Registry>> {
        let Prepared { in_force, left_out, .. } = prepared;
        let manifests: Vec<Manifest> = in_force.values().map(|(_, m)| m.clone()).collect();
        let resolved = crate::config::resolve(&without(config, &left_out), &manifests)?;
        self.feeds = crate::news::followed(&resolved, &manifests);
        self.number += 1;
        let sources =
            in_force.iter().map(|(name, (source, _))| (name.clone(), source.clone())).collect();
        let bundle = Arc::new(Bundle { number: self.number, sources });
        let registry = Registry::new(config, &resolved, manifests.iter(), &bundle);
        self.host.install(bundle);
        let offers = offers(&manifests, &resolved);
        self.adapters.iter().for_each(|adapter| adapter.offer_commands(&offers));
        self.note_before(&in_force);
        self.in_force = in_force;
        Ok(Arc::new(registry))
    }

    /// The versions in force of these scripts.
    fn versions<'a>(&self, names: impl Iterator<Item = &'a ScriptName>) -> Vec<String> {
        let version = |name: &ScriptName| {
            let (source, _) = self.in_force.get(name)?;
            Some(format!("{name}@{}", source.revision))
        };
        names.filter_map(version).collect()
    }

    /// Keeps what is being replaced, in case that the new version has to go.
    fn note_before(&mut self, new: &InForce) {
        for (name, old) in &self.in_force {
            let is_condemned = self.condemned.contains_key(&(name.clone(), old.0.revision.clone()));
            let is_replaced = new.get(name).is_some_and(|(new, _)| new.revision != old.0.revision);
            if is_replaced && !is_condemned {
                self.before.insert(name.clone(), old.clone());
            }
        }
    }

    /// Line of a handler of a version that is in force.
    pub(super) fn line_of(
        &self,
        script: &ScriptName,
        revision: &str,
        handler: HandlerId,
    ) -> Option<usize> {
        let (_, manifest) = self.in_force.get(script).filter(|(s, _)| s.revision == revision)?;
        manifest.handlers.get(usize::from(handler)).map(|handler| handler.line)
    }

    /// Takes a version out of force: the one before it takes its place, or none. `None` where it
    /// is not in force any more.
    pub(super) fn condemn(
        &mut self,
        config: &Config,
        script: &ScriptName,
        revision: &str,
        why: &str,
    ) -> anyhow::Result<Option<(Arc<Registry>, bool)>> {
        if self.in_force.get(script).is_none_or(|(source, _)| source.revision != revision) {
            return Ok(None);
        }
        self.condemned.insert((script.clone(), revision.to_owned()), why.to_owned());
        let mut prepared = Prepared { in_force: self.in_force.clone(), ..Prepared::default() };
        let before = self.before.remove(script);
        let has_before = before.is_some();
        match before {
            Some(before) => {
                prepared.in_force.insert(script.clone(), before);
            }
            None => {
                prepared.in_force.remove(script);
                prepared.left_out.insert(script.clone());
            }
        }
        Ok(Some((self.swap(config, prepared)?, has_before)))
    }
}

/// Checks a script, unless this very version is known to be a killer.
fn judge(
    condemned: &Condemned,
    host: &dyn ScriptHost,
    source: &Source,
) -> Result<Manifest, Vec<ScriptError>> {
    match condemned.get(&(source.name.clone(), source.revision.clone())) {
        None => host.check(source),
        Some(why) => Err(vec![ScriptError {
            path: source.path.clone(),
            line: 0,
            column: 0,
            message: format!("this version was taken out of force because it {why}: change it"),
            limit: Some("script_kills".to_owned()),
        }]),
    }
}

/// Commands that work somewhere, in the order of their scripts.
fn offers(manifests: &[Manifest], resolved: &Resolved) -> Vec<CommandOffer> {
    let runs = |it: &&Manifest| resolved.everything_about(&it.name).any(Effective::runs);
    let handlers = manifests.iter().filter(runs).flat_map(|manifest| &manifest.handlers);
    let commands = handlers.filter_map(|handler| match &handler.trigger {
        Trigger::Command(command) => Some(command),
        Trigger::Message
        | Trigger::Keyword(_)
        | Trigger::Words(_)
        | Trigger::Regex(_)
        | Trigger::Join
        | Trigger::Leave
        | Trigger::JoinRequest
        | Trigger::Reaction(_)
        | Trigger::Button
        | Trigger::Timer(_)
        | Trigger::Every { .. } => None,
    });
    let line =
        |command: &Command, locale| (locale, text::text(locale, &command.help, &ValueMap::new()));
    let offer = |command: &Command| CommandOffer {
        verb: command.verb.clone(),
        slash: command.slash.clone(),
        about: text::locales().map(|locale| line(command, locale)).collect(),
        params: command.params.clone(),
        quiet: command.quiet,
    };
    commands.map(offer).collect()
}

/// What a reload changed: versions, scripts that went, keys of the configuration.
fn reloaded(versions: &[String], gone: &[ScriptName], keys: &[String]) -> String {
    let gone: Vec<String> = gone.iter().map(ToString::to_string).collect();
    [("in force: ", versions), ("gone: ", &gone), ("keys: ", keys)]
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(label, names)| format!("{label}{}", names.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
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
