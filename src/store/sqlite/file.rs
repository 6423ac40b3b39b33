//! The file of the database: who works on it, and who may read it.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

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
