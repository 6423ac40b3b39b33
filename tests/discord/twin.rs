//! A Discord that others wrote, `discord-digital-twin` of npm: what they understand of the interface
//! and what we do must agree. It needs Node.js, and fails where that is missing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use qundao::clock::SystemClock;
use qundao::effect::Call;
use qundao::event::{Element, EventKind};
use serde_json::{Value, json};

use crate::rig::{Rig, channel, done, hurried, section, until, with, words};
use crate::sim::TOKEN;
use crate::sim::world::{BOT, CHANNEL, SOMEBODY};

/// Its folder; installed where it is missing.
fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discord/twin/install.sh");
    let installed = Command::new("bash").arg(script).arg(target).output().expect("bash runs");
    let said = String::from_utf8_lossy(&installed.stderr);
    assert!(installed.status.success(), "the peer could not be installed: {said}");
    target.join("twin-discord")
}

struct Twin {
    child: Child,
    pipes: Arc<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
    url: String,
}

fn line(out: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    out.read_line(&mut line).expect("it answers");
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
}

impl Twin {
    fn start() -> Self {
        let mut child = Command::new("node")
            .args(["peer.mjs", TOKEN, &BOT.to_string()])
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs; install Node.js 20 or later");
        let stdin = child.stdin.take().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let url = line(&mut out)["url"].as_str().unwrap().to_owned();
        Self { child, pipes: Arc::new(Mutex::new((stdin, out))), url }
    }

    async fn ask(&self, command: Value) -> Value {
        let pipes = self.pipes.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let (stdin, out) = &mut *pipes.lock().unwrap();
            writeln!(stdin, "{command}").unwrap();
            line(out)
        });
        let answer = asked.await.unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        answer
    }

    async fn contents(&self) -> Vec<String> {
        let messages = self.ask(json!(["messages"])).await;
        let texts = messages.as_array().unwrap().iter().map(|it| it["content"].as_str().unwrap());
        texts.map(str::to_owned).collect()
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_others_understand_of_discord_agrees() {
    let twin = tokio::task::spawn_blocking(Twin::start).await.unwrap();
    let rig = Rig::of(with(&section(&twin.url), SystemClock::with_offset(0), hurried()));
    // The connection stands when a message comes; nothing says so before.
    let mut count = 0;
    while rig.inbox.of("message").is_empty() {
        count += 1;
        twin.ask(json!(["say", format!("第 {count} 句")])).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }
    let first = rig.inbox.of("message").remove(0);
    assert!(words(&first).starts_with("第 "), "{first:?}");
    assert_eq!(first.actor.as_ref().unwrap().id, crate::rig::person(SOMEBODY));
    assert_eq!(first.group.as_ref().unwrap().id, crate::rig::person(CHANNEL));
    // An answer with a button, and the press of it.
    let button = Element::Button { label: "抢".to_owned(), value: "抢 1".to_owned() };
    let content = vec![Element::Text("红包 *1*".to_owned()), button];
    let reply_to = match &first.kind {
        EventKind::Message { id, .. } => Some(id.clone()),
        other => panic!("{other:?}"),
    };
    let call = Call::Send { content, reply_to, only_for: None, slot: None };
    let id = done(rig.send(channel(CHANNEL), call).await).unwrap();
    assert!(twin.contents().await.contains(&r"红包 \*1\*".to_owned()));
    twin.ask(json!(["press", id, "抢 1"])).await;
    let pressed = rig.inbox.wait("button", 1).await.remove(0);
    assert!(matches!(&pressed.kind, EventKind::Button { value, .. } if value == "抢 1"));
    // An edit, a reaction, a deletion.
    let content = vec![Element::Text("领完了".to_owned())];
    let card = Call::Card { key: "k".to_owned(), content, message: Some(id.clone()) };
    done(rig.send(channel(CHANNEL), card).await);
    assert!(twin.contents().await.contains(&"领完了".to_owned()));
    let react = Call::React { message: id.clone(), emoji: "👍".to_owned() };
    done(rig.send(channel(CHANNEL), react).await);
    done(rig.send(channel(CHANNEL), Call::Delete { message: id }).await);
    assert!(!twin.contents().await.contains(&"领完了".to_owned()));
    // A slash command and its answer.
    let asked = twin.ask(json!(["slash", "points"])).await;
    until("the command", || rig.inbox.of("message").iter().any(|it| words(it) == "/points")).await;
    let event = rig.inbox.of("message").into_iter().find(|it| words(it) == "/points").unwrap();
    done(rig.answer(&event, false, "5 分").await);
    let response = twin.ask(json!(["response", asked["id"]])).await;
    assert_eq!(response["acknowledged"], true, "{response}");
    assert!(twin.contents().await.contains(&"5 分".to_owned()));
}
