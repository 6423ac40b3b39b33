//! `qundao run`: the bot itself, at a terminal, from a pipe, or as a service.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::connect::{self, Workspace};
use super::{Args, End, complain, runtime};
use crate::adapter::console::{Console, HOME, Room, SPEC, TerminalSettings};
use crate::adapter::{ADAPTERS, Adapter};
use crate::bot::{Bot, Parts, SeedMember, secret};
use crate::clock::{Clock as _, SystemClock, TimeMs};
use crate::config::Config;
use crate::news::Sources;
use crate::news::http::Http;
use crate::report::Notice;
use crate::store::Restored;
use crate::value::Role;
use crate::workbench::transcript::{CaseSetup, pipe};
use crate::workbench::workspace::folder;

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
pub fn run(args: &Args, after_restore: bool) -> End {
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
                Stage::Terminal | Stage::Service => {
                    live(args, &workspace, stage, after_restore).await
                }
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

async fn live(
    args: &Args,
    workspace: &Workspace,
    stage: Stage,
    after_restore: bool,
) -> anyhow::Result<End> {
    let config = &workspace.config;
    let signals = super::serve::Signals::listen()?;
    let data = &config.bot.data;
    make_private(data).with_context(|| format!("make the folder {}", data.display()))?;
    match stage {
        Stage::Terminal => super::log::to_file(&config.bot.log, data, config.privacy.log_days)?,
        Stage::Service | Stage::Pipe => super::log::to_stderr(&config.bot.log),
    }
    let clock = SystemClock::with_offset(TerminalSettings::kept_offset(data)?);
    let console = (stage == Stage::Terminal).then(|| {
        Arc::new(Console::at_terminal(TerminalSettings {
            color: args.color.is_on(),
            clock: Some(clock.clone()),
            member: owner(config),
            data: Some(data.clone()),
            ..TerminalSettings::default()
        }))
    });
    let store = connect::open_store(config).await?;
    let restored = if after_restore { Some(store.restore(clock.now()).await?) } else { None };
    let parts = Parts {
        config: config.clone(),
        clock: clock.clone(),
        secret: secret()?,
        store,
        host: connect::script_host(&config.limits.script).await?,
        sources: workspace.sources.clone(),
        words: connect::words(config).0,
        feeds: Arc::new(Sources::with_web(folder(config), Http::default())),
        adapters: adapters(config, console.as_ref())?,
    };
    let bot = Bot::start(parts).await?;
    if let Some(console) = &console {
        people(&bot, console, clock.now()).await?;
    }
    if let Some(restored) = restored {
        bot.notify(&Notice { community: None, text: told(&restored), is_problem: false });
    }
    for text in &workspace.problems {
        bot.notify(&Notice { community: None, text: text.clone(), is_problem: true });
    }
    bot.note("operator", "start", env!("CARGO_PKG_VERSION").to_owned(), bot.versions().await);
    super::serve::serve(config, bot, console, signals).await
}

/// What whoever restored a backup should know.
fn told(restored: &Restored) -> String {
    let Restored { backup_of, held } = restored;
    let of = backup_of.and_then(chrono::DateTime::from_timestamp_millis);
    let of = of.map_or("a backup".to_owned(), |of| {
        format!("the backup of {}", of.format("%Y-%m-%d %H:%M:%S UTC"))
    });
    format!(
        "restored from {of}: {held} messages that were to be sent then are not sent, because they may \
         have been since (`unknown`); what happened before now is not answered"
    )
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

/// Makes the data folder so that nobody else on the machine can look into it; one that is there
/// keeps what its owner gave it, and `doctor` says so if that is too much.
fn make_private(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Who sits at the console.
fn owner(config: &Config) -> String {
    let section = config.adapters.get(SPEC.name);
    section.and_then(|section| section.text("member")).unwrap_or("阿明").to_owned()
}

/// Days that the console's members have been there when it is first started.
const THERE_FOR_DAYS: i64 = 60;
/// Points that its owner begins with, enough for a red packet.
const OWNER_POINTS: i64 = 200;

/// A console that is started for the first time has a few people in it, so that there is somebody
/// to give points to.
async fn people(bot: &Bot, console: &Console, now: TimeMs) -> anyhow::Result<()> {
    let members: Vec<SeedMember> = {
        let room = console.room();
        let seed = |(name, guest): (&str, &crate::adapter::console::Guest)| SeedMember {
            id: Room::reference(name),
            name: name.to_owned(),
            role: guest.role,
            trust: 2,
            points: if guest.role == Role::Owner { OWNER_POINTS } else { 0 },
            joined_at: now - THERE_FOR_DAYS * 24 * 3_600_000,
            is_bot: guest.is_bot,
        };
        room.members().map(seed).collect()
    };
    let group = Room::reference(HOME);
    if !bot.knows_group(&group) {
        bot.seed_members(&group, members).await?;
    }
    Ok(())
}
