//! `qundao backup FILE`: a copy of the database that can be relied on, also while the bot runs.

use std::path::Path;

use anyhow::Context as _;

use super::{Args, End, complain, connect, runtime, say};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::store::{Store as _, Verification};

/// Copies, and reads the copy as a restore would.
pub fn run(args: &Args, file: &Path) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let copied = runtime().and_then(|runtime| runtime.block_on(copy(&config, file)));
    let (bytes, found) = match copied {
        Ok(found) => found,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    };
    if args.json {
        let answer = serde_json::json!({ "file": file, "bytes": bytes, "found": found });
        say(&format!("{answer}\n"));
    } else {
        let problems: String = found.broken.iter().map(|what| format!("✗ {what}\n")).collect();
        let mark = if found.broken.is_empty() { "✓" } else { "✗" };
        say(&format!(
            "{problems}{mark} {}: {bytes} bytes, {} communities, {} transfers, {} packets, {} problems\n",
            file.display(),
            found.communities,
            found.transfers,
            found.packets,
            found.broken.len()
        ));
        if found.broken.is_empty() {
            say(
                "To restore: put it in the place of the database while the bot is down (and remove \
                 the files beside it that end in -wal and -shm), then `qundao run --after-restore` \
                 once.\n",
            );
        }
    }
    if found.broken.is_empty() { End::Well } else { End::Problems }
}

async fn copy(config: &Config, file: &Path) -> anyhow::Result<(u64, Verification)> {
    anyhow::ensure!(
        !config.store.url.starts_with("postgres"),
        "a database on a server is copied there, with pg_dump; after a restore start once with \
         `qundao run --after-restore`"
    );
    let store = connect::look_at_store(config).await?;
    let store = store.context("there is no database yet, so there is nothing to copy")?;
    store.backup(file, SystemClock::default().now()).await?;
    let bytes = std::fs::metadata(file).map(|found| found.len()).unwrap_or_default();
    let copied = crate::store::sqlite::Sqlite::look(file).await.context("open the copy")?;
    Ok((bytes, copied.verify().await.context("read the copy")?))
}
