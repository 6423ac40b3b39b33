//! More comes in than can be handled, and goes on coming: what is cheap to repeat is left undone
//! and counted, everything else still happens, in its order.

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use qundao::bot::Bot;
use qundao::clock::{Clock, TimeMs};
use qundao::store::Store;
use qundao::value::Role;
use world::{Platform, Setup, in_time, message, number, peek, script, seed, sqlite};

const ECHO: &str = "//! 回声\ncommand(\"echo <t:text>\", |c| c.reply(c.t));\n";
/// A rule, which acts whatever happens.
const RULE: &str = "//! 禁词\non_keyword([\"禁词\"], |m| m.delete(\"禁词\"));\n";
const ROOM: usize = 16;
const EVENTS: usize = 200;
/// Messages of the cold burst, three of each member.
const BURST: usize = 3000;
/// A moment in 2026.
const NOW: i64 = 1_795_395_600_000;

/// Time passes by being looked at, so that it passes while there is work and only then.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> TimeMs {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    fn flows(&self) -> bool {
        false
    }
}

/// Offers everything at once; what finds no room waits at the door in its order.
async fn offer_all(bot: &Bot) {
    let events = (0..EVENTS).map(|n| {
        let (person, text) = match n % 10 {
            3 => ("boss", format!("echo {n}")),
            7 => ("b", format!("禁词 {n}")),
            _ => ("a", format!("echo {n}")),
        };
        (message(&format!("m{n}"), "g", person, &text, NOW), None)
    });
    bot.inbox().offer_all(events.collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_left_undone_and_counted_the_rest_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let platform = Platform::willing();
    let mut setup = Setup::new(vec![script("echo", ECHO), script("rule", RULE)]);
    setup.clock = Arc::new(Ticking(AtomicI64::new(NOW)));
    setup.config.limits.mailboxes = ROOM;
    setup.config.limits.overload_ms = 50;
    setup.config.limits.commands = 1_000_000;
    let store: Arc<dyn Store> = sqlite(&path).await;
    let bot = setup.start(store.clone(), &platform).await;
    let boss = qundao::bot::SeedMember { role: Role::Admin, ..seed("boss", 0, NOW) };
    bot.seed_members(&world::group_ref("g"), vec![boss]).await.unwrap();
    in_time("the seed", bot.settled()).await;
    let mut notices = bot.notices();

    in_time("the offer", offer_all(&bot)).await;
    in_time("everything", bot.settled()).await;

    let said: Vec<usize> = platform.said().iter().map(|(_, text)| text.parse().unwrap()).collect();
    assert!(said.is_sorted(), "{said:?}");
    let bosses = said.iter().filter(|n| **n % 10 == 3).count();
    assert_eq!(bosses, EVENTS / 10, "what the staff asks for is done");
    let mut db = peek(&path).await;
    let undone = number(&mut db, "SELECT commands FROM left_undone").await as usize;
    assert!(undone > 0 && undone < EVENTS / 2 + EVENTS / 3, "{undone}");
    assert_eq!(said.len() + undone, EVENTS * 9 / 10, "every command is answered or counted");
    let deleted = "SELECT count(*) FROM delivery WHERE call = 'delete' AND state = 'sent'";
    assert_eq!(number(&mut db, deleted).await as usize, EVENTS / 10, "rules act");
    let counted = number(&mut db, "SELECT sum(messages) FROM member_tally").await;
    assert_eq!(counted as usize, EVENTS, "every message counts");
    assert_eq!(store.health(NOW).await.unwrap().left_undone as usize, undone);
    let told: Vec<String> =
        std::iter::from_fn(|| notices.try_recv().ok()).map(|notice| notice.text).collect();
    assert!(told[0].contains("`mailboxes` (16)") && told[0].contains("`overload_ms`"), "{told:?}");
    assert!(told[1].contains(&format!("{undone} commands of members")), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    bot.stop().await.unwrap();
}

/// Everybody speaks at once to a bot that knows nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_burst_loses_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let mut setup = Setup::new(vec![script("echo", ECHO), script("rule", RULE)]);
    setup.clock = Arc::new(Ticking(AtomicI64::new(NOW)));
    setup.config.limits.commands = 1_000_000;
    let platform = Platform::willing();
    let bot = setup.start(sqlite(&path).await, &platform).await;
    let burst = (0..BURST).map(|n| {
        let (group, person) = (n % 50, n % 1000);
        let text = if n % 10 == 0 { format!("echo {n}") } else { format!("大家好 {n}") };
        (message(&format!("m{n}"), &format!("g{group}"), &format!("p{person}"), &text, NOW), None)
    });
    in_time("the burst", bot.inbox().offer_all(burst.collect())).await;
    in_time("everything", bot.settled()).await;
    bot.stop().await.unwrap();
    let mut db = peek(&path).await;
    let counted = number(&mut db, "SELECT sum(messages) FROM member_tally").await;
    let wrong = "SELECT count(*) FROM member_tally WHERE messages <> 3";
    assert_eq!((counted as usize, number(&mut db, wrong).await), (BURST, 0));
    let answered = platform.said().len();
    let undone = number(&mut db, "SELECT coalesce(sum(commands), 0) FROM left_undone").await;
    assert_eq!(answered + undone as usize, BURST / 10, "every command is answered or counted");
}
