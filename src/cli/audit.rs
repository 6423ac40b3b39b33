//! `qundao audit`: the latest lines of the audit log, and whether all of it is as it was written.

use anyhow::Context as _;

use super::{Args, End, complain, connect, runtime, say};
use crate::config::Config;
use crate::store::AuditLine;
use crate::store::chain::{ChainReport, Head};

/// Shows the latest lines, the last one last.
pub fn last(args: &Args, take: u32) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let found = runtime().and_then(|runtime| runtime.block_on(lines(&config, take.into())));
    match found {
        Ok(lines) if args.json => say(&format!("{}\n", serde_json::json!(lines))),
        Ok(lines) if lines.is_empty() => say("the audit log is empty\n"),
        Ok(lines) => say(&lines.iter().rev().map(shown).collect::<String>()),
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    }
    End::Well
}

async fn lines(config: &Config, take: i64) -> anyhow::Result<Vec<AuditLine>> {
    let Some(store) = connect::look_at_store(config).await? else { return Ok(Vec::new()) };
    store.audit_log(take).await.context(connect::OLDER)
}

/// `12  2026-11-26T08:00:00Z  no-ads@5f1c  delete  m17  刷屏`
fn shown(line: &AuditLine) -> String {
    let time = chrono::DateTime::from_timestamp_millis(line.at);
    let time = time.map_or_else(String::new, |time| time.format("%FT%TZ").to_string());
    let rest = line.payload.as_ref().map_or_else(
        || "(erased)".to_owned(),
        |payload| {
            let by = payload.by.map_or_else(String::new, |by| format!("by {by}"));
            let about = payload.about.map_or_else(String::new, |about| format!("about {about}"));
            // What members wrote must not move the cursor of who reads it.
            let plain = |text: &str| crate::adapter::console::plain(text);
            let words = [by, about, plain(&payload.object), plain(&payload.detail)];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  ")
        },
    );
    format!("{}  {time}  {}  {}  {rest}\n", line.n, line.actor, line.action)
}

/// Walks the whole chain.
pub fn verify(args: &Args, head: Option<Head>) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let found = runtime().and_then(|runtime| runtime.block_on(walk(&config, head)));
    let report = match found {
        Ok(report) => report,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!(report)));
    } else {
        say(&told(&report));
    }
    if report.broken.is_none() { End::Well } else { End::Problems }
}

async fn walk(config: &Config, head: Option<Head>) -> anyhow::Result<ChainReport> {
    match connect::look_at_store(config).await? {
        Some(store) => store.verify_audit(head).await.context(connect::OLDER),
        // There is no log; a head of earlier says that there was one.
        None => Ok(crate::store::chain::Walk::new(head).end()),
    }
}

fn told(report: &ChainReport) -> String {
    let ChainReport { lines, erased, head, broken } = report;
    match broken {
        None => format!("✓ {lines} lines, {erased} of them erased, head {head}\n"),
        Some(broken) => format!(
            "✗ line {}: {}\n  {lines} lines before it are as they were, head {head}\n",
            broken.n, broken.what
        ),
    }
}
