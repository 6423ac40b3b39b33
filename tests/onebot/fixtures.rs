//! Payloads as NapCat, Lagrange and go-cqhttp write them → events; calls of the core → requests.
//!
//! The payloads are written from the standard and from what these implementations are known to do
//! differently; `cargo insta review` shows what a change makes of them.

use std::path::Path;

use qundao::adapter::Outcome;
use qundao::adapter::onebot::Dropped;
use qundao::effect::{Call, Destination};
use qundao::event::{Element, Envelope, EventKind, KeyQuality};
use qundao::id::Ref;
use serde_json::{Value, json};

use crate::rig::{JumpingClock, Rig, group, person};
use crate::sim::{Options, Sim};

const WHY: [(Dropped, &str); 7] = [
    (Dropped::Unreadable, "unreadable"),
    (Dropped::Ignored, "ignored"),
    (Dropped::Foreign, "of another account"),
    (Dropped::ServedByAnother, "served by another"),
    (Dropped::Own, "our own"),
    (Dropped::Stray, "stray"),
    (Dropped::Refused, "refused"),
];

fn counts(rig: &Rig) -> Vec<u64> {
    WHY.iter().map(|(why, _)| rig.dropped(*why)).collect()
}

/// Tells one payload, and gives what came of it.
async fn told(sim: &Sim, rig: &Rig, payload: &str, n: usize) -> Vec<Value> {
    let (before, counted) = (rig.inbox.events().len(), counts(rig));
    sim.raw_text(payload);
    // A direct message behind it shows that it has been dealt with.
    let mark = format!("mark {n}");
    sim.whisper(1, &mark);
    let is_mark = |it: &Envelope| crate::rig::texts(std::slice::from_ref(it)) == [mark.clone()];
    rig.inbox.until("the mark", |events| events.iter().any(is_mark)).await;
    let mut lines = Vec::new();
    for envelope in rig.inbox.events().into_iter().skip(before).filter(|it| !is_mark(it)) {
        assert!(
            envelope.key_quality == KeyQuality::None
                || envelope.key.starts_with("1795690000:")
                || matches!(envelope.kind, EventKind::Online(_)),
            "the time stands first: {envelope:?}"
        );
        lines.push(serde_json::to_value(envelope).unwrap());
    }
    for ((before, after), (_, word)) in counted.into_iter().zip(counts(rig)).zip(WHY) {
        if after > before {
            lines.push(json!(word));
        }
    }
    lines
}

/// Every payload of an implementation, with what it means, in one text.
async fn meaning(implementation: &str) -> String {
    let clock = JumpingClock::new();
    let sim = Sim::with_group(Options { clock, limit_s: 100_000, ..Options::default() });
    // Events alone: names are not asked for, and what comes is what was told.
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim/event"), ("self_id", "10001")]);
    rig.inbox.until("online", |events| !events.is_empty()).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onebot");
    let mut files: Vec<_> = std::fs::read_dir(folder.join(implementation))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut meaning = String::new();
    for (n, path) in files.iter().enumerate() {
        let payload = std::fs::read_to_string(path).unwrap();
        meaning.push_str(&format!("== {}\n", path.file_stem().unwrap().to_string_lossy()));
        for line in told(&sim, &rig, &payload, n).await {
            meaning.push_str(&format!("{line:#}\n"));
        }
    }
    meaning
}

macro_rules! implementations {
    ($($test:ident: $folder:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let meaning = meaning($folder).await;
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!($folder, meaning);
            });
        }
    )*};
}

implementations! {
    payloads_of_napcat: "napcat";
    payloads_of_lagrange: "lagrange";
    payloads_of_go_cqhttp: "go-cqhttp";
    payloads_that_are_odd: "odd";
}

/// One of each call, to a group and to somebody alone.
fn calls() -> Vec<(Destination, Call)> {
    let text = |text: &str| text.to_owned();
    let member = || Ref::new("onebot", 20003);
    let content = vec![
        Element::Mention { id: Ref::new("onebot", 20002), name: text("小红") },
        Element::Text(text(" 看 [CQ:at,qq=all] &#91; @全体成员")),
        Element::Break,
        Element::Link { url: text("https://a.cn"), title: Some(text("甲")) },
        Element::Image { url: text("https://a.cn/i.png") },
        Element::File { url: text("https://a.cn/f"), name: text("表") },
        Element::Emoji(text("👍")),
        Element::Code(text("let x;")),
        Element::Button { label: text("抢"), value: text("抢 1") },
        Element::MentionAll,
    ];
    let send = |content: &[Element], reply_to: Option<&str>| Call::Send {
        content: content.to_vec(),
        reply_to: reply_to.map(str::to_owned),
        only_for: None,
        slot: None,
    };
    let card = Call::Card { key: text("packet 1"), content: content[1..2].to_vec(), message: None };
    let in_group = [
        send(&content, Some("-1640531535")),
        card,
        Call::Delete { message: text("-1640531535") },
        Call::Mute { member: member(), until: 1_795_000_600_000 },
        Call::Unmute { member: member() },
        Call::Rename { member: member(), name: text("王师傅") },
        Call::SetAdmin { member: member(), on: true },
        Call::Kick { member: member() },
        Call::Admit { token: text("add:f1"), yes: true, reason: String::new() },
        Call::Admit { token: text("add:f2"), yes: false, reason: text("满了") },
        Call::React { message: text("1"), emoji: text("👍") },
        Call::Pin { message: text("1") },
    ];
    let mut calls: Vec<_> = in_group.into_iter().map(|call| (group(777), call)).collect();
    calls.push((person(20002), send(&content, None)));
    calls
}

#[tokio::test(start_paused = true)]
async fn calls_as_they_are_asked_for() {
    let clock = JumpingClock::new();
    let sim = Sim::with_group(Options { clock, limit_s: 100_000, ..Options::default() });
    sim.world().join(777, 10001, "机器人", "owner");
    let mut asked = sim.keep(777, 20003, crate::sim::script::text("广告"));
    sim.world().messages.clear();
    asked.id = -1_640_531_535;
    sim.world().messages.push(asked);
    for flag in ["f1", "f2"] {
        sim.world().requests.insert(flag.to_owned(), "add".to_owned());
    }
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    rig.until_callable(&sim).await;
    let mut lines = Vec::new();
    for (to, call) in calls() {
        let word = call.word();
        let before = sim.calls().len();
        let request = crate::rig::request(10001, to, call);
        let outcome =
            qundao::adapter::Adapter::send(&*rig.onebot, &request, 1_795_000_000_000).await;
        for called in sim.calls().into_iter().skip(before) {
            lines.push(format!("{word}: {} {} → {}", called.action, called.params, called.retcode));
        }
        lines.push(match outcome {
            Outcome::Done { degraded, .. } => {
                let parts = degraded.iter().map(|it| format!("{} as {}", it.element, it.shown_as));
                format!("    done {}", parts.collect::<Vec<_>>().join(", ")).trim_end().to_owned()
            }
            Outcome::Permanent { reason } => format!("{word}: never: {reason}"),
            other => panic!("{word}: {other:?}"),
        });
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("requests", lines.join("\n"));
    });
}
