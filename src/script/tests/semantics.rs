//! Savepoints, refusals, stop, shadow, restart, chance.

use super::{Bench, Result, frame, on_message};
use crate::effect::Effect;
use crate::event::Element;
use crate::refusal::Refusal;
use crate::script::protocol::RunEnd;
use crate::value::Value;

fn said(result: &Result, run: usize) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::Reply { content, .. } | Effect::Say { content, .. } => {
            crate::event::plain_text(content)
        }
        other => other.word().to_owned(),
    };
    result.answer.outcomes[run].effects.iter().map(text).collect()
}

#[test]
fn effects_come_back_in_order() {
    let result = on_message("m.reply(\"a\\nb\"); m.react(\"👍\"); say(\"c\"); m.delete(\"why\");");
    assert_eq!(said(&result, 0), ["a\nb", "react", "c", "delete"]);
    let Effect::Reply { content, private } = &result.first().effects[0] else { panic!() };
    assert_eq!(content[1], Element::Break);
    assert!(!private);
}

#[test]
fn a_refusal_can_be_caught_or_undoes_the_handler() {
    let caught = on_message(
        "try { points::spend(m.member, 10, \"x\"); } catch (e) {
            if e.code == \"not_enough\" { m.reply(`need ${e.need} ${e[\"need\"]} ${e.data.need}`); }
        }",
    );
    assert_eq!(said(&caught, 0), ["need 10 10 10"]);
    assert!(caught.host.rolled_back.is_empty());

    let uncaught = on_message("m.reply(\"x\"); points::spend(m.member, 10, \"x\");");
    assert_eq!(uncaught.first().end, RunEnd::Refused(Refusal::new("not_enough").with("need", 10)));
    assert!(uncaught.first().effects.is_empty());
    assert_eq!(uncaught.host.rolled_back, [0]);

    let again = on_message("try { refuse(\"own\", #{ a: 1 }); } catch (e) { throw e; }");
    assert_eq!(again.first().end, RunEnd::Refused(Refusal::new("own").with("a", 1)));
    assert!(again.host.rolled_back.is_empty(), "nothing was called");
}

#[test]
fn a_failure_undoes_its_own_handler_only() {
    let bench = Bench::new(&[
        "on_message(|m| { points::balance(m.member); m.reply(\"lost\"); let a = [1]; a[5]; });",
        "on_message(|m| { m.reply(\"kept\"); });",
    ]);
    let result = bench.run(frame(&[("s0", 0), ("s1", 0)]));
    assert_eq!((result.failure().line, result.failure().path.as_str()), (1, "scripts/s0.rhai"));
    assert_eq!(result.host.rolled_back, [0]);
    assert_eq!(said(&result, 1), ["kept"]);
}

#[test]
fn stop_ends_the_rest_and_keeps_its_own() {
    let scripts = [
        "on_message(|m| { m.delete(); stop(); m.reply(\"never\"); });",
        "on_message(|m| { m.reply(\"late\"); });",
    ];
    let bench = Bench::new(&scripts);
    let result = bench.run(frame(&[("s0", 0), ("s1", 0)]));
    assert_eq!(said(&result, 0), ["delete"]);
    assert!(result.first().stop);
    assert_eq!(result.answer.outcomes.len(), 1);

    let mut shadowed = frame(&[("s0", 0), ("s1", 0)]);
    shadowed.runs[0].shadow = true;
    let result = bench.run(shadowed);
    assert!(result.first().stop);
    assert_eq!(said(&result, 1), ["late"], "a rule in shadow silences nobody");
}

#[test]
fn a_shadow_run_tells_its_effects_and_undoes_its_calls() {
    let bench =
        Bench::new(&["on_message(|m| { state::incr(m.member, \"n\"); m.reply(\"would\"); });"]);
    let mut shadowed = frame(&[("s0", 0)]);
    shadowed.runs[0].shadow = true;
    let result = bench.run(shadowed);
    assert_eq!(said(&result, 0), ["would"]);
    assert_eq!(result.host.rolled_back, [0]);
}

#[test]
fn a_restart_abandons_everything() {
    let result =
        on_message("m.reply(\"x\"); try { points::release(1); } catch { m.reply(\"caught\"); }");
    assert!(result.answer.restart);
    assert!(result.answer.outcomes.is_empty());
}

#[test]
fn a_wrong_call_is_told_and_can_be_caught() {
    let result = on_message("points::hold(m.member, 0, \"x\");");
    assert_eq!(result.failure().message, "`amount` is at least 1");
    let result = on_message("try { points::hold(m.member, 0, \"x\"); } catch (e) { m.reply(e); }");
    assert_eq!(said(&result, 0), ["`amount` is at least 1"]);
}

#[test]
fn chance_is_the_same_for_the_same_seed_and_differs_between_runs() {
    let bench = Bench::new(&[
        "on_message(|m| { print(`${random(1, 1000000)} ${pick([1,2,3])} ${pick([])}`); });",
    ]);
    let printed = |result: &Result, run: usize| result.answer.outcomes[run].printed.clone();
    let (one, two) =
        (bench.run(frame(&[("s0", 0), ("s0", 0)])), bench.run(frame(&[("s0", 0), ("s0", 0)])));
    assert_eq!(printed(&one, 0), printed(&two, 0));
    assert_ne!(printed(&one, 0), printed(&one, 1));
    let edge = on_message(
        "print(random(5, 5)); random(-9223372036854775807, 9223372036854775807); random(2, 1);",
    );
    assert_eq!(edge.first().printed, ["5"]);
    assert!(edge.failure().message.contains("smaller number first"));
}

#[test]
fn a_missing_bundle_or_script_fails_with_a_sentence() {
    let bench = Bench::new(&["on_message(|m| {});"]);
    let mut lost = frame(&[("s0", 0)]);
    lost.bundle = 9;
    assert!(bench.run(lost).failure().message.contains("bundle 9"));
    assert!(bench.run(frame(&[("s0", 5)])).failure().message.contains("no handler 5"));
}

#[test]
fn arguments_reach_the_host_as_plain_data() {
    let result = on_message(
        "let p = red_packet::send(m.member, 100, 3, #{ wish: \"早\" }); state::set(m.group, \"k\", [1, 2.5, true, ()]); words::hits(m.text, \"ads\"); print(p.id);",
    );
    assert_eq!(result.first().end, RunEnd::Ok);
    let calls = &result.host.calls;
    assert!(matches!(&calls[0].args[0], Value::Member(member) if member.id.0 == 1));
    assert_eq!(calls[0].args[3], Value::map([("wish", "早".into())]));
    assert_eq!(calls[1].args[0], Value::map([("group", Value::Int(3))]));
    assert!(matches!(&calls[2].args[0], Value::Text(text) if text.starts_with("你好")));
    assert_eq!(result.first().printed, ["7"]);
}

#[test]
fn an_end_inside_a_callback_cannot_be_caught_either() {
    let body = "try { [1].map(|x| { points::release(x) }); } catch { } m.reply(\"caught\");";
    assert!(on_message(body).answer.restart);
    let body = "m.delete(); try { [1].map(|x| { stop() }); } catch { } m.reply(\"caught\");";
    let result = on_message(body);
    assert!(result.first().stop);
    assert_eq!(said(&result, 0), ["delete"]);
}
