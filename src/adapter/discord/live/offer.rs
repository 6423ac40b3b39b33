//! Slash commands, registered with Discord when they differ from what it has.

use std::sync::Arc;
use std::time::Duration;

use serenity::http::LightMethod;
use serenity::model::id::ApplicationId;

use super::rest::Reply;
use super::route::{Op, Path};
use super::shared::Shared;
use super::slash;

/// Before a registration that did not work is tried again; Discord allows 200 a day.
const AGAIN: Duration = Duration::from_secs(60);
/// Files are saved several times in a row.
const SETTLE: Duration = Duration::from_millis(500);

/// Registers what is in force, and again whenever it changes.
pub async fn keep(shared: Arc<Shared>, application: ApplicationId) {
    let mut commands = shared.commands.subscribe();
    commands.mark_changed();
    while commands.changed().await.is_ok() {
        loop {
            let wanted = slash::written(&commands.borrow_and_update().clone());
            let wait = match register(&shared, application, wanted).await {
                Ok(()) => break,
                Err(wait) => wait,
            };
            tokio::time::sleep(wait).await;
        }
        tokio::time::sleep(SETTLE).await;
    }
}

async fn register(
    shared: &Shared,
    application: ApplicationId,
    wanted: serde_json::Value,
) -> Result<(), Duration> {
    let mut ask = Op::new(LightMethod::Get, Path::Commands(application), None);
    ask.query = vec![("with_localizations", "true".to_owned())];
    let there = match shared.rest.call(&ask).await {
        Reply::Done(there) => there,
        // Where there is nothing to ask, all of it is written.
        Reply::Refused { status: 404 | 405, .. } => serde_json::Value::Null,
        reply => return later(&reply),
    };
    if there.is_array() && !slash::differs(&there, &wanted) {
        return Ok(());
    }
    let count = wanted.as_array().map_or(0, Vec::len);
    let put = Op::new(LightMethod::Put, Path::Commands(application), Some(wanted));
    match shared.rest.call(&put).await {
        Reply::Done(_) => {
            tracing::info!(count, "Discord: slash commands registered");
            Ok(())
        }
        reply => later(&reply),
    }
}

/// When to try again; what Discord refuses it refuses again.
fn later(reply: &Reply) -> Result<(), Duration> {
    match reply {
        Reply::Wait { after, .. } => Err(after.unwrap_or(AGAIN)),
        Reply::Unknown(_) | Reply::Unrepeatable(_) => Err(AGAIN),
        Reply::Refused { .. } | Reply::Done(_) => {
            tracing::warn!(?reply, "Discord: slash commands could not be registered");
            Ok(())
        }
    }
}
