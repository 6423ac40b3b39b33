//! Transcripts as text: what is read, what is refused, how a difference is shown and written down.

use qundao::adapter::console::Room;
use qundao::report::Line;
use qundao::workbench::transcript::matching::pair;
use qundao::workbench::transcript::show::{Shown, indent, show};
use qundao::workbench::transcript::{
    CaseResult, Fault, Home, StepResult, Transcript, accept, diff, parse,
};

const HEAD: &str = r#"+++
start = "2026-11-23 09:00"
seed = 7
features = ["points", "red_packet"]
[settings.red_packet]
max_shares = 20
[member."阿明"]
role = "admin"
points = 200
[member."小红"]
joined = "3d"
[member."Ann Lee"]
[group."群岛"]
[group."二群"]
+++
"#;

const BODY: &str = r#"# what this is about
## 发和抢
阿明: 红包 100 3 大家早
    # the sender pays at once
    points 阿明 -100
    > 🧧 阿明 的红包
    | 3 份

小红: 抢
    points 小红 +[…]
    card 🧧 […] 已领 1/3
+24h
Ann Lee@二群: 早
| 第二行
小红>bot: 积分
小红 (reply "早"): 你也早
小红 presses "抢"
小红 reacts 👍 "早"
/join 小新
小新：到了
## 另一个
阿明: 早
"#;

fn read(body: &str) -> Transcript {
    let text = format!("{HEAD}{body}");
    parse("scripts/red_packet.chat", &text).expect("a good transcript")
}

fn outline(transcript: &Transcript) -> String {
    let mut out = String::new();
    for case in &transcript.cases {
        out.push_str(&format!("{}: {}\n", case.line, case.name));
        for step in &case.steps {
            out.push_str(&format!("  {}-{}: {:?}\n", step.line, step.last_line, step.typed));
            for (line, text) in step.expected() {
                out.push_str(&format!("    {line}: {text:?}\n"));
            }
        }
    }
    out
}

#[test]
fn reads_every_kind_of_line() {
    insta::assert_snapshot!(outline(&read(BODY)), @r#"
    17: 发和抢
      18-18: Say { who: Some("阿明"), to: Here, reply: None, text: "红包 100 3 大家早" }
        20: "points 阿明 -100"
        21: "> 🧧 阿明 的红包\n3 份"
      24-24: Say { who: Some("小红"), to: Here, reply: None, text: "抢" }
        25: "points 小红 +[…]"
        26: "card 🧧 […] 已领 1/3"
      27-27: Clock(86400000)
      28-29: Say { who: Some("Ann Lee"), to: Group("二群"), reply: None, text: "早\n第二行" }
      30-30: Say { who: Some("小红"), to: Bot, reply: None, text: "积分" }
      31-31: Say { who: Some("小红"), to: Here, reply: Some(Starting("早")), text: "你也早" }
      32-32: Press { who: Some("小红"), to: Here, label: "抢" }
      33-33: React { who: Some("小红"), to: Here, emoji: "👍", message: Some(Starting("早")) }
      34-34: Join { name: "小新", to: Here }
      35-35: Say { who: Some("小新"), to: Here, reply: None, text: "到了" }
    36: 另一个
      37-37: Say { who: Some("阿明"), to: Here, reply: None, text: "早" }
    "#);
}

#[test]
fn reads_the_head() {
    let front = read(BODY).front;
    assert_eq!(front.start, 1_795_395_600_000, "09:00 in Shanghai");
    assert_eq!(front.seed, 7);
    assert!(front.picks(Home::Features, "points", false));
    assert!(!front.picks(Home::Features, "checkin", false));
    assert!(!front.picks(Home::Features, "no-ads", true));
    assert!(front.picks(Home::Rules, "no-ads", true));
    let names: Vec<&str> = front.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["阿明", "小红", "Ann Lee"], "in the order of the file");
    let trusts: Vec<u8> = front.members.iter().map(|member| member.trust).collect();
    assert_eq!(trusts, [2, 2, 2]);
    let days: Vec<i64> =
        front.members.iter().map(|m| (front.start - m.joined_at) / 86_400_000).collect();
    assert_eq!(days, [60, 3, 60]);
    let setting = &front.settings["red_packet"].settings["max_shares"];
    let text = format!("{HEAD}{BODY}");
    assert_eq!(&text[setting.span.clone()], "20", "the place is that of the whole file");
    assert_eq!(&text[setting.key_span.clone()], "max_shares");
}

#[test]
fn a_bare_file_is_a_transcript_too() {
    let text = "+++\n[member.\"阿明\"]\n+++\n阿明: 早\n";
    let transcript = parse("rules/no-ads.chat", text).expect("good");
    assert_eq!(transcript.cases.len(), 1);
    assert_eq!(transcript.cases[0].name, "no-ads");
    assert_eq!(transcript.front.groups, ["群岛"]);
}

fn faults(text: &str) -> String {
    let faults: Vec<Fault> = parse("a.chat", text).expect_err("a bad transcript");
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn says_everything_that_is_wrong_with_its_place() {
    let body = "    > nothing before it
小洪: 早
阿明@三群: 早
阿明:
what is this
+1
/as 小红
| more of nothing
阿明: 早
    says 早
    points 小洪 +1
    | ok
小红: 早
    | continues nothing
小红 presses
";
    insta::assert_snapshot!(faults(&format!("{HEAD}{body}")), @r#"
    a.chat:16: this says what the bot must do, and no line stands before it
    a.chat:17: `小洪` is nobody here; did you mean `小红`? Otherwise add `[member."小洪"]` to the head
    a.chat:18: there is no group `三群`; add `[group."三群"]` to the head
    a.chat:19: the message is empty; write something after the colon
    a.chat:20: this is neither `name: text` nor `+24h`, `/join name` or `## case`; what the bot must do is indented
    a.chat:21: `+1` is no length of time; write `+30m`, `+24h` or `+1d`
    a.chat:22: this works only at the prompt; in a transcript write `name: text`
    a.chat:23: `|` continues a message and none stands before it
    a.chat:25: `says` is nothing that the bot does; did you mean `> …`?
    a.chat:26: `小洪` is nobody here; did you mean `小红`? Otherwise add `[member."小洪"]` to the head
    a.chat:27: `|` continues what the bot says and nothing stands before it; to continue a message begin the line with `|`
    a.chat:29: `|` continues what the bot says and nothing stands before it; to continue a message begin the line with `|`
    a.chat:30: this is neither `name: text` nor `+24h`, `/join name` or `## case`; what the bot must do is indented
    "#);
}

#[test]
fn says_what_is_wrong_in_the_head() {
    let cases = [
        "+++\nstart = \"soon\"\n+++\n",
        "+++\nseed = 1\ntimezone = \"Asia/Shanghi\"\n+++\n",
        "+++\nfeature = [\"a\"]\n+++\n",
        "+++\n[member.\"阿明\"]\nrole = \"boss\"\n+++\n",
        "+++\n[member.\"阿明\"]\ntrust = 7\n+++\n",
        "+++\n[member.\"a:b\"]\n+++\n",
        "+++\n[member.\"阿明\"]\ngroups = [\"二群\"]\n+++\n",
        "+++\nseed = \n+++\n",
        "+++\nseed = 1\n",
        "",
    ];
    insta::assert_snapshot!(cases.map(faults).concat(), @r#"
    a.chat:2: `start` is a local time like "2026-11-23 09:00"
    a.chat:3: `Asia/Shanghi` is no time zone; did you mean `Asia/Shanghai`?
    a.chat:2: unknown field `feature`, expected one of `start`, `timezone`, `locale`, `seed`, `features`, `rules`, `mode`, `settings`, `member`, `group`
    a.chat:3: `role` is "owner", "admin", "mod" or "member"
    a.chat:3: `trust` is 0 to 4
    a.chat:2: `a:b` cannot be a name here: use 1 to 32 characters without : @ > / and quotes.
    a.chat:3: there is no `[group."二群"]`; add it
    a.chat:2: string values must be quoted, expected literal string
    a.chat:1: `+++` opens the head and nothing closes it; add `+++`
    a.chat:1: there is no line to play; write `name: text`
    "#);
}

/// What would have happened, as a run tells it.
fn played(transcript: &Transcript, happened: &[&[Line]]) -> CaseResult {
    let here = Room::reference("群岛");
    let steps = transcript.cases[0].steps.iter().zip(happened).map(|(step, lines)| {
        let happened: Vec<Shown> = lines.iter().map(|line| show(line, &here)).collect();
        let expected: Vec<&str> = step.expected().map(|(_, text)| text).collect();
        StepResult { matching: pair(&expected, &happened), happened }
    });
    CaseResult { steps: steps.collect(), fault: None }
}

fn said(text: &str) -> Line {
    let (group, text) = (Room::reference("群岛"), text.to_owned());
    Line::Said { group, text, buttons: vec![], only_for: None }
}

fn points(member: &str, delta: i64) -> Line {
    Line::Points { member: member.to_owned(), delta, reason: "红包".into() }
}

const SHORT: &str = "\
## 发和抢
阿明: 红包 100 3
    # the sender pays at once
    points 阿明 -100

    > 🧧 […]
小红: 抢
    points 小红 +[…]
    # and the card says so
    > 抢到了
# between
小红: 抢
阿明: 早
    > 早
";

fn short() -> (String, Transcript, CaseResult) {
    let transcript = read(SHORT);
    let result = played(
        &transcript,
        &[
            &[points("阿明", -100), said("🧧 阿明 的红包"), said("第一行\n\n第三行")],
            &[points("小红", 34)],
            &[Line::Refused { code: "already".into() }],
            &[said("早")],
        ],
    );
    (format!("{HEAD}{SHORT}"), transcript, result)
}

#[test]
fn shows_the_difference() {
    let (_, transcript, result) = short();
    assert!(!result.is_passed());
    insta::assert_snapshot!(diff::describe(&transcript, &transcript.cases[0], &result, false), @r#"
    scripts/red_packet.chat:17
            阿明: 红包 100 3
                points 阿明 -100
                > 🧧 […]
          +     > 第一行
          +     |
          +     | 第三行
    scripts/red_packet.chat:22
            小红: 抢
                points 小红 +[…]
       25 -     > 抢到了
    scripts/red_packet.chat:27
            小红: 抢
          +     refuse already
    "#);
    let colored = diff::describe(&transcript, &transcript.cases[0], &result, true);
    assert!(colored.contains("\x1b[31m") && colored.contains("\x1b[32m"));
}

#[test]
fn writes_down_what_happened_and_nothing_else() {
    let (text, transcript, result) = short();
    let fresh = accept::rewrite(&text, &transcript, &[result]);
    let body = fresh.strip_prefix(HEAD).expect("the head stays to the letter");
    insta::assert_snapshot!(body, @r#"
    ## 发和抢
    阿明: 红包 100 3
        # the sender pays at once
        points 阿明 -100

        > 🧧 […]
        > 第一行
        |
        | 第三行
    小红: 抢
        points 小红 +[…]
        # and the card says so
    # between
    小红: 抢
        refuse already
    阿明: 早
        > 早
    "#);
    let again = parse("scripts/red_packet.chat", &fresh).expect("still a transcript");
    let steps: &[&[Line]] = &[
        &[points("阿明", -100), said("🧧 阿明 的红包"), said("第一行\n\n第三行")],
        &[points("小红", 34)],
        &[Line::Refused { code: "already".into() }],
        &[said("早")],
    ];
    assert!(played(&again, steps).is_passed(), "what was written down is what happened");
    let same = accept::rewrite(&fresh, &again, &[played(&again, steps)]);
    assert_eq!(same, fresh, "writing down twice changes nothing");
}

#[test]
fn the_same_lines_in_another_order_are_said_to_be_so() {
    let transcript = read("## a\n阿明: 早\n    > 一\n    > 二\n");
    let result = played(&transcript, &[&[said("二"), said("一")]]);
    let text = diff::describe(&transcript, &transcript.cases[0], &result, false);
    assert!(text.contains("in another order"), "{text}");
}

#[test]
fn every_line_has_a_word_that_can_be_expected() {
    use qundao::id::ScriptName;
    use qundao::script::protocol::ScriptError;
    let text = |text: &str| text.to_owned();
    let (member, reason) = (text("小红"), text("广告"));
    let elsewhere = Room::reference("二群");
    let error = ScriptError {
        path: text("scripts/x.rhai"),
        line: 3,
        column: 5,
        message: text("坏了"),
        limit: None,
    };
    let lines = [
        said("早\n好"),
        Line::Said {
            group: elsewhere.clone(),
            text: text("早"),
            buttons: vec![],
            only_for: Some(text("小红")),
        },
        Line::Wrote { member: member.clone(), text: text("你好") },
        Line::Card { group: elsewhere, text: text("1/3"), buttons: vec![text("抢")] },
        points("小红", 5),
        Line::Refused { code: text("empty") },
        Line::Deleted { reason: reason.clone() },
        Line::Reacted { emoji: text("👍") },
        Line::Pinned,
        Line::Warned { member: member.clone(), reason: reason.clone() },
        Line::Muted { member: member.clone(), duration_ms: 600_000, reason: reason.clone() },
        Line::Unmuted { member: member.clone() },
        Line::Kicked { member: member.clone(), reason: reason.clone() },
        Line::Banned { member: member.clone(), reason: text("") },
        Line::Tagged { member: member.clone(), tag: text("vip") },
        Line::Untagged { member, tag: text("vip") },
        Line::Skipped { effect: text("kick"), reason: text("staff") },
        Line::Shadow {
            script: ScriptName::new("no-ads"),
            line: Box::new(Line::Deleted { reason }),
        },
        Line::Failed { error },
    ];
    let here = Room::reference("群岛");
    let shown: Vec<String> = lines.iter().map(|line| indent(&show(line, &here).text)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    > 早
    | 好
    [二群] > (只给小红) 早
    dm 小红 你好
    [二群] card 1/3
    points 小红 +5
    refuse empty
    delete 广告
    react 👍
    pin
    warn 小红 广告
    mute 小红 10m 广告
    unmute 小红
    kick 小红 广告
    ban 小红
    tag 小红 vip
    untag 小红 vip
    skip kick staff
    shadow no-ads: delete 广告
    error scripts/x.rhai:3:5 坏了
    "#);
    let transcript = read(&format!("## a\n阿明: 早\n{}\n", shown.join("\n")));
    assert!(played(&transcript, &[&lines]).is_passed(), "what is shown can be expected");
}
