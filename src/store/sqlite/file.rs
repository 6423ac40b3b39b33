//! The database as a file among others: where it lies, who may read it, who works on it, and how much
//! room there is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// The file whose lock says who works on the database.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let beside: PathBuf = path.with_extension("lock");
    let failed = |error: std::io::Error| {
        StoreError::Io(format!("open the lock file `{}`: {error}", beside.display()))
    };
    let file =
        File::options().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(format!(
            "another qundao is running on `{}`; stop it first, or give this one its own `[bot] \
             data` folder",
            path.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Only the owner may read what members wrote.
pub(super) fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        if let Err(error) = std::fs::set_permissions(path, mode) {
            tracing::warn!(path = %path.display(), %error, "cannot restrict the database file");
        }
    }
}

/// Bytes that are free in a folder.
#[cfg(unix)]
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    #[allow(clippy::unnecessary_cast)] // the width of these fields differs between systems
    let bytes = (found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64);
    Some(bytes)
}

/// Unknown here.
#[cfg(not(unix))]
pub(super) fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// What a file's header says of its log: 2 is one beside it, which every database that was worked on
/// has (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const LOG_BESIDE: u8 = 2;

/// A backup has no log. One that lies beside it belongs to the database that was there before, and
/// SQLite would write it over the backup.
pub(super) fn refuse_foreign_log(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    if read.is_err() || !has_log || header[18] == LOG_BESIDE {
        return Ok(());
    }
    Err(StoreError::Data(format!(
        "`{}` was put over a database whose log is still there; remove `{}` and the file beside it \
         that ends in `-shm`",
        path.display(),
        Path::new(&log).display()
    )))
}
