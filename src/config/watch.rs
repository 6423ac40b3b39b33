//! Tells that config.toml or a script was changed on disk; what changed is for the reader to see.
//!
//! Folders are watched, not files, so that an editor's save by renaming is seen too. Whatever does
//! not lie at or below a given path (the data folder, above all) is not heard.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Quiet time after the last change before it is told.
const QUIET: Duration = Duration::from_millis(200);
/// A folder that never is quiet is told of after this long.
const LONGEST: Duration = Duration::from_secs(2);
/// How often to look where the system cannot tell.
const POLL: Duration = Duration::from_secs(2);

/// Watching ends when this is dropped.
#[derive(Debug)]
pub struct WatchGuard(tokio::task::JoinHandle<()>);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Watches files and folders; a signal comes 200 ms after the last of a burst of changes. Must be
/// called in a Tokio runtime. Paths need not exist yet, but the folders that hold them must.
///
/// # Errors
/// A folder that cannot be watched in either way.
pub fn watch(paths: Vec<PathBuf>) -> anyhow::Result<(mpsc::Receiver<()>, WatchGuard)> {
    let paths: Vec<PathBuf> =
        paths.iter().map(|path| rooted(path)).collect::<anyhow::Result<_>>()?;
    let (told, events) = mpsc::unbounded_channel();
    let watcher = watcher(&paths, &told)?;
    let (signal, receiver) = mpsc::channel(1);
    let task = tokio::spawn(debounce(watcher, paths, events, signal));
    Ok((receiver, WatchGuard(task)))
}

/// The path as the system reports it: absolute, with the links of its folder followed.
fn rooted(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
    let folder = folder.canonicalize().with_context(|| format!("watch `{}`", folder.display()))?;
    Ok(folder.join(name))
}

type Told = mpsc::UnboundedSender<()>;

/// The system's own watcher; where it has none to give (no inotify watches left, a network
/// folder), one that looks again and again.
fn watcher(paths: &[PathBuf], told: &Told) -> anyhow::Result<Box<dyn Watcher + Send>> {
    let native = RecommendedWatcher::new(hear(paths, told), Config::default());
    let native = native.and_then(|mut watcher| {
        cover(&mut watcher, paths)?;
        Ok(watcher)
    });
    match native {
        Ok(watcher) => Ok(Box::new(watcher)),
        Err(error) => {
            tracing::warn!(%error, "cannot watch files, looking every {} s instead", POLL.as_secs());
            let config = Config::default().with_poll_interval(POLL);
            let mut watcher = PollWatcher::new(hear(paths, told), config)?;
            cover(&mut watcher, paths).context("watch the configuration and the scripts")?;
            Ok(Box::new(watcher))
        }
    }
}

/// Watches the folder that holds each path, and each path that is a folder, to its depth.
/// Doing so again takes up folders that were made or replaced meanwhile.
fn cover(watcher: &mut dyn Watcher, paths: &[PathBuf]) -> notify::Result<()> {
    for path in paths {
        if let Some(folder) = path.parent() {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        if path.is_dir() {
            watcher.watch(path, RecursiveMode::Recursive)?;
        }
    }
    Ok(())
}

fn hear(
    paths: &[PathBuf],
    told: &Told,
) -> impl FnMut(notify::Result<Event>) + Send + 'static + use<> {
    let (paths, told) = (paths.to_vec(), told.clone());
    move |event| {
        // An error is a queue that overflowed: something changed, nobody knows what.
        let matters = event.as_ref().map_or(true, |event| {
            let is_read = matches!(event.kind, EventKind::Access(_));
            !is_read && event.paths.iter().any(|path| concerns(&paths, path))
        });
        if matters {
            let _ = told.send(());
        }
    }
}

/// Whether a path is one of ours and not an editor's scratch file.
fn concerns(paths: &[PathBuf], changed: &Path) -> bool {
    let Some(root) = paths.iter().find(|path| changed.starts_with(path)) else { return false };
    let below = changed.strip_prefix(root).unwrap_or(changed);
    !below.iter().filter_map(|part| part.to_str()).any(is_scratch)
}

/// Swap, backup and probe files of vi, Emacs, JetBrains and others; hidden files in general.
fn is_scratch(name: &str) -> bool {
    let ends = ["~", ".swp", ".swx", ".swo", ".tmp", ".bak", ".orig"];
    name == "4913"
        || name.starts_with(['.', '#'])
        || name.starts_with("___jb_")
        || ends.iter().any(|end| name.ends_with(end))
}

async fn debounce(
    mut watcher: Box<dyn Watcher + Send>,
    paths: Vec<PathBuf>,
    mut events: mpsc::UnboundedReceiver<()>,
    signal: mpsc::Sender<()>,
) {
    while events.recv().await.is_some() {
        let last = Instant::now() + LONGEST;
        // Each further event renews the wait; an error of `timeout_at` is the quiet waited for.
        while let Ok(Some(())) = timeout_at(last.min(Instant::now() + QUIET), events.recv()).await {
            if Instant::now() >= last {
                break;
            }
        }
        if let Err(error) = cover(watcher.as_mut(), &paths) {
            tracing::warn!(%error, "a folder cannot be watched any more");
        }
        // A full channel already says what this signal would.
        if let Err(mpsc::error::TrySendError::Closed(())) = signal.try_send(()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(receiver: &mut mpsc::Receiver<()>) {
        tokio::time::timeout(Duration::from_secs(10), receiver.recv())
            .await
            .expect("a change must be told")
            .expect("the watcher lives");
    }

    #[tokio::test]
    async fn tells_of_saved_files_and_of_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(at("config.toml"), "").unwrap();
        for folder in ["scripts", "data"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        let watched = vec![at("config.toml"), at("scripts"), at("rules")];
        let (mut receiver, _guard) = watch(watched).unwrap();

        std::fs::write(at("config.toml"), "[bot]").unwrap();
        heard(&mut receiver).await;

        // An editor that saves by renaming.
        std::fs::write(at("config.toml.tmp"), "[bot] # 2").unwrap();
        std::fs::rename(at("config.toml.tmp"), at("config.toml")).unwrap();
        heard(&mut receiver).await;

        std::fs::write(at("scripts/points.chat"), "阿明: 积分").unwrap();
        heard(&mut receiver).await;

        // A folder that did not exist at the start.
        std::fs::create_dir(at("rules")).unwrap();
        heard(&mut receiver).await;
        std::fs::write(at("rules/no-ads.rhai"), "").unwrap();
        heard(&mut receiver).await;

        // Noise, then one change: had the noise counted, a second signal would wait.
        for noise in ["data/qundao.db", "scripts/.points.rhai.swp", "scripts/points.rhai~", "x"] {
            std::fs::write(at(noise), "noise").unwrap();
        }
        let nothing = tokio::time::timeout(QUIET * 3, receiver.recv()).await;
        assert!(nothing.is_err(), "scratch files and the data folder are not ours");
    }

    #[test]
    fn knows_scratch_files() {
        for name in [".a.rhai.swp", "a.rhai~", "#a.rhai#", ".#a.rhai", "4913", "a.rhai.bak"] {
            assert!(is_scratch(name), "{name}");
        }
        for name in ["a.rhai", "a.chat", "no-ads.rhai", "config.toml"] {
            assert!(!is_scratch(name), "{name}");
        }
    }
}
