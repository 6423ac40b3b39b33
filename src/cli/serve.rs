//! A running bot and what may happen to it from outside: signals, changed files, a moved clock.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::{Args, End, connect};
use crate::adapter::console::Console;
use crate::bot::Bot;
use crate::config::Config;
use crate::report::Notice;

/// What wakes the loop.
enum Woken {
    Reload,
    Stop,
    Clock,
    Notice(Notice),
}

/// Keeps the bot running until told to stop, then stops it; a second signal ends at once.
pub async fn serve(
    args: &Args,
    config: &Config,
    bot: Bot,
    console: Option<Arc<Console>>,
) -> anyhow::Result<End> {
    let mut signals = Signals::listen()?;
    let (mut changes, _watching) = connect::watch(config)?;
    let mut notices = bot.notices();
    loop {
        let woken = tokio::select! {
            woken = signals.next() => woken,
            Some(()) = changes.recv() => Woken::Reload,
            Some(notice) = notices.recv() => Woken::Notice(notice),
            () = clock_moved(console.as_deref()) => Woken::Clock,
            () = closed(console.as_deref()) => Woken::Stop,
        };
        match woken {
            Woken::Stop => break,
            Woken::Clock => bot.fire_due().await,
            Woken::Notice(notice) => tell(console.as_deref(), &notice),
            Woken::Reload => {
                let outcome = reload(args, &bot).await;
                tell(console.as_deref(), &outcome);
            }
        }
    }
    tokio::select! {
        stopped = bot.stop() => stopped?,
        _ = signals.next_stop() => return Ok(End::Problems),
    }
    drain(console.as_deref(), &mut notices);
    Ok(End::Well)
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

/// Reads everything anew; on any problem the old stays in force.
async fn reload(args: &Args, bot: &Bot) -> Notice {
    let loaded = connect::load(&args.config, false).map_err(anyhow::Error::msg);
    let outcome = match loaded {
        Ok(workspace) => {
            let words = connect::words(&workspace.config).0;
            bot.reload(workspace.config, workspace.sources, Some(words)).await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(changes) if changes.is_empty() => notice("重新加载：没有变化".to_owned(), false),
        Ok(changes) => notice(format!("重新加载：{}", changes.join("；")), false),
        Err(error) => notice(format!("{error:#}；旧的继续运行"), true),
    }
}

fn notice(text: String, is_problem: bool) -> Notice {
    Notice { community: None, text, is_problem }
}

fn tell(console: Option<&Console>, notice: &Notice) {
    if notice.is_problem {
        tracing::warn!(community = ?notice.community, "{}", notice.text);
    } else {
        tracing::info!(community = ?notice.community, "{}", notice.text);
    }
    if let Some(console) = console {
        console.notice(&notice.text);
    }
}

fn drain(console: Option<&Console>, notices: &mut UnboundedReceiver<Notice>) {
    while let Ok(notice) = notices.try_recv() {
        tell(console, &notice);
    }
}

/// Signals of the operating system.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> anyhow::Result<Self> {
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
            _ = self.hangup.recv() => Woken::Reload,
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
    fn listen() -> anyhow::Result<Self> {
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
