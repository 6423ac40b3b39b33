//! `qundao ledger verify`: does the book balance?

use super::{Args, End, complain, connect, runtime, say};

/// Verifies and shows what was found.
pub fn verify(args: &Args) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let found = runtime().and_then(|runtime| runtime.block_on(connect::verify_ledger(&config)));
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!(found)));
    } else {
        let problems: String = found.broken.iter().map(|what| format!("✗ {what}\n")).collect();
        let mark = if found.broken.is_empty() { "✓" } else { "✗" };
        say(&format!(
            "{problems}{mark} {} communities, {} accounts, {} transfers, {} packets, {} scores, {} problems\n",
            found.communities,
            found.accounts,
            found.transfers,
            found.packets,
            found.scores,
            found.broken.len()
        ));
    }
    if found.broken.is_empty() { End::Well } else { End::Problems }
}
