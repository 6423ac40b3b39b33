//! `qundao doctor`: every check with its outcome.

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
            checks.push(scripts(&config));
            match runtime() {
                Ok(runtime) => {
                    checks.push(runtime.block_on(connect::check_confinement(&config)));
                    checks.extend(runtime.block_on(connect::check_store(&config, now)));
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

fn scripts(config: &Config) -> Check {
    let (sources, mut unreadable) =
        crate::script::load::read(&config.bot.scripts, &config.bot.rules);
    let compiled = connect::compile(config, &sources).map(|(good, mut bad)| {
        bad.append(&mut unreadable);
        (good, bad)
    });
    match compiled {
        Err(error) => Check::new("scripts", Health::Problem, format!("{error:#}")),
        Ok((good, bad)) => match bad.first() {
            None => Check::new("scripts", Health::Ok, format!("{} compile", good.len())),
            Some(first) => {
                let found = format!("{first} ({} mistakes; run `qundao check`)", bad.len());
                Check::new("scripts", Health::Problem, found)
            }
        },
    }
}
