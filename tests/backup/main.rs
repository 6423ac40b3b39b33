//! Backups: taken while the bot works they are whole, and a restored one sends nothing again, gives no
//! number twice and answers nothing that happened before.

#[path = "../kill9/books.rs"]
mod books;
#[path = "../powercut/load.rs"]
mod load;
#[cfg(target_os = "linux")]
mod program;
#[path = "../kill9/traffic.rs"]
mod traffic;
#[path = "../world/mod.rs"]
mod world;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use books::{free, look};
use load::{Load, World};
use qundao::adapter::{Accepted, Outcome};
use qundao::bot::Bot;
use qundao::clock::{Clock, SystemClock, TimeMs};
use qundao::store::sqlite::Sqlite;
use qundao::store::{Store as _, StoreError};
use tokio::sync::oneshot;
use traffic::scripts;
use world::{Platform, Setup, group_ref, in_time, message, number, peek, seed, sqlite};

/// Backups, unless `QUNDAO_CYCLES` says otherwise.
const BACKUPS: usize = 20;

fn now() -> TimeMs {
    SystemClock::default().now()
}

async fn copy(file: &Path, to: &Path) -> Result<(), StoreError> {
    Sqlite::look(file).await?.backup(to, now()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_taken_under_load_are_whole() {
    let cycles = std::env::var("QUNDAO_CYCLES").ok().and_then(|n| n.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let mut world = World::new(u64::from(std::process::id()));
    let load = Load::start(sqlite(&file).await).await.unwrap();
    let mut meanwhile = 0;
    for n in 0..cycles.unwrap_or(BACKUPS) {
        let more = world.said.len() + 60;
        load.talk_until(&mut world, |world| world.said.len() >= more).await;
        let before = world.acknowledged();
        let to = folder.path().join(format!("copy-{n}/qundao.db"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copying = tokio::spawn({
            let (file, to) = (file.clone(), to.clone());
            async move { copy(&file, &to).await }
        });
        load.talk_until(&mut world, |_| copying.is_finished()).await;
        copying.await.unwrap().unwrap();
        meanwhile += world.acknowledged().len() - before.len();
        let found = look(&to).await;
        assert_eq!(found.broken, Vec::<String>::new(), "backup {n}");
        let missing = before.iter().filter(|key| !found.keys.contains(&format!("e{key}")));
        assert_eq!(missing.count(), 0, "backup {n}: acknowledged before it and not in it");
    }
    println!("{} events, {meanwhile} of them during a backup", world.said.len());
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let store = sqlite(&file).await;
    let to = folder.path().join("copy.db");
    copy(&file, &to).await.unwrap();
    let before = std::fs::read(&to).unwrap();
    let again = copy(&file, &to).await.expect_err("it is there already");
    assert!(again.to_string().contains("is there already"), "{again}");
    assert_eq!(std::fs::read(&to).unwrap(), before);
    let nowhere = folder.path().join("nowhere/copy.db");
    copy(&file, &nowhere).await.expect_err("no such folder");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_the_log_of_another_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copied) = (folder.path().join("qundao.db"), folder.path().join("copy.db"));
    let load = Load::start(sqlite(&file).await).await.unwrap();
    let mut world = World::new(7);
    load.talk_until(&mut world, |world| world.said.len() >= 20).await;
    copy(&file, &copied).await.unwrap();
    load.talk_until(&mut world, |world| world.said.len() >= 40).await;
    // The log as a crash leaves it.
    let log = std::fs::read(folder.path().join("qundao.db-wal")).unwrap();
    assert!(!log.is_empty());
    load.end().await;
    let (folder, file) = (folder.path().join("restored"), folder.path().join("restored/qundao.db"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(&copied, &file).unwrap();
    std::fs::write(folder.join("qundao.db-wal"), log).unwrap();
    let refused = Sqlite::open(&file).await.err().expect("it is refused").to_string();
    assert!(refused.contains("qundao.db-wal"), "{refused}");
    assert_eq!(std::fs::read(&copied).unwrap(), std::fs::read(&file).unwrap(), "untouched");
    std::fs::remove_file(folder.join("qundao.db-wal")).unwrap();
    assert_eq!(look(&file).await.broken, Vec::<String>::new());
}

/// A bot that counts commands without a limit.
async fn start(file: &Path, platform: &Arc<Platform>) -> anyhow::Result<Bot> {
    let mut setup = Setup::new(scripts());
    setup.config.limits.commands = 1_000_000;
    setup.config.limits.disk_free_mb = 0;
    setup.try_start(Arc::new(in_time("the file", free(file)).await), platform).await
}

async fn say(bot: &Bot, key: &str, person: &str, text: &str, at: TimeMs) {
    say_in(bot, "g", key, person, text, at).await;
}

async fn say_in(bot: &Bot, group: &str, key: &str, person: &str, text: &str, at: TimeMs) {
    let (receipt, heard) = oneshot::channel();
    bot.inbox().offer(message(key, group, person, text, at), Some(receipt)).await;
    let accepted = in_time(key, heard).await.unwrap();
    assert!(matches!(accepted, Accepted::New), "{key}: {accepted:?}");
}

/// What goes to one group waits for a minute.
fn slow() -> Arc<Platform> {
    let mut n = 0;
    Platform::answering(move |request| {
        n += 1;
        if *request.to.reference() == group_ref("slow") {
            let retry_after = Some(Duration::from_secs(60));
            return Outcome::NotSent { reason: "slow down".to_owned(), retry_after };
        }
        Outcome::Done { id: Some(format!("m{n}")), degraded: Vec::new() }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_bot_sends_nothing_again_and_gives_no_number_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copied) = (folder.path().join("qundao.db"), folder.path().join("copied/qundao.db"));
    std::fs::create_dir_all(copied.parent().unwrap()).unwrap();
    let began = now();
    let platform = slow();
    let bot = start(&file, &platform).await.unwrap();
    let members = ["甲", "乙", "丙", "丁"].map(|name| seed(name, 1000, began));
    bot.seed_members(&group_ref("g"), members.into()).await.unwrap();
    // Packets, open deliveries, and alarms that ring after the backup.
    for n in 0..10 {
        say_in(&bot, "slow", &format!("a{n}"), "甲", "数", began).await;
    }
    say(&bot, "packet-1", "甲", "红包 60 3 大家好", began).await;
    say(&bot, "alarm", "乙", "闹", began).await;
    copy(&file, &copied).await.unwrap();
    // What is lost with the original.
    for n in 0..10 {
        say(&bot, &format!("b{n}"), "乙", "数", now()).await;
        say(&bot, &format!("packet-b{n}"), "乙", "红包 30 3 大家好", now()).await;
    }
    in_time("the alarm", async {
        while !platform.said().iter().any(|(_, text)| text.contains("叮")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bot.stop().await.unwrap_or_default();
    let mut db = peek(&file).await;
    let highest = number(&mut db, "SELECT max(id) FROM packet").await;
    let highest_event = number(&mut db, "SELECT max(id) FROM event").await;
    drop(db);
    let found = look(&copied).await;
    assert!(found.broken.is_empty() && !found.under_way.is_empty(), "{found:?}");

    // A backup is no database to go on with.
    let platform = Platform::willing();
    let refused = start(&copied, &platform).await.err().expect("it is a backup").to_string();
    assert!(refused.contains("--after-restore"), "{refused}");
    assert!(platform.said().is_empty());

    let store = in_time("the file", free(&copied)).await;
    let restored = store.restore(now()).await.unwrap();
    assert_eq!(restored.held, found.under_way.len() as u64);
    assert!(restored.backup_of.is_some_and(|at| at >= began));
    drop(store);
    let bot = start(&copied, &platform).await.unwrap();
    in_time("everything", bot.settled()).await;
    // What the platform brings again is kept, and is not answered.
    for n in 0..10 {
        say(&bot, &format!("b{n}"), "乙", "数", now() - 60_000).await;
    }
    in_time("everything", bot.settled()).await;
    assert_eq!(platform.said(), [], "nothing is sent that is not new");
    let mut db = peek(&copied).await;
    let rung = number(&mut db, "SELECT count(*) FROM timer WHERE name = 'ring'").await;
    assert_eq!(rung, 0, "the alarm has rung, and nobody was told twice");
    let unknown = "SELECT count(*) FROM delivery WHERE state = 'unknown'";
    assert_eq!(number(&mut db, unknown).await, restored.held as i64);

    say(&bot, "new", "丙", "数", now()).await;
    say(&bot, "packet-new", "丙", "红包 30 3 大家好", now()).await;
    in_time("everything", bot.settled()).await;
    let said = platform.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(number(&mut db, "SELECT max(id) FROM packet").await > highest);
    let new = number(&mut db, "SELECT min(id) FROM event WHERE key = 'new'").await;
    assert!(new > highest_event, "{new} after {highest_event}");
    bot.stop().await.unwrap();
    let found = look(&copied).await;
    // Commands that came too late were not handled, and an alarm rang without a word.
    let is_meant = |what: &&String| {
        what.contains("than handled") || what.contains("than counted") || what.contains("alarms")
    };
    let broken: Vec<_> = found.broken.iter().filter(|what| !is_meant(what)).collect();
    assert!(broken.is_empty(), "{broken:?}");

    // The next start is one like any other.
    let bot = start(&copied, &platform).await.unwrap();
    in_time("everything", bot.settled()).await;
    say(&bot, "packet-next", "丙", "红包 30 3 大家好", now()).await;
    bot.stop().await.unwrap();
    assert_eq!(platform.said().len(), 3);
}
