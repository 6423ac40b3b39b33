//! S8: actor × target × action. Nobody gets through the bot what she could not do herself, and
//! nobody who keeps order, and no bot, is punished by it.

use qundao::bot::SeedMember;
use qundao::clock::{Clock, SystemClock};
use qundao::effect::Call;
use qundao::event::{Element, EventKind};
use qundao::value::Role;

use crate::world::{Platform, Setup, event, group_ref, in_time, memory, person_ref, script, seed};

/// Commands that anybody may use, as far as the lint lets them through: what they do must not follow
/// from that. And one for those who keep order.
const CARELESS: &str = r#"//! 太随便的命令
command("处置 <what:word> <who:user>", |c| {
    if c.what == "warn" { c.who.warn("测试"); }
    if c.what == "unmute" { c.who.unmute(); }
});
command("严办 <what:word> <who:user>", #{ role: "mod" }, |c| {
    if c.what == "mute" { c.who.mute("1h", "测试"); }
    if c.what == "kick" { c.who.kick("测试"); }
    if c.what == "ban" { c.who.ban("测试"); }
    if c.what == "set_admin" { c.who.set_admin(true); }
});
"#;

const ACTIONS: [&str; 6] = ["warn", "mute", "unmute", "kick", "ban", "set_admin"];
const ACTORS: [(&str, Role); 5] = [
    ("生人", Role::Member),
    ("成员", Role::Member),
    ("版主", Role::Mod),
    ("管理", Role::Admin),
    ("群主", Role::Owner),
];
/// With whether she can be punished.
const TARGETS: [(&str, Role, bool); 6] = [
    ("甲", Role::Member, true),
    ("版主乙", Role::Mod, false),
    ("管理乙", Role::Admin, false),
    ("群主乙", Role::Owner, false),
    ("机器人", Role::Member, false),
    ("自己", Role::Member, false),
];

fn may(actor: Role, can_be_punished: bool, action: &str) -> bool {
    match action {
        "warn" | "mute" | "kick" | "ban" => actor.is_staff() && can_be_punished,
        "unmute" => actor.is_staff(),
        "set_admin" => actor >= Role::Admin,
        _ => unreachable!("{action}"),
    }
}

fn verb(action: &str) -> &'static str {
    if ["warn", "unmute"].contains(&action) { "处置" } else { "严办" }
}

/// What the platform was told to do to whom, or what was noted.
fn deeds(platform: &Platform) -> Vec<&'static str> {
    let requests = platform.requests.lock().unwrap();
    let word = |call: &Call| match call {
        Call::Mute { .. }
        | Call::Unmute { .. }
        | Call::Kick { .. }
        | Call::Ban { .. }
        | Call::SetAdmin { .. } => Some(call.word()),
        _ => None,
    };
    requests.iter().filter_map(|request| word(&request.call)).collect()
}

#[tokio::test]
async fn actor_by_target_by_action() {
    let now = SystemClock::default().now();
    for (actor, role) in ACTORS {
        for (target, target_role, can_be_punished) in TARGETS {
            for action in ACTIONS {
                let platform = Platform::willing();
                let bot = Setup::new(vec![script("careless", CARELESS)])
                    .start(memory().await, &platform)
                    .await;
                let with =
                    |name: &str, role, is_bot| SeedMember { role, is_bot, ..seed(name, 0, now) };
                let mut members = vec![with(target, target_role, target == "机器人")];
                if actor != "生人" {
                    members.push(with(actor, role, false));
                }
                bot.seed_members(&group_ref("g"), members).await.unwrap();
                let whom = if target == "自己" { actor } else { target };
                let elements = [
                    Element::Text(format!("{} {action} ", verb(action))),
                    Element::Mention { id: person_ref(whom), name: whom.to_owned() },
                ];
                let kind = EventKind::Message {
                    id: "1".to_owned(),
                    elements: elements.into(),
                    quote: None,
                    to_bot: false,
                };
                bot.inbox().offer(event("1", "g", actor, kind, now), None).await;
                in_time("the turn", bot.settled()).await;
                let warned = bot.store().audit_log(10).await.unwrap();
                let warned = warned.iter().any(|line| line.action == "warn");
                let found = deeds(&platform).contains(&action) || action == "warn" && warned;
                // The platform of these tests makes no admins, so that only the refusal is seen.
                let wanted =
                    may(role, can_be_punished && whom != actor, action) && action != "set_admin";
                assert_eq!(found, wanted, "{actor} {action} {target}");
                bot.stop().await.unwrap();
            }
        }
    }
}

/// Who was an admin is none any more with the very event that says so.
#[tokio::test]
async fn a_demoted_admin_orders_nothing() {
    let now = SystemClock::default().now();
    let platform = Platform::willing();
    let text = CARELESS.replace("\"mod\"", "\"admin\"");
    let bot = Setup::new(vec![script("careful", &text)]).start(memory().await, &platform).await;
    let admin = SeedMember { role: Role::Admin, ..seed("管理", 0, now) };
    bot.seed_members(&group_ref("g"), vec![admin, seed("甲", 0, now)]).await.unwrap();
    let order = |key: &str, role| {
        let elements = [
            Element::Text("严办 mute ".to_owned()),
            Element::Mention { id: person_ref("甲"), name: "甲".to_owned() },
        ];
        let id = key.to_owned();
        let elements = elements.into();
        let kind = EventKind::Message { id, elements, quote: None, to_bot: false };
        let mut order = event(key, "g", "管理", kind, now);
        order.actor.as_mut().unwrap().role = role;
        order
    };
    bot.inbox().offer(order("1", None), None).await;
    in_time("an order", bot.settled()).await;
    assert_eq!(deeds(&platform), ["mute"]);
    bot.inbox().offer(order("2", Some(Role::Member)), None).await;
    bot.inbox().offer(order("3", None), None).await;
    in_time("two orders", bot.settled()).await;
    assert_eq!(deeds(&platform), ["mute"], "she is no admin any more");
    bot.stop().await.unwrap();
}
