//! The suite: one function a claim, for any peer.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use qundao::adapter::{Outcome, RateScope, Request, Support, element_word};
use qundao::bot::Bot;
use qundao::clock::{Clock as _, VirtualClock};
use qundao::effect::{Call, Destination};
use qundao::event::{Element, EventKind, plain_text};

use crate::peer::{Peer, Recorder, START};
use crate::world::{Setup, in_time, memory, script};

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}

/// A peer whose adapter brings its events to a recorder.
async fn recorded<P: Peer>() -> (P, Arc<Recorder>) {
    let peer = P::new(VirtualClock::starting_at(START)).await;
    let recorder = Arc::new(Recorder::default());
    peer.run(recorder.clone(), false).await;
    (peer, recorder)
}

/// Each call is another effect, which a platform that knows repeats must be able to tell.
fn key() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("k{}", COUNT.fetch_add(1, Ordering::SeqCst))
}

async fn call<P: Peer>(peer: &P, call: Call) -> Outcome {
    let adapter = peer.adapter();
    let request = Request {
        key: key(),
        account: adapter.account(),
        answers: None,
        to: Destination::Group(peer.group()),
        call,
        attempt: 1,
        since: START,
    };
    adapter.send(&request, START).await
}

fn send(content: Vec<Element>) -> Call {
    Call::Send { content, reply_to: None, only_for: None, slot: None }
}

async fn sent<P: Peer>(peer: &P, content: Vec<Element>) -> String {
    match call(peer, send(content)).await {
        Outcome::Done { id: Some(id), .. } => id,
        other => panic!("not sent, or without an id: {other:?}"),
    }
}

/// Texts that were markup somewhere once.
const CORPUS: &[&str] = &[
    "[CQ:at,qq=all]",
    "[CQ:at,qq=all",
    "&#91;CQ:at,qq=all&#93;",
    "&amp;#91;CQ:at&amp;#44;qq=all&amp;#93;",
    "[CQ:image,file=file:///etc/passwd]",
    "[CQ:reply,id=1][CQ:at,qq=20002]",
    "@everyone @here @all @全体成员 @所有人",
    "@@everyoneeveryone",
    "`@everyone` ```\n@everyone\n```",
    "<@20002> <@!20002> <@&1> <#1> <at type=\"all\"/> <at id=\"20002\"/>",
    "\\u003cat type=\\\"all\\\"/\\u003e",
    "[文本](tg://user?id=20002) *_~`>#+-=|{}.!",
    "\u{202e}@enoyreve\u{202c} \u{2066}x\u{2069}",
    "@\u{200b}everyone \u{feff}@all \u{2005}",
    "{\"type\":\"at\",\"data\":{\"qq\":\"all\"}}",
    "\"]},{\"type\":\"at\",\"data\":{\"qq\":\"all\"}},{\"",
    "👨‍👩‍👧 ｆｕｌｌ ﷽ e\u{301}",
    "line\nbreak\r\nand\ttab",
    " leading and trailing ",
];

fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        3 => prop::sample::select(CORPUS).prop_map(str::to_owned),
        2 => any::<String>(),
        2 => "[\\[\\]&;,=:@<>/\"'`#a-zCQ0-9 \\\\全体成员]{0,24}",
    ];
    prop::collection::vec(pieces, 1..4).prop_map(|pieces| pieces.concat())
}

pub fn a_message_becomes_an_event<P: Peer>() {
    run(async {
        let (peer, recorder) = recorded::<P>().await;
        let id = peer.say("早上好").await;
        let envelope = recorder.messages(1).await.remove(0);
        let actor = envelope.actor.as_ref().expect("a sender");
        assert_eq!((&actor.id, actor.is_bot), (&peer.somebody(), false));
        assert!(!actor.name.is_empty() && !envelope.key.is_empty() && !envelope.backfilled);
        assert_eq!(envelope.group.as_ref().map(|group| &group.id), Some(&peer.group()));
        assert_eq!(envelope.account.platform(), peer.adapter().account().platform());
        assert!((envelope.at - START).abs() < 1000, "{}", envelope.at);
        let EventKind::Message { id: told, elements, quote, to_bot } = &envelope.kind else {
            panic!("no message: {envelope:?}");
        };
        assert_eq!((told, quote, to_bot), (&id, &None, &false));
        assert_eq!(plain_text(elements), "早上好");
    });
}

pub fn a_direct_message_is_for_the_bot<P: Peer>() {
    run(async {
        let (peer, recorder) = recorded::<P>().await;
        peer.whisper("积分").await;
        let envelope = recorder.messages(1).await.remove(0);
        assert!(envelope.group.is_none());
        assert!(matches!(envelope.kind, EventKind::Message { to_bot: true, .. }));
        let adapter = peer.adapter();
        let request = Request {
            key: key(),
            account: envelope.account.clone(),
            answers: None,
            to: Destination::Direct(peer.somebody()),
            call: send(vec![Element::Text("5".to_owned())]),
            attempt: 1,
            since: START,
        };
        let outcome = adapter.send(&request, START).await;
        let Outcome::Done { id: Some(id), .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(peer.taken(&id).text, "5");
    });
}

/// Runs a check on the corpus and on whatever chance finds.
fn fuzz(check: impl Fn(&str)) {
    CORPUS.iter().for_each(|text| check(text));
    let cases = Cases { cases: 300, failure_persistence: None, ..Cases::default() };
    let ran = TestRunner::new(cases).run(&any_text(), |text| {
        check(&text);
        Ok(())
    });
    ran.unwrap();
}

pub fn what_members_write_is_data<P: Peer>() {
    if P::MARKUP {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (peer, recorder) = runtime.block_on(recorded::<P>());
    let count = std::cell::Cell::new(0);
    fuzz(|text| {
        if text.is_empty() {
            return;
        }
        count.set(count.get() + 1);
        let envelope = runtime.block_on(async {
            peer.say(text).await;
            recorder.messages(count.get()).await.pop().unwrap()
        });
        let EventKind::Message { elements, to_bot, .. } = envelope.kind else { unreachable!() };
        assert_eq!((elements, to_bot), ([Element::Text(text.to_owned())].into(), false));
    });
}

pub fn what_the_bot_writes_is_data<P: Peer>() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (peer, _recorder) = runtime.block_on(recorded::<P>());
    let mention = || Element::Mention { id: peer.somebody(), name: "小红".to_owned() };
    let limit = peer.adapter().capabilities().text_chars;
    fuzz(|text| {
        let text = || Element::Text(text.chars().take(limit / 2).collect());
        let mut contents = vec![
            vec![text(), mention(), text()],
            vec![text(), Element::MentionAll],
            vec![mention(), text(), mention()],
        ];
        if plain_text(&[text()]).chars().any(|c| !c.is_control()) {
            contents.push(vec![text()]);
        }
        for content in contents {
            let id = runtime.block_on(sent(&peer, content.clone()));
            assert_eq!(peer.taken(&id), peer.expected(&content), "{content:?}");
        }
    });
}

fn one_of_each<P: Peer>(peer: &P) -> Vec<Element> {
    let text = |text: &str| text.to_owned();
    vec![
        Element::Text(text("文")),
        Element::Mention { id: peer.somebody(), name: text("小红") },
        Element::MentionAll,
        Element::Link { url: text("https://a.cn"), title: Some(text("甲")) },
        Element::Image { url: text("https://a.cn/i.png") },
        Element::File { url: text("https://a.cn/f"), name: text("表") },
        Element::Emoji(text("👍")),
        Element::Button { label: text("抢"), value: text("抢 1") },
        Element::Code(text("let x;")),
        Element::Break,
    ]
}

pub fn every_element_is_carried_as_the_table_claims<P: Peer>() {
    run(async {
        let (peer, _recorder) = recorded::<P>().await;
        let table = peer.adapter().capabilities();
        let elements = one_of_each(&peer);
        assert_eq!(table.elements.len(), elements.len(), "each once: {:?}", table.elements);
        let alone = |text: &str| Element::Text(text.to_owned());
        let plain = peer.taken(&sent(&peer, vec![alone("前"), alone("后")]).await);
        for element in elements {
            let word = element_word(&element);
            let content = vec![alone("前"), element.clone(), alone("后")];
            let outcome = call(&peer, send(content)).await;
            let Outcome::Done { id: Some(id), degraded } = outcome else {
                panic!("{word}: {outcome:?}");
            };
            let is_told = degraded.iter().any(|it| it.element == word);
            let is_shown = peer.taken(&id) != plain;
            let happened = match (is_shown, is_told) {
                (false, _) => Support::None,
                (true, true) => Support::Degraded,
                (true, false) => Support::Native,
            };
            assert_eq!(table.support(&element), happened, "{word}");
            assert!(is_shown || is_told || word == "text", "{word} is dropped without a word");
        }
    });
}

pub fn every_call_does_what_the_capabilities_claim<P: Peer>() {
    run(async {
        let (peer, _recorder) = recorded::<P>().await;
        let capabilities = peer.adapter().capabilities();
        let message = peer.say("广告").await;
        let (member, other) = (peer.somebody(), peer.somebody_else());
        let text = |text: &str| vec![Element::Text(text.to_owned())];
        let mut calls = vec![
            send(text("普通")),
            Call::Card { key: "k".to_owned(), content: text("卡片"), message: None },
            Call::React { message: message.clone(), emoji: "👍".to_owned() },
            Call::Pin { message: message.clone() },
            Call::Delete { message },
            Call::Mute { member: member.clone(), until: START + 600_000 },
            Call::Unmute { member: member.clone() },
            Call::Rename { member: member.clone(), name: "新名片".to_owned() },
            Call::SetAdmin { member: member.clone(), on: true },
            Call::SetAdmin { member: member.clone(), on: false },
            Call::Kick { member },
            Call::Ban { member: other },
        ];
        match peer.ask_to_join().await {
            Some(token) => calls.push(Call::Admit { token, yes: true, reason: String::new() }),
            None => assert!(!capabilities.can("admit"), "nobody can ask here"),
        }
        for asked in calls {
            let word = asked.word();
            let outcome = call(&peer, asked.clone()).await;
            match outcome {
                Outcome::Done { .. } if word == "send" || capabilities.can(word) => {
                    assert!(peer.did(&asked), "{word} was not done");
                }
                Outcome::Permanent { .. } if !capabilities.can(word) => {}
                other => panic!("{word}: {other:?}, claimed {}", capabilities.can(word)),
            }
        }
        let content = text("改过的");
        let card = Call::Card { key: "k".to_owned(), content, message: Some("1".to_owned()) };
        if !capabilities.can("edit") {
            assert!(matches!(call(&peer, card).await, Outcome::Permanent { .. }));
            return;
        }
        let id = sent(&peer, text("以前的")).await;
        let content = text("改过的");
        let card = Call::Card { key: "k".to_owned(), content, message: Some(id.clone()) };
        assert!(matches!(call(&peer, card).await, Outcome::Done { .. }));
        assert_eq!(peer.taken(&id).text, "改过的");
    });
}

pub fn a_text_is_never_cut_without_a_word<P: Peer>() {
    run(async {
        let (peer, _recorder) = recorded::<P>().await;
        let limit = peer.adapter().capabilities().text_chars;
        let longest = "长".repeat(limit);
        let id = sent(&peer, vec![Element::Text(longest.clone())]).await;
        assert_eq!(peer.taken(&id).text, longest);
        let longer = vec![Element::Text(format!("{longest}。"))];
        match call(&peer, send(longer.clone())).await {
            Outcome::Done { id: Some(id), .. } => {
                assert_eq!(peer.taken(&id).text, plain_text(&longer));
            }
            Outcome::Permanent { .. } => {}
            other => panic!("{other:?}"),
        }
    });
}

pub fn a_repetition_is_known_by_its_key<P: Peer>() {
    run(async {
        let (peer, recorder) = recorded::<P>().await;
        peer.say("早").await;
        let repeated = peer.repeat().await;
        peer.say("早").await;
        let events = recorder.messages(if repeated { 3 } else { 2 }).await;
        let keys: Vec<&str> = events.iter().map(|it| &*it.key).collect();
        if repeated {
            assert_eq!(keys[0], keys[1]);
        }
        assert_ne!(keys[0], keys[keys.len() - 1], "two messages with the same words");
    });
}

pub fn what_comes_late_keeps_its_own_time<P: Peer>() {
    run(async {
        let (peer, recorder) = recorded::<P>().await;
        peer.say("新的").await;
        if !peer.say_late("旧的", 600).await {
            return;
        }
        peer.say("更新的").await;
        let events = recorder.messages(3).await;
        let texts: Vec<String> = events
            .iter()
            .map(|it| match &it.kind {
                EventKind::Message { elements, .. } => plain_text(elements),
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(texts, ["新的", "旧的", "更新的"]);
        assert!((START - events[1].at - 600_000).abs() < 1000, "{}", events[1].at);
    });
}

/// Answers every message with its own text.
const ECHO: &str = "//! 回声\non_message(|m| m.reply(m.text));\n";

/// A bot that echoes, on the peer.
async fn echoing<P: Peer>() -> (P, Bot, Arc<VirtualClock>) {
    let clock = VirtualClock::starting_at(START);
    let peer = P::new(clock.clone()).await;
    let mut setup = Setup::new(vec![script("echo", ECHO)]);
    setup.clock = clock.clone();
    let bot = setup.start_on(memory().await, vec![peer.adapter()]).await;
    peer.run(bot.inbox(), true).await;
    (peer, bot, clock)
}

/// Waits until a condition holds; nothing tells of a change, so it is looked at again and again.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    in_time(what, wait).await;
}

pub fn a_repetition_is_answered_once<P: Peer>() {
    run(async {
        let (peer, bot, _) = echoing::<P>().await;
        let mut reports = bot.reports();
        peer.say("一遍").await;
        peer.repeat().await;
        peer.repeat().await;
        peer.say("完").await;
        // Turns are reported in their order, so that whatever came before the last is done.
        loop {
            let report = in_time("a turn", reports.recv()).await.expect("the bot runs");
            if matches!(&report.event.envelope.kind, EventKind::Message { elements, .. } if plain_text(elements) == "完")
            {
                break;
            }
        }
        in_time("the answers", bot.settled()).await;
        assert_eq!(peer.said(), ["一遍", "完"]);
        bot.stop().await.unwrap();
    });
}

pub fn after_a_break_everything_goes_on<P: Peer>() {
    run(async {
        let (peer, recorder) = recorded::<P>().await;
        peer.say("之前").await;
        recorder.messages(1).await;
        for n in 1..=5 {
            if !peer.reconnect().await {
                return;
            }
            peer.say(&format!("第 {n} 次之后")).await;
            assert_eq!(recorder.messages(n + 1).await.len(), n + 1);
            let said = vec![Element::Text(format!("听到第 {n} 次"))];
            sent(&peer, said).await;
        }
        assert_eq!(peer.said().len(), 5);
    });
}

pub fn rates_are_kept<P: Peer>() {
    run(async {
        let (peer, bot, clock) = echoing::<P>().await;
        let rates = peer.adapter().capabilities().rates;
        let count = rates.iter().map(|rate| rate.count).min().unwrap_or(3) as usize;
        let mut reports = bot.reports();
        for n in 0..count + 3 {
            peer.say(&n.to_string()).await;
            in_time("the turn", reports.recv()).await;
        }
        in_time("what may go", bot.settled()).await;
        let Some(rate) = rates.iter().min_by_key(|rate| rate.count) else {
            until("all answers", || peer.said().len() == count + 3).await;
            return;
        };
        assert!(matches!(rate.scope, RateScope::Destination | RateScope::Account));
        // A burst at once; no span of the period, wherever it begins, holds more.
        until("the burst", || peer.said().len() >= count).await;
        let period_ms = rate.period.as_millis() as i64;
        for (at, said) in [(START + period_ms - 1, count), (START + period_ms, count + 3)] {
            while let Some(due) = bot.next_due().filter(|due| *due <= at) {
                clock.set(due);
                bot.fire_due().await;
                until("the next", || bot.next_due() != Some(due)).await;
                in_time("what may go", bot.settled()).await;
            }
            clock.set(at);
            until("all of them", || peer.said().len() >= said).await;
            assert_eq!(peer.said().len(), said, "at {} ms", clock.now() - START);
        }
        until("the rest", || peer.said().len() >= (count + 3).min(2 * count)).await;
        bot.stop().await.unwrap();
    });
}
