//! A storm of reloads under a stream of messages: every message is answered by one version, none
//! is lost, and memory does not grow. Alone in its process, so that the memory is its own.

#[expect(dead_code, reason = "the stage of the other tests, used in part")]
#[path = "../reload/stage.rs"]
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use qundao::clock::Clock as _;
use qundao::report::Line;
use qundao::script::load::source;

use stage::{PATIENCE, Stage, message};

const STORM: usize = 1000;
/// Reloads after which memory has found its size.
const WARM: usize = 300;
const GROWTH_KB: i64 = 5 * 1024;

fn version(number: usize) -> String {
    format!("//! {number}\non_message(|m| m.reply(\"{number} \" + m.text));\n")
}

/// Memory of this process; `None` where the system does not tell.
fn resident_kb() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reloads_loses_no_message_and_no_memory() {
    let mut stage = Stage::with(&[("scripts/echo.rhai", &version(0))]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let talk = {
        let (inbox, is_over) = (stage.bot.inbox(), is_over.clone());
        let now = stage.clock.now();
        tokio::spawn(async move {
            let mut offered = 0;
            while !is_over.load(Ordering::SeqCst) {
                let (committed, heard) = tokio::sync::oneshot::channel();
                inbox.offer(message("阿明", &offered.to_string(), now), Some(committed)).await;
                heard.await.expect("every event is committed");
                offered += 1;
            }
            offered
        })
    };
    let config = stage.bot.config();
    let (mut warm, mut answers) = (None, Vec::new());
    let mut by_version = [0, 0];
    for number in 1..=STORM {
        let next = source("echo", "scripts/echo.rhai", false, &version(number % 2));
        let problems = stage.bot.reload(config.clone(), vec![next], None).await.unwrap();
        assert_eq!(problems, [""; 0]);
        while let Ok(report) = stage.reports.try_recv() {
            answers.push(answer(&report.lines, &mut by_version));
        }
        if number == WARM {
            warm = resident_kb();
        }
    }
    let cold = resident_kb();
    is_over.store(true, Ordering::SeqCst);
    let offered: usize = tokio::time::timeout(PATIENCE, talk).await.unwrap().unwrap();
    stage.bot.settled().await;
    while let Ok(report) = stage.reports.try_recv() {
        answers.push(answer(&report.lines, &mut by_version));
    }
    assert_eq!(answers, (0..offered).collect::<Vec<_>>(), "each once, in order");
    assert!(by_version.iter().all(|count| *count > 0), "{by_version:?}");
    if let (Some(warm), Some(cold)) = (warm, cold) {
        println!("{offered} messages, {by_version:?}, {warm} kB → {cold} kB");
        assert!(cold - warm < GROWTH_KB, "memory grew from {warm} kB to {cold} kB");
    }
    stage.bot.stop().await.unwrap();
}

/// The number of the message that was answered; panics where there is not exactly one answer.
fn answer(lines: &[Line], by_version: &mut [usize; 2]) -> usize {
    let [Line::Said { text, .. }] = lines else { panic!("not one answer: {lines:?}") };
    let (version, message) = text.split_once(' ').unwrap();
    by_version[version.parse::<usize>().unwrap()] += 1;
    message.parse().unwrap()
}
