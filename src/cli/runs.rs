//! `qundao runs`: what ran, what did not, and why.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;

use super::{Args, End, complain, connect, runtime, say};
use crate::adapter::Barred;
use crate::clock::{Clock as _, SystemClock, TimeMs};
use crate::config::Config;
use crate::store::{RAN, RunOutcome};

/// Runs that are shown at most.
const RUNS_MAX: i64 = 1000;

/// A time of a routine and what became of it, for programs.
#[derive(Debug, Serialize)]
struct Run {
    community: String,
    script: String,
    routine: String,
    local: String,
    at: TimeMs,
    state: &'static str,
    late: bool,
    reason: Option<String>,
    /// How many posts of each outcome, such as `failed (muted)`.
    posts: BTreeMap<String, usize>,
}

/// Shows what was decided in the last `last_ms`.
pub fn run(args: &Args, last_ms: i64) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let since = SystemClock::default().now() - last_ms;
    match runtime().and_then(|runtime| runtime.block_on(runs(&config, since))) {
        Ok(runs) if args.json => say(&format!("{}\n", serde_json::json!(runs))),
        Ok(runs) if runs.is_empty() => say("no routine was due in that time\n"),
        Ok(runs) => say(&runs.iter().map(shown).collect::<String>()),
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    }
    End::Well
}

async fn runs(config: &Config, since: TimeMs) -> anyhow::Result<Vec<Run>> {
    let Some(store) = connect::look_at_store(config).await? else { return Ok(Vec::new()) };
    let names = connect::community_names(config, &*store).await?;
    let found = store.runs(since, RUNS_MAX).await.context(connect::OLDER)?;
    let run = |outcome: RunOutcome| Run {
        community: names.get(&outcome.run.community).cloned().unwrap_or_default(),
        posts: counted(&outcome),
        script: outcome.run.script,
        routine: outcome.run.name,
        local: outcome.run.local,
        at: outcome.run.at,
        state: outcome.run.state,
        late: outcome.run.late != 0,
        reason: outcome.run.reason,
    };
    Ok(found.into_iter().map(run).collect())
}

/// One post a place, however many messages it was cut into: as good as its worst part.
fn counted(outcome: &RunOutcome) -> BTreeMap<String, usize> {
    let mut places: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for (place, state, reason) in &outcome.posts {
        let word = match reason.as_deref().filter(|_| state != "sent") {
            Some(reason) => format!("{state} ({})", short(reason)),
            None => state.clone(),
        };
        let badness = WORST_LAST.iter().position(|word| word == state).unwrap_or_default();
        let worst = places.entry(place).or_insert_with(|| (badness, word.clone()));
        if badness > worst.0 {
            *worst = (badness, word);
        }
    }
    let mut posts = BTreeMap::new();
    for (_, word) in places.into_values() {
        *posts.entry(word).or_insert(0) += 1;
    }
    posts
}

/// States of the parts of a post; the last of them is what the post is.
const WORST_LAST: [&str; 6] = ["sent", "queued", "sending", "skipped", "unknown", "failed"];

/// `muted: the implementation answered 1200: …` in one word; `qundao deliveries` has the rest.
fn short(reason: &str) -> &str {
    let head = reason.split(": ").next().unwrap_or(reason);
    let words =
        [Barred::Muted, Barred::Removed, Barred::Forbidden, Barred::Token].map(Barred::word);
    if words.contains(&head) { head } else { reason }
}

/// `2026-11-26 08:00 群岛 早报: 4 groups sent, 1 failed (muted)`
fn shown(run: &Run) -> String {
    let time = run.local.replace('T', " ");
    let time = time.get(..16).unwrap_or(&time);
    let what = if run.state == RAN {
        // What went well comes first.
        let mut posts: Vec<_> = run.posts.iter().collect();
        posts.sort_by_key(|(word, _)| *word != "sent");
        let posts = posts.into_iter().enumerate().map(|(at, (word, count))| {
            let groups = if at > 0 {
                String::new()
            } else if *count == 1 {
                " group".to_owned()
            } else {
                " groups".to_owned()
            };
            format!("{count}{groups} {word}")
        });
        let posts: Vec<String> = posts.collect();
        let late = if run.late { " (late)" } else { "" };
        if posts.is_empty() {
            format!("ran, and posted nothing{late}")
        } else {
            posts.join(", ") + late
        }
    } else {
        let reason = run.reason.as_deref().unwrap_or("no reason was noted");
        format!("{}: {reason}", run.state)
    };
    format!("{time} {} {}: {what}\n", run.community, run.routine)
}
