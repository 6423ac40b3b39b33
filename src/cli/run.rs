//! `qundao run`: the bot itself, at a terminal, from a pipe, or as a service.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;

use super::connect::{self, Workspace};
use super::{Args, End, complain, runtime};
use crate::adapter::console::{Console, SPEC, TerminalSettings};
use crate::adapter::{ADAPTERS, Adapter};
use crate::bot::{Bot, Parts};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::workbench::transcript::{CaseSetup, pipe};

/// How the bot is run, by what standard input is and which adapters are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Somebody types.
    Terminal,
    /// Lines come from a pipe, nothing is kept.
    Pipe,
    /// Only other platforms.
    Service,
}

/// A pipe counts only where the console is the only platform: as a service the bot has no
/// terminal either, and must not end at the end of /dev/null.
fn stage(config: &Config, is_terminal: bool) -> Stage {
    let has_console = config.adapters.contains_key(SPEC.name);
    match (has_console, is_terminal) {
        (true, true) => Stage::Terminal,
        (true, false) if config.adapters.len() == 1 => Stage::Pipe,
        (true, false) | (false, _) => Stage::Service,
    }
}

/// Runs until told to stop.
pub fn run(args: &Args) -> End {
    let workspace = match connect::load(&args.config, args.color.is_on()) {
        Ok(workspace) => workspace,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let stage = stage(&workspace.config, std::io::stdin().is_terminal());
    let ran = runtime().and_then(|runtime| {
        let end = runtime.block_on(async {
            match stage {
                Stage::Pipe => play(&workspace).await,
                Stage::Terminal | Stage::Service => live(args, &workspace, stage).await,
            }
        });
        // A read of standard input may still be waiting for a line that nobody needs.
        runtime.shutdown_background();
        end
    });
    ran.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        End::NotStarted
    })
}

async fn play(workspace: &Workspace) -> anyhow::Result<End> {
    super::log::to_stderr(&workspace.config.bot.log);
    let make = |setup: &CaseSetup<'_>| connect::parts_of_case(workspace, setup);
    let (input, output, errors) = (tokio::io::stdin(), tokio::io::stdout(), tokio::io::stderr());
    let is_well = pipe::run(input, output, errors, &make).await?;
    Ok(if is_well { End::Well } else { End::Problems })
}

async fn live(args: &Args, workspace: &Workspace, stage: Stage) -> anyhow::Result<End> {
    let config = &workspace.config;
    let data = &config.bot.data;
    std::fs::create_dir_all(data).with_context(|| format!("make {}", data.display()))?;
    match stage {
        Stage::Terminal => super::log::to_file(&config.bot.log, &data.join("qundao.log"))?,
        Stage::Service | Stage::Pipe => super::log::to_stderr(&config.bot.log),
    }
    let clock = SystemClock::with_offset(TerminalSettings::kept_offset(data)?);
    let console = (stage == Stage::Terminal).then(|| {
        Arc::new(Console::at_terminal(TerminalSettings {
            color: args.color.is_on(),
            clock: Some(clock.clone()),
            data: Some(data.clone()),
            ..TerminalSettings::default()
        }))
    });
    let parts = Parts {
        config: config.clone(),
        clock,
        seed: random_seed()?,
        host: connect::script_host(&config.limits.script)?,
        sources: workspace.sources.clone(),
        adapters: adapters(config, console.as_ref())?,
    };
    let bot = Bot::start(parts).await?;
    super::serve::serve(args, config, bot, console).await
}

/// The adapters that are on; the console only where somebody sits before it.
fn adapters(
    config: &Config,
    console: Option<&Arc<Console>>,
) -> anyhow::Result<Vec<Arc<dyn Adapter>>> {
    let mut adapters: Vec<Arc<dyn Adapter>> = Vec::new();
    for (name, settings) in &config.adapters {
        if name == SPEC.name {
            adapters.extend(console.map(|console| console.clone() as Arc<dyn Adapter>));
            continue;
        }
        let spec = ADAPTERS.iter().find(|spec| spec.name == name);
        let spec = spec.with_context(|| format!("there is no adapter `{name}` in this program"))?;
        let adapter = (spec.build)(settings).with_context(|| format!("`[adapters.{name}]`"))?;
        adapters.push(adapter);
    }
    anyhow::ensure!(
        !adapters.is_empty(),
        "no adapter is on, so nobody could talk to the bot; add `[adapters.console]` and run at a \
         terminal, or another `[adapters.NAME]`"
    );
    Ok(adapters)
}

fn random_seed() -> anyhow::Result<u64> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("ask for randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
