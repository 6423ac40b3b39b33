//! What is in doubt is listed for who runs the bot, and one command sends it again or leaves it: in a
//! chat, and on the command line beside a bot that runs.

use std::path::Path;

use qundao::adapter::{Seen, SendSafety};
use qundao::clock::{Clock as _, SystemClock};
use qundao::effect::{Call, Delivery, DeliveryState, Policy};
use qundao::event::plain_text;
use qundao::store::Store as _;
use qundao::store::sqlite::Sqlite;
use qundao::value::Role;

use crate::program;
use crate::scene::{DAY, START, Scene, crashed, database, done, first, left, unknown};
use crate::world::{Platform, Setup, group_ref, in_time, peek, seed, shipped, sqlite};

fn doubtful(id: i64) -> Delivery {
    let reason = Some("no answer within 20 s".to_owned());
    Delivery { state: DeliveryState::Unknown, policy: Policy::Drop, reason, ..left(id) }
}

async fn chat(platform: std::sync::Arc<Platform>, left: Vec<Delivery>) -> Scene {
    let mut scene = Scene::after(platform, vec![shipped("deliveries")], left).await;
    let mut admin = seed("boss", 0, START);
    admin.role = Role::Admin;
    scene.bot.seed_members(&group_ref("g"), vec![admin, seed("a", 0, START)]).await.unwrap();
    scene.say("g", "a", "早").await;
    scene
}

#[tokio::test]
async fn an_admin_sees_what_is_in_doubt_and_sends_it_again() {
    let left = vec![doubtful(1), doubtful(2), doubtful(3)];
    let mut scene = chat(Platform::willing(), left).await;
    scene.say("g", "a", "待确认").await;
    scene.say("g", "boss", "待确认").await;
    let shown = scene.texts().pop().unwrap();
    assert!(shown.contains("3｜") && shown.contains("第 3") && shown.contains("第 1"), "{shown}");
    scene.say("g", "boss", "补发 2").await;
    scene.say("g", "boss", "不补发 #1").await;
    scene.say("g", "boss", "补发 1").await;
    assert_eq!(scene.texts().iter().filter(|text| text.starts_with("第 ")).count(), 1);
    assert!(scene.texts().contains(&"第 2".to_owned()), "{:?}", scene.texts());
    let rows = scene.deliveries().await;
    let states: Vec<&str> = rows[..3].iter().map(|(state, ..)| state.as_str()).collect();
    assert_eq!(states, ["skipped", "sent", "unknown"]);
    // Numbers, so that nobody has to be taken out of it.
    assert_eq!(rows[0].2, "left: person:1");
    let mut db = peek(&database(scene.folder.path())).await;
    let audit = "SELECT count(*) FROM audit WHERE action IN('delivery.retry','delivery.drop')";
    assert_eq!(crate::world::number(&mut db, audit).await, 2);
}

#[tokio::test]
async fn where_the_platform_can_be_asked_it_is_before_anything_is_sent_again() {
    let platform = Platform::with(&[], SendSafety::ReadBack, first(vec![]));
    platform.seen.lock().unwrap().extend([Seen::Yes(Some("m7".to_owned())), Seen::Unknown]);
    let mut scene = chat(platform, vec![doubtful(1), doubtful(2)]).await;
    scene.say("g", "boss", "补发 1").await;
    assert!(!scene.texts().contains(&"第 1".to_owned()), "it is there already");
    // Nobody can tell: somebody has decided, so it is sent.
    scene.say("g", "boss", "补发 2").await;
    assert!(scene.texts().contains(&"第 2".to_owned()));
    assert_eq!(scene.states().await[..2], ["sent", "sent"]);
}

#[tokio::test]
async fn an_order_is_given_once_whatever_comes_of_it() {
    let mut scene = chat(Platform::answering(first(vec![])), vec![doubtful(1)]).await;
    scene.platform.answer_with(|request| match &request.call {
        Call::Send { content, .. } if plain_text(content).starts_with("第") => unknown(),
        _ => done(1),
    });
    scene.say("g", "boss", "补发 1").await;
    scene.until(START + DAY / 2).await;
    let sent = scene.texts().iter().filter(|text| *text == "第 1").count();
    assert_eq!((sent, scene.states().await[0].as_str()), (1, "unknown"));
}

fn said(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = program::run(folder, args, "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_leaves_word_for_a_bot_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), "[adapters.console]\n").unwrap();
    assert_eq!(
        said(folder.path(), &["deliveries"]),
        (true, "nothing was to be sent in that time\n".to_owned())
    );
    let now = SystemClock::default().now();
    let at = |id: i64, state| Delivery { state, not_before: now - 60_000, ..doubtful(id) };
    let deliveries = vec![
        at(1, DeliveryState::Unknown),
        at(2, DeliveryState::Unknown),
        at(3, DeliveryState::Failed),
        at(4, DeliveryState::Sent),
    ];
    crashed(&database(folder.path()), deliveries).await;
    let platform = Platform::willing();
    let setup = Setup::new(Vec::new());
    let bot = setup.start(sqlite(&database(folder.path())).await, &platform).await;
    let (_, shown) = said(folder.path(), &["deliveries"]);
    assert!(shown.contains(": 1 sent, 1 failed, 2 unknown\n"), "{shown}");
    assert!(shown.contains("test:g: 第 2 (no answer within 20 s)"), "{shown}");
    let (_, json) = said(folder.path(), &["deliveries", "--state", "failed", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["deliveries"][0]["id"], &json["listed"]), (&3.into(), &"failed".into()));
    // What has ended has ended.
    let (is_well, told) = said(folder.path(), &["deliveries", "retry", "3", "9"]);
    assert!(!is_well && told.contains("3 is failed") && told.contains("9: no such"), "{told}");
    let (is_well, told) = said(folder.path(), &["deliveries", "drop", "2"]);
    assert!(is_well && told.starts_with("1 deliveries are left"), "{told}");
    let (is_well, told) = said(folder.path(), &["deliveries", "retry", "all"]);
    assert!(is_well && told.starts_with("1 deliveries are to be sent again"), "{told}");
    let sent = async {
        while platform.said().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        bot.settled().await;
    };
    in_time("the delivery", sent).await;
    assert_eq!(platform.said(), [("g".to_owned(), "第 1".to_owned())]);
    in_time("the end", bot.stop()).await.unwrap();
    let (_, shown) = said(folder.path(), &["deliveries", "--state", "unknown"]);
    assert_eq!(shown, "none is in doubt\n");
}

#[tokio::test]
async fn an_order_that_is_given_while_the_bot_is_down_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    crashed(&path, vec![doubtful(1)]).await;
    {
        let store = Sqlite::beside(&path).await.unwrap();
        let row = qundao::store::DecisionRow::again(qundao::id::DeliveryId(1), "test", START + DAY);
        let rows = [row];
        assert_eq!(store.decide(&rows).await.unwrap(), 1);
        assert_eq!(store.decide(&rows).await.unwrap(), 0, "it is decided");
    }
    let platform = Platform::willing();
    let mut setup = Setup::new(Vec::new());
    setup.clock = qundao::clock::VirtualClock::starting_at(START);
    let bot = setup.start(sqlite(&path).await, &platform).await;
    in_time("what was left", bot.settled()).await;
    assert_eq!(platform.said().len(), 1);
    bot.stop().await.unwrap();
}

#[tokio::test]
async fn what_no_adapter_could_read_is_counted_where_doctor_looks() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite(&database(folder.path())).await;
    store.note_unreadable("onebot", START, 3).await.unwrap();
    store.note_unreadable("onebot", START + 1, 2).await.unwrap();
    store.note_unreadable("discord", START + DAY, 1).await.unwrap();
    assert_eq!(store.health(START).await.unwrap().unreadable, 6);
    assert_eq!(store.health(START + DAY).await.unwrap().unreadable, 1);
    assert_eq!(store.health(START + 3 * DAY).await.unwrap().unreadable, 0);
}
