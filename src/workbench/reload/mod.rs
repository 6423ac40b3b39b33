//! Save → compile aside → lint → play the transcript beside it → swap in one step.
//!
//! A [`Reloader`] reads everything anew, tries it away from the running bot, and puts in force
//! what has proved itself; whatever failed keeps its old version, and the answer says where and
//! why.

mod outcome;
mod read;
mod trial;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::workspace::{Workspace, beside};
use crate::bot::Bot;
use crate::config::{Config, changes, live};
use crate::id::ScriptName;
use crate::moderation::WordLists;
use crate::script::lint;
use crate::script::load::{InForce, Prepared};
use crate::script::protocol::{Manifest, ScriptHost};

pub use outcome::Reloaded;

use read::{Digests, Fresh};
use trial::Trial;

/// Longest play of one transcript.
pub const TRIAL_LIMIT: Duration = Duration::from_secs(10);

/// Reads a folder anew, again and again.
pub struct Reloader {
    /// config.toml.
    path: PathBuf,
    limit: Duration,
    /// One reload at a time; what the last one read.
    last: Mutex<Last>,
}

/// What was read last.
struct Last {
    /// As it was written, with keys that wait for a restart.
    config: Arc<Config>,
    /// Digests of transcripts, by path.
    transcripts: Digests,
    /// Likewise of word lists.
    lists: Digests,
}

impl Reloader {
    /// A reloader beside a bot that was just started with this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        let (transcripts, lists) = (read::transcripts(&config), read::lists(&config));
        let path = config.path.clone();
        let last = Mutex::new(Last { config, transcripts, lists });
        Self { path, limit: TRIAL_LIMIT, last }
    }

    /// With another limit for the play of one transcript.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reads everything, tries it, puts in force what is good. May be dropped at any point: before
    /// the swap nothing has changed, and the swap is one step.
    pub async fn reload(&self, bot: &Bot) -> Reloaded {
        let mut last = self.last.lock().await;
        let fresh = match self.read(bot).await {
            Ok(fresh) => fresh,
            Err(problem) => return Reloaded::refused(vec![format!("{problem:#}")]),
        };
        let old = bot.scripts_in_force().await;
        let Fresh { config, sources, mut problems, words, transcripts, lists } = fresh;
        let mut prepared = bot.try_out(read::with_unreadable(&old, sources, &mut problems)).await;
        let concerned = concerned(&prepared, &last.transcripts, &transcripts);
        let host = bot.script_host().await;
        self.prove(host, &bot.config(), &config, &old, &mut prepared, concerned).await;
        last.transcripts = transcripts;
        problems.extend(prepared.problems.iter().map(ToString::to_string));
        problems.extend(words.iter().flat_map(|words| unknown_lists(&config, &prepared, words)));
        let words = words.filter(|_| lists != last.lists);
        let has_words = words.is_some();
        match bot.put_in_force(&config, prepared, words).await {
            Ok(scripts) => {
                let changes = changes(&last.config, &config);
                last.config = config;
                if has_words {
                    last.lists = lists;
                }
                Reloaded { changes, scripts, has_words, problems, is_refused: false }
            }
            Err(error) => {
                problems.push(format!("{error:#}"));
                Reloaded::refused(problems)
            }
        }
    }

    async fn read(&self, bot: &Bot) -> anyhow::Result<Fresh> {
        let (path, running) = (self.path.clone(), bot.config());
        let read = tokio::task::spawn_blocking(move || read::everything(&path, &running));
        read.await?
    }

    /// Plays the transcripts of the scripts concerned; those that fail keep their old version. What
    /// is taken back changes the company of the others, so that they are played again.
    async fn prove(
        &self,
        host: Arc<dyn ScriptHost>,
        running: &Config,
        config: &Config,
        old: &InForce,
        prepared: &mut Prepared,
        mut concerned: Vec<ScriptName>,
    ) {
        let config = Arc::new(live(running, config));
        while !concerned.is_empty() {
            let trial = Trial {
                workspace: Workspace {
                    config: config.clone(),
                    sources: prepared.in_force.values().map(|(source, _)| source.clone()).collect(),
                    problems: Vec::new(),
                },
                scripts: concerned.clone(),
                limit: self.limit,
                host: host.clone(),
            };
            let failures = trial.play().await;
            let before = prepared.changed.len();
            for (name, problem) in failures {
                concerned.retain(|other| *other != name);
                prepared.take_back(old, &name, problem);
            }
            if prepared.changed.len() == before {
                return;
            }
        }
    }
}

/// Word lists that are not there; with settings that are wrong nothing is put in force anyway.
fn unknown_lists(config: &Config, prepared: &Prepared, words: &WordLists) -> Vec<String> {
    let manifests: Vec<Manifest> =
        prepared.in_force.values().map(|(_, manifest)| manifest.clone()).collect();
    let resolved = crate::config::resolve(config, &manifests).ok();
    let problems = resolved.map(|resolved| lint::unknown_lists(&manifests, &resolved, words));
    problems.into_iter().flatten().map(|problem| problem.to_string()).collect()
}

/// Scripts that are new or changed, or whose transcript is.
fn concerned(prepared: &Prepared, old: &Digests, new: &Digests) -> Vec<ScriptName> {
    let differs = |path: &Path| new.contains_key(path) && new.get(path) != old.get(path);
    prepared
        .in_force
        .iter()
        .filter(|(name, (source, _))| {
            let path = beside(source);
            new.contains_key(&path) && (prepared.changed.contains(name) || differs(&path))
        })
        .map(|(name, _)| name.clone())
        .collect()
}
