//! `qundao store copy`: everything into another database, checked at the end.

use std::io::{IsTerminal as _, Write as _};

use super::{Args, End, complain, connect, runtime, say};
use crate::config::{Config, StoreUrl};
use crate::store::{Address, Copied};

/// Copies and shows what was copied.
pub fn copy(args: &Args, from: &str, to: &str) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let copied = runtime().and_then(|runtime| runtime.block_on(copied(&config, from, to)));
    let copied = match copied {
        Ok(copied) => copied,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!(copied)));
    } else {
        say(&shown(&copied));
    }
    if copied.verification.broken.is_empty() { End::Well } else { End::Problems }
}

async fn copied(config: &Config, from: &str, to: &str) -> anyhow::Result<Copied> {
    let address = |text: &str| {
        let url = StoreUrl::typed(text).map_err(|problem| anyhow::anyhow!("{problem}"))?;
        anyhow::Ok(Address::read(url.reveal(), &config.bot.data))
    };
    let (from, to) = (address(from)?, address(to)?);
    // Only who watches wants to see it move.
    let is_watched = std::io::stderr().is_terminal();
    let mut tell = |table: &str, rows: u64, all: u64| {
        if is_watched {
            let end = if rows == all { "\n" } else { "" };
            let mut out = std::io::stderr();
            // A terminal that has gone does not want to know.
            let _ = write!(out, "\r{table}: {rows} of {all}{end}").and_then(|()| out.flush());
        }
    };
    Ok(crate::store::copy(&from, &to, connect::lease_ms(config), &mut tell).await?)
}

fn shown(copied: &Copied) -> String {
    let rows: u64 = copied.tables.iter().map(|(_, rows)| rows).sum();
    let found = &copied.verification;
    let problems: String = found.broken.iter().map(|what| format!("✗ {what}\n")).collect();
    let end = if found.broken.is_empty() {
        "✓ counts and balances are equal, the ledger verifies; now write the new address into \
         `[store] url`"
    } else {
        "✗ the copy has the problems above and is not to be used"
    };
    format!("{rows} rows of {} tables\n{problems}{end}\n", copied.tables.len())
}
