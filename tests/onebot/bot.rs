//! A whole bot on QQ: real scripts, a real database, an implementation on the other side.

use std::sync::Arc;

use qundao::adapter::Adapter;
use qundao::adapter::onebot::{OneBot, Surroundings, Tcp};
use qundao::bot::{Bot, SeedMember};
use qundao::clock::{Clock, TimeMs, VirtualClock};
use qundao::id::Ref;
use qundao::script::load::source;
use qundao::script::protocol::Source;
use qundao::value::Role;
use serde_json::json;
use sqlx::Row as _;
use tempfile::TempDir;

use crate::rig::section;
use crate::sim::script::text;
use crate::sim::{Called, Options, Sim};
use crate::world::{Setup, in_time, number, peek, script, shipped, sqlite};

const START: TimeMs = 1_795_000_000_000;

struct Scene {
    sim: Sim,
    bot: Bot,
    clock: Arc<VirtualClock>,
    onebot: Arc<OneBot>,
    folder: TempDir,
}

impl Scene {
    async fn new(options: Options, sources: Vec<Source>) -> Self {
        let clock = VirtualClock::starting_at(START);
        let sim = Sim::with_group(Options { clock: clock.clone(), ..options });
        Self::on(sim, clock, &[("connect", "ws://sim")], sources).await
    }

    async fn on(
        sim: Sim,
        clock: Arc<VirtualClock>,
        keys: &[(&str, &str)],
        sources: Vec<Source>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dial: Arc<dyn qundao::adapter::onebot::Dial> = match keys {
            [("connect", _)] => Arc::new(sim.clone()),
            _ => Arc::new(Tcp),
        };
        let surroundings = Surroundings { clock: clock.clone(), seed: [5; 32], dial };
        let onebot = Arc::new(OneBot::new(&section(keys), surroundings).unwrap());
        let mut setup = Setup::new(sources);
        setup.clock = clock.clone();
        setup.words = Setup::shipped_words();
        let store = sqlite(&folder.path().join("qundao.db")).await;
        let adapter: Arc<dyn Adapter> = onebot.clone();
        let bot = setup.start_on(store, vec![adapter]).await;
        let scene = Self { sim, bot, clock, onebot, folder };
        if keys.iter().any(|(key, _)| *key == "connect") {
            scene.sim.until_connected(1).await;
        }
        scene
    }

    /// A member says something, and everything that follows from it is done.
    async fn say(&self, user: i64, words: &str) {
        let message = self.sim.say(777, user, words);
        self.handled(&message.id.to_string()).await;
    }

    /// The turn of a message has been committed, and what it wants is sent.
    async fn handled(&self, id: &str) {
        let sql =
            "SELECT count(*) FROM event WHERE state = 0 AND key LIKE '%:' || ? || ':message:%'";
        let mut db = peek(&self.folder.path().join("qundao.db")).await;
        let done = async {
            loop {
                let row = sqlx::query(sql).bind(id).fetch_one(&mut db).await.unwrap();
                if row.get::<i64, _>(0) > 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        in_time("the turn", done).await;
        in_time("the answers", self.bot.settled()).await;
    }

    /// Lets time pass, stopping wherever something is due.
    async fn pass(&self, ms: i64) {
        let target = self.clock.now() + ms;
        while let Some(due) = self.bot.next_due().filter(|due| *due <= target) {
            self.clock.set(due);
            self.bot.fire_due().await;
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            in_time("what was due", self.bot.settled()).await;
        }
        self.clock.set(target);
    }

    fn said(&self) -> Vec<String> {
        self.sim.world().said(777)
    }

    fn deeds(&self, action: &str) -> Vec<Called> {
        self.sim.deeds().into_iter().filter(|called| called.action == action).collect()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        number(&mut peek(&self.folder.path().join("qundao.db")).await, sql).await
    }
}

fn rule(name: &str) -> Source {
    let path = format!("{}/rules/{name}.rhai", env!("CARGO_MANIFEST_DIR"));
    source(name, &path, true, &std::fs::read_to_string(&path).unwrap())
}

fn seed(id: i64, name: &str, points: i64, role: Role) -> SeedMember {
    SeedMember {
        id: Ref::new("onebot", id),
        name: name.to_owned(),
        role,
        trust: 2,
        points,
        joined_at: START - 60 * 24 * 3_600_000,
        is_bot: false,
    }
}

#[tokio::test]
async fn a_group_checks_in_shares_a_red_packet_and_is_kept_clean() {
    let features = ["checkin", "points", "red_packet", "rules"].map(shipped);
    let sources = features.into_iter().chain([rule("no-ads")]).collect();
    let scene = Scene::new(Options::default(), sources).await;
    let members = vec![
        seed(20001, "阿明", 500, Role::Owner),
        seed(20002, "小红", 0, Role::Member),
        seed(20003, "老王", 0, Role::Member),
    ];
    scene.bot.seed_members(&Ref::new("onebot", 777), members).await.unwrap();

    scene.say(20002, "签到").await;
    assert_eq!(scene.said(), ["签到成功 +6 积分 · 连续 1 天 · 今日第 1 位"]);
    assert!(scene.sim.world().messages.last().unwrap().reply().is_some());

    scene.say(20001, "群规设置 一、不发广告").await;
    scene.say(20002, "群规").await;
    assert!(scene.said()[2].contains("一、不发广告"), "{:?}", scene.said());

    scene.say(20001, "红包 100 2 大家早").await;
    assert!(scene.said()[3].contains("阿明 的红包：100 积分"), "{:?}", scene.said());
    scene.say(20002, "抢").await;
    scene.say(20003, "抢").await;
    // A message cannot be changed on QQ, so the end of the packet is a message of its own.
    scene.pass(10_000).await;
    let said = scene.said();
    assert!(said.last().unwrap().contains("已领完 2/2"), "{said:?}");
    assert!(said.len() <= 6, "at most one in three seconds: {said:?}");
    let sum = "SELECT sum(credits - debits) FROM ledger_account";
    assert_eq!(scene.count(sum).await, 0);

    let advertisement = scene.sim.say(777, 20003, "加微信，兼职日结");
    scene.handled(&advertisement.id.to_string()).await;
    assert!(scene.sim.world().message(advertisement.id).is_none(), "it was recalled");
    assert_eq!(scene.deeds("delete_msg").len(), 1);
    assert!(scene.sim.calls().iter().all(|called| called.retcode == 0), "{:#?}", scene.sim.calls());
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn who_joins_is_welcomed_by_name() {
    let scene = Scene::new(Options::default(), vec![shipped("rules")]).await;
    let mut reports = scene.bot.reports();
    scene.sim.join(777, 20009, "小新");
    in_time("the join", reports.recv()).await;
    scene.pass(30_000).await;
    assert_eq!(scene.said(), ["欢迎 小新！发送「帮助」看看这里有什么。"]);
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn names_stay_when_a_notice_has_none() {
    let whoami = script("who", "//! 谁\non_message(|m| m.reply(m.member.nickname));\n");
    let scene = Scene::new(Options::default(), vec![whoami]).await;
    let mut reports = scene.bot.reports();
    scene.say(20002, "我是谁").await;
    // Silenced and freed again: the notices carry only her number.
    for (sub_type, duration) in [("ban", 60), ("lift_ban", 0)] {
        let more = json!({ "sub_type": sub_type, "duration": duration, "operator_id": 20001 });
        scene.sim.raw(&scene.sim.notice("group_ban", 777, 20002, more));
    }
    let card = |new: &str| json!({ "card_new": new, "card_old": "" });
    scene.sim.raw(&scene.sim.notice("group_card", 777, 20002, card("红姐")));
    for _ in 0..4 {
        in_time("a turn", reports.recv()).await;
    }
    let name = "SELECT count(*) FROM member WHERE name = '小红' AND nickname = '红姐'";
    assert_eq!(scene.count(name).await, 1);
    scene.sim.raw(&scene.sim.notice("group_card", 777, 20002, card("")));
    in_time("a turn", reports.recv()).await;
    assert_eq!(scene.count("SELECT count(*) FROM member WHERE nickname IS NULL").await, 1);
    scene.say(20002, "我是谁").await;
    assert_eq!(scene.said(), ["小红", "小红"]);
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_is_answered_and_an_invitation_is_nobodys_to_accept() {
    let door = script("door", "//! 门\non_join_request(|j| j.approve());\n");
    let scene = Scene::new(Options::default(), vec![door]).await;
    // Somebody has to have been there for the invitation to have a community at all.
    scene.say(20002, "早").await;
    let mut reports = scene.bot.reports();
    scene.sim.ask_to_join(777, 20011, "芝麻开门", "flag-1");
    in_time("the request", reports.recv()).await;
    in_time("the answer", scene.bot.settled()).await;
    let asked = scene.deeds("set_group_add_request");
    let wanted = json!({ "flag": "flag-1", "sub_type": "add", "approve": true, "reason": "" });
    assert_eq!(asked[0].params, wanted);
    assert_eq!(asked[0].retcode, 0);
    scene.sim.raw(&json!({
        "time": scene.sim.now(), "self_id": 10001, "post_type": "request",
        "request_type": "group", "sub_type": "invite", "group_id": 999, "user_id": 20002,
        "comment": "", "flag": "flag-2",
    }));
    in_time("the invitation", reports.recv()).await;
    in_time("nothing", scene.bot.settled()).await;
    assert_eq!(scene.deeds("set_group_add_request").len(), 1);
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn what_happened_long_ago_is_kept_and_not_answered() {
    let echo = script("echo", "//! 回声\non_message(|m| m.reply(m.text));\n");
    let scene = Scene::new(Options::default(), vec![echo, shipped("checkin")]).await;
    // Implementations tell direct messages of days ago again when they start.
    let mut old = scene.sim.keep(777, 20002, text("签到"));
    old.time -= 121;
    scene.sim.report(&old);
    scene.sim.report(&old);
    scene.say(20003, "现在").await;
    assert_eq!(scene.said(), ["现在"]);
    assert_eq!(scene.count("SELECT count(*) FROM event WHERE kind = 0").await, 2);
    assert_eq!(scene.count("SELECT count(*) FROM checkin").await, 0);
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_lost_on_the_way_is_looked_for_and_not_doubled() {
    let echo = script("echo", "//! 回声\non_message(|m| m.reply(m.text));\n");
    let scene = Scene::new(Options { history: true, ..Options::default() }, vec![echo]).await;
    let mut past = scene.sim.keep(777, 20003, text("之前"));
    past.time -= 3600;
    scene.sim.world().messages[0] = past;
    for n in 0..3 {
        // Done, and the connection breaks before anybody hears of it.
        scene.sim.hold_answers();
        let message = scene.sim.say(777, 20002, &format!("第 {n} 句"));
        let said = n + 1;
        scene.sim.until("the answer", |sim| sim.world().said(777).len() == said).await;
        scene.sim.lose_answers();
        let made = scene.sim.made();
        scene.sim.disconnect().await;
        scene.sim.until_made(made + 1, 1).await;
        let settled = async {
            loop {
                scene.pass(1_000).await;
                let sent = "SELECT count(*) FROM delivery WHERE state = 'sent'";
                if scene.count(sent).await == said as i64 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        in_time("the delivery", settled).await;
        let told = scene.sim.world().messages.last().unwrap().id;
        let known = format!("{told}");
        let mut db = peek(&scene.folder.path().join("qundao.db")).await;
        let row = sqlx::query("SELECT platform_id FROM delivery ORDER BY id DESC LIMIT 1");
        let row = row.fetch_one(&mut db).await.unwrap();
        assert_eq!(row.get::<String, _>(0), known);
        assert!(message.id != told);
    }
    assert_eq!(scene.said(), ["第 0 句", "第 1 句", "第 2 句"]);
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_post_that_is_played_again_changes_nothing() {
    let clock = VirtualClock::starting_at(START);
    let options =
        Options { clock: clock.clone(), secret: Some("hunter2".into()), ..Options::default() };
    let sim = Sim::with_group(options);
    let api = format!("http://{}", sim.serve_http().await);
    let keys =
        [("listen", "127.0.0.1:0"), ("api", &*api), ("self_id", "10001"), ("secret", "hunter2")];
    let scene = Scene::on(sim, clock, &keys, vec![shipped("checkin")]).await;
    let port = in_time("the port", scene.onebot.listening()).await.unwrap();
    let message = scene.sim.keep(777, 20002, text("签到"));
    let event = scene.sim.event(&message);
    for _ in 0..50 {
        assert_eq!(scene.sim.post(port, &event).await, 204);
        // Committed before it was answered.
        assert_eq!(scene.count("SELECT count(*) FROM event").await, 1);
    }
    in_time("the answer", scene.bot.settled()).await;
    assert_eq!(scene.said().len(), 1);
    assert_eq!(scene.count("SELECT count(*) FROM checkin").await, 1);
    scene.bot.stop().await.unwrap();
}

#[tokio::test]
async fn people_are_told_when_the_account_is_away() {
    let scene = Scene::new(Options::default(), Vec::new()).await;
    let mut notices = scene.bot.notices();
    let more = json!({ "sub_type": "ban", "duration": 60, "operator_id": 20001 });
    scene.sim.raw(&scene.sim.notice("group_ban", 777, 10001, more));
    let offline = json!({
        "time": scene.sim.now(), "self_id": 10001, "post_type": "notice",
        "notice_type": "bot_offline", "user_id": 10001,
    });
    scene.sim.raw(&offline);
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let notice = in_time("a notice", notices.recv()).await.unwrap();
        if !notice.text.contains("is online") {
            texts.push(notice.text);
        }
    }
    assert!(texts[0].contains("may not speak in `onebot:777`"), "{texts:?}");
    assert!(texts[1].contains("`onebot:10001` is offline"), "{texts:?}");
    scene.bot.stop().await.unwrap();
}
