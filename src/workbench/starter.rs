//! The folder that `init` writes: a bot that runs at once and can be changed from there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Path and text of every file of the starter folder.
pub static STARTER: &[(&str, &str)] = &[];

/// Writes the starter folder; gives the files in order.
///
/// # Errors
/// One of the files is there already (then nothing is written), or the disk says no.
pub fn write(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    if let Some(there) = paths.iter().find(|path| path.exists()) {
        anyhow::bail!(
            "{} is there already and stays as it is; choose an empty folder",
            there.display()
        );
    }
    for (path, (_, text)) in paths.iter().zip(files) {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("make the folder {}", parent.display()))?;
        }
        std::fs::File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_once_and_overwrites_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [("config.toml", "[bot]\n"), ("rules/a.rhai", "//! a\n")];
        assert_eq!(write(folder.path(), &files).expect("written").len(), 2);
        std::fs::write(folder.path().join("config.toml"), "mine").expect("writable");
        let error = write(folder.path(), &files).expect_err("there already").to_string();
        assert!(error.contains("config.toml is there already"), "{error}");
        let kept = std::fs::read_to_string(folder.path().join("config.toml")).expect("there");
        assert_eq!(kept, "mine");
    }
}
