//! What the bots of the simulation run: scripts that ship, and some that are there to be caught.

use qundao::script::load::source;
use qundao::script::protocol::Source;

/// Counts every message, once.
const COUNT: &str = r#"//! Counts.
on_message(|m| { state::incr("community", "seen"); });
"#;

/// Says and does all kinds of things.
const PROBE: &str = r#"
command("两句", |c| { c.reply("其一"); c.reply("其二"); c.reply("其三"); });

command("提醒 <delay:duration>", |c| { after(c.delay, "ring", c.member.id); });
on_timer("ring", |t| say("时间到"));

command("收起", |c| { state::set(c.member, "kept", now()); c.react("👌"); });
"#;

/// Fails after it has changed everything that it can.
const FAULTY: &str = r#"//! Must leave no trace.
command("炸", |c| {
    state::set("community", "boom", 1);
    points::grant(c.member, 7, "boom");
    c.reply("boom");
    throw "boom";
});
"#;

/// Takes advertisements away.
const KEEPER: &str = r#"//! Keeps order.
on_keyword("广告", |m| { m.delete("广告"); m.member.warn("广告"); stop(); });
"#;

/// Posts at set times, about the hours at which clocks change.
const CLOCKWORK: &str = r#"//! Posts.
every("0 8 * * *", #{ name: "morning", missed: "once" }, |t| say("晨 " + t.data.day));
every("30 1 * * *", #{ name: "early", missed: "once" }, |t| say("早 " + t.data.day));
every("30 2 * * *", #{ name: "night", missed: "skip" }, |t| say("夜 " + t.data.day));
every("15 */3 * * *", #{ name: "tide", missed: "all" }, |t| say("潮 " + t.data.time));
"#;

/// Comes and goes with reloads.
const EXTRA: &str = r#"//! Sometimes there.
every("45 * * * *", #{ name: "hourly", missed: "skip" }, |t| say("时 " + t.data.time));
command("另外", |c| { c.reply("在"); after("2h", "late"); });
on_timer("late", |t| say("晚"));
"#;

/// Routines of `CLOCKWORK` that are never edited: name, minutes, hours (`None`: every third), and
/// how many of a backlog are at least made up for or noted.
pub const CLOCKWORK_TIMES: [(&str, u32, Option<u32>); 4] =
    [("morning", 0, Some(8)), ("early", 30, Some(1)), ("night", 30, Some(2)), ("tide", 15, None)];

/// Which version of the scripts is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Of the probe.
    pub probe: u32,
    /// The extra script is there.
    pub has_extra: bool,
    /// The probe does not compile.
    pub is_broken: bool,
}

/// The scripts of a version.
pub fn sources(version: Version) -> Vec<Source> {
    let shipped: [(&str, &str); 5] = [
        ("checkin", include_str!("../../scripts/checkin.rhai")),
        ("points", include_str!("../../scripts/points.rhai")),
        ("red_packet", include_str!("../../scripts/red_packet.rhai")),
        ("routines", include_str!("../../scripts/routines.rhai")),
        ("rules", include_str!("../../scripts/rules.rhai")),
    ];
    let end = if version.is_broken { "fn" } else { "" };
    let probe = format!("//! Version {}.\n{PROBE}{end}", version.probe);
    let mut all = vec![own("probe", &probe), own("faulty", FAULTY), own("clockwork", CLOCKWORK)];
    // Rules, so that they run before all others: nothing ends before it was counted.
    all.push(source("count", "rules/count.rhai", true, COUNT));
    all.push(source("keeper", "rules/keeper.rhai", true, KEEPER));
    all.extend(shipped.map(|(name, text)| own(name, text)));
    if version.has_extra {
        all.push(own("extra", EXTRA));
    }
    all
}

fn own(name: &str, text: &str) -> Source {
    source(name, &format!("scripts/{name}.rhai"), false, text)
}
