//! Scores are the sum of their log, whatever happens: restarts, crashes, a cache that was lost; and
//! they are what the chat was. Core fans move once a week, with tag and audit, or not at all.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use qundao::bot::Bot;
use qundao::clock::{Clock, TimeMs, VirtualClock};
use qundao::community::Community;
use qundao::event::{Element, Envelope, EventKind, Quote};
use qundao::id::CommunityId;
use qundao::value::Role;
use sqlx::Row as _;
use world::{
    Platform, Setup, event, in_time, message, number, peek, person_ref, script, seed, shipped,
    sqlite,
};

const DAY_MS: i64 = 24 * 3_600_000;
/// 2026-11-23 01:00 UTC, which is 09:00 on a Monday where the bot is at home.
const START: TimeMs = 1_795_395_600_000;

/// Chance that is the same for the same start (a linear congruence of Knuth's).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as i64
    }

    /// Something that nobody has said before.
    fn text(&mut self) -> String {
        (0..9).filter_map(|_| char::from_u32(0x4e00 + self.below(5000) as u32)).collect()
    }
}

fn quoting(key: &str, who: &str, text: &str, whom: &str, message: &str, at: TimeMs) -> Envelope {
    let quote = Quote {
        message: message.to_owned(),
        author: (!whom.is_empty()).then(|| person_ref(whom)),
        text: String::new(),
    };
    let elements = [Element::Text(text.to_owned())].into();
    let kind =
        EventKind::Message { id: key.to_owned(), elements, quote: Some(quote), to_bot: false };
    event(key, "g", who, kind, at)
}

fn liking(key: &str, who: &str, message: &str, at: TimeMs) -> Envelope {
    let kind =
        EventKind::Reaction { message: message.to_owned(), emoji: "👍".to_owned(), added: true };
    event(key, "g", who, kind, at)
}

/// A bot whose clock the test sets.
struct Chat {
    bot: Bot,
    clock: Arc<VirtualClock>,
    platform: Arc<Platform>,
    n: i64,
}

impl Chat {
    async fn start(
        path: &Path,
        at: TimeMs,
        scripts: Vec<qundao::script::protocol::Source>,
    ) -> Self {
        let (platform, clock) = (Platform::willing(), VirtualClock::starting_at(at));
        let mut setup = Setup::new(scripts);
        setup.clock = clock.clone();
        let bot = setup.start(sqlite(path).await, &platform).await;
        Self { bot, clock, platform, n: at / 1000 }
    }

    fn key(&mut self) -> String {
        self.n += 1;
        format!("{:012}", self.n)
    }

    async fn hear(&self, envelope: Envelope) {
        self.bot.inbox().offer(envelope, None).await;
        in_time("the turn", self.bot.settled()).await;
    }

    fn later(&self, ms: i64) -> TimeMs {
        let now = self.clock.now() + ms;
        self.clock.set(now);
        now
    }

    async fn says(&mut self, who: &str, text: &str) -> String {
        let (key, now) = (self.key(), self.later(21_000));
        self.hear(message(&key, "g", who, text, now)).await;
        key
    }

    fn last_said(&self) -> String {
        self.platform.said().last().map(|(_, text)| text.clone()).unwrap_or_default()
    }

    /// The state as the database has it, by name.
    async fn scores(&self) -> BTreeMap<String, i64> {
        let id = CommunityId(1);
        let mut community = Community::from_rows(id, self.bot.store().community(id).await.unwrap());
        community.today = day_of(self.clock.now());
        let today = community.today;
        community.members.values().map(|m| (m.name.to_string(), m.score.at(today))).collect()
    }
}

/// What each member did on each day, by a reading of the rules of its own.
#[derive(Default)]
struct Model {
    messages: BTreeMap<(String, i64), i64>,
    pairs: BTreeSet<(String, String, i64, bool)>,
}

impl Model {
    fn score(&self, who: &str, today: i64) -> f64 {
        let faded = |weight: f64, day: i64| weight * 2_f64.powf(-((today - day) as f64) / 14.0);
        let own = self.messages.iter().filter(|((name, _), _)| name == who);
        let own: f64 = own.map(|((_, day), n)| faded(1000.0 * (*n).min(10) as f64, *day)).sum();
        let given = self.pairs.iter().filter(|(to, _, _, _)| to == who);
        own + given
            .map(|(_, _, day, is_like)| faded(if *is_like { 1000.0 } else { 2000.0 }, *day))
            .sum::<f64>()
    }
}

/// The file as a crash would leave it.
fn photo(from: &Path, to: &Path) {
    for ending in ["db", "db-wal"] {
        std::fs::copy(from.with_extension(ending), to.with_extension(ending)).unwrap();
    }
}

#[tokio::test]
async fn a_score_is_the_chat_and_its_log_through_crashes() {
    for round in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let path = |n: i64| folder.path().join(format!("{n}.db"));
        let (mut chance, mut model) = (Chance(round), Model::default());
        let names = ["甲", "乙", "丙", "丁", "戊"];
        let mut chat = Chat::start(&path(0), START, vec![]).await;
        let mut crashes = 0;
        for day in 0..40 {
            let today = day_of(START) + day;
            chat.clock.set(START + day * DAY_MS);
            let mut said: Vec<(String, &str)> = Vec::new();
            for _ in 0..chance.below(60) {
                if chance.below(150) == 0 {
                    crashes += 1;
                    photo(&path(crashes - 1), &path(crashes));
                    let at = chat.clock.now();
                    let n = chat.n;
                    chat = Chat::start(&path(crashes), at, vec![]).await;
                    chat.n = n;
                    // Who wrote what is not known after a restart; who answered whom is.
                    said.clear();
                }
                let who = names[chance.below(5) as usize];
                let whom = (!said.is_empty())
                    .then(|| said[chance.below(said.len() as i64) as usize].clone());
                match (chance.below(10), whom) {
                    (0..=1, Some((key, whom))) => {
                        let (id, now) = (chat.key(), chat.later(21_000));
                        chat.hear(liking(&id, who, &key, now)).await;
                        if who != whom {
                            model.pairs.insert((whom.into(), who.into(), today, true));
                        }
                    }
                    (2..=3, Some((key, whom))) => {
                        let (id, now) = (chat.key(), chat.later(21_000));
                        let author = if chance.below(2) == 0 { whom } else { "" };
                        chat.hear(quoting(&id, who, "嗯", author, &key, now)).await;
                        if who != whom {
                            model.pairs.insert((whom.into(), who.into(), today, false));
                        }
                    }
                    _ => {
                        let key = chat.says(who, &chance.text()).await;
                        said.push((key, who));
                        *model.messages.entry((who.into(), today)).or_default() += 1;
                    }
                }
            }
            let scores = chat.scores().await;
            for name in names.iter().filter(|name| scores.contains_key(**name)) {
                let (got, wanted) = (scores[*name] as f64, model.score(name, today));
                let close = got <= wanted + 1.0 && got >= wanted - 21.0;
                assert!(close, "round {round}, day {day}, {name}: {got} instead of {wanted}");
            }
        }
        assert!(crashes > 3, "round {round}: only {crashes} crashes");
        let found = chat.bot.store().verify().await.unwrap();
        assert_eq!((found.broken, found.scores), (vec![], 5), "round {round}");
    }
}

#[tokio::test]
async fn a_first_day_needs_no_row_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rows = "SELECT count(*) FROM member_score";
    let mut chat = Chat::start(&path("a.db"), START, vec![]).await;
    for text in ["今天天气真不错呀大家好", "明天要去爬山有人一起吗"] {
        chat.says("甲", text).await;
    }
    assert_eq!(number(&mut peek(&path("a.db")).await, rows).await, 0);
    photo(&path("a.db"), &path("b.db"));
    let (at, n) = (chat.clock.now(), chat.n);
    let mut chat = Chat::start(&path("b.db"), at, vec![]).await;
    chat.n = n;
    let member = |community: &Community| community.members.values().next().unwrap().score;
    let before = Community::from_rows(
        CommunityId(1),
        chat.bot.store().community(CommunityId(1)).await.unwrap(),
    );
    assert_eq!((member(&before).points(day_of(at)), member(&before).days), (2, 1));
    // The next day closes the first, with all that it gave.
    chat.later(DAY_MS);
    chat.says("甲", "新的一天大家早上好呀").await;
    let mut db = peek(&path("b.db")).await;
    assert_eq!(number(&mut db, rows).await, 1);
    assert_eq!(number(&mut db, "SELECT sum(weight) FROM score_log").await, 2000);
    assert_eq!(chat.bot.store().verify().await.unwrap().broken, Vec::<String>::new());
}

fn day_of(at: TimeMs) -> i64 {
    (at + 8 * 3_600_000).div_euclid(DAY_MS)
}

#[tokio::test]
async fn what_is_changed_by_force_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut chat = Chat::start(&path, START, vec![]).await;
    for _ in 0..3 {
        chat.says("甲", "今天天气真不错呀大家好").await;
        chat.later(DAY_MS);
    }
    let mut db = peek(&path).await;
    assert_eq!(number(&mut db, "SELECT count(*) FROM score_log").await, 2);
    let refused = sqlx::query("UPDATE score_log SET weight = 1").execute(&mut db).await;
    assert!(refused.unwrap_err().to_string().contains("the log is never changed"));
    assert_eq!(chat.bot.store().verify().await.unwrap().broken, Vec::<String>::new());
    sqlx::query("UPDATE member_score SET score = score + 1").execute(&mut db).await.unwrap();
    let broken = chat.bot.store().verify().await.unwrap().broken;
    assert!(broken.len() == 1 && broken[0].starts_with("L12: the score of member 1"), "{broken:?}");
    sqlx::query("DELETE FROM member_score").execute(&mut db).await.unwrap();
    let broken = chat.bot.store().verify().await.unwrap().broken;
    assert!(broken[0].ends_with("has a log and no score"), "{broken:?}");
}

#[tokio::test]
async fn what_says_little_or_was_taken_away_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let rule =
        "//! 删\non_message(|m| { if m.text.contains(\"坏话\") { m.delete(\"坏话\"); } });\n";
    let rule = qundao::script::load::source("bad", "rules/bad.rhai", true, rule);
    let mut chat = Chat::start(&path, START, vec![rule, shipped("points")]).await;
    for text in
        ["早", "👍👍👍👍👍", "https://example.com/abc", "积分", "这是很长的一句坏话", "@乙 好"]
    {
        chat.says("甲", text).await;
    }
    assert_eq!(chat.scores().await["甲"], 0);
    chat.says("甲", "这一句话说得够多了").await;
    chat.says("甲", "这一句话说得够多了！").await;
    let now = chat.clock.now();
    for (key, text) in [("x1", "马上又说了一句别的"), ("x2", "再说一句完全不同的话")]
    {
        chat.hear(message(key, "g", "甲", text, now + 1000)).await;
    }
    // The repetition did not count, so the second that follows at once does; the third is too soon.
    assert_eq!(chat.scores().await["甲"], 2000);
    let mut robot = message("x3", "g", "机器", "我是一个会说话的机器", chat.later(21_000));
    if let Some(actor) = &mut robot.actor {
        actor.is_bot = true;
    }
    chat.hear(robot).await;
    let (id, now) = (chat.key(), chat.later(21_000));
    chat.hear(quoting(&id, "甲", "谢谢", "甲", "x1", now)).await;
    chat.hear(quoting("x4", "甲", "谢谢", "机器", "x3", now)).await;
    assert_eq!((chat.scores().await["甲"], chat.scores().await["机器"]), (2000, 0));
}

const REVIEW: &str = "//! 评\n\
    command(\"评估\", |c| { let r = score::review(); c.reply(`${r.is_new} ${r.entered} ${r.left}`); });\n\
    command(\"评估失败\", |c| { score::review(); refuse(\"empty\"); });\n\
    command(\"加分 <who:user> <n:int>\", |c| { score::add(c.who, c.n, \"host\", \"值班\"); });\n\
    command(\"看 <who:user>\", |c| { let s = score::explain(c.who); c.reply(`${s.points} ${c.who.score} ${c.who.level} ${s.score} ${s.parts.len()}`); });\n";

#[tokio::test]
async fn core_fans_enter_at_the_second_weekly_review_and_leave_after_their_grace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut chat = Chat::start(&path, START, vec![script("review", REVIEW)]).await;
    let mut members: Vec<_> = ["甲", "乙", "丙"].map(|name| seed(name, 0, START)).to_vec();
    let staff = seed("主", 0, START);
    members.push(qundao::bot::SeedMember { role: Role::Owner, ..staff });
    chat.bot.seed_members(&world::group_ref("g"), members).await.unwrap();
    let mut chance = Chance(9);
    let (mut answers, mut tagged) = (Vec::new(), Vec::new());
    for day in 0..140 {
        chat.clock.set(START + day * DAY_MS);
        // 甲 talks every day for four weeks and then no more; 主 as well, but is staff. What she did is
        // looked back on for ninety days.
        if day < 28 {
            for who in ["甲", "主"] {
                let text = chance.text();
                chat.says(who, &text).await;
            }
            let text = chance.text();
            let key = chat.says("甲", &text).await;
            let now = chat.later(1000);
            for who in ["乙", "丙"] {
                let id = chat.key();
                chat.hear(liking(&id, who, &key, now)).await;
            }
        }
        if day % 7 == 6 {
            chat.says("主", "评估失败").await;
            chat.says("主", "评估").await;
            answers.push(chat.last_said());
            chat.says("主", "评估").await;
            let again = chat.last_said();
            let counts = answers.last().unwrap().trim_start_matches("true");
            assert_eq!(again, format!("false{counts}"), "day {day}: once a week");
            let mut db = peek(&path).await;
            let tag = "SELECT count(*) FROM member WHERE tags LIKE '%核心粉%'";
            tagged.push(number(&mut db, tag).await);
        }
        if day == 40 {
            let at = chat.clock.now();
            let n = chat.n;
            chat.bot.stop().await.unwrap();
            chat = Chat::start(&path, at, vec![script("review", REVIEW)]).await;
            chat.n = n;
        }
    }
    let mut db = peek(&path).await;
    let rows = sqlx::query(
        "SELECT actor, payload->>'object', action, payload->>'detail' FROM audit ORDER BY n",
    );
    let audit: Vec<String> = rows
        .fetch_all(&mut db)
        .await
        .unwrap()
        .iter()
        .map(|row| {
            format!("{} {} {}", row.get::<&str, _>(2), row.get::<&str, _>(1), row.get::<&str, _>(3))
        })
        .collect();
    assert_eq!(audit.len(), 2, "{audit:?} {answers:?}");
    assert!(audit[0].starts_with("core_fan_enters test:u-甲 score, 6"), "{audit:?}");
    assert!(audit[1].starts_with("core_fan_leaves test:u-甲 score, "), "{audit:?}");
    let entered = answers.iter().position(|a| a == "true 1 0").unwrap();
    let left = answers.iter().position(|a| a == "true 0 1").unwrap();
    // High in the fourth and fifth week; low from the fourteenth on, and two weeks of grace.
    assert!(entered == 4 && left >= 13 + 3, "{answers:?}");
    for (week, count) in tagged.iter().enumerate() {
        assert_eq!(*count, i64::from(week >= entered && week < left), "week {week}: {answers:?}");
    }
    assert_eq!(number(&mut db, "SELECT count(*) FROM fan_review").await, 20);
    assert_eq!(number(&mut db, "SELECT count(*) FROM fan_review WHERE version <> 1").await, 0);
}

#[tokio::test]
async fn what_scripts_add_is_limited_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut chat = Chat::start(&path, START, vec![script("review", REVIEW)]).await;
    let members = ["甲", "乙"].map(|name| seed(name, 0, START)).to_vec();
    chat.bot.seed_members(&world::group_ref("g"), members).await.unwrap();
    for n in [30, 21, 20, 51] {
        chat.says("甲", &format!("加分 @乙 {n}")).await;
    }
    chat.says("甲", "看 @乙").await;
    // 30 and 20; 21 would be too much for a day, 51 too much at once. Two parts of five have data.
    assert_eq!(chat.last_said(), "50 50 3 13 2");
    chat.later(14 * DAY_MS);
    chat.says("甲", "加分 @乙 50").await;
    chat.says("甲", "看 @乙").await;
    assert_eq!(chat.last_said(), "75 75 4 20 2");
    assert_eq!(chat.bot.store().verify().await.unwrap().broken, Vec::<String>::new());
}
