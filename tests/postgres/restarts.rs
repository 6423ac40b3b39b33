//! The server is restarted as by a power cut, and its processes are ended, while the bot works:
//! nothing that was accepted is lost, nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qundao::clock::{Clock, SystemClock};
use rand_chacha::rand_core::RngCore as _;
use tokio::sync::oneshot;

use crate::world::{Database, Platform, Setup, in_time, message, script};

const COUNTER: &str = "//! 数数\ncommand(\"数\", |c| {\n    let n = state::incr(\"community\", \"n\");\n    \
                       points::grant(c.member, 1, \"数\");\n    c.reply(`${n}`);\n});\n";
const GROUPS: usize = 4;
/// Messages of each group in one cycle.
const MESSAGES: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_loses_and_doubles_nothing() {
    let database = Database::postgres();
    let Database::Postgres { cluster, .. } = &database else { unreachable!() };
    let platform = Platform::willing();
    let mut setup = Setup::new(vec![script("counter", COUNTER)]);
    setup.config.limits.commands = 100_000;
    let store = database.open().await;
    let bot = setup.start(store, &platform).await;
    let mut chance = crate::chance("restarts");
    let rounds = crate::cycles(4);
    let mut ended = 0;
    for round in 0..rounds {
        let now = SystemClock::default().now();
        let mut receipts = Vec::new();
        let strike = (chance.next_u32() as usize) % (GROUPS * MESSAGES);
        let is_restart = round % 2 == 0;
        let mut striking = None;
        for n in 0..GROUPS * MESSAGES {
            let group = format!("g{}", n % GROUPS);
            let (receipt, heard) = oneshot::channel();
            let key = format!("{round}-{n}");
            let one = message(&key, &group, &format!("{group}-a"), "数", now);
            bot.inbox().offer(one, Some(receipt)).await;
            receipts.push(heard);
            if n == strike && is_restart {
                let cluster = Arc::clone(cluster);
                striking = Some(tokio::task::spawn_blocking(move || cluster.restart()));
            } else if n >= strike && !is_restart {
                let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE application_name = 'qundao' AND pid <> pg_backend_pid()
                      AND random() < 0.7";
                ended += database.peek().await.number(end).await;
            }
            tokio::time::sleep(Duration::from_millis(u64::from(chance.next_u32() % 8))).await;
        }
        if round % 50 == 49 {
            println!("{} rounds", round + 1);
        }
        if let Some(striking) = striking {
            in_time("the restart", striking).await.unwrap();
        }
        for receipt in receipts {
            in_time("every receipt", receipt).await.unwrap();
        }
    }
    in_time("every turn", bot.settled()).await;
    println!("{rounds} rounds, {ended} processes of the server ended");

    let each = (rounds * MESSAGES) as i64;
    let mut db = database.peek().await;
    let done = "SELECT count(*) FROM event WHERE state = 0 AND kind = 0";
    assert_eq!(db.number(done).await, each * GROUPS as i64);
    let points = "SELECT credits FROM ledger_account WHERE kind = 'member' ORDER BY owner";
    assert_eq!(db.numbers(points).await, vec![each; GROUPS]);
    // The platform was told each number once, in order.
    let mut said: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (group, text) in platform.said() {
        said.entry(group).or_default().push(text.parse().unwrap());
    }
    for (group, numbers) in &said {
        assert_eq!(*numbers, (1..=each).collect::<Vec<_>>(), "{group}");
    }
    assert_eq!(said.len(), GROUPS);
    assert_eq!(bot.store().verify().await.unwrap().broken, Vec::<String>::new());
    bot.stop().await.unwrap();
}
