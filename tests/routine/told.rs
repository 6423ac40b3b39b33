//! What ran and what is planned, as the command line tells it beside a database that a bot has left.

#[path = "../program/mod.rs"]
mod program;

use qundao::adapter::Outcome;
use qundao::clock::VirtualClock;
use qundao::config::CommunityConfig;

use crate::world::{Platform, Setup, group_ref, in_time, message, script, seed, sqlite};

const CONFIG: &str = "[adapters.console]\n[[community]]\nid = \"club\"\nname = \"读书会\"\ngroups = \
                      [\"console:a\"]\n[[routine]]\nid = \"weekend\"\ncron = \"0 18 * * 5\"\ntext = \
                      \"周末愉快\"\n";
/// Nine in the morning of a Thursday in Shanghai.
const NOW: i64 = 1_795_654_800_000;
const DAY_MS: i64 = 24 * 3_600_000;

fn said(folder: &std::path::Path, args: &[&str]) -> String {
    let output = program::run(folder, args, "");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn runs_and_schedule_are_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
    std::fs::create_dir_all(folder.path().join("scripts")).unwrap();
    std::fs::copy("scripts/routines.rhai", folder.path().join("scripts/routines.rhai")).unwrap();
    assert_eq!(said(folder.path(), &["runs"]), "no routine was due in that time\n");
    let platform = Platform::answering(|request| match request.to.reference().local() {
        "c" => Outcome::Permanent { reason: "muted".to_owned() },
        _ => Outcome::Done { id: Some("1".to_owned()), degraded: Vec::new() },
    });
    let text = "every(\"0 10 * * *\", #{ name: \"早报\" }, |t| { say(\"早\"); });\n\
                every(\"30 23 * * *\", #{ name: \"夜\", kind: \"news\" }, |t| { say(\"晚\"); });\n";
    let clock = VirtualClock::starting_at(NOW);
    let mut setup = Setup::new(vec![script("a", text)]);
    setup.clock = clock.clone();
    setup.config.communities = vec![CommunityConfig {
        id: "club".to_owned(),
        groups: ["a", "b", "c"].map(group_ref).to_vec(),
        ..CommunityConfig::default()
    }];
    let store = sqlite(&folder.path().join("data/qundao.db")).await;
    let bot = setup.start(store, &platform).await;
    for group in ["a", "b", "c"] {
        bot.seed_members(&group_ref(group), vec![seed("m", 0, NOW)]).await.unwrap();
        bot.inbox().offer(message(group, group, "m", "早", NOW), None).await;
    }
    in_time("the messages", bot.settled()).await;
    while let Some(due) = bot.next_due().filter(|due| *due < NOW + DAY_MS) {
        clock.set(due);
        bot.fire_due().await;
        in_time("the routine", bot.settled()).await;
    }
    in_time("the end", bot.stop()).await.unwrap();
    let runs = said(folder.path(), &["runs", "--last", "36000d"]);
    assert_eq!(
        runs,
        "2026-11-26 23:30 读书会 夜: skipped: quiet hours 23:00–08:00\n2026-11-26 10:00 读书会 早报: 2 \
         groups sent, 1 failed (muted)\n"
    );
    let json = said(folder.path(), &["runs", "--last", "36000d", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(runs[1]["posts"], serde_json::json!({ "failed (muted)": 1, "sent": 2 }));
    let planned = said(folder.path(), &["schedule", "--next", "7d"]);
    assert!(planned.starts_with("读书会 · Asia/Shanghai\n"), "{planned}");
    assert!(planned.contains("Fri 18:00  weekend (routines, `0 18 * * 5`)"), "{planned}");
}
