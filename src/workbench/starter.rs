//! The folder that `init` writes: a bot that runs at once and can be changed from there.
//!
//! Its files are those of this repository, built into the program, so that what `init` writes is
//! what our own tests ran. A file that is added to scripts/ or rules/ is added to the list too;
//! a test compares the list with the folders.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Files by their path in the repository, which is also their path in the starter folder.
macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[
            ("README.md", include_str!("starter.md")),
            $(($path, include_str!(concat!("../../", $path)))),*
        ]
    };
}

/// Path and text of every file of the starter folder.
pub static STARTER: &[(&str, &str)] = shipped![
    "config.toml",
    "config.schema.json",
    "scripts/activity.chat",
    "scripts/activity.rhai",
    "scripts/api.d.rhai",
    "scripts/checkin.chat",
    "scripts/checkin.rhai",
    "scripts/checkin_new_york.chat",
    "scripts/daily_news.chat",
    "scripts/daily_news.rhai",
    "scripts/daily_news_auto.chat",
    "scripts/daily_news_settings.chat",
    "scripts/deliveries.chat",
    "scripts/deliveries.rhai",
    "scripts/english.chat",
    "scripts/feeds/sample.xml",
    "scripts/help.chat",
    "scripts/help.rhai",
    "scripts/help_some.chat",
    "scripts/points.chat",
    "scripts/points.rhai",
    "scripts/points_expiry.chat",
    "scripts/privacy.chat",
    "scripts/privacy.rhai",
    "scripts/red_packet.chat",
    "scripts/red_packet.rhai",
    "scripts/red_packet_delay.chat",
    "scripts/red_packet_settings.chat",
    "scripts/routines.chat",
    "scripts/routines.rhai",
    "scripts/rules.chat",
    "scripts/rules.rhai",
    "scripts/rules_no_welcome.chat",
    "scripts/seed_users.chat",
    "scripts/seed_users.rhai",
    "scripts/seed_users_english.chat",
    "scripts/seed_users_month.chat",
    "scripts/words/ads.txt",
    "rules/no-ads.chat",
    "rules/no-ads.rhai",
    "rules/no-ads_shadow.chat",
];

/// Writes the starter folder; gives the files in order.
///
/// # Errors
/// There is nothing to write, one of the files is there already (then nothing is written), or
/// the disk says no.
pub fn write(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<Vec<PathBuf>> {
    anyhow::ensure!(!files.is_empty(), "this program was built without a starter folder");
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

    #[test]
    fn nothing_to_write_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = write(folder.path(), &[]).expect_err("nothing").to_string();
        assert!(error.contains("without a starter folder"), "{error}");
    }

    /// What is shipped: what git has, because somebody who tries rules in this folder has files
    /// of her own there; without git, everything.
    fn in_the_folders() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let git = std::process::Command::new("git")
            .args(["ls-files", "-z", "scripts", "rules"])
            .current_dir(root)
            .output();
        if let Ok(listed) = git
            && listed.status.success()
            && !listed.stdout.is_empty()
        {
            let names = String::from_utf8_lossy(&listed.stdout).into_owned();
            return names.split_terminator('\0').map(str::to_owned).collect();
        }
        let mut names = Vec::new();
        for folder in ["scripts", "scripts/feeds", "scripts/words", "rules"] {
            for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy();
                if path.is_file() {
                    names.push(format!("{folder}/{name}"));
                }
            }
        }
        names
    }

    #[test]
    fn it_holds_every_file_of_the_shipped_folders() {
        let mut missing = in_the_folders();
        missing.retain(|name| !STARTER.iter().any(|(listed, _)| listed == name));
        assert!(missing.is_empty(), "add to STARTER in starter.rs: {missing:?}");
    }
}
