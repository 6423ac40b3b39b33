//! A running bot and what may happen to it from outside: signals, changed files, a moved clock.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::{End, connect};
use crate::adapter::BoxFuture;
use crate::adapter::console::Console;
use crate::bot::Bot;
use crate::config::Config;
use crate::report::Notice;
use crate::workbench::reload::{Reloaded, Reloader};

/// What wakes the loop.
enum Woken {
    /// Somebody asked for a reload.
    Hangup,
    /// Files have changed.
    Changed,
    Reloaded(Reloaded),
    Stop,
    /// Every platform has gone.
    Alone,
    Clock,
    Notice(Notice),
}

/// Keeps the bot running until told to stop, then stops it; a second signal ends at once.
pub async fn serve(
    config: &Arc<Config>,
    bot: Bot,
    console: Option<Arc<Console>>,
    mut signals: Signals,
) -> anyhow::Result<End> {
    let mut notices = bot.notices();
    let console = console.as_deref();
    let end = attend(config, &bot, console, &mut signals, &mut notices).await?;
    let how = if end == End::Well { "was told to" } else { "every platform has gone" };
    bot.note("operator", "stop", String::new(), how.to_owned());
    let stopped = tokio::select! {
        stopped = bot.stop() => stopped,
        () = signals.next_stop() => return Ok(End::Problems),
    };
    drain(console, &mut notices);
    if let Err(error) = stopped {
        tell(console, &Notice { community: None, text: format!("{error:#}"), is_problem: true });
        return Ok(End::Problems);
    }
    Ok(end)
}

/// Looks after a running bot; returns when it has to stop.
async fn attend(
    config: &Arc<Config>,
    bot: &Bot,
    console: Option<&Console>,
    signals: &mut Signals,
    notices: &mut UnboundedReceiver<Notice>,
) -> anyhow::Result<End> {
    let (mut changes, _watching) = connect::watch(config)?;
    let reloader = Reloader::new(config.clone());
    // Transcripts may take seconds, so that a reload is one of the things that are waited for.
    let mut reload: Option<BoxFuture<'_, Reloaded>> = None;
    let (mut again, mut is_asked) = (false, false);
    loop {
        let woken = tokio::select! {
            woken = signals.next() => woken,
            Some(()) = changes.recv() => Woken::Changed,
            Some(notice) = notices.recv() => Woken::Notice(notice),
            done = running(&mut reload) => Woken::Reloaded(done),
            () = clock_moved(console) => Woken::Clock,
            () = closed(console) => Woken::Stop,
            () = bot.ended() => Woken::Alone,
        };
        match woken {
            Woken::Stop => return Ok(End::Well),
            // At a console that is how it ends; a service must not stay up for nobody.
            Woken::Alone if console.is_some() => return Ok(End::Well),
            Woken::Alone => return Ok(End::Problems),
            Woken::Clock => bot.fire_due().await,
            Woken::Notice(notice) => show(console, &notice),
            Woken::Hangup => (again, is_asked) = (true, true),
            Woken::Changed => again = true,
            Woken::Reloaded(done) => {
                reload = None;
                if is_asked || !done.is_same() {
                    tell(console, &done.notice(&bot.config().bot.locale));
                }
                is_asked &= again;
            }
        }
        if again && reload.is_none() {
            again = false;
            reload = Some(Box::pin(reloader.reload(bot)));
        }
    }
}

/// Resolves when the reload that is under way has ended; never where there is none.
async fn running(reload: &mut Option<BoxFuture<'_, Reloaded>>) -> Reloaded {
    match reload {
        Some(reload) => reload.await,
        None => std::future::pending().await,
    }
}

async fn clock_moved(console: Option<&Console>) {
    match console {
        Some(console) => console.clock_moved().await,
        None => std::future::pending().await,
    }
}

/// Resolves when whoever sat at the console has left.
async fn closed(console: Option<&Console>) {
    match console {
        Some(console) => console.closed().await,
        None => std::future::pending().await,
    }
}

/// Logs and shows.
fn tell(console: Option<&Console>, notice: &Notice) {
    if notice.is_problem {
        tracing::warn!(community = ?notice.community, "{}", notice.text);
    } else {
        tracing::info!(community = ?notice.community, "{}", notice.text);
    }
    show(console, notice);
}

/// Shows what has been logged already.
fn show(console: Option<&Console>, notice: &Notice) {
    if let Some(console) = console {
        console.notice(&notice.text, notice.is_problem);
    }
}

fn drain(console: Option<&Console>, notices: &mut UnboundedReceiver<Notice>) {
    while let Ok(notice) = notices.try_recv() {
        show(console, &notice);
    }
}

/// Signals of the operating system. Listened to before the bot starts: one that comes meanwhile would
/// end the process in the middle.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on.
    pub fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Woken {
        tokio::select! {
            _ = self.terminate.recv() => Woken::Stop,
            _ = self.interrupt.recv() => Woken::Stop,
            _ = self.hangup.recv() => Woken::Hangup,
        }
    }

    async fn next_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// From now on.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) -> Woken {
        self.next_stop().await;
        Woken::Stop
    }

    async fn next_stop(&mut self) {
        // Without the signal there is nothing to wait for, and the platform stops us itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
