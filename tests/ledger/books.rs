//! Through the bot: keys, replays, caps in the turn, lines that sum to the balance, and communities
//! that do not touch each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use qundao::bot::Bot;
use qundao::clock::{Clock, TimeMs, VirtualClock};
use qundao::report::Line;
use qundao::store::Store;
use qundao::value::Role;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::world::{Platform, Setup, group_ref, in_time, memory, message, script, seed, shipped};

pub const START: TimeMs = 1_764_000_000_000;

/// A bot whose time only the test moves.
pub struct Chat {
    pub bot: Bot,
    pub clock: Arc<VirtualClock>,
    pub notices: UnboundedReceiver<qundao::report::Notice>,
    reports: UnboundedReceiver<Arc<qundao::report::TurnReport>>,
}

impl Chat {
    pub async fn open(store: Arc<dyn Store>, mut setup: Setup) -> Self {
        let clock = VirtualClock::starting_at(START);
        setup.clock = clock.clone();
        let bot = setup.start(store, &Platform::willing()).await;
        let (notices, reports) = (bot.notices(), bot.reports());
        Self { bot, clock, notices, reports }
    }

    /// Members `boss` (an admin), `a`, `b` and `c` of a group, with points.
    pub async fn seed(&self, group: &str, points: i64) {
        let mut members: Vec<_> =
            ["boss", "a", "b", "c"].map(|name| seed(name, points, START)).into();
        members[0].role = Role::Admin;
        self.bot.seed_members(&group_ref(group), members).await.unwrap();
    }

    /// Says something, and gives what the turn did.
    pub async fn say(&mut self, group: &str, who: &str, text: &str) -> Vec<Line> {
        // No two bots of a test say anything under the same key.
        static SAID: AtomicUsize = AtomicUsize::new(0);
        let key = format!("k{}", SAID.fetch_add(1, Ordering::SeqCst));
        self.clock.set(self.clock.now() + 2500);
        self.offer(&key, group, who, text).await
    }

    pub async fn offer(&mut self, key: &str, group: &str, who: &str, text: &str) -> Vec<Line> {
        let now = self.clock.now();
        self.bot.inbox().offer(message(key, group, who, text, now), None).await;
        in_time("the turn", self.bot.settled()).await;
        self.lines()
    }

    /// Lets time pass, timer by timer.
    pub async fn pass(&mut self, by_ms: TimeMs) -> Vec<Line> {
        let end = self.clock.now() + by_ms;
        while let Some(due) = self.bot.next_due().filter(|due| *due <= end) {
            self.clock.set(due);
            self.bot.fire_due().await;
            in_time("what is due", self.bot.settled()).await;
        }
        self.clock.set(end);
        self.lines()
    }

    fn lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            lines.extend(report.lines.iter().cloned());
        }
        lines
    }

    /// What was said first.
    pub fn text(lines: &[Line]) -> String {
        let said = lines.iter().find_map(|line| match line {
            Line::Said { text, .. } => Some(text.clone()),
            _ => None,
        });
        said.unwrap_or_default()
    }

    pub fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(notice) = self.notices.try_recv() {
            // The head of the audit log is told once a day.
            if notice.is_problem {
                told.push(notice.text);
            }
        }
        told
    }
}

pub fn refused(lines: &[Line], code: &str) -> bool {
    lines.contains(&Line::Refused { code: code.to_owned() })
}

/// A script in which the test says what is given, under which key.
const KEYED: &str = "//! 按键给\n\
    command(\"给 <amount:int> <key:word>\", |c| {\n    \
        let is_new = points::grant(c.member, c.amount, \"给\", c.key);\n    \
        c.reply(`${is_new} ${points::balance(c.member)}`);\n\
    });\n\
    command(\"花 <amount:int> <key:word>\", |c| {\n    \
        points::spend(c.member, c.amount, \"花\", c.key);\n    \
        c.reply(`${points::balance(c.member)}`);\n\
    });\n\
    command(\"试 <amount:int>\", |c| {\n    \
        let what = \"给了\";\n    \
        try { points::grant(c.member, c.amount, \"试\"); } catch (e) { what = e.code; }\n    \
        c.reply(`${what} ${points::balance(c.member)}`);\n\
    });\n";

#[tokio::test]
async fn a_key_stands_for_one_thing_and_anything_else_is_an_alarm() {
    let setup = Setup::new(vec![script("keyed", KEYED)]);
    let mut chat = Chat::open(memory().await, setup).await;
    chat.seed("g", 100).await;
    assert_eq!(Chat::text(&chat.say("g", "a", "给 5 x").await), "true 105");
    assert_eq!(Chat::text(&chat.say("g", "a", "给 5 x").await), "false 105");
    assert_eq!(chat.told(), Vec::<String>::new());
    let lines = chat.say("g", "a", "给 6 x").await;
    assert_eq!(Chat::text(&lines), "", "{lines:?}");
    let told = chat.told().join("\n");
    assert!(
        told.contains("stands for another transfer") && told.contains("keyed.rhai:3"),
        "{told}"
    );
    // Another direction is another thing too, and memory that was lost finds it in the database.
    chat.bot.seed_members(&group_ref("g"), Vec::new()).await.unwrap();
    chat.say("g", "a", "花 5 x").await;
    let told = chat.told().join("\n");
    assert!(told.contains("stands for another transfer"), "{told}");
    chat.bot.seed_members(&group_ref("g"), Vec::new()).await.unwrap();
    assert_eq!(Chat::text(&chat.say("g", "a", "给 5 x").await), "false 105");
    chat.bot.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_refused_stays_refused_when_its_event_comes_again() {
    let setup = Setup::new(vec![script("keyed", KEYED)]);
    let mut chat = Chat::open(memory().await, setup).await;
    chat.seed("g", 3).await;
    assert!(refused(&chat.offer("once", "g", "a", "花 5 y").await, "not_enough"));
    chat.say("g", "a", "给 10 z").await;
    // Now it could succeed, and must not.
    assert!(chat.offer("once", "g", "a", "花 5 y").await.is_empty());
    assert_eq!(Chat::text(&chat.say("g", "a", "给 10 z").await), "false 13");
    chat.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_a_script_catches_leaves_nothing_of_its_call() {
    let mut setup = Setup::new(vec![script("keyed", KEYED)]);
    setup.config.limits.points_member_day = 50;
    setup.config.limits.points_minted_day = 80;
    let mut chat = Chat::open(memory().await, setup).await;
    chat.seed("g", 0).await;
    assert_eq!(Chat::text(&chat.say("g", "a", "试 40").await), "给了 40");
    assert_eq!(Chat::text(&chat.say("g", "a", "试 11").await), "earned_cap 40");
    assert_eq!(Chat::text(&chat.say("g", "a", "试 10").await), "给了 50");
    assert_eq!(Chat::text(&chat.say("g", "b", "试 31").await), "minted_cap 0");
    assert_eq!(Chat::text(&chat.say("g", "b", "试 30").await), "给了 30");
    // Memory that was lost remembers what was counted, and a day later it begins anew.
    chat.bot.seed_members(&group_ref("g"), Vec::new()).await.unwrap();
    assert_eq!(Chat::text(&chat.say("g", "a", "试 1").await), "minted_cap 50");
    chat.pass(24 * 3_600_000).await;
    assert_eq!(Chat::text(&chat.say("g", "a", "试 1").await), "给了 51");
    chat.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_ring_of_fifty_accounts_gets_no_more_than_the_cap() {
    let mut setup = Setup::new(vec![script("keyed", KEYED)]);
    setup.config.limits.points_minted_day = 200;
    let store = memory().await;
    let mut chat = Chat::open(store, setup).await;
    let ring = (0..50).map(|n| seed(&format!("m{n}"), 0, START));
    chat.bot.seed_members(&group_ref("g"), ring.collect()).await.unwrap();
    let mut got = 0;
    for n in 0..50 {
        let lines = chat.say("g", &format!("m{n}"), "试 10").await;
        got += i64::from(Chat::text(&lines) == "给了 10") * 10;
    }
    assert_eq!(got, 200);
    chat.bot.stop().await.unwrap();
}

/// What each of two communities comes to, by member.
async fn played(order: &[(&str, &str, &str)]) -> Vec<String> {
    let scripts = vec![script("keyed", KEYED), shipped("red_packet"), shipped("points")];
    let mut chat = Chat::open(memory().await, Setup::new(scripts)).await;
    chat.seed("g", 100).await;
    chat.seed("h", 100).await;
    for (n, (group, who, text)) in order.iter().enumerate() {
        // The same moment and key in every order, so that nothing but the order differs.
        let of_group = order[..n].iter().filter(|(other, ..)| other == group).count();
        let at = START + 60_000 * (1 + of_group as i64);
        let key = format!("{group}{of_group}");
        chat.bot.inbox().offer(message(&key, group, who, text, at), None).await;
        in_time("the turn", chat.bot.settled()).await;
    }
    let mut end = Vec::new();
    for group in ["g", "h"] {
        for who in ["boss", "a", "b", "c"] {
            end.push(Chat::text(&chat.say(group, who, "积分").await));
        }
    }
    chat.bot.stop().await.unwrap();
    end
}

/// L11: however the events of two communities mix, each comes to the same.
#[tokio::test]
async fn communities_that_mix_do_not_touch_each_other() {
    let of = |group| {
        [
            (group, "a", "平均红包 30 3"),
            (group, "b", "抢"),
            (group, "c", "花 20 x"),
            (group, "boss", "抢"),
        ]
    };
    let (g, h) = (of("g"), of("h"));
    let in_turn = [g, h].concat();
    let mixed: Vec<_> = g.iter().zip(&h).flat_map(|(g, h)| [*h, *g]).collect();
    let first = played(&in_turn).await;
    assert_eq!(first, played(&mixed).await);
    assert!(first.iter().any(|line| line.contains("110")), "{first:?}");
}
