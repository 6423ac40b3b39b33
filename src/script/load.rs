//! Files → scripts in force: what is read, what is checked, and what stays when something is wrong.
//!
//! Watching files is not done here; whoever watches calls [`read`] and [`prepare`] again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::id::ScriptName;

use super::lint;
use super::protocol::{Manifest, ScriptError, Source};

/// Scripts in force, each with what it registered.
pub type InForce = BTreeMap<ScriptName, (Source, Manifest)>;

/// What a reload would put in force.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Every script that works, new or old.
    pub in_force: InForce,
    /// Everything that is wrong.
    pub problems: Vec<ScriptError>,
    /// Scripts that are new, changed or gone.
    pub changed: Vec<ScriptName>,
    /// Scripts that are there, do not work and have no older version.
    pub left_out: BTreeSet<ScriptName>,
}

/// Reads every script of the two folders, features first; a folder that does not exist is empty.
pub fn read(scripts: &Path, rules: &Path) -> (Vec<Source>, Vec<ScriptError>) {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for (folder, is_rule) in [(scripts, false), (rules, true)] {
        for name in files(folder, &mut problems) {
            match read_one(folder, &name, is_rule) {
                Ok(source) => sources.push(source),
                Err(problem) => problems.push(problem),
            }
        }
    }
    same_name(&mut sources, &mut problems);
    (sources, problems)
}

/// Names of a folder's scripts, sorted.
fn files(folder: &Path, problems: &mut Vec<ScriptError>) -> Vec<String> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.push(problem(folder, format!("this folder cannot be read: {error}")));
            return Vec::new();
        }
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".rhai") && !name.ends_with(".d.rhai")).collect();
    names.sort();
    names
}

fn read_one(folder: &Path, file: &str, is_rule: bool) -> Result<Source, ScriptError> {
    let path = folder.join(file);
    let name = file.trim_end_matches(".rhai");
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(legal) {
        return Err(problem(
            &path,
            "a script's file name has lower-case Latin letters, digits, `-` and `_` only, because config.toml names it: rename the file".into(),
        ));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| problem(&path, format!("this file cannot be read: {error}")))?;
    Ok(source(name, &path.to_string_lossy(), is_rule, &text))
}

/// A source with its revision.
pub fn source(name: &str, path: &str, is_rule: bool, text: &str) -> Source {
    let digest = Sha256::digest(text.as_bytes());
    let revision = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Source {
        name: ScriptName::new(name),
        path: path.to_owned(),
        is_rule,
        text: Arc::from(text),
        revision,
    }
}

/// State and timers belong to a script's name, so a rule and a feature cannot share one.
fn same_name(sources: &mut Vec<Source>, problems: &mut Vec<ScriptError>) {
    let mut seen: BTreeMap<ScriptName, String> = BTreeMap::new();
    sources.retain(|source| {
        let Some(first) = seen.get(&source.name) else {
            seen.insert(source.name.clone(), source.path.clone());
            return true;
        };
        let message =
            format!("{first} has the same name, and state belongs to the name: rename one");
        problems.push(problem(Path::new(&source.path), message));
        false
    });
}

/// Checks what is new and keeps what works: a script that fails stays at its old version, or is
/// left out if it never worked.
pub fn prepare(
    check: &dyn Fn(&Source) -> Result<Manifest, Vec<ScriptError>>,
    old: &InForce,
    sources: Vec<Source>,
) -> Prepared {
    let mut prepared = Prepared::default();
    for source in sources {
        let name = source.name.clone();
        prepared.left_out.insert(name.clone());
        let kept = old.get(&name);
        if let Some((old_source, manifest)) = kept
            && old_source.text == source.text
            && old_source.is_rule == source.is_rule
        {
            prepared.in_force.insert(name, (source, manifest.clone()));
            continue;
        }
        match check(&source) {
            Ok(manifest) => {
                prepared.in_force.insert(name, (source, manifest));
            }
            Err(problems) => {
                prepared.problems.extend(problems.into_iter().map(|mut problem| {
                    problem.message.push_str(fate(kept.is_some()));
                    problem
                }));
                prepared.in_force.extend(kept.cloned().map(|kept| (name, kept)));
            }
        }
    }
    prepared.settle(old);
    prepared
}

impl Prepared {
    /// Keeps the old version of a script after all, or leaves it out where there is none.
    pub fn take_back(&mut self, old: &InForce, name: &ScriptName, mut problem: ScriptError) {
        let kept = old.get(name);
        // Below the sentence stands a picture.
        let end = problem.message.find('\n').unwrap_or(problem.message.len());
        problem.message.insert_str(end, fate(kept.is_some()));
        self.problems.push(problem);
        self.left_out.insert(name.clone());
        match kept {
            Some(kept) => self.in_force.insert(name.clone(), kept.clone()),
            None => self.in_force.remove(name),
        };
        self.settle(old);
    }

    fn settle(&mut self, old: &InForce) {
        settle_clashes(self, old);
        self.left_out.retain(|name| !self.in_force.contains_key(name));
        self.changed = changed(old, &self.in_force);
    }
}

/// What becomes of a script that failed.
fn fate(has_old: bool) -> &'static str {
    if has_old {
        "; the old version stays in use"
    } else {
        "; the script is left out until it is mended"
    }
}

/// Two scripts that want one verb: whoever had it keeps it, else the first by name.
fn settle_clashes(prepared: &mut Prepared, old: &InForce) {
    loop {
        let clash = clash_order(&prepared.in_force, old);
        let Some(mut problem) = lint::clashes(&clash).into_iter().next() else { return };
        let Some(loser) = clash.iter().find(|manifest| manifest.path == problem.path) else {
            return;
        };
        let kept = old.get(&loser.name).filter(|(_, manifest)| manifest.revision != loser.revision);
        problem.message.push_str(fate(kept.is_some()));
        prepared.problems.push(problem);
        // Every round takes one version away, so this ends.
        prepared.left_out.insert(loser.name.clone());
        match kept {
            Some(kept) => prepared.in_force.insert(loser.name.clone(), kept.clone()),
            None => prepared.in_force.remove(&loser.name),
        };
    }
}

/// Manifests with those first that are in force already and unchanged.
fn clash_order(in_force: &InForce, old: &InForce) -> Vec<Manifest> {
    let mut manifests: Vec<Manifest> =
        in_force.values().map(|(_, manifest)| manifest.clone()).collect();
    manifests.sort_by_key(|manifest| {
        old.get(&manifest.name).is_none_or(|(_, kept)| kept.revision != manifest.revision)
    });
    manifests
}

fn changed(old: &InForce, new: &InForce) -> Vec<ScriptName> {
    let differs = |name: &ScriptName| match (old.get(name), new.get(name)) {
        (Some((old, _)), Some((new, _))) => old.text != new.text || old.is_rule != new.is_rule,
        _ => true,
    };
    let mut names: Vec<ScriptName> =
        old.keys().chain(new.keys()).filter(|name| differs(name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

fn problem(path: &Path, message: String) -> ScriptError {
    ScriptError {
        path: path.to_string_lossy().into_owned(),
        line: 0,
        column: 0,
        message,
        limit: None,
    }
}
