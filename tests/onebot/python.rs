//! Against programs that nobody here wrote: applications that must accept our simulator, and
//! implementations that our adapter must get on with.
//!
//! They come from PyPI into an environment that `python/install.sh` makes the first time. Where
//! that is impossible these tests fail; they are never left out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use qundao::adapter::Adapter;
use qundao::adapter::onebot::{OneBot, Surroundings, Tcp};
use qundao::bot::Bot;
use qundao::clock::SystemClock;
use serde_json::{Value, json};

use crate::rig::section;
use crate::sim::script::text;
use crate::sim::socket::Part;
use crate::sim::{Options, Sim};
use crate::world::{Setup, in_time, memory, script, shipped};

/// Longest wait for a program to be there, or for anything that it should do.
const LIMIT: Duration = Duration::from_secs(60);

/// A running Python program.
struct Python {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Python {
    fn run(program: &str, arguments: &[&str]) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onebot/python");
        let mut child = Command::new(environment(&here).join("bin/python"))
            .arg(here.join(program))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("PYTHONPATH")
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, lines }
    }

    /// Tells it to do something.
    fn tell(&mut self, command: &Value) {
        writeln!(self.input, "{command}").unwrap();
    }

    /// The next line that is JSON; whatever else it prints is its own business.
    fn hear(&mut self) -> Value {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the program says something");
            if let Ok(value) = serde_json::from_str(&line) {
                return value;
            }
        }
    }

    /// Every call that it has had so far.
    fn calls(&mut self) -> Vec<Value> {
        self.tell(&json!({ "calls": true }));
        match self.hear() {
            Value::Array(calls) => calls,
            other => panic!("no calls: {other}"),
        }
    }

    /// Waits until its calls satisfy a condition.
    async fn until(&mut self, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = Instant::now() + LIMIT;
        loop {
            let calls = self.calls();
            if holds(&calls) {
                return calls;
            }
            assert!(Instant::now() < until, "{what} did not happen: {calls:#?}");
            // The bot runs on this thread too.
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The environment, made if it is not there.
fn environment(here: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let made = Command::new("bash").arg(here.join("install.sh")).arg(target).output();
    let made = made.expect("bash can be run");
    assert!(
        made.status.success(),
        "the Python programs that OneBot is tested against could not be installed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    target.join("venv-onebot")
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Connects the simulator to an application, as soon as it listens.
async fn connected(sim: &Sim, address: SocketAddr, paths: &[(&str, Part)]) {
    let until = Instant::now() + LIMIT;
    for (path, part) in paths {
        loop {
            match sim.connect(address, path, *part).await {
                Ok(()) => break,
                Err(error) => assert!(Instant::now() < until, "{path}: {error}"),
            }
            tokio::task::yield_now().await;
        }
    }
    sim.until_connected(paths.len()).await;
}

fn guarded() -> Options {
    Options { token: Some("canary".to_owned()), ..Options::default() }
}

/// What the account said in the group, once it has said so much.
async fn said(sim: &Sim, count: usize) -> Vec<String> {
    sim.until(&format!("{count} answers"), |sim| sim.world().said(777).len() >= count).await;
    sim.world().said(777)
}

#[tokio::test]
async fn nonebot_takes_the_simulator_for_an_implementation() {
    let address = free_port();
    let _app = Python::run("app_nonebot.py", &[&address.port().to_string(), "canary"]);
    let sim = Sim::with_group(guarded());
    connected(&sim, address, &[("/onebot/v11/ws", Part::Universal)]).await;

    let asked = sim.say(777, 20002, "早");
    assert_eq!(said(&sim, 1).await, ["@20002 早上好"]);
    assert_eq!(sim.world().messages.last().unwrap().reply(), Some(asked.id));
    sim.say(777, 20002, "都有谁");
    assert_eq!(said(&sim, 2).await[1], "4 人，群主 阿明");
    sim.join(777, 20009, "小新");
    assert_eq!(said(&sim, 3).await[2], "欢迎 小新");
    sim.raw(&sim.notice("notify", 777, 20002, json!({ "sub_type": "poke", "target_id": 10001 })));
    assert_eq!(said(&sim, 4).await[3], "别戳了");
    let own = sim.world().messages.last().unwrap().id;
    let segments = vec![
        json!({ "type": "reply", "data": { "id": own.to_string() } }),
        json!({ "type": "at", "data": { "qq": "10001" } }),
        text(" 在吗")[0].clone(),
    ];
    sim.send(777, 20002, segments);
    assert_eq!(said(&sim, 5).await[4], format!("叫我？{own}"));
    sim.whisper(20002, "在线吗");
    sim.until("the whisper", |sim| sim.world().whispered(20002) == ["在线"]).await;
    sim.say(777, 20003, "广告");
    sim.until("the mute", |sim| sim.world().member(777, 20003).unwrap().muted_until > 0).await;
    sim.ask_to_join(777, 20011, "让我进去", "f1");
    sim.until("the approval", |sim| sim.world().requests.is_empty()).await;
    let wrong: Vec<_> = sim.calls().into_iter().filter(|called| called.retcode != 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn aiocqhttp_takes_the_simulator_for_an_implementation() {
    for cq_strings in [false, true] {
        let address = free_port();
        let _app = Python::run("app_aiocqhttp.py", &[&address.port().to_string(), "canary"]);
        let sim = Sim::with_group(Options { cq_strings, ..guarded() });
        connected(&sim, address, &[("/ws/event/", Part::Event), ("/ws/api/", Part::Api)]).await;

        let asked = sim.say(777, 20002, "早");
        assert_eq!(said(&sim, 1).await, ["@20002 早上好"]);
        assert_eq!(sim.world().messages.last().unwrap().reply(), Some(asked.id));
        sim.say(777, 20002, "都有谁");
        assert_eq!(said(&sim, 2).await[1], "4 人");
        sim.join(777, 20009, "小新");
        assert_eq!(said(&sim, 3).await[2], "欢迎");
        sim.whisper(20002, "你是谁");
        sim.until("the whisper", |sim| sim.world().whispered(20002) == ["机器人"]).await;
        sim.ask_to_join(777, 20011, "让我进去", "f1");
        sim.until("the approval", |sim| sim.world().requests.is_empty()).await;
        let wrong: Vec<_> = sim.calls().into_iter().filter(|called| called.retcode != 0).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        // Its echo is an object, and came back as it was.
        assert!(sim.calls().iter().all(|called| called.echo["seq"].is_number()));
    }
}

/// A bot that connects to an implementation; echoes, admits, and cleans up.
async fn bot(address: &str) -> (Bot, Arc<OneBot>) {
    let clock = SystemClock::with_offset(0);
    let keys = [("connect", address)];
    let surroundings = Surroundings { clock: clock.clone(), seed: [3; 32], dial: Arc::new(Tcp) };
    let onebot = Arc::new(OneBot::new(&section(&keys), surroundings).unwrap());
    let rules = "//! 规矩\n\
        on_keyword(\"广告\", |m| { m.delete(\"广告\"); m.member.mute(\"10m\", \"广告\"); stop(); });\n\
        on_keyword(\"在吗\", |m| m.reply(m.member.nickname + \" 我在\"));\n\
        on_join_request(|j| j.approve());\n";
    let sources = vec![script("rules", rules), shipped("checkin"), shipped("points")];
    let adapter: Arc<dyn Adapter> = onebot.clone();
    let bot = Setup::new(sources).start_on(memory().await, vec![adapter]).await;
    (bot, onebot)
}

fn of<'c>(calls: &'c [Value], action: &str) -> Vec<&'c Value> {
    calls.iter().filter(|call| call["action"] == action).map(|call| &call["params"]).collect()
}

fn has(action: &'static str, count: usize) -> impl Fn(&[Value]) -> bool {
    move |calls| of(calls, action).len() >= count
}

#[tokio::test]
async fn the_adapter_gets_on_with_ncatbots_napcat() {
    let port = free_port().port();
    let mut peer = Python::run("peer_ncatbot.py", &[&port.to_string()]);
    assert_eq!(peer.hear(), json!("ready"));
    let (bot, _onebot) = bot(&format!("ws://127.0.0.1:{port}")).await;
    let mut reports = bot.reports();
    peer.until("the connection", has("get_login_info", 1)).await;
    // Ids come as text, and are given back as they can be.
    let at = json!({ "type": "at", "data": { "qq": "123456789" } });
    let segments = |words: &str| json!([at, { "type": "text", "data": { "text": words } }]);
    peer.tell(&json!({ "say": ["200001", "100002", segments(" 在吗"), "1000001"] }));
    let calls = peer.until("the answer", has("send_group_msg", 1)).await;
    assert_eq!(
        *of(&calls, "send_group_msg")[0],
        json!({
            "group_id": 200001,
            "message": [
                { "type": "reply", "data": { "id": "1000001" } },
                { "type": "text", "data": { "text": "好友2 我在" } },
            ],
        })
    );
    peer.tell(&json!({ "say": ["200001", "100002", "广告", "1000002"] }));
    let calls = peer.until("the mute", has("set_group_ban", 1)).await;
    assert_eq!(*of(&calls, "delete_msg")[0], json!({ "message_id": 1000002 }));
    let mute = of(&calls, "set_group_ban")[0];
    assert!(mute["duration"].as_i64().is_some_and(|s| (590..=600).contains(&s)), "{mute}");
    peer.tell(&json!({ "whisper": ["100002", "积分"] }));
    let calls = peer.until("the whisper", has("send_private_msg", 1)).await;
    assert_eq!(of(&calls, "send_private_msg")[0]["user_id"], json!(100002));
    for _ in 0..3 {
        in_time("the turns", reports.recv()).await;
    }
    in_time("everything", bot.settled()).await;
    bot.stop().await.unwrap();
}

#[tokio::test]
async fn every_call_is_valid_by_the_models_of_euler() {
    let port = free_port().port();
    let mut peer = Python::run("peer_euler.py", &[&port.to_string()]);
    assert_eq!(peer.hear(), json!("ready"));
    let (bot, _onebot) = bot(&format!("ws://127.0.0.1:{port}")).await;
    peer.until("the connection", has("get_login_info", 1)).await;
    let segments = |words: &str| {
        json!([
            { "type": "at", "data": { "qq": "10001" } },
            { "type": "text", "data": { "text": words } },
        ])
    };
    peer.tell(&json!({ "say": [777, 20002, 4711, segments(" 在吗")] }));
    let calls = peer.until("the answer", has("send_group_msg", 1)).await;
    let answer = of(&calls, "send_group_msg")[0];
    assert_eq!(answer["message"][0]["data"]["id"], json!("4711"));
    assert_eq!(answer["message"][1]["data"]["text"], json!("小红 我在"));
    peer.tell(&json!({ "joined": [777, 20009] }));
    peer.until("the question for a name", has("get_group_member_info", 1)).await;
    peer.tell(&json!({ "asked": [777, 20011, "f1"] }));
    let calls = peer.until("the approval", has("set_group_add_request", 1)).await;
    assert_eq!(of(&calls, "set_group_add_request")[0]["approve"], json!(true));
    peer.tell(&json!({ "say": [777, 20002, 4712, segments(" 广告")] }));
    let calls = peer.until("the mute", has("set_group_ban", 1)).await;
    assert_eq!(*of(&calls, "delete_msg")[0], json!({ "message_id": 4712 }));
    in_time("everything", bot.settled()).await;
    // What is not valid is not answered, so that every delivery would still be under way.
    assert_eq!(bot.store().health(0).await.unwrap().failed, 0);
    bot.stop().await.unwrap();
}
