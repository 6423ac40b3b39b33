//! `qundao schedule`: what is planned, community by community, on the clock of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Serialize;

use super::{Args, End, complain, connect, runtime, say};
use crate::clock::{Clock as _, SystemClock, TimeMs};
use crate::config::Config;
use crate::dispatch::{Plan, Registry, configured_key};
use crate::routine::{Cron, zone};
use crate::script::protocol::{Bundle, Manifest};
use crate::store::RoutineRow;

/// Times of one routine that are shown.
const EACH_MAX: usize = 400;

/// One time at which something is to happen.
#[derive(Debug, Serialize)]
struct Planned {
    community: String,
    at: TimeMs,
    local: String,
    zone: &'static str,
    routine: String,
    script: String,
    cron: String,
    kind: Option<String>,
}

/// Shows what is planned until `next_ms` from now.
pub fn run(args: &Args, next_ms: i64) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let now = SystemClock::default().now();
    let found = runtime().and_then(|runtime| runtime.block_on(planned(&config, now, next_ms)));
    match found {
        Ok(planned) if args.json => say(&format!("{}\n", serde_json::json!(planned))),
        Ok(planned) => say(&shown(&planned)),
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    }
    End::Well
}

async fn planned(config: &Config, now: TimeMs, next_ms: i64) -> anyhow::Result<Vec<Planned>> {
    let registry = registry(config)?;
    let mut made: BTreeMap<String, Vec<RoutineRow>> = BTreeMap::new();
    let mut others = 0;
    if let Some(store) = connect::look_at_store(config).await? {
        let keys: BTreeMap<_, _> =
            store.start().await?.communities.into_iter().map(|row| (row.id, row.key)).collect();
        others = keys.values().filter(|key| !key.starts_with('=')).count();
        for row in store.routines_made().await.context(connect::OLDER)? {
            let key = keys.get(&row.community).cloned().unwrap_or_default();
            made.entry(key).or_default().push(row);
        }
    }
    let mut all = Vec::new();
    for community in &config.communities {
        let key = configured_key(&community.id);
        let rows = made.remove(&key).unwrap_or_default();
        add(&mut all, &community.name, &registry.plan(&key), &rows, (now, next_ms));
    }
    if others > 0 {
        let name = format!("every other group ({others})");
        add(&mut all, &name, &registry.plan(""), &[], (now, next_ms));
    }
    for (key, rows) in made {
        add_made(&mut all, &key, &registry.plan(&key), &rows, (now, next_ms));
    }
    Ok(all)
}

/// The plans of all communities, from the files as they are now.
fn registry(config: &Config) -> anyhow::Result<Registry> {
    let (sources, _) = crate::script::load::read(&config.bot.scripts, &config.bot.rules);
    let (manifests, _): (Vec<Manifest>, _) = connect::compile(config, &sources)?;
    let resolved = crate::config::resolve(config, &manifests)?;
    Ok(Registry::new(config, &resolved, manifests.iter(), &Arc::new(Bundle::default())))
}

fn add(
    all: &mut Vec<Planned>,
    community: &str,
    plan: &Plan,
    rows: &[RoutineRow],
    span: (TimeMs, i64),
) {
    let begun = all.len();
    for routine in plan.routines() {
        let (script, name) = routine.id();
        let about = (community, script, name, routine.spec.kind.clone());
        add_times(all, &routine.cron, plan, about, span);
    }
    add_made(all, community, plan, rows, span);
    all[begun..].sort_by_key(|planned| planned.at);
}

fn add_made(
    all: &mut Vec<Planned>,
    community: &str,
    plan: &Plan,
    rows: &[RoutineRow],
    span: (TimeMs, i64),
) {
    for row in rows {
        let Some(Ok(cron)) = row.cron.as_deref().map(Cron::parse) else { continue };
        add_times(all, &cron, plan, (community, crate::dispatch::ROUTINES, &row.name, None), span);
    }
}

fn add_times(
    all: &mut Vec<Planned>,
    cron: &Cron,
    plan: &Plan,
    (community, script, name, kind): (&str, &str, &str, Option<String>),
    (now, next_ms): (TimeMs, i64),
) {
    let zone = plan.timezone;
    let slots = cron.slots(zone, now).take_while(|slot| slot.at <= now + next_ms);
    all.extend(slots.take(EACH_MAX).map(|slot| Planned {
        community: community.to_owned(),
        at: slot.at,
        local: zone::shown(zone, slot.at),
        zone: zone.name(),
        routine: name.to_owned(),
        script: script.to_owned(),
        cron: cron.text().to_owned(),
        kind: kind.clone(),
    }));
}

fn shown(planned: &[Planned]) -> String {
    if planned.is_empty() {
        return "nothing is planned; `every(…)` in a script or `[[routine]]` in config.toml plan \
                something\n"
            .to_owned();
    }
    let mut text = String::new();
    let mut community = "";
    for one in planned {
        if community != one.community {
            community = &one.community;
            text.push_str(&format!("{community} · {}\n", one.zone));
        }
        let kind = one.kind.as_deref().map(|kind| format!(" · {kind}")).unwrap_or_default();
        text.push_str(&format!(
            "  {}  {} ({}{kind}, `{}`)\n",
            one.local, one.routine, one.script, one.cron
        ));
    }
    text
}
