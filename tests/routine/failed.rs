//! A routine whose script fails did not run, and `runs` says so.

use qundao::clock::VirtualClock;

use crate::world::{Platform, Setup, in_time, memory, message, script};

const NOW: i64 = 1_795_654_800_000;
const DAY_MS: i64 = 24 * 3_600_000;

#[tokio::test]
async fn a_failure_and_the_pause_after_it_are_the_reason() {
    // Four times within the ten minutes that a script pauses after its third failure.
    let text = "every(\"0,5,10,15 10 * * *\", |t| { throw \"no\"; });\n";
    let clock = VirtualClock::starting_at(NOW);
    let mut setup = Setup::new(vec![script("a", text)]);
    setup.clock = clock.clone();
    let bot = setup.start(memory().await, &Platform::willing()).await;
    bot.inbox().offer(message("k", "g", "m", "hi", NOW), None).await;
    in_time("the message", bot.settled()).await;
    while let Some(due) = bot.next_due().filter(|due| *due < NOW + DAY_MS / 2) {
        clock.set(due);
        bot.fire_due().await;
        in_time("the routine", bot.settled()).await;
    }
    let mut runs = bot.store().runs(0, 10).await.unwrap();
    runs.reverse();
    let told: Vec<(&str, &str)> = runs
        .iter()
        .map(|found| (found.run.state, found.run.reason.as_deref().unwrap_or_default()))
        .collect();
    let failed = ("skipped", "its script failed");
    assert_eq!(told, [failed, failed, failed, ("skipped", "`a` pauses after failing too often")]);
    bot.stop().await.unwrap();
}
