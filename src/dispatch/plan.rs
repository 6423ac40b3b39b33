//! The scripts in force, as one community sees them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::RangeFrom;
use std::sync::Arc;

use regex::Regex;

use super::keywords::{Keywords, Slot};
use crate::clock::TimeMs;
use crate::community::Community;
use crate::config::{Config, Effective, Mode, Resolved};
use crate::id::ScriptName;
use crate::moderation::Scan;
use crate::routine::{Cron, Posting, Routine};
use crate::script::pattern::regex;
use crate::script::protocol::{Bundle, Command, HandlerId, Manifest, Run, Trigger};
use crate::value::{Role, ValueMap};
use crate::zone::Zone;

/// How the text of a message is held against a handler.
#[derive(Debug)]
enum Matcher {
    Every,
    Keyword(Slot),
    Words(Arc<str>),
    Pattern(Regex),
}

/// A message that is held against handlers; what several of them ask is found out once.
pub(super) struct Heard<'a> {
    pub(super) text: &'a str,
    pub(super) scan: Scan<'a>,
    keywords: Option<Vec<bool>>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(text: &'a str, scan: Scan<'a>) -> Self {
        Self { text, scan, keywords: None }
    }

    fn fits(&mut self, matcher: &Matcher, keywords: &Keywords) -> bool {
        match matcher {
            Matcher::Every => true,
            Matcher::Keyword(slot) => {
                let found = self.keywords.get_or_insert_with(|| keywords.find(self.text));
                found.get(*slot).copied().unwrap_or_default()
            }
            Matcher::Words(list) => self.scan.has(list),
            Matcher::Pattern(pattern) => pattern.is_match(self.text),
        }
    }
}

/// A script that is in force somewhere.
#[derive(Debug)]
struct Installed {
    manifest: Manifest,
    /// Handlers of messages with their matchers.
    messages: Vec<(HandlerId, Matcher)>,
}

/// A script as one community has it.
#[derive(Clone, Debug)]
struct Active {
    installed: Arc<Installed>,
    effective: Arc<Effective>,
    /// Word lists that its handlers ask about.
    lists: Vec<Arc<str>>,
}

impl Active {
    fn new(installed: Arc<Installed>, effective: Arc<Effective>) -> Self {
        let named = installed.manifest.lists.iter();
        let lists = named.filter_map(|used| used.name.resolve(&effective.settings)).collect();
        Self { installed, effective, lists }
    }

    fn name(&self) -> &ScriptName {
        &self.installed.manifest.name
    }

    fn run(&self, handler: HandlerId, args: ValueMap) -> Run {
        Run {
            script: self.name().clone(),
            handler,
            args,
            settings: self.effective.settings.clone(),
            shadow: self.effective.mode == Mode::Shadow,
            spared: None,
        }
    }

    fn may_run(&self, community: &Community, now: TimeMs) -> bool {
        community.breakers.get(self.name()).is_none_or(|breaker| {
            now >= breaker.open_until || breaker.revision != self.installed.manifest.revision
        })
    }
}

/// One community's view of the scripts in force.
#[derive(Debug)]
pub struct Plan {
    /// Its time zone.
    pub timezone: Zone,
    /// Its language.
    pub locale: Arc<str>,
    /// The scripts whose handlers are meant; the host keeps them as long as somebody holds them.
    bundle: Arc<Bundle>,
    /// Rules by name, then features by name.
    scripts: Vec<Active>,
    /// Verb or alias → script and handler.
    commands: HashMap<String, (usize, HandlerId)>,
    keywords: Arc<Keywords>,
    routines: Vec<Arc<Routine>>,
    routines_mark: u64,
    posting: Arc<Posting>,
}

/// The feature that says what routines of config.toml and of commands say.
pub const ROUTINES: &str = "routines";

impl Plan {
    fn new(
        timezone: Zone,
        locale: &str,
        bundle: Arc<Bundle>,
        keywords: Arc<Keywords>,
        scripts: Vec<Active>,
        config: &Config,
        community: Option<&str>,
    ) -> Self {
        let mut commands = HashMap::new();
        for (index, script) in scripts.iter().enumerate() {
            for (handler, entry) in script.installed.manifest.handlers.iter().enumerate() {
                let Trigger::Command(command) = &entry.trigger else { continue };
                for verb in std::iter::once(&command.verb).chain(&command.alias) {
                    // The first by name wins; the lint has told about the clash.
                    commands.entry(verb.to_lowercase()).or_insert((index, handler as HandlerId));
                }
            }
        }
        let routines = routines(&scripts, config, community);
        let routines_mark = mark(&routines, timezone);
        let posting = Arc::new(config.posting.of(community));
        Self {
            timezone,
            locale: locale.into(),
            bundle,
            scripts,
            commands,
            keywords,
            routines,
            routines_mark,
            posting,
        }
    }

    /// Number of the bundle whose handlers are meant.
    pub fn bundle(&self) -> u64 {
        self.bundle.number
    }

    /// Routines of scripts and of config.toml.
    pub fn routines(&self) -> &[Arc<Routine>] {
        &self.routines
    }

    /// Differs where the routines or their times differ; never 0.
    pub fn routines_mark(&self) -> u64 {
        self.routines_mark
    }

    /// Slots and budget of what is posted unasked.
    pub fn posting(&self) -> &Posting {
        &self.posting
    }

    /// The command behind a verb.
    pub fn command(&self, verb: &str) -> Option<(&ScriptName, HandlerId, &Command)> {
        let (index, handler) = self.commands.get(&verb.to_lowercase())?;
        let script = &self.scripts[*index];
        match &script.installed.manifest.handlers[usize::from(*handler)].trigger {
            Trigger::Command(command) => Some((script.name(), *handler, command)),
            _ => None,
        }
    }

    /// Commands that somebody of this role and trust may use, by script.
    pub fn commands_for(
        &self,
        role: Role,
        trust: u8,
    ) -> impl Iterator<Item = (&ScriptName, &Command)> {
        self.scripts.iter().flat_map(move |script| {
            script.installed.manifest.handlers.iter().filter_map(move |handler| {
                match &handler.trigger {
                    Trigger::Command(command)
                        if role >= command.role && (trust >= command.trust || role.is_staff()) =>
                    {
                        Some((script.name(), command))
                    }
                    _ => None,
                }
            })
        })
    }

    /// Whether a script rests here after failing too often.
    pub fn is_paused(&self, script: &ScriptName, community: &Community, now: TimeMs) -> bool {
        let active = self.scripts.iter().find(|active| active.name() == script);
        active.is_some_and(|active| !active.may_run(community, now))
    }

    /// Whether a script is on here.
    pub fn has(&self, script: &ScriptName) -> bool {
        self.scripts.iter().any(|active| active.name() == script)
    }

    /// The manifest of a script that is on here.
    pub fn manifest(&self, script: &ScriptName) -> Option<&Manifest> {
        self.scripts.iter().find(|a| a.name() == script).map(|a| &a.installed.manifest)
    }

    /// A run of one handler.
    pub(super) fn run(
        &self,
        script: &ScriptName,
        handler: HandlerId,
        args: ValueMap,
    ) -> Option<Run> {
        self.scripts.iter().find(|active| active.name() == script).map(|a| a.run(handler, args))
    }

    /// Handlers of messages that match, of rules or of features.
    pub(super) fn add_message_runs(
        &self,
        rules: bool,
        heard: &mut Heard<'_>,
        community: &Community,
        now: TimeMs,
        runs: &mut Vec<Run>,
    ) {
        for script in self.of_kind(rules) {
            let messages = &script.installed.messages;
            if messages.is_empty() || !script.may_run(community, now) {
                continue;
            }
            for (handler, matcher) in messages {
                if heard.fits(matcher, &self.keywords) {
                    runs.push(script.run(*handler, super::no_args()));
                }
            }
        }
    }

    /// Looks up every list that the scripts of these runs may ask about.
    pub(super) fn look_up(&self, runs: &[Run], heard: &mut Heard<'_>) {
        for run in runs {
            let script = self.scripts.iter().find(|active| *active.name() == run.script);
            for list in script.into_iter().flat_map(|active| &active.lists) {
                heard.scan.has(list);
            }
        }
    }

    /// Handlers whose trigger is wanted, of rules or of features.
    pub(super) fn add_runs(
        &self,
        rules: bool,
        wanted: &dyn Fn(&Trigger) -> bool,
        community: &Community,
        now: TimeMs,
        runs: &mut Vec<Run>,
    ) {
        for script in self.of_kind(rules) {
            add_wanted(script, wanted, community, now, runs);
        }
    }

    /// Handlers of one script whose trigger is wanted.
    pub(super) fn add_runs_of(
        &self,
        name: &ScriptName,
        wanted: &dyn Fn(&Trigger) -> bool,
        community: &Community,
        now: TimeMs,
        runs: &mut Vec<Run>,
    ) {
        if let Some(script) = self.scripts.iter().find(|active| active.name() == name) {
            add_wanted(script, wanted, community, now, runs);
        }
    }

    fn of_kind(&self, rules: bool) -> impl Iterator<Item = &Active> {
        self.scripts.iter().filter(move |script| script.installed.manifest.is_rule == rules)
    }
}

/// What the scripts of a community and its configuration plan.
fn routines(scripts: &[Active], config: &Config, community: Option<&str>) -> Vec<Arc<Routine>> {
    let mut found = Vec::new();
    for script in scripts {
        for handler in &script.installed.manifest.handlers {
            let Trigger::Every(spec) = &handler.trigger else { continue };
            // Both the default and what config.toml says have been read before.
            let times = spec.times.resolve(&script.effective.settings);
            let Some(Ok(cron)) = times.map(Cron::parse) else { continue };
            found.push(Arc::new(Routine {
                script: script.name().clone(),
                spec: (**spec).clone(),
                cron,
                text: None,
                groups: Vec::new(),
            }));
        }
    }
    if scripts.iter().any(|script| script.name().as_str() == ROUTINES) {
        let own = config.routines.iter().filter(|routine| routine.is_for(community));
        found.extend(own.filter_map(|routine| routine.routine()).map(Arc::new));
    }
    found
}

/// A number for routines, their times and the zone.
fn mark(routines: &[Arc<Routine>], zone: Zone) -> u64 {
    let mut hasher = DefaultHasher::new();
    zone.name().hash(&mut hasher);
    for routine in routines {
        (routine.id(), routine.cron.text(), routine.spec.jitter_ms).hash(&mut hasher);
    }
    hasher.finish().max(1)
}

fn add_wanted(
    script: &Active,
    wanted: &dyn Fn(&Trigger) -> bool,
    community: &Community,
    now: TimeMs,
    runs: &mut Vec<Run>,
) {
    if !script.may_run(community, now) {
        return;
    }
    for (handler, entry) in script.installed.manifest.handlers.iter().enumerate() {
        if wanted(&entry.trigger) {
            runs.push(script.run(handler as HandlerId, super::no_args()));
        }
    }
}

/// The plans of all communities, made anew with each change of configuration or scripts.
pub struct Registry {
    default: Arc<Plan>,
    by_key: HashMap<String, Arc<Plan>>,
}

impl Registry {
    /// Builds the plans.
    pub fn new<'a>(
        config: &Config,
        resolved: &Resolved,
        manifests: impl Iterator<Item = &'a Manifest>,
        bundle: &Arc<Bundle>,
    ) -> Self {
        let manifests: Vec<&Manifest> = manifests.collect();
        let keywords = Arc::new(Keywords::new(manifests.iter().copied()));
        let mut slots = 0..;
        let mut installed: Vec<Arc<Installed>> =
            manifests.into_iter().map(|manifest| install(manifest, &mut slots)).collect();
        installed.sort_by_key(|script| (!script.manifest.is_rule, script.manifest.name.clone()));
        let active = |community: Option<&str>| -> Vec<Active> {
            installed
                .iter()
                .filter_map(|script| {
                    let effective = resolved.effective(community, &script.manifest.name)?;
                    let is_on = effective.enabled && effective.mode != Mode::Off;
                    is_on.then(|| Active::new(script.clone(), effective))
                })
                .collect()
        };
        let (timezone, locale) = (config.bot.timezone, config.bot.locale.as_str());
        let default = Arc::new(Plan::new(
            timezone,
            locale,
            bundle.clone(),
            keywords.clone(),
            active(None),
            config,
            None,
        ));
        let by_key = config
            .communities
            .iter()
            .map(|community| {
                let plan = Plan::new(
                    community.timezone.unwrap_or(timezone),
                    community.locale.as_deref().unwrap_or(locale),
                    bundle.clone(),
                    keywords.clone(),
                    active(Some(&community.id)),
                    config,
                    Some(&community.id),
                );
                (configured_key(&community.id), Arc::new(plan))
            })
            .collect();
        Self { default, by_key }
    }

    /// Every plan with its key; that of groups which are not listed has an empty one.
    pub fn plans(&self) -> impl Iterator<Item = (&str, &Plan)> {
        let own = self.by_key.iter().map(|(key, plan)| (key.as_str(), &**plan));
        own.chain(std::iter::once(("", &*self.default)))
    }

    /// The plan of a community by its key.
    pub fn plan(&self, key: &str) -> Arc<Plan> {
        self.by_key.get(key).unwrap_or(&self.default).clone()
    }
}

/// The key of a community that config.toml names; a group's own community has its reference.
pub fn configured_key(id: &str) -> String {
    format!("={id}")
}

fn install(manifest: &Manifest, slots: &mut RangeFrom<Slot>) -> Arc<Installed> {
    let mut messages = Vec::new();
    for (id, handler) in manifest.handlers.iter().enumerate() {
        let matcher = match &handler.trigger {
            Trigger::Message => Some(Matcher::Every),
            Trigger::Keyword(_) => slots.next().map(Matcher::Keyword),
            Trigger::Words(list) => Some(Matcher::Words(list.clone())),
            // The lint has compiled it before.
            Trigger::Regex(pattern) => regex(pattern).ok().map(Matcher::Pattern),
            _ => None,
        };
        messages.extend(matcher.map(|matcher| (id as HandlerId, matcher)));
    }
    Arc::new(Installed { manifest: manifest.clone(), messages })
}
