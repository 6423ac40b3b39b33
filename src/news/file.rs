//! Feeds that are files of the bot's own folder, for machines without a network and for tests.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::fetch::{FEED_MAX, Failure, Fetched, Known, Payload};

/// Reads a file below a folder; links that lead out of it lead nowhere.
pub(super) async fn read(folder: &Path, path: &str, known: &Known) -> Result<Fetched, Failure> {
    let (folder, path, known) = (folder.to_owned(), path.to_owned(), known.clone());
    let task = tokio::task::spawn_blocking(move || read_now(&folder, &path, &known));
    task.await.unwrap_or_else(|error| Err(Failure::new(format!("reading it ended: {error}"))))
}

fn read_now(folder: &Path, path: &str, known: &Known) -> Result<Fetched, Failure> {
    let real = locate(folder, path)?;
    let failed = |error: std::io::Error| Failure::new(format!("cannot be read: {error}"));
    let file = std::fs::File::open(real).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Failure::new("is no file"));
    }
    let changed = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let etag = changed.map(|at| format!("{}-{}", found.len(), at.as_nanos()));
    if etag.is_some() && etag == known.etag {
        return Ok(Fetched::NotModified);
    }
    let mut bytes = Vec::new();
    let most = FEED_MAX as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > FEED_MAX {
        return Err(Failure::new(format!("is larger than {} MiB", FEED_MAX >> 20)));
    }
    let known = Known { etag, modified: None };
    Ok(Fetched::Feed(Payload { bytes, charset: None, known }))
}

/// The file itself, once every link has been followed.
fn locate(folder: &Path, path: &str) -> Result<PathBuf, Failure> {
    let outside = || Failure::new("is outside the folder of config.toml");
    // `//server/share` and `C:\` would not start at our folder.
    let relative = path.trim_start_matches("./");
    if relative.is_empty() || relative.starts_with(['/', '\\']) || relative.contains(':') {
        return Err(outside());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new("is not there"),
        _ => Failure::new(format!("cannot be found: {error}")),
    };
    let folder = folder.canonicalize().map_err(missing)?;
    let real = folder.join(relative).canonicalize().map_err(missing)?;
    if real.starts_with(&folder) { Ok(real) } else { Err(outside()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_its_folder() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = outer.path().join("bot");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(outer.path().join("secret.xml"), "<rss/>").expect("a file");
        std::fs::write(folder.join("own.xml"), "<rss/>").expect("a file");
        assert!(locate(&folder, "own.xml").is_ok());
        assert!(locate(&folder, "./own.xml").is_ok());
        for path in ["../secret.xml", "/etc/passwd", "//etc/passwd", "", "a/../../secret.xml"] {
            assert!(locate(&folder, path).is_err(), "{path}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outer.path().join("secret.xml"), folder.join("link.xml"))
                .expect("a link");
            let error = locate(&folder, "link.xml").expect_err("a link that leads out");
            assert!(error.reason.contains("outside"), "{error}");
        }
    }

    #[test]
    fn says_when_nothing_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.xml"), "<rss/>").expect("a file");
        let first = read_now(folder.path(), "a.xml", &Known::default()).expect("read");
        let Fetched::Feed(first) = first else { panic!("the first time it is new") };
        let again = read_now(folder.path(), "a.xml", &first.known).expect("read");
        assert_eq!(again, Fetched::NotModified);
    }
}
