//! Calls: what Discord refuses is not asked again and again, and what it asks for is kept.

use std::time::Duration;

use qundao::adapter::{Adapter as _, CommandOffer, Outcome, Request, Seen};
use qundao::effect::{Call, Destination};
use qundao::event::{Element, EventKind};
use qundao::script::protocol::{Param, ParamKind};
use serde_json::json;

use crate::rig::{Rig, channel, done, person, say, until, words};
use crate::sim::world::{CHANNEL, OWNER, SECOND_CHANNEL, SOMEBODY, SOMEBODY_ELSE};
use crate::sim::{Forced, Options, Sim};

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Permanent { reason } | Outcome::Closed { reason, .. } => reason,
        other => panic!("not refused for good: {other:?}"),
    }
}

#[tokio::test]
async fn a_channel_that_refuses_is_left_alone_until_it_changes() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    sim.prepare("POST", "/messages", Forced::Status(403, 50013));
    assert!(reason(rig.send(channel(CHANNEL), say("一")).await).contains("403, 50013"));
    for _ in 0..20 {
        assert!(reason(rig.send(channel(CHANNEL), say("二")).await).contains("left alone"));
    }
    assert_eq!(sim.calls_to("POST", "/messages").len(), 1);
    done(rig.send(channel(SECOND_CHANNEL), say("别处")).await);
    let changed = sim.world(|world| world.channel(CHANNEL, "大厅"));
    sim.dispatch("CHANNEL_UPDATE", changed);
    rig.until_known(&sim).await;
    done(rig.send(channel(CHANNEL), say("三")).await);
}

#[tokio::test]
async fn what_the_bot_may_not_do_is_not_tried() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let said = sim.say(CHANNEL, SOMEBODY, "广告");
    rig.inbox.wait("message", 1).await;
    let owner = person(OWNER);
    for call in [
        Call::Mute { member: owner.clone(), until: i64::MAX },
        Call::Kick { member: owner.clone() },
        Call::Ban { member: owner },
    ] {
        assert!(reason(rig.send(channel(CHANNEL), call).await).contains("owns the server"));
    }
    // Speaking only.
    sim.world(|world| world.permissions = 1 << 10 | 1 << 11);
    let guild = sim.world(|world| world.guild());
    sim.dispatch("GUILD_CREATE", guild);
    rig.until_known(&sim).await;
    let member = person(SOMEBODY);
    let delete = Call::Delete { message: said.id.to_string() };
    for (call, word) in [
        (delete, "Manage Messages"),
        (Call::Mute { member: member.clone(), until: i64::MAX }, "Moderate Members"),
        (Call::Kick { member: member.clone() }, "Kick Members"),
        (Call::Ban { member }, "Ban Members"),
    ] {
        let told = reason(rig.send(channel(CHANNEL), call).await);
        assert!(told.contains(word), "{told}");
    }
    // A channel that takes speaking away from everybody.
    sim.world(|world| {
        world.denied.insert(CHANNEL, 1 << 11);
    });
    let changed = sim.world(|world| world.channel(CHANNEL, "大厅"));
    sim.dispatch("CHANNEL_UPDATE", changed);
    rig.until_known(&sim).await;
    assert!(reason(rig.send(channel(CHANNEL), say("一")).await).contains("Send Messages"));
    let made = sim.calls().into_iter().filter(|call| call.method != "GET");
    let made: Vec<_> = made.filter(|call| !call.path.ends_with("/commands")).collect();
    assert!(made.is_empty(), "{made:?}");
}

#[tokio::test]
async fn what_is_gone_is_done_and_what_is_unknown_is_said() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let gone = Call::Delete { message: "999".to_owned() };
    assert_eq!(done(rig.send(channel(CHANNEL), gone).await), None);
    let edit = Call::Card {
        key: "k".to_owned(),
        content: vec![Element::Text("新".to_owned())],
        message: Some("999".to_owned()),
    };
    assert!(reason(rig.send(channel(CHANNEL), edit).await).contains("404, 10008"));
    assert!(reason(rig.send(channel(4), say("早")).await).contains("404, 10003"));
    sim.prepare("POST", "/messages", Forced::Status(503, 0));
    assert!(matches!(rig.send(channel(CHANNEL), say("早")).await, Outcome::Unknown { .. }));
}

#[tokio::test]
async fn nothing_is_tried_again_behind_our_back() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let forced = [
        Forced::Break,
        Forced::DoneThenBreak,
        Forced::Status(500, 0),
        Forced::Status(502, 0),
        Forced::Status(307, 0),
        Forced::TooMany { retry_after_s: 0.0, global: false },
    ];
    for (n, forced) in forced.into_iter().enumerate() {
        sim.prepare("POST", "/messages", forced);
        rig.send_keyed(&format!("n{n}"), 1, channel(CHANNEL), say("早")).await;
        assert_eq!(sim.calls_to("POST", "/messages").len(), n + 1, "{n}");
    }
}

#[tokio::test]
async fn what_was_said_is_found_again_in_the_history() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let id = done(rig.send_keyed("a", 1, channel(CHANNEL), say("*说过*")).await).unwrap();
    let seen = async |text: &str, since| {
        let request = Request {
            key: "b".to_owned(),
            account: rig.discord.account(),
            answers: None,
            to: channel(CHANNEL),
            call: say(text),
            attempt: 2,
            since,
        };
        rig.discord.read_back(&request).await
    };
    assert_eq!(seen("*说过*", 7).await, Seen::Yes(Some(id)));
    assert_eq!(seen("没说过", 7).await, Seen::No);
    // What was said before the turn was decided is another message.
    assert_eq!(seen("*说过*", i64::MAX / 2).await, Seen::No);
    sim.prepare("GET", "/messages", Forced::Status(503, 0));
    assert_eq!(seen("*说过*", 7).await, Seen::Later);
}

#[tokio::test]
async fn too_many_calls_wait_as_long_as_they_are_told() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let forced = Forced::TooMany { retry_after_s: 0.6, global: false };
    sim.prepare("POST", &format!("{CHANNEL}/messages"), forced);
    let outcome = rig.send(channel(CHANNEL), say("一")).await;
    let Outcome::NotSent { retry_after: Some(wait), .. } = outcome else { panic!("{outcome:?}") };
    // The header says whole seconds, and is longer than the body.
    assert_eq!(wait, Duration::from_secs(1));
    for _ in 0..10 {
        let outcome = rig.send(channel(CHANNEL), say("一")).await;
        assert!(matches!(outcome, Outcome::NotSent { retry_after: Some(_), .. }), "{outcome:?}");
    }
    assert_eq!(sim.calls_to("POST", &format!("{CHANNEL}/messages")).len(), 1);
    done(rig.send(channel(SECOND_CHANNEL), say("别处")).await);
    sim.prepare("POST", "/messages", Forced::TooMany { retry_after_s: 60.0, global: true });
    let elsewhere = rig.send_keyed("k2", 1, channel(SECOND_CHANNEL), say("二")).await;
    assert!(matches!(elsewhere, Outcome::NotSent { .. }), "{elsewhere:?}");
    let before = sim.calls().len();
    let kick = Call::Kick { member: person(SOMEBODY) };
    assert!(matches!(rig.send(channel(CHANNEL), kick).await, Outcome::NotSent { .. }));
    assert_eq!(sim.calls().len(), before, "all calls wait");
}

#[tokio::test]
async fn the_rate_of_a_channel_is_kept_by_its_headers() {
    let limit_period = Duration::from_millis(800);
    let sim = Sim::start(Options { limits: true, limit_period, ..Options::default() }).await;
    let rig = Rig::on(&sim).await;
    for n in 0..12 {
        let key = format!("n{n}");
        loop {
            match rig.send_keyed(&key, 1, channel(CHANNEL), say(&format!("第 {n}"))).await {
                Outcome::NotSent { retry_after: Some(wait), .. } => tokio::time::sleep(wait).await,
                outcome => break drop(done(outcome)),
            }
        }
    }
    let calls = sim.calls_to("POST", "/messages");
    assert_eq!((calls.len(), calls.iter().filter(|it| it.status == 429).count()), (12, 0));
}

#[tokio::test]
async fn a_repeat_within_the_window_is_one_message() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    sim.prepare("POST", "/messages", Forced::DoneThenBreak);
    let outcome = rig.send_keyed("e", 1, channel(CHANNEL), say("一次")).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    let id = done(rig.send_keyed("e", 2, channel(CHANNEL), say("一次")).await).unwrap();
    assert_eq!(sim.world(|world| world.by_bot(CHANNEL)), ["一次"]);
    assert!(sim.world(|world| world.message(&id).is_some()));
}

#[tokio::test]
async fn a_direct_message_opens_its_channel_once() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let to = || Destination::Direct(person(SOMEBODY));
    for key in ["a", "b", "c"] {
        done(rig.send_keyed(key, 1, to(), say(key)).await);
    }
    assert_eq!(sim.calls_to("POST", "/users/@me/channels").len(), 1);
    assert_eq!(sim.world(|world| world.by_bot(SOMEBODY + 500_000)), ["a", "b", "c"]);
}

fn offer(verb: &str, slash: &str, quiet: bool) -> CommandOffer {
    let param = |name: &str, kind, required| Param { name: name.to_owned(), kind, required };
    CommandOffer {
        verb: verb.to_owned(),
        slash: Some(slash.to_owned()),
        about: vec![("en", format!("About {slash}")), ("zh", format!("关于{verb}"))],
        params: vec![
            param("who", ParamKind::User, true),
            param("long", ParamKind::Duration, false),
        ],
        quiet,
    }
}

#[tokio::test]
async fn commands_are_registered_when_they_change() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let puts = || sim.calls_to("PUT", "/commands").len();
    rig.discord.offer_commands(&[offer("禁言", "mute", false), offer("踢", "kick", false)]);
    until("the registration", || puts() == 1).await;
    let there = sim.world(|world| world.commands.clone());
    assert_eq!(there[1]["name"], "mute");
    assert_eq!(there[1]["name_localizations"]["zh-CN"], "禁言");
    assert_eq!(there[1]["description_localizations"]["zh-CN"], "关于禁言");
    assert_eq!(
        there[1]["options"][0],
        json!({
        "type": 6, "name": "who", "description": "who", "required": true })
    );
    let asked = || sim.calls_to("GET", "/commands").len();
    let before = asked();
    rig.discord.offer_commands(&[offer("踢", "kick", false), offer("禁言", "mute", false)]);
    until("another look", || asked() > before).await;
    rig.discord.offer_commands(&[offer("踢", "kick", false)]);
    until("the change", || puts() == 2).await;
    assert_eq!(puts(), 2, "nothing had changed in between");
}

#[tokio::test]
async fn a_slash_command_is_a_message_and_its_answer_takes_the_place_of_thinking() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    rig.discord.offer_commands(&[offer("禁言", "mute", false), offer("我", "me", true)]);
    let options = json!([
        { "name": "who", "type": 6, "value": SOMEBODY_ELSE.to_string() },
        { "name": "long", "type": 3, "value": "10m" },
    ]);
    let user = sim.world(|world| world.user(SOMEBODY_ELSE));
    let resolved = json!({ "users": { SOMEBODY_ELSE.to_string(): user } });
    let token = sim.slash(SOMEBODY, "mute", options, resolved);
    let event = rig.inbox.wait("message", 1).await.remove(0);
    let EventKind::Message { elements, to_bot: true, .. } = &event.kind else {
        panic!("{event:?}")
    };
    let mention = Element::Mention { id: person(SOMEBODY_ELSE), name: "老王".to_owned() };
    let text = |text: &str| Element::Text(text.to_owned());
    assert_eq!(**elements, [text("/禁言 "), mention, text(" 10m")]);
    // All see the answer.
    let id = done(rig.answer(&event, false, "好").await).unwrap();
    assert_eq!(sim.interaction(&token, |it| it.original.clone()), Some(Some(id.clone())));
    assert!(!sim.world(|world| world.message(&id).unwrap().ephemeral));
    done(rig.answer(&event, false, "再说一句").await);
    // A refusal is for the member alone, though thinking was seen by all.
    let token = sim.slash(SOMEBODY, "mute", json!([]), json!({}));
    let event = rig.inbox.wait("message", 2).await.remove(1);
    let id = done(rig.answer(&event, true, "不行").await).unwrap();
    assert!(sim.world(|world| world.message(&id).unwrap().ephemeral));
    assert_eq!(sim.interaction(&token, |it| it.original.clone()), None);
    // A quiet command thinks aside.
    let token = sim.slash(SOMEBODY, "me", json!([]), json!({}));
    let event = rig.inbox.wait("message", 3).await.remove(2);
    let id = done(rig.answer(&event, true, "只给你").await).unwrap();
    assert!(sim.world(|world| world.message(&id).unwrap().ephemeral));
    assert_eq!(sim.interaction(&token, |it| it.acknowledged), Some(true));
}

#[tokio::test]
async fn a_press_is_acknowledged_and_answered_aside_or_in_the_channel() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let button = Element::Button { label: "抢".to_owned(), value: "抢 1".to_owned() };
    let content = vec![Element::Text("红包".to_owned()), button];
    let card = Call::Card { key: "k".to_owned(), content, message: None };
    let id = done(rig.send(channel(CHANNEL), card).await).unwrap();
    let token = sim.press(SOMEBODY, &id, "抢 1");
    let event = rig.inbox.wait("button", 1).await.remove(0);
    let EventKind::Button { message, value } = &event.kind else { panic!("{event:?}") };
    assert_eq!((message, value.as_str()), (&id, "抢 1"));
    let aside = done(rig.answer(&event, true, "来晚了").await).unwrap();
    assert!(sim.world(|world| world.message(&aside).unwrap().ephemeral));
    let open = done(rig.answer(&event, false, "领到 3").await).unwrap();
    assert!(!sim.world(|world| world.message(&open).unwrap().ephemeral));
    // The token holds no more: what concerns all is said in the channel.
    let token2 = sim.slash(SOMEBODY, "me", json!([]), json!({}));
    let event = rig.inbox.wait("message", 1).await.remove(0);
    until("the first sign", || sim.interaction(&token2, |it| it.acknowledged.is_some())).await;
    sim.interaction(&token2, |it| it.is_expired = true);
    done(rig.answer(&event, false, "晚了一点").await);
    assert_eq!(
        sim.world(|world| world.by_bot(CHANNEL)).last().map(String::as_str),
        Some("晚了一点")
    );
    assert_eq!(sim.interaction(&token, |it| it.acknowledged), Some(false));
}

#[tokio::test]
async fn edits_deletions_joins_and_reactions_are_told() {
    let sim = Sim::start(Options::default()).await;
    let rig = Rig::on(&sim).await;
    let said = sim.say(CHANNEL, SOMEBODY, "早");
    rig.inbox.wait("message", 1).await;
    let mut edited = sim.world(|world| world.told(&said, true));
    edited["content"] = "早上好".into();
    edited["edited_timestamp"] = "2026-11-26T08:00:00.123000+00:00".into();
    sim.dispatch("MESSAGE_UPDATE", edited.clone());
    sim.dispatch("MESSAGE_UPDATE", edited);
    let events = rig.inbox.wait("edited", 2).await;
    assert_eq!((words(&events[0]).as_str(), &events[0].key), ("早上好", &events[1].key));
    let (guild, user) =
        (sim.world(|world| world.guild()["id"].clone()), sim.world(|world| world.user(SOMEBODY)));
    let id = said.id.to_string();
    let react = |kind: &str| {
        let member = sim.world(|world| world.whole_member(SOMEBODY));
        let mut it = json!({
            "user_id": SOMEBODY.to_string(), "channel_id": CHANNEL.to_string(), "message_id": id,
            "guild_id": guild, "emoji": { "id": null, "name": "👍" }, "burst": false, "type": 0,
        });
        if kind == "MESSAGE_REACTION_ADD" {
            it["member"] = member;
        }
        sim.dispatch(kind, it);
    };
    for kind in ["ADD", "REMOVE", "ADD"] {
        react(&format!("MESSAGE_REACTION_{kind}"));
    }
    let events = rig.inbox.wait("reaction", 3).await;
    let mut keys: Vec<_> = events.iter().map(|it| it.key.clone()).collect();
    keys.dedup();
    assert_eq!(keys.len(), 3, "given, taken back, given again");
    let mut joined = sim.world(|world| world.whole_member(SOMEBODY_ELSE));
    joined["guild_id"] = guild.clone();
    sim.dispatch("GUILD_MEMBER_ADD", joined);
    let event = rig.inbox.wait("joined", 1).await.remove(0);
    assert_eq!(event.group.as_ref().unwrap().id, person(CHANNEL), "where the server greets");
    sim.dispatch("GUILD_MEMBER_REMOVE", json!({ "guild_id": guild, "user": user }));
    rig.inbox.wait("left", 1).await;
    let bulk = json!({ "ids": [id, "5"], "channel_id": CHANNEL.to_string(), "guild_id": guild });
    sim.dispatch("MESSAGE_DELETE_BULK", bulk);
    rig.inbox.wait("deleted", 2).await;
    sim.dispatch("SOMETHING_NEW", json!({ "x": 1 }));
    sim.say(CHANNEL, SOMEBODY, "完");
    rig.inbox.wait("message", 2).await;
    assert_eq!(rig.discord.dropped(qundao::adapter::discord::Dropped::Unreadable), 1);
}
