//! Scripts that a manager would write pass without a word: the lint may not cry wolf.

use super::{Bench, frame};
use crate::id::ScriptName;
use crate::script::api::Shape;
use crate::script::protocol::RunEnd;
use crate::value::Value;

const EVERYDAY: &str = r#"//! 各种写法。

setting("threshold", 5);
setting("words", ["早", "晚安"]);

fn greeting(who) {
    if who.trust >= 2 { `欢迎回来,${who.nickname}` } else { "欢迎," + who.nickname }
}

fn shout() { this.to_upper() + "!" }

command("红包 <total:int> <count:int> [wish:text]", #{
    alias: ["发红包", "hongbao"], help: "发一个积分红包", trust: 2, cooldown: "60s",
}, |c| {
    let packet = red_packet::send(c.member, c.total, c.count, #{ wish: c.wish });
    c.reply(`🧧 ${c.member.name}`, #{ buttons: [button("抢", "抢 " + packet.id)] });
});

command("抢 [id:text]", |c| {
    let share = red_packet::grab(c.member, c.id);
    c.card("packet " + share.packet.id, share.packet.card);
});

command("排行", |c| {
    let lines = points::top(10).map(|row| `${row.member.nickname} ${row.points}`);
    lines.sort();
    let text = "";
    for (line, i) in lines { text += `${i + 1}. ${line}\n`; }
    c.reply(if lines.is_empty() { "还没有人" } else { text.shout() });
});

command("禁言 <who:user> [long:duration]", #{ role: "mod", slash: "mute" }, |c| {
    if c.who == () || c.who == c.member || c.who.is_staff { return; }
    c.who.mute(c.long ?? 600000, "管理员要求");
    [c.who].for_each(|x| { this.tag("被禁言"); });
});

on_message(|m| {
    let hits = words::hits(m, "ads");
    if hits.len() >= cfg("threshold") && m.links.len() > 0 {
        m.delete("广告:" + hits[0]);
        m.member.warn("广告", #{ weight: 1 });
        stop();
    }
    for who in m.mentions { if who.is_bot { m.react("🤖"); } }
    let quote = m.quote;
    if quote != () && quote.text.contains("?") { state::incr(m.member, "answers"); }
});

on_keyword(["早", "早安"], |m| {
    switch clock().sub_string(0, 2) {
        "06" | "07" => m.reply("早"),
        _ => m.react("☀"),
    }
});
on_regex("^\\d{4}$", |m| { m.reply(m.plain.len().to_string()); });
on_join(|j| { j.reply(greeting(j.member)); after("10m", "ask", #{ who: j.member.name, seen: [1, 2] }); });
on_leave(|l| { say(`${l.member.name} 走了`); });
on_reaction("👍", |r| { r.reply(r.emoji); });
on_button(|b| { if b.value.starts_with("x") { b.reply(b.value); } });
on_timer("ask", |t| {
    say(`${t.data.who} 还在吗?`, #{ slot: "ask" });
    try { points::spend(pick(t.data.list), random(1, 6), t.name); } catch (e) {
        if e.code != "not_enough" { throw e; }
        print(e["need"]);
    }
});
"#;

#[test]
fn an_everyday_script_passes_and_runs() {
    let bench = Bench::new(&[EVERYDAY]);
    let manifest = &bench.manifests[0];
    assert_eq!(manifest.handlers.len(), 12);
    assert_eq!(manifest.name, ScriptName::new("s0"));
    let join = manifest.handlers.iter().position(|h| Shape::of(&h.trigger) == Shape::Join);
    let result =
        bench.run(frame(&[("s0", u16::try_from(join.expect("a handler")).expect("small"))]));
    assert_eq!(result.first().end, RunEnd::Ok);
    let words: Vec<_> = result.first().effects.iter().map(crate::effect::Effect::word).collect();
    assert_eq!(words, ["reply", "after"]);
}

#[test]
fn a_timer_reads_its_data() {
    let bench = Bench::new(&["on_timer(\"t\", |t| { print(t.data.n + 1); print(t.name); });"]);
    let mut due = frame(&[("s0", 0)]);
    due.event.member = None;
    due.event.value = "t".into();
    due.event.data = Value::map([("n", Value::Int(4))]);
    assert_eq!(bench.run(due).first().printed, ["5", "t"]);
}
