//! A whole bot on Discord: real scripts, a real database.

use std::sync::Arc;

use qundao::adapter::Adapter;
use qundao::clock::SystemClock;
use serde_json::json;

use crate::rig::{discord, hurried, until};
use crate::sim::world::{CHANNEL, SECOND_CHANNEL, SOMEBODY};
use crate::sim::{Options, Sim};
use crate::world::{Setup, in_time, memory, shipped};

#[tokio::test]
async fn channels_of_a_server_are_one_community_and_slash_commands_work() {
    let sim = Sim::start(Options::default()).await;
    let clock = SystemClock::with_offset(0);
    let adapter: Arc<dyn Adapter> = discord(&sim, clock.clone(), hurried());
    let mut setup = Setup::new(vec![shipped("checkin"), shipped("points"), shipped("help")]);
    setup.clock = clock;
    let bot = setup.start_on(memory().await, vec![adapter]).await;
    sim.until_alive(1).await;
    until("commands", || sim.world(|world| world.commands[0].is_object())).await;
    sim.say(CHANNEL, SOMEBODY, "签到");
    until("the answer", || sim.world(|world| world.by_bot(CHANNEL).len()) == 1).await;
    // What was earned in one channel is there in the other.
    sim.say(SECOND_CHANNEL, SOMEBODY, "积分");
    until("the answer", || sim.world(|world| world.by_bot(SECOND_CHANNEL).len()) == 1).await;
    let told = sim.world(|world| world.by_bot(SECOND_CHANNEL));
    assert!(told[0].contains("小红：6 积分"), "{told:?}");
    let token = sim.slash(SOMEBODY, "points", json!([]), json!({}));
    until("the answer", || sim.interaction(&token, |it| matches!(it.original, Some(Some(_)))))
        .await;
    let told = sim.world(|world| world.by_bot(CHANNEL));
    assert!(told[1].contains("小红：6 积分"), "{told:?}");
    in_time("the answers", bot.settled()).await;
    bot.stop().await.unwrap();
}
