//! Saving a routine shows its next five times, on the clock of the community.

use qundao::clock::VirtualClock;
use qundao::moderation::WordLists;

use crate::world::{Platform, Setup, memory, script};

/// Nine in the morning of a Thursday in Shanghai.
const NOW: i64 = 1_795_654_800_000;

#[tokio::test]
async fn a_saved_routine_is_told_with_its_next_five_times() {
    let mut setup = Setup::new(vec![script("a", "every(\"0 10 * * *\", |t| { say(\"x\"); });\n")]);
    setup.clock = VirtualClock::starting_at(NOW);
    let bot = setup.start(memory().await, &Platform::willing()).await;
    let mut notices = bot.notices();
    let save = async |text: &str| {
        let sources = vec![script("a", text)];
        let words = Some(WordLists::default());
        assert_eq!(bot.reload(bot.config(), sources, words).await.unwrap(), Vec::<String>::new());
    };
    save("every(\"30 8 * * 1-5\", |t| { say(\"x\"); });\n").await;
    let told = notices.recv().await.unwrap().text;
    assert_eq!(
        told,
        "the routine `a` of `a` comes 11-27 周五 08:30, 11-30 周一 08:30, 12-01 周二 08:30, 12-02 周三 \
         08:30, 12-03 周四 08:30 (Asia/Shanghai)"
    );
    // Another text at the same times is nothing new.
    save("every(\"30 8 * * 1-5\", |t| { say(\"y\"); });\n").await;
    assert!(notices.try_recv().is_err());
    bot.stop().await.unwrap();
}
