//! What stands on the disk now, with the doubts that a file being written calls for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::{Config, live};
use crate::moderation::WordLists;
use crate::script::load::{self, InForce};
use crate::script::protocol::{ScriptError, Source};
use crate::workbench::workspace::{WORDS, words};

/// What files say, in short, by path.
pub type Digests = BTreeMap<PathBuf, [u8; 32]>;

/// Everything that was read.
pub struct Fresh {
    /// config.toml as it is written.
    pub config: Arc<Config>,
    /// Scripts that could be read, and what could not.
    pub sources: (Vec<Source>, Vec<ScriptError>),
    /// Everything else that is wrong.
    pub problems: Vec<String>,
    /// Word lists; `None` where one of them is wrong.
    pub words: Option<WordLists>,
    /// Files of word lists.
    pub lists: Digests,
    /// Transcripts.
    pub transcripts: Digests,
}

/// Reads configuration, scripts, word lists and transcripts. The folders are those of the running
/// bot: to change them takes a restart.
///
/// # Errors
/// A configuration that cannot be used.
pub fn everything(path: &Path, running: &Config) -> anyhow::Result<Fresh> {
    let config = crate::config::load(path)?;
    anyhow::ensure!(
        !config.source.as_str().trim().is_empty(),
        "{}: this file is empty, as if it were half written; write at least one section",
        path.display()
    );
    let folders = live(running, &config);
    let sources = load::read(&folders.bot.scripts, &folders.bot.rules);
    let (found, wrong) = words(&folders);
    let problems: Vec<String> =
        wrong.iter().map(|problem| format!("{problem}; the old word lists stay in use")).collect();
    let words = problems.is_empty().then_some(found);
    let (lists, transcripts) = (lists(&folders), transcripts(&folders));
    Ok(Fresh { config: Arc::new(config), sources, problems, words, lists, transcripts })
}

/// Every transcript of both folders.
pub fn transcripts(config: &Config) -> Digests {
    let mut found = digests(&config.bot.scripts, "chat");
    found.extend(digests(&config.bot.rules, "chat"));
    found
}

/// Every word list.
pub fn lists(config: &Config) -> Digests {
    digests(&config.bot.scripts.join(WORDS), "txt")
}

fn digests(folder: &Path, ending: &str) -> Digests {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .filter_map(|path| {
            let digest = Sha256::digest(std::fs::read(&path).ok()?).into();
            Some((path, digest))
        })
        .collect()
}

/// The sources with the old version of every script whose file could not be read or is empty: it
/// was not deleted, so it is not gone.
pub fn with_unreadable(
    old: &InForce,
    read: (Vec<Source>, Vec<ScriptError>),
    problems: &mut Vec<String>,
) -> Vec<Source> {
    let (mut sources, unreadable) = read;
    sources.retain(|source| {
        let is_empty = source.text.trim().is_empty();
        if is_empty {
            let path = &source.path;
            let what = "this file is empty, as if it were half written; to take a script away \
                        delete its file";
            problems.push(format!("{path}: {what}"));
        }
        !is_empty
    });
    let has_path =
        |path: &str| unreadable.iter().any(|wrong| Path::new(path).starts_with(&wrong.path));
    for (kept, _) in old.values() {
        let is_there = sources.iter().any(|source| source.name == kept.name);
        if !is_there && (has_path(&kept.path) || Path::new(&kept.path).exists()) {
            sources.push(kept.clone());
        }
    }
    problems.extend(unreadable.iter().map(ToString::to_string));
    sources
}
