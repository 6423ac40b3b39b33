//! The newsroom in a running bot: one fetch for all communities, failures told once and to the
//! owner, nothing posted twice.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use qundao::adapter::BoxFuture;
use qundao::bot::Bot;
use qundao::clock::{Clock as _, VirtualClock};
use qundao::news::{Failure, Fetch, Fetched, Known, Payload};
use qundao::report::Notice;
use qundao::script::protocol::Source;
use qundao::store::sqlite::Sqlite;
use qundao::store::{Store, StoreError};
use qundao::value::Role;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::world::{Platform, Setup, in_time, message, number, peek, person_ref, script};

const FEED: &str = "https://news.example/feed?token=secret";
const OTHER: &str = "https://other.example/feed";
const START: i64 = 1_795_566_600_000;
const HOUR_MS: i64 = 3_600_000;

/// A feed whose items are numbered, each an hour older than the one before it.
fn feed(name: &str, numbers: std::ops::Range<usize>, now: i64) -> Payload {
    let items: String = numbers
        .enumerate()
        .map(|(age, number)| {
            let at = chrono::DateTime::from_timestamp_millis(now - age as i64 * HOUR_MS).unwrap();
            let title = ["甲", "乙", "丙", "丁", "戊", "己", "庚", "辛", "壬", "癸"][number % 10];
            format!(
                "<item><title>{} {number}</title><link>https://{name}.example/{number}</link>\
                 <pubDate>{}</pubDate></item>",
                title.repeat(9),
                at.to_rfc2822()
            )
        })
        .collect();
    let text =
        format!("<rss version=\"2.0\"><channel><title>{name}</title>{items}</channel></rss>");
    Payload { bytes: text.into_bytes(), ..Payload::default() }
}

/// Answers by address, and counts.
#[derive(Default)]
struct Feeds {
    answers: Mutex<HashMap<String, Result<Payload, String>>>,
    asked: Mutex<Vec<String>>,
}

impl Feeds {
    fn say(&self, address: &str, answer: Result<Payload, &str>) {
        let answer = answer.map_err(str::to_owned);
        self.answers.lock().unwrap().insert(address.to_owned(), answer);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn asked_of(&self, address: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == address).count()
    }
}

impl Fetch for Feeds {
    fn fetch<'a>(
        &'a self,
        source: &'a str,
        _: &'a Known,
    ) -> BoxFuture<'a, Result<Fetched, Failure>> {
        self.asked.lock().unwrap().push(source.to_owned());
        let answer = self.answers.lock().unwrap().get(source).cloned();
        let answer = answer.unwrap_or_else(|| Err("nobody is there".to_owned()));
        Box::pin(async move { answer.map(Fetched::Feed).map_err(Failure::new) })
    }
}

/// The script that ships, with other sources.
fn daily_news(feeds: &[&str]) -> Source {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/daily_news.rhai");
    let text = std::fs::read_to_string(path).unwrap();
    let list = format!("{feeds:?}");
    let sample = "[\"file:scripts/feeds/sample.xml\"]";
    assert!(text.contains(sample));
    script("daily_news", &text.replace(sample, &list).replace("\"count\", 5", "\"count\", 2"))
}

struct Stage {
    clock: Arc<VirtualClock>,
    feeds: Arc<Feeds>,
    folder: tempfile::TempDir,
    sources: Vec<&'static str>,
    keys: usize,
}

impl Stage {
    fn new(sources: &[&'static str]) -> Self {
        Self {
            clock: VirtualClock::starting_at(START),
            feeds: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
            sources: sources.to_vec(),
            keys: 0,
        }
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("qundao.db")
    }

    /// A life that was cut off still holds the file for a moment.
    async fn open(&self) -> Arc<dyn Store> {
        loop {
            match Sqlite::open(&self.database()).await {
                Ok(store) => return Arc::new(store),
                Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn start(&self, platform: &Arc<Platform>) -> (Bot, UnboundedReceiver<Notice>) {
        let mut setup = Setup::new(vec![daily_news(&self.sources)]);
        setup.clock = self.clock.clone();
        setup.feeds = Some(self.feeds.clone());
        setup.config.roles.insert(person_ref("a"), Role::Owner);
        let store = in_time("the file of a life that ended", self.open()).await;
        let bot = setup.start(store, platform).await;
        let notices = bot.notices();
        bot.fire_due().await;
        (bot, notices)
    }

    async fn say(&mut self, bot: &Bot, group: &str, text: &str) {
        self.keys += 1;
        self.clock.set(self.clock.now() + 60_000);
        let key = format!("k{}", self.keys);
        let event = message(&key, group, "a", text, self.clock.now());
        bot.inbox().offer(event, None).await;
        in_time("an answer", bot.settled()).await;
    }

    /// Lets time pass until the first source has been asked so many times more.
    async fn rounds(&self, bot: &Bot, rounds: usize) {
        let wanted = self.feeds.asked_of(self.sources[0]) + rounds;
        while self.feeds.asked_of(self.sources[0]) < wanted {
            self.clock.set(self.clock.now() + HOUR_MS);
            bot.fire_due().await;
        }
    }
}

fn drain(notices: &mut UnboundedReceiver<Notice>) -> Vec<(bool, String)> {
    std::iter::from_fn(|| notices.try_recv().ok()).map(|it| (it.is_problem, it.text)).collect()
}

/// Links in what was said in a group.
fn links(platform: &Platform, group: &str) -> Vec<String> {
    let said = platform.said().into_iter().filter(|(to, _)| to == group);
    let texts: Vec<String> = said.map(|(_, text)| text).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter(|line| line.starts_with("https://")).map(str::to_owned).collect()
}

async fn count(path: &Path, sql: &'static str) -> i64 {
    number(&mut peek(path).await, sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_is_asked_once_for_all_communities() {
    let mut stage = Stage::new(&[FEED]);
    stage.feeds.say(FEED, Ok(feed("one", 0..6, START)));
    let platform = Platform::willing();
    let (bot, _notices) = stage.start(&platform).await;
    for group in ["g1", "g2", "g3", "g4"] {
        stage.say(&bot, group, "早报发").await;
    }
    assert_eq!(stage.feeds.asked(), 1);
    for group in ["g1", "g2", "g3", "g4"] {
        assert_eq!(links(&platform, group), ["https://one.example/0", "https://one.example/1"]);
    }
    // Not again before its time.
    bot.fire_due().await;
    assert_eq!(stage.feeds.asked(), 1);
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_source_is_told_once_and_never_to_the_group() {
    let mut stage = Stage::new(&[FEED, OTHER]);
    stage.feeds.say(OTHER, Ok(feed("other", 0..3, START)));
    stage.feeds.say(FEED, Err("answers 500"));
    let platform = Platform::willing();
    let (bot, mut notices) = stage.start(&platform).await;
    stage.rounds(&bot, 3).await;
    let told = drain(&mut notices);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 && told[0].1.contains("answers 500"), "{told:?}");
    assert!(told[0].1.contains("news.example") && !told[0].1.contains("secret"), "{told:?}");
    bot.stop().await.unwrap();

    // The streak goes on over a restart.
    let (bot, mut notices) = stage.start(&platform).await;
    stage.rounds(&bot, 2).await;
    assert_eq!(drain(&mut notices), []);
    stage.feeds.say(FEED, Ok(feed("one", 0..3, stage.clock.now())));
    stage.rounds(&bot, 1).await;
    let told = drain(&mut notices);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told[0].0 && told[0].1.contains("works again"), "{told:?}");
    stage.feeds.say(FEED, Err("answers 502"));
    stage.rounds(&bot, 1).await;
    assert_eq!(drain(&mut notices).len(), 1, "a new streak");
    stage.say(&bot, "g", "早报发").await;
    let said = platform.said();
    assert!(!said.is_empty());
    assert!(
        said.iter().all(|(_, text)| !text.contains("502") && !text.contains("500")),
        "{said:?}"
    );
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_is_asked_less_and_less() {
    let stage = Stage::new(&[FEED]);
    let platform = Platform::willing();
    let (bot, _notices) = stage.start(&platform).await;
    let mut waits = Vec::new();
    for _ in 0..7 {
        let (now, asked) = (stage.clock.now(), stage.feeds.asked());
        let due = bot.next_due().unwrap();
        stage.clock.set(due);
        bot.fire_due().await;
        assert_eq!(stage.feeds.asked(), asked + 1, "asked when it is due");
        waits.push((due - now) / 60_000);
    }
    let least = [30, 60, 120, 240, 480, 720, 720];
    for (wait, least) in waits.iter().zip(least) {
        assert!((least..=least + least / 10).contains(wait), "{waits:?}");
    }
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_posted_twice_over_restarts() {
    let mut stage = Stage::new(&[FEED, OTHER]);
    stage.feeds.say(FEED, Ok(feed("one", 0..5, START)));
    // The same pages from another source, and one of its own.
    stage.feeds.say(OTHER, Ok(feed("one", 3..6, START)));
    let platform = Platform::willing();
    for life in 0..5 {
        let (bot, _notices) = stage.start(&platform).await;
        if life % 2 == 0 {
            stage.say(&bot, "g", "早报预览").await;
        }
        stage.say(&bot, "g", "早报发").await;
        if life == 1 {
            stage.say(&bot, "g", "早报发").await;
        }
        // Some lives end in order, others do not.
        if life % 2 == 0 { bot.stop().await.unwrap() } else { drop(bot) }
    }
    let posted = platform.said().into_iter().filter(|(_, text)| text.starts_with("📰"));
    let mut links: Vec<String> = posted
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with("https://"))
        .collect();
    links.sort();
    let all: Vec<String> = (0..6).map(|n| format!("https://one.example/{n}")).collect();
    assert_eq!(links, all, "each once");
    assert_eq!(count(&stage.database(), "SELECT count(*) FROM news_posted").await, 6);
    // Both sources were read in the first life and are not due since.
    assert_eq!(stage.feeds.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grows_old_is_no_news_and_leaves_the_desk() {
    let mut stage = Stage::new(&[FEED]);
    stage.feeds.say(FEED, Ok(feed("one", 0..6, START)));
    let platform = Platform::willing();
    let (bot, _notices) = stage.start(&platform).await;
    stage.clock.set(START + 47 * HOUR_MS);
    stage.say(&bot, "g", "早报发").await;
    assert_eq!(links(&platform, "g"), ["https://one.example/0"]);
    stage.clock.set(START + 49 * HOUR_MS);
    bot.fire_due().await;
    stage.say(&bot, "g", "早报发").await;
    assert_eq!(links(&platform, "g").len(), 1);
    assert_eq!(count(&stage.database(), "SELECT count(*) FROM news_item").await, 0);
    bot.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_given_once_and_goes_with_its_handler() {
    let mut stage = Stage::new(&[FEED]);
    stage.feeds.say(FEED, Ok(feed("one", 0..6, START)));
    let text = format!(
        "//! 记号\nsetting(\"feeds\", [\"{FEED}\"]);\n\
         command(\"坏\", |c| {{ news::mark(news::pick(3)); throw \"坏了\"; }});\n\
         command(\"拒\", |c| {{ news::mark(news::pick(3)); refuse(\"busy\"); }});\n\
         command(\"好\", |c| {{\n\
             let items = news::pick(3);\n\
             let first = news::mark(items).len();\n\
             let second = news::mark(items).len();\n\
             c.reply(`${{items[0].url}} ${{first}} ${{second}} ${{news::pick(20).len()}}`);\n\
         }});\n"
    );
    let mut setup = Setup::new(vec![script("marks", &text)]);
    setup.clock = stage.clock.clone();
    setup.feeds = Some(stage.feeds.clone());
    let platform = Platform::willing();
    let bot = setup.start(stage.open().await, &platform).await;
    bot.fire_due().await;
    for text in ["坏", "拒", "好"] {
        stage.say(&bot, "g", text).await;
    }
    let said: Vec<String> = platform.said().into_iter().map(|(_, text)| text).collect();
    assert!(said.contains(&"https://one.example/0 3 0 3".to_owned()), "{said:?}");
    bot.stop().await.unwrap();
    assert_eq!(count(&stage.database(), "SELECT count(*) FROM news_posted").await, 3);
}
