//! What the commands need of other parts, in one place: configuration, scripts, host, store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::clock::TimeMs;
use crate::config::{Config, WatchGuard};
use crate::id::CommunityId;
use crate::script::protocol::{Manifest, ScriptError, ScriptHost, ScriptLimits, Source};
use crate::script::{InlineHost, diagnostic, lint, load as scripts};
use crate::store::{Address, Store, StoreError, Verification};
use crate::workbench::doctor::{Check, Health, backlog, news};
pub use crate::workbench::workspace::{Workspace, parts_of_case, words};

/// Reads the configuration; the error is every problem, as a picture.
pub fn load_config(path: &Path, color: bool) -> Result<Config, String> {
    crate::config::load(path).map_err(|problems| {
        let source = std::fs::read_to_string(path).unwrap_or_default();
        crate::config::render(&problems, &source, color)
    })
}

/// Reads both; the error is every problem, ready to print.
pub fn load(path: &Path, color: bool) -> Result<Workspace, String> {
    let config = load_config(path, color)?;
    let (sources, wrong) = scripts::read(&config.bot.scripts, &config.bot.rules);
    let (_, wrong_words) = words(&config);
    let problems = wrong
        .iter()
        .map(ToString::to_string)
        .chain(wrong_words.iter().map(ToString::to_string))
        .collect();
    Ok(Workspace { config: Arc::new(config), sources, problems })
}

/// A host that runs scripts in a process of their own.
#[cfg(unix)]
pub async fn script_host(limits: &ScriptLimits) -> anyhow::Result<Arc<dyn ScriptHost>> {
    use crate::child::{ChildHost, Program};
    Ok(Arc::new(ChildHost::start(Program::own()?, limits.clone()).await?))
}

/// A host that runs scripts on threads of this process: the supervisor needs a Unix.
#[cfg(not(unix))]
pub async fn script_host(limits: &ScriptLimits) -> anyhow::Result<Arc<dyn ScriptHost>> {
    let host = crate::script::InProcessHost::new(limits.clone());
    Ok(Arc::new(host.context("start the script threads")?))
}

/// What the process that runs scripts cannot do, as a check; starts one to find out.
#[cfg(unix)]
pub async fn check_confinement(config: &Config) -> Check {
    use crate::child::{ChildHost, Program};
    let limits = config.limits.script.clone();
    let started = match Program::own() {
        Ok(own) => ChildHost::start(own, limits).await,
        Err(error) => Err(error),
    };
    let host = match started {
        Ok(host) => host,
        Err(error) => return Check::new("sandbox", Health::Problem, format!("{error:#}")),
    };
    let missing = host.figures().missing();
    if missing.is_empty() {
        let mib = config.limits.script.memory_mib;
        let found = format!(
            "scripts run in a process of their own: no files, no network, no other programs, \
             {mib} MiB"
        );
        return Check::new("sandbox", Health::Ok, found);
    }
    let missing = missing.join("; ");
    let found = format!(
        "scripts run in a process of their own, but it lacks {missing}; run only scripts of \
         people you trust"
    );
    Check::new("sandbox", Health::Warning, found)
}

/// The supervisor needs a Unix.
#[cfg(not(unix))]
pub async fn check_confinement(_: &Config) -> Check {
    let found = "this system has no process for scripts: run only scripts of people you trust";
    Check::new("sandbox", Health::Warning, found)
}

/// Compiles every script; manifests of the good, mistakes of the others.
pub fn compile(
    config: &Config,
    sources: &[Source],
) -> anyhow::Result<(Vec<Manifest>, Vec<ScriptError>)> {
    let host = InlineHost::new(config.limits.script.clone()).context("start a script thread")?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for source in sources {
        match host.check(source) {
            Ok(manifest) => good.push(manifest),
            Err(errors) => bad.extend(errors),
        }
    }
    bad.extend(lint::clashes(&good));
    // What is wrong with settings is told by `check_settings`.
    if let Ok(resolved) = crate::config::resolve(config, &good) {
        bad.extend(lint::unknown_lists(&good, &resolved, &words(config).0));
    }
    Ok((good, bad))
}

/// Settings of the configuration that no script declares, as pictures.
pub fn check_settings(config: &Config, manifests: &[Manifest], color: bool) -> Vec<String> {
    match crate::config::resolve(config, manifests) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            let source = std::fs::read_to_string(&config.path).unwrap_or_default();
            vec![crate::config::render(&problems, &source, color)]
        }
    }
}

/// Shows mistakes in scripts with the lines they stand in.
pub fn picture(errors: &[ScriptError], sources: &[Source], color: bool) -> String {
    errors
        .iter()
        .map(|error| match sources.iter().find(|source| source.path == error.path) {
            Some(source) => format!("{}\n", diagnostic::render(&source.text, error, color)),
            None => format!("{error}\n"),
        })
        .collect()
}

/// Opens the store that the configuration names.
///
/// # Errors
/// What the store says.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    address(config).open(lease_ms(config)).await
}

/// Where the configuration says that the data is.
pub fn address(config: &Config) -> Address {
    Address::read(config.store.url.reveal(), &config.bot.data)
}

/// How long a process that does not answer keeps the database.
pub fn lease_ms(config: &Config) -> u64 {
    config.store.lease_s.unsigned_abs() * 1000
}

/// Why a question may fail that the store of this version can answer.
pub const OLDER: &str = "the database may be of an older version: start the bot once, which brings it \
                         up to date";

/// Opens the store for questions alone, beside a bot that runs; `None` where there is none yet.
///
/// # Errors
/// What the store says.
pub async fn look_at_store(config: &Config) -> Result<Option<Arc<dyn Store>>, StoreError> {
    address(config).look().await
}

/// Opens the store to leave word in it, beside a bot that runs or without one; `None` where there is
/// none yet.
///
/// # Errors
/// What the store says.
pub async fn beside_store(config: &Config) -> Result<Option<Arc<dyn Store>>, StoreError> {
    address(config).beside().await
}

/// What each community is called: by its name in the configuration, else by its reference.
///
/// # Errors
/// What the store says.
pub async fn community_names(
    config: &Config,
    store: &dyn Store,
) -> Result<BTreeMap<CommunityId, String>, StoreError> {
    let name = |key: String| {
        let own = config.communities.iter().find(|own| key.strip_prefix('=') == Some(&own.id));
        own.map_or_else(|| key.clone(), |own| own.name.clone())
    };
    let rows = store.start().await?.communities;
    Ok(rows.into_iter().map(|row| (row.id, name(row.key))).collect())
}

/// Checks every ledger of the store.
///
/// # Errors
/// The store cannot be opened.
pub async fn verify_ledger(config: &Config) -> anyhow::Result<Verification> {
    let store = match open_store(config).await {
        // Beside a bot that runs, a look is enough.
        Err(StoreError::InUse(why)) => match look_at_store(config).await? {
            Some(store) => store,
            None => anyhow::bail!("{why}"),
        },
        opened => opened?,
    };
    let found = store.verify().await?;
    store.close().await;
    Ok(found)
}

/// Deliveries that went wrong are news for a week.
const REMEMBERED_MS: TimeMs = 7 * 24 * 3_600_000;

/// Opens the store and looks at it; a running bot is fine too, and said.
pub async fn check_store(config: &Config, now: TimeMs, feeds: &BTreeSet<String>) -> Vec<Check> {
    let store = match open_store(config).await {
        Ok(store) => store,
        Err(StoreError::InUse(why)) => {
            let found = format!("in use, so it was not looked at: {why}");
            return vec![Check::new("store", Health::Warning, found)];
        }
        Err(error) => return vec![Check::new("store", Health::Problem, error.to_string())],
    };
    let mut checks = match store.verify().await {
        Err(error) => vec![Check::new("store", Health::Problem, error.to_string())],
        Ok(found) if found.broken.is_empty() => {
            let found = format!(
                "file and ledger are sound: {} communities, {} transfers, {} packets",
                found.communities, found.transfers, found.packets
            );
            vec![Check::new("store", Health::Ok, found)]
        }
        Ok(found) => {
            let broken = found.broken.into_iter();
            broken.map(|what| Check::new("store", Health::Problem, what)).collect()
        }
    };
    checks.extend(match store.start().await {
        Ok(start) => start.backup_of.map(|_| {
            let found = "this is a backup; start it once with `qundao run --after-restore`";
            Check::new("store", Health::Problem, found)
        }),
        Err(error) => Some(Check::new("store", Health::Problem, error.to_string())),
    });
    checks.push(match store.verify_audit(None).await {
        Err(error) => Check::new("audit", Health::Problem, error.to_string()),
        Ok(found) => match found.broken {
            None => Check::new(
                "audit",
                Health::Ok,
                format!("the log of {} lines is whole", found.lines),
            ),
            Some(broken) => {
                let found = format!("line {} is not as it was: {}", broken.n, broken.what);
                Check::new("audit", Health::Problem, found)
            }
        },
    });
    checks.extend(match store.health(now - REMEMBERED_MS).await {
        Ok(found) => backlog(&found, now),
        Err(error) => vec![Check::new("store", Health::Problem, error.to_string())],
    });
    checks.extend(match store.news().await {
        Ok(found) => news(&found.sources, feeds, now),
        Err(error) => vec![Check::new("news", Health::Problem, error.to_string())],
    });
    store.close().await;
    checks
}

/// Tells of changed files: one message for each burst of changes; dropping the guard ends it.
pub fn watch(config: &Config) -> anyhow::Result<(tokio::sync::mpsc::Receiver<()>, WatchGuard)> {
    let paths = vec![config.path.clone(), config.bot.scripts.clone(), config.bot.rules.clone()];
    crate::config::watch(paths).context("watch config.toml and the folders of scripts")
}
