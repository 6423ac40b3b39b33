//! The table: getters, arguments, times, and the committed reference.

use std::path::Path;
use std::sync::Arc;

use super::{Bench, frame, on_message};
use crate::effect::Effect;
use crate::script::protocol::{RunEnd, Trigger};
use crate::value::{Value, ValueMap};

/// What a body prints.
#[track_caller]
fn prints(body: &str, expected: &[&str]) {
    let result = on_message(body);
    assert_eq!(result.first().end, RunEnd::Ok, "{body}");
    assert_eq!(result.first().printed, expected, "{body}");
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/api.d.rhai");
    let wanted = crate::script::api::definitions();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("write scripts/api.d.rhai");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "scripts/api.d.rhai is old: run `UPDATE=1 cargo test reference`");
}

#[test]
fn events_members_and_groups_are_read() {
    prints(
        "print(m.text); print(m.plain);",
        &["你好 https://a.example/x,看", "你好 https://a.example/x,看"],
    );
    prints("print(m.links[0]); print(m.images.len());", &["https://a.example/x", "0"]);
    prints(
        "print(m.member.name); print(m.member.points); print(m.member.tags[0]);",
        &["阿明", "200", "老友"],
    );
    prints("print(m.mentions[0] == m.member); print(m.member == m.member);", &["false", "true"]);
    prints("print(m.group.name); print(m.group.members); print(m.id);", &["晨跑群", "4", "m1"]);
    prints(
        "print(m.quote == ()); print(m.member.is_staff); print(`${m.member}`);",
        &["true", "false", "阿明"],
    );
}

#[test]
fn words_that_were_looked_up_before_are_not_asked_for() {
    let result = on_message(
        "print(words::hits(m, \"ads\")[0]); print(words::has(m, \"ads\")); print(words::has(m, \"x\"));",
    );
    assert_eq!(result.first().printed, ["刷单", "true", "false"]);
    assert_eq!(result.host.calls.len(), 0);
    let asked = on_message("let list = \"a\" + m.member.name; words::hits(m, list);");
    assert_eq!(asked.host.calls.len(), 1);
}

#[test]
fn times_are_the_turns_own_and_local() {
    prints(
        "print(date()); print(clock()); print(date(0)); print(clock(0));",
        &["2026-11-23", "09:00", "1970-01-01", "08:00"],
    );
    prints("print(now() == now());", &["true"]);
}

#[test]
fn texts_come_from_the_catalogue() {
    prints(
        "print(text(\"refuse.not_enough\", #{ need: 3, have: 1 }));",
        &["积分不足：需要 3，现有 1"],
    );
    prints("print(text(\"refuse.empty\"));", &["手慢了，红包已被抢完"]);
}

#[test]
fn arguments_are_checked_by_name() {
    for (body, message) in [
        (
            "let n = \"3\"; points::grant(m.member, n, \"x\");",
            "`points::grant` takes `amount` as int, got text",
        ),
        (
            "let n = 3; m.reply(n);",
            "`reply` takes `text` as text, got int: write it inside a text, `${n}` in backticks",
        ),
        (
            "m.member.mute(\"10x\");",
            "`mute` takes a duration such as \"10m\" or \"2小时\", got `10x`",
        ),
        (
            "m.reply(\"x\", #{ privat: true });",
            "`reply` has no option `privat`: did you mean `private`?",
        ),
        (
            "state::get(\"group\", \"k\");",
            "`state::get` takes `scope` as Member|Group|\"community\", got the text \"group\"",
        ),
        (
            "let who = (); points::balance(who);",
            "`points::balance` takes `member` as Member, got (): nobody was named; check with `if x != ()` first",
        ),
        ("let e = m; e.txt", "Event has no `txt`, did you mean `text`?"),
        (
            "let k = \"nothing\"; cfg(k)",
            "there is no setting `nothing`: declare it with `setting(\"nothing\", …)` at the top",
        ),
    ] {
        assert_eq!(on_message(body).failure().message, message, "{body}");
    }
}

#[test]
fn verbs_become_effects() {
    let result = on_message(
        "m.reply(\"x\", #{ buttons: [button(\"抢\", \"抢 1\")], private: true }); m.member.warn(\"w\", #{ weight: 2 });
         m.member.mute(\"1m\", \"r\"); dm(m.member, \"hi\"); after(\"10m\", \"t\" + \"1\", #{ a: 1 }); card(\"k\", \"c\");
         say(m.group, \"g\"); say(\"s\", #{ slot: \"daily\" }); m.member.tag(\"t\");",
    );
    assert_eq!(result.first().end, RunEnd::Ok);
    let effects = &result.first().effects;
    let words: Vec<_> = effects.iter().map(Effect::word).collect();
    assert_eq!(words, ["reply", "warn", "mute", "dm", "after", "card", "say", "say", "tag"]);
    assert!(matches!(&effects[1], Effect::Warn { weight: 2, .. }));
    assert!(matches!(&effects[2], Effect::Mute { duration_ms: 60_000, .. }));
    assert!(matches!(&effects[4], Effect::After { delay_ms: 600_000, name, .. } if name == "t1"));
    assert!(matches!(&effects[6], Effect::Say { group: Some(_), .. }));
    assert!(matches!(&effects[7], Effect::Say { slot: Some(slot), .. } if slot == "daily"));
}

#[test]
fn a_command_reads_its_parameters_and_settings() {
    let script = "//! 测试\nsetting(\"limit\", 5);
        command(\"抢 [id:text]\", #{ alias: [\"q\"], trust: 2, cooldown: \"60s\", help: \"抢\" }, |c| { print(c.id == ()); });
        command(\"发 <total:int> <to:user>\", |c| { print(c.total + 1); print(c.to.name); print(c[\"total\"]); print(cfg(\"limit\")); });";
    let bench = Bench::new(&[script]);
    let manifest = &bench.manifests[0];
    assert_eq!(manifest.about, "测试");
    assert_eq!(manifest.settings[0].default, Value::Int(5));
    let Trigger::Command(command) = &manifest.handlers[0].trigger else { panic!() };
    assert_eq!((command.verb.as_str(), command.trust, command.cooldown_ms), ("抢", 2, 60_000));
    assert_eq!(bench.run(frame(&[("s0", 0)])).first().printed, ["true"]);

    let mut sent = frame(&[("s0", 1)]);
    sent.runs[0].args = ValueMap::from([
        ("total".into(), Value::Int(9)),
        ("to".into(), Value::Member(super::member(2, "小红"))),
    ]);
    sent.runs[0].settings = Arc::new(ValueMap::from([("limit".into(), Value::Int(8))]));
    let result = bench.run(sent);
    assert_eq!(result.first().end, RunEnd::Ok);
    assert_eq!(result.first().printed, ["10", "小红", "9", "8"]);
}

#[test]
fn everyday_rhai_works() {
    prints(
        "let a = [3, 1, 2]; a.sort(); print(a); print(a.filter(|x| x > 1).len());",
        &["[1, 2, 3]", "2"],
    );
    prints(
        "let m = #{ a: 1 }; m.b = 2; print(m.keys()); print(\"a\" in m);",
        &[r#"["a", "b"]"#, "true"],
    );
    prints(
        "print(\"签到 早\".contains(\"签到\")); print(\"a,b\".split(\",\").len()); print(max(1, 2));",
        &["true", "2", "2"],
    );
    prints(
        "print(7 / 2); print(7.0 / 2.0); print(2 ** 3); print(parse_int(\"5\"));",
        &["3", "3.5", "8", "5"],
    );
    prints("switch m.member.role { \"member\" => print(\"m\"), _ => print(\"x\") }", &["m"]);
    prints("for (x, i) in [5, 6] { print(`${i}:${x}`); }", &["0:5", "1:6"]);
    prints(
        "let x = (); print(x ?? 3); print(\"abc\".sub_string(1)); print(\" a \".len());",
        &["3", "bc", "3"],
    );
}
