//! A turn that runs ends on the version that it began with, however many reloads come meanwhile.

use std::sync::Arc;

use qundao::bot::Bot;
use qundao::clock::{Clock as _, VirtualClock};
use qundao::report::Line;
use qundao::store::sqlite::Sqlite;
use qundao::workbench::reload::Reloader;

use crate::held::Held;
use crate::stage::{Chat, PATIENCE, START, message, parts, read, write};

fn version(number: usize) -> String {
    format!("//! {number}\ncommand(\"版\", |c| c.reply(\"{number}\"));\n")
}

#[tokio::test]
async fn a_running_turn_ends_on_the_version_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.toml", "[bot]\n");
    write(folder.path(), "scripts/v.rhai", &version(1));
    let config = read(folder.path());
    let host = Held::new(&config);
    let clock = VirtualClock::starting_at(START);
    let store = Arc::new(Sqlite::in_memory().await.unwrap());
    let parts = parts(&config, clock.clone(), host.clone(), store, Chat::open());
    let bot = Bot::start(parts).await.unwrap();
    let mut reports = bot.reports();
    let reloader = Reloader::new(config);

    bot.inbox().offer(message("阿明", "版", clock.now()), None).await;
    tokio::time::timeout(PATIENCE, host.has_frame.notified()).await.unwrap();
    for number in 2..=5 {
        write(folder.path(), "scripts/v.rhai", &version(number));
        assert_eq!(reloader.reload(&bot).await.scripts.len(), 1);
    }
    bot.inbox().offer(message("小红", "版", clock.now()), None).await;
    host.release();
    tokio::time::timeout(PATIENCE, bot.settled()).await.unwrap();
    let mut said = Vec::new();
    while let Ok(report) = reports.try_recv() {
        said.extend(report.lines.iter().cloned().map(|line| match line {
            Line::Said { text, .. } => text,
            other => format!("{other:?}"),
        }));
    }
    assert_eq!(said, ["1", "5"]);
    bot.stop().await.unwrap();
}
