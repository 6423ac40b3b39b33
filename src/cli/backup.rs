//! `qundao backup FILE`: a copy of the database that can be relied on, also while the bot runs.

use std::path::Path;

use super::{Args, End, complain, connect, runtime, say};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::store::Verification;

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
    let found = connect::address(config).backup(file, SystemClock::default().now()).await?;
    let bytes = std::fs::metadata(file).map(|found| found.len()).unwrap_or_default();
    Ok((bytes, found))
}
