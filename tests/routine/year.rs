//! A year of a community of fifty, with restarts, reloads, edits and jumps of the clock drawn at
//! random: every time is decided once, nothing is posted twice, each miss says why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use qundao::bot::Bot;
use qundao::clock::{Clock, TimeMs};
use qundao::config::CommunityConfig;
use qundao::moderation::WordLists;
use qundao::routine::Cron;
use qundao::script::protocol::Source;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sqlx::Row as _;

use crate::ours;

use super::drawn::below;
use crate::world::{
    Platform, Setup, group_ref, in_time, message, number, peek, script, seed, sqlite,
};

const ZONE: Tz = Tz::America__New_York;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const MEMBERS: usize = 50;
/// Posts a day of the profile `normal`.
const BUDGET: usize = 4;

/// A clock that the test moves, also backwards.
struct Wall(AtomicI64);

impl Clock for Wall {
    fn now(&self) -> TimeMs {
        self.0.load(Ordering::SeqCst)
    }

    fn flows(&self) -> bool {
        false
    }
}

/// A routine of the test: its options, and times that an edit chooses from.
struct Plan {
    name: &'static str,
    options: &'static str,
    times: &'static [&'static str],
}

/// More than the budget has room for, about the hours at which clocks change.
const PLANS: [Plan; 9] = [
    Plan {
        name: "news",
        options: "kind: \"news\", priority: 8",
        times: &["0 8 * * *", "30 8 * * *"],
    },
    Plan { name: "topic", options: "kind: \"topic\"", times: &["0 12 * * *", "0 13 * * 1-5"] },
    Plan { name: "tip", options: "kind: \"practical\", priority: 3", times: &["30 18 * * *"] },
    Plan {
        name: "gift",
        options: "kind: \"welfare\", priority: 6",
        times: &["0 19 * * *", "0 20 1,15 * FRI"],
    },
    Plan {
        name: "guest",
        options: "kind: \"guest\", priority: 7",
        times: &["0 21 * * 3-6", "0 21 * * *"],
    },
    Plan { name: "late", options: "kind: \"guest\", priority: 1", times: &["30 22 * * *"] },
    Plan {
        name: "night",
        options: "missed: \"once\", window: \"2h\"",
        times: &["30 2 * * *", "30 1 * * *"],
    },
    Plan { name: "tide", options: "missed: \"all\"", times: &["0 */6 * * *"] },
    Plan { name: "tick", options: "missed: \"skip\"", times: &["15 1-5/2 * * *"] },
];

struct Year {
    clock: Arc<Wall>,
    platform: Arc<Platform>,
    rng: ChaCha8Rng,
    /// Which of its times each routine has.
    chosen: [usize; PLANS.len()],
    /// Since when it has them, and the latest time that was reached with them.
    spans: Vec<(usize, &'static str, TimeMs, TimeMs)>,
    began: [TimeMs; PLANS.len()],
    reached: TimeMs,
    counts: BTreeMap<&'static str, u32>,
    messages: usize,
}

impl Year {
    fn source(&self) -> Source {
        let mut text = "//! A year\n".to_owned();
        for (plan, chosen) in PLANS.iter().zip(self.chosen) {
            text.push_str(&format!(
                "every(\"{}\", #{{ name: \"{}\", {} }}, |t| {{\n    say(t.data.name + \" \" + \
                 t.data.day + \" \" + t.data.time);\n}});\n",
                plan.times[chosen], plan.name, plan.options
            ));
        }
        script("year", &text)
    }

    async fn start(&self, path: &Path) -> Bot {
        let mut setup = Setup::new(vec![self.source()]);
        setup.clock = self.clock.clone();
        setup.config.communities = vec![CommunityConfig {
            id: "club".to_owned(),
            groups: vec![group_ref("g")],
            timezone: Some(ours(ZONE)),
            ..CommunityConfig::default()
        }];
        // The whole year is looked at in the end.
        setup.config.privacy.archive_days = 400;
        setup.start(sqlite(path).await, &self.platform).await
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    /// Lets everything happen that is due.
    async fn settle(&mut self, bot: &Bot) {
        loop {
            bot.fire_due().await;
            in_time("the turns", bot.settled()).await;
            if bot.next_due().is_none_or(|due| due > self.clock.now()) {
                break;
            }
        }
        self.reached = self.reached.max(self.clock.now());
        for span in &mut self.spans {
            if PLANS[span.0].times[self.chosen[span.0]] == span.1 && span.2 == self.began[span.0] {
                span.3 = span.3.max(self.clock.now());
            }
        }
    }

    /// Other times for one routine.
    async fn edit(&mut self, bot: &Bot) {
        let which = below(&mut self.rng, PLANS.len() as u32) as usize;
        if PLANS[which].times.len() < 2 {
            return;
        }
        self.chosen[which] = 1 - self.chosen[which];
        self.began[which] = self.clock.now();
        self.note_span(which);
        self.reload(bot).await;
        self.count("edits");
    }

    fn note_span(&mut self, which: usize) {
        let (times, from) = (PLANS[which].times[self.chosen[which]], self.began[which]);
        self.spans.push((which, times, from, from));
    }

    async fn reload(&mut self, bot: &Bot) {
        let words = Some(WordLists::default());
        let problems = bot.reload(bot.config(), vec![self.source()], words).await.unwrap();
        assert_eq!(problems, Vec::<String>::new());
        in_time("the reload", bot.settled()).await;
        self.count("reloads");
    }

    async fn chat(&mut self, bot: &Bot) {
        let who = format!("m{}", below(&mut self.rng, MEMBERS as u32));
        self.messages += 1;
        let key = format!("k{}", self.messages);
        bot.inbox().offer(message(&key, "g", &who, "hello", self.clock.now()), None).await;
        in_time("the message", bot.settled()).await;
    }

    fn go(&self, by_ms: i64) {
        self.clock.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

fn ms(text: &str) -> TimeMs {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

fn local_day(at: TimeMs) -> NaiveDate {
    DateTime::<Utc>::from_timestamp_millis(at).unwrap().with_timezone(&ZONE).date_naive()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_fifty_members() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("year.db");
    let begun = ms("2026-01-01T05:00:00Z");
    let mut year = Year {
        clock: Arc::new(Wall(AtomicI64::new(begun))),
        platform: Platform::willing(),
        rng: ChaCha8Rng::seed_from_u64(50),
        chosen: [0; PLANS.len()],
        spans: Vec::new(),
        began: [begun; PLANS.len()],
        reached: begun,
        counts: BTreeMap::new(),
        messages: 0,
    };
    let wall = Instant::now();
    let mut bot = year.start(&path).await;
    let members: Vec<_> = (0..MEMBERS).map(|at| seed(&format!("m{at}"), 0, begun)).collect();
    bot.seed_members(&group_ref("g"), members).await.unwrap();
    year.chat(&bot).await;
    (0..PLANS.len()).for_each(|which| year.note_span(which));
    while year.clock.now() < begun + 365 * DAY_MS {
        let next = bot.next_due().unwrap_or(i64::MAX);
        let step = i64::from(below(&mut year.rng, 4 * 3600)) * 1000;
        year.go((next - year.clock.now()).clamp(1, step.max(1)));
        year.settle(&bot).await;
        match below(&mut year.rng, 200) {
            0..3 => year.edit(&bot).await,
            3..5 => year.reload(&bot).await,
            5..9 => {
                in_time("the end", bot.stop()).await.unwrap();
                let away_h = [1, 5, 30, 70][below(&mut year.rng, 4) as usize];
                let away = i64::from(below(&mut year.rng, away_h * 60));
                year.go(away * 60_000);
                bot = year.start(&path).await;
                year.settle(&bot).await;
                year.count("restarts");
            }
            9..11 => {
                let by = i64::from(below(&mut year.rng, 180));
                year.go(by * 60_000);
                year.settle(&bot).await;
                year.count("jumps ahead");
            }
            11..13 => {
                let by = i64::from(below(&mut year.rng, 180));
                year.go(-by * 60_000);
                year.settle(&bot).await;
                year.count("jumps back");
            }
            13..40 => year.chat(&bot).await,
            _ => {}
        }
    }
    in_time("the end", bot.stop()).await.unwrap();
    let figures = check(&path, &year).await;
    println!(
        "{figures}; {:?}; {} messages; {:.1} s",
        year.counts,
        year.messages,
        wall.elapsed().as_secs_f64()
    );
}

/// Holds what is in the database and what was sent against the year as it was.
async fn check(path: &Path, year: &Year) -> String {
    let mut db = peek(path).await;
    let sql = "SELECT name, at, state, reason, kind, decided_at FROM routine_run ORDER BY at";
    let rows = sqlx::query(sql).fetch_all(&mut db).await.unwrap();
    let mut decided: BTreeMap<(String, TimeMs), String> = BTreeMap::new();
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    let mut days: BTreeMap<NaiveDate, usize> = BTreeMap::new();
    for row in &rows {
        let (name, at, state): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
        let reason: Option<String> = row.get(3);
        assert_eq!(state == "ran", reason.is_none(), "{name} {at}: {state} {reason:?}");
        let word = reason.map_or(state.clone(), |reason| format!("{state}: {reason}"));
        *states.entry(word).or_insert(0) += 1;
        if state == "ran" && row.get::<Option<String>, _>(4).is_some() {
            *days.entry(local_day(row.get(5))).or_insert(0) += 1;
        }
        let before = decided.insert((name.clone(), at), state);
        assert!(before.is_none(), "{name} was decided twice for {at}");
    }
    let mut expected = BTreeSet::new();
    for (which, times, from, to) in &year.spans {
        let cron = Cron::parse(times).unwrap();
        let slots = cron.slots(ours(ZONE), *from).take_while(|slot| slot.at <= *to);
        expected.extend(slots.map(|slot| (PLANS[*which].name.to_owned(), slot.at)));
    }
    let found: BTreeSet<_> = decided.keys().cloned().collect();
    let left_out: Vec<_> = expected.difference(&found).take(5).collect();
    let invented: Vec<_> = found.difference(&expected).take(5).collect();
    assert!(left_out.is_empty(), "never decided: {left_out:?}");
    assert!(invented.is_empty(), "nobody planned: {invented:?}");
    let said = year.platform.said();
    let distinct: BTreeSet<&String> = said.iter().map(|(_, text)| text).collect();
    // In the hour that comes twice an interval says the same twice.
    let twice = "SELECT count(*) FROM routine_run WHERE fold = 1 AND state = 'ran'";
    let twice = usize::try_from(number(&mut db, twice).await).unwrap();
    assert_eq!(distinct.len() + twice, said.len(), "something was posted twice");
    let ran = decided.values().filter(|state| *state == "ran").count();
    assert_eq!(said.len(), ran, "posts and runs");
    let most = days.values().max().copied().unwrap_or_default();
    assert!(most <= BUDGET, "{most} posts on one day");
    assert!(days.len() > 300 && most == BUDGET, "{} days, at most {most}", days.len());
    assert!(year.counts["restarts"] > 20 && year.counts["jumps back"] > 10, "{:?}", year.counts);
    format!("{} times decided {states:?}, {} posts, at most {most} a day", rows.len(), said.len())
}
