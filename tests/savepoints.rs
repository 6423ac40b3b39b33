//! A handler is a savepoint: one that fails, is refused, runs in shadow or must begin again leaves
//! no trace of its calls, in memory or in the database, and the others' effects commit.

mod world;

use std::path::Path;

use qundao::bot::Bot;
use qundao::clock::{Clock, SystemClock};
use qundao::config::{Mode, ScriptConfig};
use qundao::script::protocol::Source;
use tempfile::TempDir;
use world::{Platform, Setup, in_time, message, number, peek, script, seed, shipped, sqlite};

/// Touches everything that a call can change, then ends as the test wants.
fn toucher(ending: &str) -> Source {
    let text = format!(
        "//! 什么都动一下。\n\
         setting(\"max_shares\", 10);\n\
         command(\"试\", |c| {{\n    \
             points::grant(c.member, 50, \"试\");\n    \
             points::spend(c.member, 10, \"试\");\n    \
             let hold = points::hold(c.member, 5, \"试\");\n    \
             points::release(hold);\n    \
             state::set(\"community\", \"k\", 1);\n    \
             state::incr(c.member, \"n\");\n    \
             state::remove(\"community\", \"k\");\n    \
             checkin::mark(c.member);\n    \
             rules::set(c.member, \"新规\");\n    \
             rules::accept(c.member);\n    \
             let packet = red_packet::send(c.member, 20, 2);\n    \
             c.reply(\"好\");\n    {ending}\n\
         }});\n"
    );
    script("toucher", &text)
}

/// Shows from memory what the toucher could have changed.
const LOOK: &str = "//! 看\ncommand(\"看\", |c| {\n    let packet = red_packet::get(());\n    \
    c.reply(`${points::balance(c.member)} ${rules::current() == ()} ${checkin::status(c.member) == ()} \
${state::get(c.member, \"n\", 0)} ${packet == ()}`);\n});\non_message(|m| m.reply(\"听到\"));\n";

async fn begin(path: &Path, sources: Vec<Source>, mode: Mode) -> (Bot, std::sync::Arc<Platform>) {
    let platform = Platform::willing();
    let mut setup = Setup::new(sources);
    let toucher = ScriptConfig { mode: Some(mode), ..ScriptConfig::default() };
    setup.config.scripts.features.insert("toucher".to_owned(), toucher);
    let bot = setup.start(sqlite(path).await, &platform).await;
    let now = SystemClock::default().now();
    let mut owner = seed("a", 100, now);
    owner.role = qundao::value::Role::Owner;
    let members = vec![owner, seed("b", 0, now), seed("c", 0, now)];
    bot.seed_members(&world::group_ref("g"), members).await.unwrap();
    (bot, platform)
}

async fn say(bot: &Bot, key: &str, who: &str, text: &str) {
    let now = SystemClock::default().now();
    bot.inbox().offer(message(key, "g", who, text, now), None).await;
    in_time("the turn", bot.settled()).await;
}

/// Runs the toucher and looks; gives what was said and the file.
async fn touched(ending: &str, mode: Mode) -> (Vec<String>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let sources = vec![toucher(ending), script("look", LOOK), shipped("points")];
    let (bot, platform) = begin(&path, sources, mode).await;
    say(&bot, "1", "a", "试").await;
    say(&bot, "2", "a", "看").await;
    assert_eq!(bot.store().verify().await.unwrap().broken, Vec::<String>::new());
    bot.stop().await.unwrap();
    (platform.said().into_iter().map(|(_, text)| text).collect(), folder)
}

/// Rows that the toucher would have left.
async fn rows(folder: &TempDir) -> i64 {
    let mut db = peek(&folder.path().join("qundao.db")).await;
    number(
        &mut db,
        "SELECT (SELECT count(*) FROM ledger_transfer WHERE code <> 'seed')
            + (SELECT count(*) FROM script_state) + (SELECT count(*) FROM checkin)
            + (SELECT count(*) FROM rule_version) + (SELECT count(*) FROM packet)
            + (SELECT count(*) FROM timer) + (SELECT count(*) FROM audit)",
    )
    .await
}

const UNTOUCHED: &str = "100 true true 0 true";

#[tokio::test]
async fn without_an_ending_everything_is_touched() {
    let (said, folder) = touched("", Mode::Live).await;
    // 100 + 50 − 10 − 20; rules, check-in and packet are there.
    assert_eq!(said, ["好", "听到", "120 false false 0 false", "听到"]);
    assert_eq!(rows(&folder).await, 13);
}

#[tokio::test]
async fn a_failure_leaves_no_trace_and_the_others_go_on() {
    let (said, folder) = touched("throw \"哎呀\";", Mode::Live).await;
    assert_eq!(said, ["听到", UNTOUCHED, "听到"]);
    assert_eq!(rows(&folder).await, 0);
}

#[tokio::test]
async fn a_refusal_leaves_one_line_and_no_trace() {
    let (said, folder) = touched("refuse(\"empty\");", Mode::Live).await;
    assert_eq!(said, ["手慢了，红包已被抢完", "听到", UNTOUCHED, "听到"]);
    assert_eq!(rows(&folder).await, 0);
}

#[tokio::test]
async fn a_shadow_run_leaves_no_trace() {
    let (said, folder) = touched("", Mode::Shadow).await;
    assert_eq!(said, ["听到", UNTOUCHED, "听到"]);
    assert_eq!(rows(&folder).await, 0);
}

#[tokio::test]
async fn a_turn_that_must_fetch_something_does_everything_once() {
    // 积分明细 is not in memory: the handler is ended there and runs again from its start.
    let ending = "c.reply(`${points::log(c.member).len()}`);";
    let (said, folder) = touched(ending, Mode::Live).await;
    // The log is what was committed before this turn: the 100 points of the beginning.
    assert_eq!(said, ["好", "1", "听到", "120 false false 0 false", "听到"]);
    let mut db = peek(&folder.path().join("qundao.db")).await;
    let grants = "SELECT count(*) FROM ledger_transfer WHERE amount = 50";
    assert_eq!(number(&mut db, grants).await, 1);
    assert_eq!(number(&mut db, "SELECT count(*) FROM packet").await, 1);
}

#[tokio::test]
async fn a_share_that_was_taken_in_vain_can_be_taken_again() {
    let vain = "//! 白抢\ncommand(\"白抢\", |c| {\n    red_packet::grab(c.member);\n    \
                refuse(\"own\");\n});\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let sources = vec![script("toucher", vain), shipped("red_packet")];
    let (bot, _platform) = begin(&path, sources, Mode::Live).await;
    for (key, who, text) in
        [("1", "a", "红包 20 2"), ("2", "b", "白抢"), ("3", "c", "抢"), ("4", "b", "抢")]
    {
        say(&bot, key, who, text).await;
    }
    let mut db = peek(&path).await;
    let taken = "SELECT count(DISTINCT person) FROM packet_share WHERE person IS NOT NULL";
    assert_eq!(number(&mut db, taken).await, 2);
    assert_eq!(number(&mut db, "SELECT count(*) FROM packet WHERE state = 'exhausted'").await, 1);
    // The first share, which b had for a moment, is c's.
    let first = "SELECT count(*) FROM packet_share s JOIN account a ON a.person = s.person
        WHERE s.n = 0 AND a.ref = 'test:u-c'";
    assert_eq!(number(&mut db, first).await, 1);
    assert_eq!(bot.store().verify().await.unwrap().broken, Vec::<String>::new());
    bot.stop().await.unwrap();
}
