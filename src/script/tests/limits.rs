//! The limits hold, each reported by its name, and no `try` helps against them.

use super::{Bench, ScriptLimits, frame, on_message};
use crate::script::protocol::RunEnd;

/// The limit that this body hits, and the same body in a `try`.
#[track_caller]
fn hits(limit: &str, body: &str) {
    assert_eq!(on_message(body).limit(), limit, "{body}");
    let caught = format!("try {{ {body} }} catch {{ }}");
    assert_eq!(on_message(&caught).limit(), limit, "caught: {body}");
}

#[test]
fn operations() {
    hits("operations", "loop { }");
    hits("operations", "let i = 0; while true { i += 1; }");
}

#[test]
fn operations_inside_native_callbacks_count_together() {
    hits(
        "operations",
        "let a = []; a.pad(500, 1); loop { a.map(|x| { let n = 0; while n < 100 { n += 1; } n }); }",
    );
    hits(
        "operations",
        "let a = []; a.pad(900, 1); loop { a.sort(|x, y| { let n = 0; while n < 50 { n += 1; } 0 }); }",
    );
}

#[test]
fn wall_time() {
    let limits = ScriptLimits { handler_ms: 20, operations: u64::MAX, ..ScriptLimits::default() };
    let bench = Bench::with_limits(&["on_message(|m| { loop { } });"], limits);
    let result = bench.run(frame(&[("s0", 0)]));
    assert_eq!(result.limit(), "handler_ms");
    assert!(result.first().micros < 2_000_000, "{} µs", result.first().micros);
}

#[test]
fn text_doubling_and_replace_bombs() {
    hits("string_bytes", "let s = \"0123456789\"; loop { s += s; }");
    hits("string_bytes", "let s = \"0123456789\"; loop { s = `${s}${s}`; }");
    for (find, with) in [("\"a\"", "t"), ("'a'", "t")] {
        hits(
            "string_bytes",
            &format!("let t = \"\"; t.pad(16000, \"a\"); let s = t; s.replace({find}, {with});"),
        );
    }
    hits("string_bytes", "let s = \"ab\"; s.repeat(1000000000)");
    hits("string_bytes", "let s = \"ab\"; s.pad(1000000000, \"x\")");
    let kept =
        on_message("let s = \"aXbX\"; s.replace(\"X\", '好'); s.replace('好', \"!\"); print(s);");
    assert_eq!(kept.first().printed, ["a!b!"]);
}

#[test]
fn entries_of_arrays_and_maps() {
    hits("entries", "let a = [1]; loop { a += a; }");
    hits("entries", "let a = []; loop { a.push(1); }");
    hits("entries", "let s = \"\"; s.pad(5000, \"a,\"); s.split(\",\")");
}

#[test]
fn index_assignment_is_bounded_too() {
    hits("entries", "let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }");
    hits("entries", "let m = #{ deep: #{} }; let i = 0; loop { m.deep[`k${i}`] = i; i += 1; }");
    hits(
        "string_bytes",
        "let s = \"\"; s.pad(16000, \"x\"); let m = #{}; let i = 0; loop { m[`k${i}`] = s + i; i += 1; }",
    );
}

#[test]
fn a_map_that_grows_as_this_is_bounded() {
    let script = "fn grow() { let i = 0; loop { let k = `k${i}`; this[k] = i; i += 1; } }
        on_message(|m| { let x = #{}; x.grow(); });";
    assert_eq!(Bench::new(&[script]).run(frame(&[("s0", 0)])).limit(), "entries");
}

#[test]
fn depth() {
    let bench = Bench::new(&["fn down(n) { down(n + 1) } on_message(|m| { down(0); });"]);
    assert_eq!(bench.run(frame(&[("s0", 0)])).limit(), "call_depth");
    let bench = Bench::new(&["fn down(n) { [1].map(|x| down(x)) } on_message(|m| { down(0); });"]);
    assert_eq!(bench.run(frame(&[("s0", 0)])).limit(), "call_depth");
    hits("entries", "let a = []; for i in 0..2000 { a = [a]; } a.to_string()");
    let deep = on_message("let a = []; for i in 0..900 { a = [a]; } a.to_string(); a == a;");
    assert!(
        !matches!(deep.first().end, RunEnd::Failed(ref e) if e.limit.is_none()),
        "{:?}",
        deep.first()
    );
}

#[test]
fn printing() {
    let printed = on_message("let s = \"\"; s.pad(1000, \"字\"); for i in 0..100 { print(s); }");
    let bytes: usize = printed.first().printed.iter().map(String::len).sum();
    assert!(bytes <= ScriptLimits::default().print_bytes && bytes > 15_000, "{bytes}");
    let empty = on_message("for i in 0..100000 { print(\"\"); }");
    assert!(empty.first().printed.len() <= ScriptLimits::default().print_bytes);
}

#[test]
fn effects_and_host_calls() {
    hits("effects.reply", "for i in 0..6 { m.reply(\"x\"); }");
    hits("effects.react", "for i in 0..21 { m.react(\"👍\"); }");
    hits("host_calls", "for i in 0..101 { points::balance(m.member); }");
}

#[test]
fn a_panic_of_the_host_is_a_failure_and_the_thread_goes_on() {
    let bench = Bench::new(&["on_message(|m| { m.reply(\"x\"); points::settle(1); });"]);
    let result = bench.run(frame(&[("s0", 0)]));
    assert!(result.failure().message.contains("the fake ledger broke"), "{:?}", result.failure());
    assert_eq!(result.host.rolled_back, [0]);
    assert!(bench.run(frame(&[("s0", 0)])).failure().message.contains("the fake ledger broke"));
}

#[test]
fn what_is_switched_off_is_off() {
    use crate::script::load::source;
    use crate::script::protocol::ScriptHost;
    let host = crate::script::InlineHost::new(ScriptLimits::default()).expect("a thread");
    for body in [
        "eval(\"1\")",
        "sleep(1)",
        "import \"x\" as y;",
        "timestamp()",
        "let f = Fn(\"x\").curry(1);",
        "exit()",
    ] {
        let text = format!("on_message(|m| {{ {body} }});");
        assert!(host.check(&source("x", "scripts/x.rhai", false, &text)).is_err(), "{body}");
    }
}

/// Texts and arrays are padded as Rhai pads them, but with nothing it comes to an end.
#[test]
fn padding() {
    let shown = on_message(
        "let s = \"ab\"; s.pad(5, \"好!\"); print(s); s.pad(7, '。'); print(s); s.pad(3, \"x\"); print(s);
        s.pad(100, \"\"); print(s); s.pad(-1, \"x\"); print(s);
        let a = [1]; a.pad(3, \"x\"); print(a); a.pad(2, 0); a.pad(-5, 0); print(a.len());",
    );
    assert_eq!(
        shown.first().printed[..5],
        ["ab好!好", "ab好!好。。"].iter().chain(&["ab好!好。。"; 3]).copied().collect::<Vec<_>>()
    );
    assert_eq!(shown.first().printed[5..], ["[1, \"x\", \"x\"]", "3"]);
    hits("string_bytes", "let s = \"\"; s.pad(9223372036854775807, '好')");
    // So many entries that their number runs over to zero.
    hits("entries", "let i = []; i.pad(63, 0); let a = []; a.pad(1 << 58, i);");
    hits("string_bytes", "let s = \"\"; s.pad(1000, \"x\"); let a = []; a.pad(100, s);");
}

/// What a script can fill is weighed, also where Rhai sees a value of ours.
#[test]
fn buttons_refusals_and_characters_weigh() {
    let text = "let s = \"\"; s.pad(16000, \"x\");";
    let many = "let a1 = a; let a2 = a; let a3 = a; let i = 0; while i < 200 { i += 1; }";
    hits(
        "string_bytes",
        &format!("{text} let b = button(s, s); let a = []; a.pad(900, b); {many}"),
    );
    hits(
        "string_bytes",
        &format!(
            "{text} let a = []; loop {{ try {{ refuse(\"x\", #{{ s: s }}) }} catch (e) {{ a.push(e); }} }}"
        ),
    );
    hits("string_bytes", &format!("{text} let a = []; a.pad(900, s.chars()); {many}"));
    let shown = on_message(
        "let n = 0; for c in \"好ab\".chars() { n += 1; } print(n); let s = \"好abcd\";
        print(s.chars(1)); print(s.chars(-2)); print(s.chars(1, 2)); print(s.chars(1..3));
        print(s.chars(1..=3)); print(s.chars(9)); print(s.chars(2, -1)); print(s.chars);",
    );
    assert_eq!(shown.first().printed, ["3", "abcd", "cd", "ab", "ab", "abc", "", "", "好abcd"]);
}

/// Deep copies are what costs memory; the keys of a map are copied deep.
#[test]
fn measurements_cannot_be_drawn_away() {
    let key = "let s = \"\"; s.pad(15000, \"k\"); let m = #{}; let n = 0;";
    let fill = "m[s + n] = 0; n += 1;";
    hits("string_bytes", &format!("{key} loop {{ {fill} }}"));
    // Every 32 accesses, of which the function takes as many as make all measurements its own.
    for reads in 20..32 {
        let draw = format!("fn draw(x) {{ [{}]; }}", "x, ".repeat(reads));
        let script = format!(
            "{draw} on_message(|m| {{ {} loop {{ {} draw(1); }} }});",
            key.replace("m =", "t ="),
            fill.replace("m[", "t[")
        );
        let result = Bench::new(&[&script]).run(frame(&[("s0", 0)]));
        assert_eq!(result.limit(), "string_bytes", "{reads}");
        assert!(result.first().operations < 20_000, "{reads}: {}", result.first().operations);
    }
}

/// Entries may share one text; outside each would have its own.
#[test]
fn what_leaves_a_script_is_measured() {
    let shared = "let s = \"\"; s.pad(16000, \"x\"); let a = []; a.pad(20, 0); let m = #{}; for i in 0..20 { a[i] = s; m[`k${i}`] = s; }";
    for way in [
        "a.to_string()",
        "m.to_debug()",
        "print(a)",
        "debug(m)",
        "m.to_json()",
        "`${a}`",
        "\"\" + m",
    ] {
        hits("string_bytes", &format!("{shared} {way};"));
    }
    for way in
        ["state::set(\"community\", \"k\", a)", "refuse(\"x\", m)", "text(\"core.usage\", m)"]
    {
        let result = on_message(&format!("{shared} {way};"));
        assert!(result.failure().message.contains("too large"), "{way}: {:?}", result.failure());
        assert!(result.host.calls.is_empty());
    }
    for number in ["0.0 / 0.0", "1.0 / 0.0"] {
        let result = on_message(&format!("state::set(\"community\", \"k\", [{number}]);"));
        assert!(result.failure().message.contains("no number"), "{:?}", result.failure());
    }
    for way in ["throw a", "throw s", "throw m"] {
        let result = on_message(&format!("{shared} {way};"));
        assert!(result.failure().message.len() < 1100, "{way}");
    }
    let kept = on_message(
        "print([1, \"a\", 'b', (), #{ k: [] }]); print(#{ a: 1.5 }.to_json()); print(`${[m]}`);",
    );
    assert_eq!(kept.first().printed, ["[1, \"a\", b, (), #{\"k\": []}]", "{\"a\":1.5}", "[Event]"]);
}

/// The distance of two names takes their lengths multiplied.
#[test]
fn long_names_are_not_compared() {
    let limits = ScriptLimits { handler_ms: 60_000, operations: 20_000, ..ScriptLimits::default() };
    for attempt in ["text(k)", "m[k]", "Fn(k).call()"] {
        let body = format!(
            "let k = \"\"; k.pad(15000, \"x\"); loop {{ try {{ {attempt} }} catch {{ }} }}"
        );
        let bench =
            Bench::with_limits(&[&format!("on_message(|m| {{ {body} }});")], limits.clone());
        let result = bench.run(frame(&[("s0", 0)]));
        assert_eq!(result.limit(), "operations", "{attempt}");
        assert!(result.first().micros < 3_000_000, "{attempt}: {} µs", result.first().micros);
    }
}

/// No number of a script can run over in the domain.
#[test]
fn durations_and_weights_have_an_end() {
    for body in [
        "after(9223372036854775807, \"x\")",
        "after(1, \"x\")",
        "m.member.tag(\"x\".repeat(65))",
        "m.member.mute(9223372036854775807)",
        "m.member.warn(\"x\", #{ weight: 9223372036854775807 })",
    ] {
        let script = format!("on_message(|m| {{ {body} }}); on_timer(\"x\", |t| {{ }});");
        let result = Bench::new(&[&script]).run(frame(&[("s0", 0)]));
        assert!(result.failure().limit.is_none(), "{body}: {:?}", result.failure());
    }
    refused("command(\"x\", #{ cooldown: 9223372036854775807 }, |c| { });", "cooldown");
}

/// What the check says of a script that must not pass.
#[track_caller]
fn refused(text: &str, part: &str) {
    use crate::script::load::source;
    use crate::script::protocol::ScriptHost;
    let host = crate::script::InlineHost::new(ScriptLimits::default()).expect("a thread");
    let problems = host.check(&source("x", "scripts/x.rhai", false, text)).expect_err(text);
    assert!(problems.len() <= 50 && problems[0].message.len() < 1100);
    assert!(problems.iter().any(|problem| problem.message.contains(part)), "{problems:?}");
}

#[test]
fn registration_has_an_end() {
    let handler = "fn h(m) { }";
    refused(&format!("{handler} for i in 0..1000 {{ on_message(h); }}"), "at most 128 handlers");
    refused("for i in 0..1000 { setting(`s${i}`, 1); }", "at most 64 settings");
    refused(
        &format!(
            "{handler} let a = []; for i in 0..900 {{ a.push(`word ${{i}}`); }} for i in 0..99 {{ on_keyword(a, h); }}"
        ),
        "more than 65536 bytes",
    );
    refused(&format!("{handler} on_regex(\"(?:\\\\w{{900}}){{9}}\", h);"), "too large");
    refused("for i in 0..1000 { command(\"\", |c| { }); }", "the pattern is empty");
    refused(&format!("on_message(|m| {{ {} }});", "foo(); ".repeat(5000)), "no function `foo`");
    refused(&format!("on_message(|m| {{ {}(1); }});", "a".repeat(30_000)), "no function `aaa");
}

/// A regular expression takes time linear in the text, times its own size, and nothing ends it.
#[test]
fn regular_expressions_have_an_end() {
    let bomb = "(?:(?:a?b?x?){60}){60}[0-9]";
    refused(&format!("on_regex(\"{bomb}\", |m| {{ }});"), "10801 places");
    refused("fn h(m) { } for i in 0..30 { on_regex(`[a-z]{0,90}${i}`, h); }", "at most 2000");
}

#[test]
fn handlers_of_one_script_have_one_time_together() {
    let spin = "fn h(m) { let n = 0; loop { n += 1; n -= 1; } } for i in 0..100 { on_message(h); }";
    let limits = ScriptLimits { handler_ms: 10, operations: u64::MAX, ..ScriptLimits::default() };
    let bench = Bench::with_limits(&[spin, "on_message(|m| { m.reply(\"x\"); });"], limits);
    let mut runs: Vec<(&str, u16)> = (0..100).map(|handler| ("s0", handler)).collect();
    runs.push(("s1", 0));
    let outcomes = bench.run(frame(&runs)).answer.outcomes;
    let ran = outcomes.iter().filter(|outcome| outcome.micros > 0).count();
    assert!((2..10).contains(&ran), "{ran}");
    assert!(
        matches!(&outcomes[50].end, RunEnd::Failed(error) if error.message.contains("together") || error.message.contains("same event"))
    );
    assert_eq!(outcomes[100].effects.len(), 1, "another script has its own time");
}

#[test]
fn regular_expressions_of_honest_size_pass() {
    let patterns = [
        "\\\\w{1,40}@\\\\w+",
        "[\\\\p{Han}]{2,30}加群",
        "(?i)https?://\\\\S{5,200}",
        "\\\\d{5,12}",
    ];
    for pattern in patterns {
        Bench::new(&[&format!("on_regex(\"{pattern}\", |m| {{ }});")]);
    }
}

/// A loop on `this` alone would read no variable, and so never be measured.
#[test]
fn this_is_indexed_by_what_is_measured() {
    for body in [
        "this[`x${1}`] = 1;",
        "this[this.n] = 1;",
        "this.a[this[\"n\"]].x = 2;",
        "this.a[1][two()] += 2;",
        "this[\"a\"][two()].push(3);",
        "(this)[\"b\" + 1] = 1;",
        "let k = []; k[this[two()]];",
        "this?[two()];",
    ] {
        refused(&format!("fn two() {{ 2 }} fn f() {{ {body} }} on_message(|m| {{ }});"), "let key");
    }
    let fine = "fn f() { this[\"a\"] = 1; this.b[0].c = 2; let k = 1; this[k] = 2; this[k][k].x; this.b.push(1); this?[k]; let a = [1]; a[a.len() - 1]; }";
    Bench::new(&[&format!("{fine} on_message(|m| {{ }});")]);
}

/// A comparer that contradicts itself, and numbers that are none, cost an order and nothing else.
#[test]
fn sorting_never_fails_by_itself() {
    let many = "let a = []; let i = 0; while i < 900 { a.push(random(0, 999)); i += 1; }";
    let lies = on_message(&format!(
        "{many} a.sort(|x, y| random(-1, 1)); a.order(|x, y| true); print(a.len());"
    ));
    assert_eq!(
        (&lies.first().end, &lies.first().printed[..]),
        (&RunEnd::Ok, &["900".to_owned()][..])
    );
    let none = on_message(
        "for n in 0..100 { let a = []; for i in 0..60 { a.push(if random(0, 1) == 0 { 0.0 / 0.0 } else { random(0, 99).to_float() }); } a.sort(); }",
    );
    assert_eq!(none.first().end, RunEnd::Ok);
    hits("operations", &format!("{many} loop {{ a.sort(|x, y| {{ loop {{ }} }}); }}"));
    let shown = on_message(
        "let a = [3, 1, 2]; a.sort(); print(a); a.sort_desc(); print(a); print(a.order()); print(a);
        print([\"b\", \"a\"].order()); print(['b', 'a'].order_desc()); print([true, false].order());
        let m = [#{ k: 2, n: 1 }, #{ k: 1, n: 2 }, #{ k: 2, n: 3 }]; m.sort(|a, b| a.k - b.k); print(m.map(|x| x.n));
        m.sort_by(|a, b| a.n > b.n); print(m.map(|x| x.n)); print([2, 1].order_by(|a, b| a < b));
        print([].order()); try { [1, \"a\"].sort(); } catch (e) { print(e); }",
    );
    assert_eq!(
        shown.first().printed,
        [
            "[1, 2, 3]",
            "[3, 2, 1]",
            "[1, 2, 3]",
            "[3, 2, 1]",
            "[\"a\", \"b\"]",
            "[b, a]",
            "[false, true]",
            "[2, 1, 3]",
            "[3, 2, 1]",
            "[1, 2]",
            "[]",
            "int and text have no order: sort with a comparer, `|a, b| a.x - b.x`"
        ]
    );
}
