//! `qundao deliveries`: what was sent, what was not and why, and what nobody knows; with one command
//! to send that again or to leave it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Args, End, complain, connect, runtime, say};
use crate::clock::{Clock as _, SystemClock, TimeMs};
use crate::config::Config;
use crate::effect::{Call, Delivery, DeliveryState};
use crate::event::plain_text;
use crate::id::{CommunityId, DeliveryId};
use crate::store::{DecisionRow, DeliveryQuery};

/// Deliveries that are shown, or decided about, at most.
const SHOWN_MAX: i64 = 1000;
/// Characters of a text that are shown.
const TEXT_MAX: usize = 30;
const QUARTER_MS: i64 = 900_000;

/// Which deliveries a command means: numbers, or `all` that are in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Every one that is in doubt.
    All,
    /// This one.
    One(DeliveryId),
}

/// Reads a number as it is typed, or `all`.
///
/// # Errors
/// What to type instead.
pub fn named(text: &str) -> Result<Named, String> {
    if text == "all" {
        return Ok(Named::All);
    }
    let number = text.trim_start_matches('#').parse().map(|number| Named::One(DeliveryId(number)));
    number.map_err(|_| format!("`{text}` is no number of a delivery; write one, or `all`"))
}

/// Reads a state as it is typed.
///
/// # Errors
/// The states that there are.
pub fn state(text: &str) -> Result<DeliveryState, String> {
    DeliveryState::parse(text).ok_or_else(|| {
        format!("`{text}` is no state: write queued, sending, sent, failed, unknown or skipped")
    })
}

/// What becomes of deliveries in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Sent again.
    Retry,
    /// Left.
    Drop,
}

/// A delivery, for programs.
#[derive(Debug, Serialize)]
struct Shown {
    id: DeliveryId,
    at: TimeMs,
    local: String,
    community: String,
    to: String,
    call: &'static str,
    text: String,
    state: DeliveryState,
    attempts: u32,
    reason: Option<String>,
}

/// The whole answer, for programs.
#[derive(Debug, Serialize)]
struct Report {
    /// Days with how many deliveries stand where.
    days: BTreeMap<String, BTreeMap<String, i64>>,
    /// The state that was asked for; those in doubt where none was.
    listed: DeliveryState,
    deliveries: Vec<Shown>,
}

/// Shows what was decided in the last `last_ms`, day by day, and the deliveries of a state.
pub fn show(args: &Args, last_ms: i64, wanted: Option<DeliveryState>) -> End {
    let Some(config) = config(args) else { return End::Problems };
    let since = SystemClock::default().now() - last_ms;
    let listed = wanted.unwrap_or(DeliveryState::Unknown);
    match runtime().and_then(|runtime| runtime.block_on(report(&config, since, listed))) {
        Ok(report) if args.json => say(&format!("{}\n", serde_json::json!(report))),
        Ok(report) => say(&worded(&report, wanted.is_none())),
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    }
    End::Well
}

/// Decides about deliveries in doubt; a running bot takes that up within seconds.
pub fn decide(args: &Args, named: &[Named], fate: Fate) -> End {
    let Some(config) = config(args) else { return End::Problems };
    let decided = runtime().and_then(|runtime| runtime.block_on(decided(&config, named, fate)));
    let Decided { done, left } = match decided {
        Ok(decided) => decided,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!({ "decided": done, "left": left })));
    } else {
        let what = match fate {
            Fate::Retry => {
                "to be sent again: a running bot does so within seconds, else its next start"
            }
            Fate::Drop => "left as they are",
        };
        say(&format!("{done} deliveries are {what}\n"));
        left.iter().for_each(|why| complain(why));
    }
    if left.is_empty() { End::Well } else { End::Problems }
}

fn config(args: &Args) -> Option<Config> {
    let config = connect::load_config(&args.config, args.color.is_on());
    config.map_err(|problems| complain(&problems)).ok()
}

async fn report(config: &Config, since: TimeMs, listed: DeliveryState) -> anyhow::Result<Report> {
    let mut report = Report { days: BTreeMap::new(), listed, deliveries: Vec::new() };
    let Some(store) = connect::look_at_store(config).await? else { return Ok(report) };
    let names = connect::community_names(config, &*store).await?;
    for (quarter, state, count) in store.count_deliveries(since).await.context(connect::OLDER)? {
        let day = local(config, quarter * QUARTER_MS, "%Y-%m-%d");
        *report.days.entry(day).or_default().entry(state).or_insert(0) += count;
    }
    // What is in doubt stays so until somebody decides, however long ago it was.
    let since = if listed == DeliveryState::Unknown { 0 } else { since };
    let query = DeliveryQuery { since, ..DeliveryQuery::of(listed, SHOWN_MAX) };
    let found = store.find_deliveries(&query).await.context(connect::OLDER)?;
    report.deliveries = found.into_iter().map(|one| shown(config, &names, one)).collect();
    Ok(report)
}

fn shown(config: &Config, names: &BTreeMap<CommunityId, String>, delivery: Delivery) -> Shown {
    let text = match &delivery.call {
        Call::Send { content, .. } | Call::Card { content, .. } => plain_text(content),
        _ => String::new(),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text: String = line.chars().take(TEXT_MAX).filter(|c| !c.is_control()).collect();
    if line.chars().count() > TEXT_MAX {
        text.push('…');
    }
    Shown {
        id: delivery.id,
        at: delivery.not_before,
        local: local(config, delivery.not_before, "%Y-%m-%d %H:%M"),
        community: names.get(&delivery.community).cloned().unwrap_or_default(),
        to: delivery.to.reference().to_string(),
        call: delivery.call.word(),
        text,
        state: delivery.state,
        attempts: delivery.attempts,
        reason: delivery.reason,
    }
}

fn local(config: &Config, at: TimeMs, form: &str) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
    at.with_timezone(&config.bot.timezone).format(form).to_string()
}

/// `2026-11-26: 120 sent, 2 failed, 1 unknown`, then the deliveries, then what to do.
fn worded(report: &Report, has_days: bool) -> String {
    let mut text = String::new();
    if has_days {
        if report.days.is_empty() && report.deliveries.is_empty() {
            return "nothing was to be sent in that time\n".to_owned();
        }
        for (day, states) in &report.days {
            // What went well comes first.
            let mut states: Vec<_> = states.iter().collect();
            states.sort_by_key(|(state, _)| *state != "sent");
            let states: Vec<_> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
            text.push_str(&format!("{day}: {}\n", states.join(", ")));
        }
    }
    let is_doubt = report.listed == DeliveryState::Unknown;
    if report.deliveries.is_empty() {
        let word = if is_doubt { "in doubt" } else { report.listed.as_str() };
        if !has_days {
            text.push_str(&format!("none is {word}\n"));
        }
        return text;
    }
    if is_doubt {
        text.push_str(
            "may or may not have arrived; look into the groups, then `qundao deliveries retry ID` \
             or `qundao deliveries drop ID`:\n",
        );
    }
    for one in &report.deliveries {
        let reason = one.reason.as_deref().unwrap_or("no reason was noted");
        let what = if one.text.is_empty() { one.call.to_owned() } else { one.text.clone() };
        text.push_str(&format!(
            "  {}  {} {} {}: {what} ({reason})\n",
            one.id, one.local, one.community, one.to
        ));
    }
    text
}

/// What was decided, and about which deliveries nothing can be.
struct Decided {
    done: u64,
    left: Vec<String>,
}

async fn decided(config: &Config, named: &[Named], fate: Fate) -> anyhow::Result<Decided> {
    let store = connect::beside_store(config).await?.context("there is no database yet")?;
    let is_all = named.contains(&Named::All);
    let ids: Vec<DeliveryId> = named
        .iter()
        .filter_map(|named| match named {
            Named::One(id) => Some(*id),
            Named::All => None,
        })
        .collect();
    let query = match is_all {
        true => DeliveryQuery::of(DeliveryState::Unknown, SHOWN_MAX),
        false => DeliveryQuery::ids(ids.clone()),
    };
    let found = store.find_deliveries(&query).await.context(connect::OLDER)?;
    let (mut rows, mut left) = (Vec::new(), Vec::new());
    let until = SystemClock::default().now() + config.limits.reply_expires_s * 1000;
    for delivery in &found {
        let DeliveryId(id) = delivery.id;
        match (delivery.state, fate) {
            (DeliveryState::Unknown, Fate::Retry) => {
                rows.push(DecisionRow::again(delivery.id, "on the command line", until));
            }
            (DeliveryState::Unknown, Fate::Drop) => {
                rows.push(DecisionRow::leave(delivery.id, "on the command line"));
            }
            (state, _) => left.push(format!(
                "{id} is {}: only what is `unknown` can be decided about",
                state.as_str()
            )),
        }
    }
    let is_found = |id: &DeliveryId| is_all || found.iter().any(|delivery| delivery.id == *id);
    left.extend(ids.iter().filter(|id| !is_found(id)).map(|id| format!("{id}: no such delivery")));
    let done = store.decide(&rows).await.context(connect::OLDER)?;
    Ok(Decided { done, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read() {
        assert_eq!(named("all"), Ok(Named::All));
        assert_eq!(named("#12"), Ok(Named::One(DeliveryId(12))));
        assert!(named("十二").is_err());
        assert_eq!(state("unknown"), Ok(DeliveryState::Unknown));
        assert!(state("lost").is_err_and(|why| why.contains("skipped")));
    }
}
