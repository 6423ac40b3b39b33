//! `qundao member`: what is kept of one person, and taking it away.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::{Args, End, complain, connect, runtime, say};
use crate::bot::secret;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::id::{EventId, PersonId, Ref};
use crate::store::{AuditRow, ForgetRow, Store, StoreError, Write, counted};

/// Writes everything that is kept of a person, as JSON.
pub fn export(args: &Args, who: &str, file: Option<&Path>) -> End {
    with_config(args, |config| {
        let found = runtime()?.block_on(async {
            let store: Arc<dyn Store> = match connect::open_store(config).await {
                Ok(store) => {
                    let person = find(&*store, who).await?;
                    let (_, line) = by_operator(person, "export")?;
                    store.commit(&[Write::Audit(Box::new(line))]).await?;
                    let found = store.export(person).await?;
                    store.close().await;
                    return found.with_context(|| unknown(who));
                }
                Err(StoreError::InUse(_)) => {
                    complain("a bot is running: this export has no line in the audit log");
                    let store = connect::look_at_store(config).await?;
                    store.context("there is no database yet")?
                }
                Err(error) => return Err(error.into()),
            };
            let person = find(&*store, who).await?;
            let found = store.export(person).await.context(connect::OLDER)?;
            found.with_context(|| unknown(who))
        })?;
        let json = format!("{found:#}\n");
        match file {
            Some(file) => write(file, &json)?,
            None => say(&json),
        }
        Ok(End::Well)
    })
}

/// Only who asked for it may read it.
fn write(file: &Path, json: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| file.write_all(json.as_bytes()));
    written.with_context(|| format!("write {}", file.display()))
}

/// Forgets a person; without `yes` only says what that would take.
pub fn forget(args: &Args, who: &str, yes: bool) -> End {
    with_config(args, |config| {
        runtime()?.block_on(async {
            if !yes {
                let store = connect::look_at_store(config).await?;
                let store = store.context("there is no database yet")?;
                let person = find(&*store, who).await?;
                let found = store.export(person).await.context(connect::OLDER)?;
                tell(args, person, &counted(&found.with_context(|| unknown(who))?), false);
                return Ok(End::Well);
            }
            let store = open(config).await?;
            let person = find(&*store, who).await?;
            let found = store.export(person).await?;
            let counts = counted(&found.with_context(|| unknown(who))?);
            let (wish, line) = by_operator(person, "forget")?;
            store.forget(&wish, &line).await?;
            store.compact().await?;
            store.close().await;
            forget_history(config)?;
            tell(args, person, &counts, true);
            Ok(End::Well)
        })
    })
}

/// Writes the database anew, so that nothing of what was deleted lies in the file.
pub fn compact(args: &Args) -> End {
    with_config(args, |config| {
        runtime()?.block_on(async {
            let store = open(config).await?;
            store.compact().await?;
            store.close().await;
            Ok(End::Well)
        })
    })
}

/// The database for changes; a bot that runs on it would put back what it remembers.
async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    match connect::open_store(config).await {
        Err(StoreError::InUse(why)) => anyhow::bail!(
            "{why}. Beside a running bot only the member herself can ask, with 忘记我 (forgetme) in \
             the chat"
        ),
        opened => Ok(opened?),
    }
}

fn by_operator(person: PersonId, action: &str) -> anyhow::Result<(ForgetRow, AuditRow)> {
    let at = SystemClock::default().now();
    let chance = secret()?;
    let line = AuditRow {
        event: None,
        community: None,
        at,
        actor: "operator".to_owned(),
        by: None,
        about: None,
        action: action.to_owned(),
        object: format!("person {person}"),
        detail: String::new(),
        salt: std::array::from_fn(|at| chance[at]),
    };
    Ok((ForgetRow { person, community: None, event: EventId(0), at }, line))
}

/// What was typed at the console, by whomever, is in its history.
fn forget_history(config: &Config) -> anyhow::Result<()> {
    let history = crate::adapter::console::history(&config.bot.data);
    match std::fs::remove_file(&history) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", history.display()))
        }
        _ => Ok(()),
    }
}

/// A person by her account (`platform:id`) or by her number.
async fn find(store: &dyn Store, who: &str) -> anyhow::Result<PersonId> {
    if let Ok(number) = who.parse() {
        return Ok(PersonId(number));
    }
    let account = Ref::parse(who)
        .with_context(|| format!("`{who}` is neither platform:id nor a number of a person"))?;
    let found = store.persons(&[account]).await.context(connect::OLDER)?;
    found.first().copied().flatten().with_context(|| unknown(who))
}

fn unknown(who: &str) -> String {
    format!("nobody is known as `{who}`")
}

fn tell(args: &Args, person: PersonId, counts: &[(String, i64)], is_done: bool) {
    if args.json {
        let rows: serde_json::Map<_, _> =
            counts.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
        say(&format!("{}\n", serde_json::json!({"person": person, "rows": rows, "done": is_done})));
        return;
    }
    let rows: String = counts
        .iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(table, rows)| format!("  {rows:>8}  {table}\n"))
        .collect();
    let head = if is_done { "was forgotten; of her there were" } else { "would be forgotten" };
    let next = if is_done { "" } else { "Nothing was changed; add --yes to do it.\n" };
    say(&format!("person {person} {head}:\n{rows}{next}"));
}

fn with_config(args: &Args, act: impl FnOnce(&Config) -> anyhow::Result<End>) -> End {
    let config = match connect::load_config(&args.config, args.color.is_on()) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    act(&config).unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        End::NotStarted
    })
}
