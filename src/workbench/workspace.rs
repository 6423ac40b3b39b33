//! What a manager's folder holds: configuration, scripts, word lists; and the bot of a transcript.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::transcript::CaseSetup;
use crate::bot::{Parts, secret_from};
use crate::config::Config;
use crate::moderation::{WordLists, WordProblem};
use crate::news::Sources;
use crate::script::InlineHost;
use crate::script::protocol::{ScriptHost, Source};

/// Folder of word lists, beside the features that use them.
pub const WORDS: &str = "words";

/// A configuration with the scripts of its folders.
pub struct Workspace {
    /// The configuration.
    pub config: Arc<Config>,
    /// Every script of both folders.
    pub sources: Vec<Source>,
    /// Files that could not be read as scripts or word lists.
    pub problems: Vec<String>,
}

/// The word lists, and what is wrong with them.
pub fn words(config: &Config) -> (WordLists, Vec<WordProblem>) {
    WordLists::load(&config.bot.scripts.join(WORDS))
}

/// The folder of config.toml, below which feeds may be files.
pub fn folder(config: &Config) -> PathBuf {
    config.path.parent().unwrap_or(Path::new("")).to_owned()
}

/// The transcript that stands beside a script: `points.chat` beside `points.rhai`.
pub fn beside(source: &Source) -> std::path::PathBuf {
    Path::new(&source.path).with_extension("chat")
}

/// The parts of a bot that plays a transcript.
///
/// # Errors
/// The system gives no thread.
pub fn parts_of_case(workspace: &Workspace, setup: &CaseSetup<'_>) -> anyhow::Result<Parts> {
    let limits = setup.config(&workspace.config).limits.script;
    let host = InlineHost::new(limits).context("start a script thread")?;
    Ok(parts_on(workspace, setup, Arc::new(host)))
}

/// The same on a script host that is there already.
pub fn parts_on(workspace: &Workspace, setup: &CaseSetup<'_>, host: Arc<dyn ScriptHost>) -> Parts {
    let sources: Vec<Source> =
        workspace.sources.iter().filter(|source| setup.picks(source)).cloned().collect();
    let mut config = setup.config(&workspace.config);
    setup.apply_settings(&mut config, &sources);
    Parts {
        host,
        words: words(&config).0,
        config: Arc::new(config),
        clock: setup.clock.clone(),
        secret: secret_from(setup.front.seed),
        store: setup.store.clone(),
        sources,
        feeds: Arc::new(Sources::files(folder(&workspace.config))),
        adapters: vec![setup.console.clone()],
    }
}
