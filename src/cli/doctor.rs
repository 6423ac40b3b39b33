//! `qundao doctor`: every check with its outcome.

use std::collections::BTreeSet;

use super::{Args, End, connect, runtime, say};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::workbench::doctor::{Check, Health, machine, show};

/// Runs every check.
pub fn run(args: &Args) -> End {
    // The pictures of problems are for `check`; here a broken configuration is one line.
    let checks = match connect::load_config(&args.config, false) {
        Err(problems) => {
            let first = problems.lines().next().unwrap_or_default();
            let found = format!("{first}; run `qundao check`");
            vec![Check::new("config", Health::Problem, found)]
        }
        Ok(config) => {
            let now = SystemClock::default().now();
            let mut checks = machine(&config, now);
            let (check, feeds) = scripts(&config);
            checks.push(check);
            match runtime() {
                Ok(runtime) => {
                    checks.push(runtime.block_on(connect::check_confinement(&config)));
                    checks.extend(runtime.block_on(connect::check_store(&config, now, &feeds)));
                }
                Err(error) => {
                    checks.push(Check::new("runtime", Health::Problem, format!("{error:#}")));
                }
            }
            checks
        }
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!(checks)));
    } else {
        say(&show(&checks, args.color.is_on()));
    }
    let is_bad = checks.iter().any(|check| check.health == Health::Problem);
    if is_bad { End::Problems } else { End::Well }
}

/// How the scripts are, and which sources of news they name.
fn scripts(config: &Config) -> (Check, BTreeSet<String>) {
    let (sources, mut unreadable) =
        crate::script::load::read(&config.bot.scripts, &config.bot.rules);
    let compiled = connect::compile(config, &sources).map(|(good, mut bad)| {
        bad.append(&mut unreadable);
        (good, bad)
    });
    let feeds = compiled.as_ref().ok().and_then(|(good, _)| {
        let resolved = crate::config::resolve(config, good).ok()?;
        Some(crate::news::followed(&resolved, good))
    });
    let check = match compiled {
        Err(error) => Check::new("scripts", Health::Problem, format!("{error:#}")),
        Ok((good, bad)) => match bad.first() {
            None => Check::new("scripts", Health::Ok, format!("{} compile", good.len())),
            Some(first) => {
                let found = format!("{first} ({} mistakes; run `qundao check`)", bad.len());
                Check::new("scripts", Health::Problem, found)
            }
        },
    };
    (check, feeds.unwrap_or_default())
}
