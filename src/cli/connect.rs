//! What the commands need of other parts, in one place: configuration, scripts, host, store.

use std::path::Path;
use std::sync::Arc;

use crate::bot::Parts;
use crate::config::Config;
use crate::script::protocol::{Manifest, ScriptError, ScriptHost, ScriptLimits, Source};
use crate::workbench::doctor::{Check, Health};
use crate::workbench::transcript::CaseSetup;

/// A configuration with the scripts of its folders.
pub struct Workspace {
    /// The configuration.
    pub config: Arc<Config>,
    /// Every script of both folders.
    pub sources: Vec<Source>,
}

/// Reads the configuration; the error is every problem, as a picture.
pub fn load_config(path: &Path, _color: bool) -> Result<Config, String> {
    Err(format!("{}: the loader of configurations is not connected yet", path.display()))
}

/// Reads the scripts of both folders.
pub fn load_sources(_config: &Config) -> anyhow::Result<Vec<Source>> {
    anyhow::bail!("the loader of scripts is not connected yet")
}

/// Reads both; the error is every problem, ready to print.
pub fn load(path: &Path, color: bool) -> Result<Workspace, String> {
    let config = load_config(path, color)?;
    let sources = load_sources(&config).map_err(|error| format!("{error:#}"))?;
    Ok(Workspace { config: Arc::new(config), sources })
}

/// A host that runs scripts in this process.
pub fn script_host(_limits: &ScriptLimits) -> anyhow::Result<Arc<dyn ScriptHost>> {
    anyhow::bail!("the script host is not connected yet")
}

/// Compiles every script; manifests of the good, mistakes of the others.
pub fn compile(
    config: &Config,
    sources: &[Source],
) -> anyhow::Result<(Vec<Manifest>, Vec<ScriptError>)> {
    let host = script_host(&config.limits.script)?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for source in sources {
        match host.check(source) {
            Ok(manifest) => good.push(manifest),
            Err(errors) => bad.extend(errors),
        }
    }
    Ok((good, bad))
}

/// Settings of the configuration that no script declares, as pictures.
pub fn check_settings(_config: &Config, _manifests: &[Manifest], _color: bool) -> Vec<String> {
    Vec::new()
}

/// Shows mistakes in scripts with the lines they stand in.
pub fn picture(errors: &[ScriptError], _sources: &[Source], _color: bool) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

/// The parts of a bot that plays a transcript.
pub fn parts_of_case(workspace: &Workspace, setup: &CaseSetup<'_>) -> anyhow::Result<Parts> {
    let sources: Vec<Source> =
        workspace.sources.iter().filter(|source| setup.picks(source)).cloned().collect();
    let mut config = setup.config(&workspace.config);
    setup.apply_settings(&mut config, &sources);
    Ok(Parts {
        host: script_host(&config.limits.script)?,
        config: Arc::new(config),
        clock: setup.clock.clone(),
        seed: setup.front.seed,
        sources,
        adapters: vec![setup.console.clone()],
    })
}

/// What `ledger verify` found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Verified {
    /// Ledgers looked at.
    pub ledgers: u64,
    /// Transfers looked at.
    pub transfers: u64,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// Checks every ledger of the store.
///
/// # Errors
/// The store cannot be opened.
pub async fn verify_ledger(_config: &Config) -> anyhow::Result<Verified> {
    anyhow::bail!("the store is not connected yet")
}

/// Opens the store beside a running bot and looks at it.
pub async fn check_store(_config: &Config) -> Vec<Check> {
    vec![Check::new("store", Health::Warning, "not looked at: the store is not connected yet")]
}

/// Tells of changed files: one message for each burst of changes; dropping the guard ends it.
pub fn watch(_config: &Config) -> anyhow::Result<(tokio::sync::mpsc::Receiver<()>, Box<dyn Send>)> {
    let (sender, changes) = tokio::sync::mpsc::channel(1);
    Ok((changes, Box::new(sender)))
}
