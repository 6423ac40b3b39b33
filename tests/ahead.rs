//! Frames that go ahead of their turns change nothing but how long it takes: whatever is sent
//! together is answered as if each message had come when the one before was done.

mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use qundao::adapter::BoxFuture;
use qundao::bot::Bot;
use qundao::child::{ChildHost, Program};
use qundao::clock::VirtualClock;
use qundao::event::Envelope;
use qundao::script::InProcessHost;
use qundao::script::protocol::{
    Bundle, Done, Manifest, ScriptError, ScriptHost, ScriptLimits, Source, Work,
};
use sqlx::Row as _;
use tokio::sync::mpsc::UnboundedSender;
use world::{Platform, Setup, in_time, message, peek, script, sqlite};

const START: i64 = 1_795_395_600_000;

/// Says all that a frame shows of its author, and something by chance.
const MIRROR: &str = "//! 镜子
on_message(|m| m.reply(`${m.member.name} ${m.member.messages} ${m.member.points} ${m.member.warnings} ${random(1, 99)}`));
on_keyword([\"骂\"], |m| m.member.warn(\"骂人\"));
on_keyword([\"坏\"], |m| { throw \"坏了\"; });
on_keyword([\"问\"], |m| m.reply(`第 ${state::incr(m.group, \"n\")} 问`));
";
/// Changes what the next frame shows.
const GIFT: &str = "//! 发分
command(\"领\", #{ help: \"points.help_add\" }, |c| { points::grant(c.member, 5, \"领\"); c.reply(\"领到 5 分\"); });
";

/// Frames that were handed over, with where their answers go.
type Frames = Vec<(Vec<Work>, UnboundedSender<Done>)>;

/// Holds the first frame until told, so that all else waits behind it; counts what it is given.
struct Door {
    host: Arc<dyn ScriptHost>,
    held: Mutex<Option<Frames>>,
    turns: AtomicUsize,
    ahead: AtomicUsize,
}

impl Door {
    fn new(is_open: bool) -> Arc<Self> {
        Self::before(Arc::new(InProcessHost::with_threads(limits(), 2).unwrap()), is_open)
    }

    fn before(host: Arc<dyn ScriptHost>, is_open: bool) -> Arc<Self> {
        Arc::new(Self {
            host,
            held: Mutex::new((!is_open).then(Frames::new)),
            turns: AtomicUsize::new(0),
            ahead: AtomicUsize::new(0),
        })
    }

    fn open(&self) {
        let held = self.held.lock().unwrap().take();
        for (batch, done) in held.into_iter().flatten() {
            self.host.submit(batch, done);
        }
    }
}

impl ScriptHost for Door {
    fn check(&self, source: &Source) -> Result<Manifest, Vec<ScriptError>> {
        self.host.check(source)
    }

    fn install(&self, bundle: Arc<Bundle>) {
        self.host.install(bundle);
    }

    fn submit(&self, batch: Vec<Work>, done: UnboundedSender<Done>) {
        let ahead = batch.iter().filter(|work| work.frame.is_ahead).count();
        self.ahead.fetch_add(ahead, Ordering::Relaxed);
        self.turns.fetch_add(batch.len() - ahead, Ordering::Relaxed);
        match &mut *self.held.lock().unwrap() {
            Some(held) => held.push((batch, done)),
            None => self.host.submit(batch, done),
        }
    }

    fn aside(&self) -> BoxFuture<'_, anyhow::Result<Arc<dyn ScriptHost>>> {
        self.host.aside()
    }
}

fn limits() -> ScriptLimits {
    ScriptLimits { handler_ms: 10_000, ..ScriptLimits::default() }
}

/// What a bot came to: all that it said, in order, and what is in its database.
#[derive(Debug, PartialEq)]
struct Story {
    said: Vec<(String, String)>,
    events: Vec<String>,
}

const EVENTS: &str = "SELECT id || ' ' || coalesce(json_extract(outcome, '$.lines'), '-') || ' ' ||
    coalesce(json_extract(outcome, '$.answers'), '-') FROM event ORDER BY id";

async fn play(chat: &[Envelope], host: &Arc<Door>, is_together: bool) -> Story {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let mut setup = Setup::new(vec![script("mirror", MIRROR), script("gift", GIFT)]);
    setup.clock = VirtualClock::starting_at(START);
    setup.config.limits.commands = 1000;
    setup.host = Some(host.clone());
    let bot: Bot = setup.start(sqlite(&path).await, &platform).await;
    for envelope in chat {
        bot.inbox().offer(envelope.clone(), None).await;
        if !is_together {
            in_time("a message", bot.settled()).await;
        }
    }
    host.open();
    in_time("everything", bot.settled()).await;
    bot.stop().await.unwrap();
    let mut db = peek(&path).await;
    let events = sqlx::query(EVENTS).fetch_all(&mut db).await.unwrap();
    Story { said: platform.said(), events: events.iter().map(|row| row.get(0)).collect() }
}

fn chat<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Envelope> {
    let texts = texts.into_iter().enumerate();
    texts.map(|(n, (who, text))| message(&format!("m{n}"), "g", who, text, START)).collect()
}

async fn compare(chat: &[Envelope]) -> (usize, usize) {
    let alone = Door::new(true);
    let expected = play(chat, &alone, false).await;
    assert_eq!(alone.ahead.load(Ordering::Relaxed), 0, "nothing waits, so nothing goes ahead");
    let together = Door::new(false);
    assert_eq!(play(chat, &together, true).await, expected);
    // In a process of their own, which drops frames ahead where a handler fails.
    let program = Program::at(env!("CARGO_BIN_EXE_qundao").into());
    let child = ChildHost::start(program, limits()).await.unwrap();
    assert_eq!(play(chat, &Door::before(Arc::new(child), false), true).await, expected);
    let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    (chat.len() - load(&together.turns), load(&together.ahead))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn talk_that_waits_goes_along_and_is_answered_the_same() {
    let names = ["a", "b", "c"];
    let chat = chat((0..200).map(|n| (names[n % 3], "你好")));
    let (used, ahead) = compare(&chat).await;
    // All but the first of each seventeen.
    assert!(used > 170, "{used} of {ahead} were of use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_is_talk_of_many_who_were_never_seen_before() {
    let names: Vec<String> = (0..150).map(|n| format!("n{}", n * n % 101)).collect();
    let chat = chat(names.iter().map(|name| (name.as_str(), "大家好")));
    let (used, ahead) = compare(&chat).await;
    assert!(used > 120, "{used} of {ahead} were of use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_turn_changes_is_seen_by_the_next() {
    let names = ["a", "b", "c", "d", "e"];
    // A number that goes through all of them without a pattern.
    let mut random = 1_u64;
    let mut next = move |of: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % of
    };
    let texts = ["你好", "早", "领", "问一句", "你好呀", "嗯", "坏", "骂", "骂", "领"];
    let chat = chat((0..600).map(|_| (names[next(5)], texts[next(10)])));
    let (used, ahead) = compare(&chat).await;
    let said = play(&chat, &Door::new(true), false).await.said;
    for text in ["领到 5 分", " 5 1 ", "第 2 问"] {
        assert!(said.iter().any(|(_, said)| said.contains(text)), "nothing says {text}: {said:?}");
    }
    assert!(used > 50 && ahead > used, "{used} of {ahead} were of use, and some were in vain");
}
