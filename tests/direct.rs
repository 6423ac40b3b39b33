//! A direct message runs in the sender's community; who is in several is asked which.

mod world;

use qundao::clock::{Clock, SystemClock};
use qundao::event::Envelope;
use world::{Platform, Setup, in_time, memory, message, shipped};

fn direct(key: &str, text: &str) -> Envelope {
    let now = SystemClock::default().now();
    Envelope { group: None, ..message(key, "", "a", text, now) }
}

#[tokio::test]
async fn who_is_in_several_communities_is_asked_which() {
    let platform = Platform::willing();
    let bot = Setup::new(vec![shipped("points")]).start(memory().await, &platform).await;
    let now = SystemClock::default().now();
    let mut said = Vec::new();
    for (n, envelope) in [
        message("1", "群岛", "a", "你好", now),
        direct("2", "积分"),
        message("3", "读书会", "a", "你好", now),
        direct("4", "积分"),
        direct("5", "读书会 积分"),
    ]
    .into_iter()
    .enumerate()
    {
        bot.inbox().offer(envelope, None).await;
        in_time("the turn", bot.settled()).await;
        said.extend(platform.said().into_iter().skip(said.len()).map(|(_, text)| (n + 1, text)));
    }
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(said[0], (2, "a：0 积分".to_owned()));
    assert_eq!(said[1].0, 4);
    assert!(["群岛", "读书会"].iter().all(|name| said[1].1.contains(name)), "{said:?}");
    assert_eq!(said[2], (5, "a：0 积分".to_owned()));
    bot.stop().await.unwrap();
}
