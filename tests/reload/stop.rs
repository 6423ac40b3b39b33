//! The end of a bot under load, and its next start: what was offered is handled exactly once.

use std::path::Path;
use std::sync::Arc;

use qundao::adapter::Accepted;
use qundao::bot::Bot;
use qundao::clock::{Clock as _, SystemClock};
use qundao::event::Envelope;
use qundao::report::{Line, TurnReport};
use qundao::script::InProcessHost;
use qundao::script::protocol::ScriptHost;
use qundao::store::sqlite::Sqlite;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::held::Held;
use crate::stage::{Chat, PATIENCE, message, parts, read, write};

const ECHO: &str = "//! 回声。\non_message(|m| m.reply(m.text));\n";

fn folder(shutdown_s: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.toml", &format!("[limits]\nshutdown_s = {shutdown_s}\n"));
    write(folder.path(), "scripts/echo.rhai", ECHO);
    folder
}

/// One life of a bot on a folder; a later one goes on where an earlier one ended.
struct Life {
    bot: Bot,
    reports: UnboundedReceiver<Arc<TurnReport>>,
}

impl Life {
    async fn begin(folder: &Path, chat: &Arc<Chat>) -> Self {
        let host = InProcessHost::with_threads(read(folder).limits.script.clone(), 1).unwrap();
        Self::on(folder, chat, Arc::new(host)).await
    }

    async fn on(folder: &Path, chat: &Arc<Chat>, host: Arc<dyn ScriptHost>) -> Self {
        let config = read(folder);
        let store = Arc::new(Sqlite::open(&folder.join("data/qundao.db")).await.unwrap());
        let clock = SystemClock::with_offset(0);
        let bot = Bot::start(parts(&config, clock, host, store, chat.clone())).await.unwrap();
        let reports = bot.reports();
        Self { bot, reports }
    }

    async fn offer(&self, envelope: &Envelope) -> oneshot::Receiver<Accepted> {
        let (sender, receipt) = oneshot::channel();
        self.bot.inbox().offer(envelope.clone(), Some(sender)).await;
        receipt
    }
}

/// The texts that were answered.
fn answers(reports: &mut UnboundedReceiver<Arc<TurnReport>>) -> Vec<String> {
    let mut said = Vec::new();
    while let Ok(report) = reports.try_recv() {
        said.extend(report.lines.iter().filter_map(|line| match line {
            Line::Said { text, .. } => Some(text.clone()),
            _ => None,
        }));
    }
    said
}

fn numbers(count: usize) -> Vec<Envelope> {
    let now = SystemClock::default().now();
    (0..count).map(|number| message("阿明", &format!("{number:03}"), now)).collect()
}

fn expected(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:03}")).collect()
}

/// Offers again what nobody acknowledged, as a platform does, and waits until all is done.
async fn next_life(
    folder: &Path,
    chat: &Arc<Chat>,
    events: &[Envelope],
    receipts: Vec<oneshot::Receiver<Accepted>>,
) -> Vec<String> {
    let mut life = Life::begin(folder, chat).await;
    let mut receipts = receipts.into_iter();
    for event in events {
        let is_accepted = match receipts.next() {
            Some(receipt) => receipt.await == Ok(Accepted::New),
            None => false,
        };
        if !is_accepted {
            life.offer(event).await;
        }
    }
    tokio::time::timeout(PATIENCE, life.bot.settled()).await.unwrap();
    let said = answers(&mut life.reports);
    let found = life.bot.store().health(0).await.unwrap();
    assert_eq!((found.waiting, found.quarantined, found.failed), (0, 0, 0));
    life.bot.stop().await.unwrap();
    said
}

#[tokio::test]
async fn a_stop_at_any_moment_loses_nothing_and_doubles_nothing() {
    const EVENTS: usize = 300;
    for moment in [0, 1, 17, 120, 299] {
        let folder = folder(15);
        let chat = Chat::open();
        let mut life = Life::begin(folder.path(), &chat).await;
        let events = numbers(EVENTS);
        let (inbox, offered) = (life.bot.inbox(), events.clone());
        // All at once, so that there is a crowd at the door when it closes.
        let talk = tokio::spawn(async move {
            let mut receipts = Vec::new();
            for (index, event) in offered.into_iter().enumerate() {
                let (sender, receipt) = oneshot::channel();
                inbox.offer(event, Some(sender)).await;
                receipts.push(receipt);
                if index % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            receipts
        });
        let mut heard = Vec::new();
        while heard.len() < moment {
            let report = tokio::time::timeout(PATIENCE, life.reports.recv()).await.unwrap();
            heard.push(report.unwrap().lines.clone());
        }
        life.bot.stop().await.unwrap();
        let receipts = talk.await.unwrap();
        let mut said: Vec<String> = heard
            .iter()
            .flatten()
            .filter_map(|line| match line {
                Line::Said { text, .. } => Some(text.clone()),
                _ => None,
            })
            .collect();
        said.extend(answers(&mut life.reports));
        said.extend(next_life(folder.path(), &chat, &events, receipts).await);
        said.sort();
        assert_eq!(said, expected(EVENTS), "stopped after {moment}");
        let mut keys = chat.keys();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), chat.keys().len()), (EVENTS, EVENTS), "each sent once");
    }
}

#[tokio::test]
async fn what_has_not_begun_waits_in_the_database() {
    const EVENTS: usize = 40;
    let folder = folder(1);
    let chat = Chat::open();
    // The first frame never comes back, so that nothing behind it can begin.
    let host = Held::new(&read(folder.path()));
    let life = Life::on(folder.path(), &chat, host.clone()).await;
    let events = numbers(EVENTS);
    let mut receipts = Vec::new();
    for event in &events {
        receipts.push(life.offer(event).await);
    }
    tokio::time::timeout(PATIENCE, host.has_frame.notified()).await.unwrap();
    let error = life.bot.stop().await.expect_err("one turn hangs");
    assert!(error.to_string().starts_with("1 events or deliveries"), "{error}");

    let accepted = receipts.iter_mut().filter_map(|receipt| receipt.try_recv().ok()).count();
    assert_eq!(accepted, EVENTS - 1, "accepted, because they are on the disk");
    let (again, _) = (vec![events[0].clone()], receipts);
    let mut said = next_life(folder.path(), &chat, &again, Vec::new()).await;
    said.sort();
    assert_eq!(said, expected(EVENTS));
    assert_eq!(chat.keys().len(), EVENTS);
}

#[tokio::test]
async fn what_no_adapter_had_is_sent_by_the_next_life() {
    const EVENTS: usize = 10;
    let folder = folder(1);
    // Three go out, the fourth hangs, six wait behind it.
    let slow = Chat::with_room(3);
    let life = Life::begin(folder.path(), &slow).await;
    for event in numbers(EVENTS) {
        let receipt = life.offer(&event).await;
        assert_eq!(receipt.await, Ok(Accepted::New));
    }
    for _ in 0..3 {
        tokio::time::timeout(PATIENCE, slow.is_busy.notified()).await.unwrap();
        if slow.keys().len() == 3 {
            break;
        }
    }
    life.bot.stop().await.expect_err("one delivery hangs");
    let left = slow.keys().len();
    assert_eq!(left, 3);

    let chat = Chat::open();
    let life = Life::begin(folder.path(), &chat).await;
    tokio::time::timeout(PATIENCE, life.bot.settled()).await.unwrap();
    let found = life.bot.store().health(0).await.unwrap();
    assert_eq!((found.unknown, found.failed), (0, 0));
    assert_eq!(chat.keys().len(), EVENTS - 3, "the one that hung too, as its policy says");
    assert!(chat.keys().iter().all(|key| !slow.keys().contains(key)));
    life.bot.stop().await.unwrap();
}
