//! A member: what can be read of her, and what can be done to her.

use rhai::{Array, Dynamic};

use crate::effect::Effect;
use crate::value::MemberView;

use super::super::convert::type_name;
use super::super::fault::{Fault, Outcome};
use super::effect::check_options;
use super::{Call, Place, Row, Run, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    get(
        "id",
        Ty::Int,
        |call| read(call, |m| m.id.0.into()),
        "Her number; the same in every group of this bot.",
    ),
    get("name", Ty::Text, |call| read(call, |m| (&*m.name).into()), "Her name on the platform."),
    get(
        "nickname",
        Ty::Text,
        |call| read(call, |m| (&*m.nickname).into()),
        "Her name in this community, or `name`.",
    ),
    get(
        "role",
        Ty::Text,
        |call| read(call, |m| m.role.as_str().into()),
        "\"member\", \"mod\", \"admin\" or \"owner\".",
    ),
    get("trust", Ty::Int, |call| read(call, |m| i64::from(m.trust).into()), "Trust level 0–4."),
    get(
        "points",
        Ty::Int,
        |call| read(call, |m| m.points.into()),
        "Points that she could spend when the handler began; `points::balance` asks again.",
    ),
    get("tags", Ty::Array, |call| read(call, tags), "Her tags."),
    get(
        "joined_at",
        Ty::Int,
        |call| read(call, |m| m.joined_at.into()),
        "When her present stay began, Unix milliseconds.",
    ),
    get(
        "messages",
        Ty::Int,
        |call| read(call, |m| m.messages.into()),
        "How many messages she has sent in this community.",
    ),
    get(
        "score",
        Ty::Int,
        |call| read(call, |m| m.score.into()),
        "Her activity score in points; half of it is forgotten in fourteen days.",
    ),
    get("level", Ty::Int, |call| read(call, |m| m.level.into()), "Level of that score, 0–6."),
    get(
        "warnings",
        Ty::Int,
        |call| read(call, |m| m.warnings.into()),
        "Weight of her warnings that have not expired.",
    ),
    get(
        "is_bot",
        Ty::Bool,
        |call| read(call, |m| m.is_bot.into()),
        "Whether the account is a bot's.",
    ),
    get(
        "is_staff",
        Ty::Bool,
        |call| read(call, |m| m.role.is_staff().into()),
        "Whether she is mod, admin or owner.",
    ),
    verb("warn", &[par("reason", Ty::Text)], warn, "Warns her; warnings add up and expire."),
    verb(
        "warn",
        &[par("reason", Ty::Text), par("options", Ty::Map)],
        warn,
        "Warns her with options: `weight` (int from 1 to 1000, 1 if left out).",
    ),
    verb(
        "mute",
        &[par("duration", Ty::Duration), opt("reason", Ty::Text)],
        |call| {
            let (person, duration_ms) = (call.this_member()?.id, call.duration(0)?);
            Ok(Effect::Mute { person, duration_ms, reason: call.text(1) })
        },
        "Silences her: `m.member.mute(\"10m\", \"刷屏\")`.",
    ),
    verb(
        "unmute",
        &[],
        |call| Ok(Effect::Unmute { person: call.this_member()?.id }),
        "Ends her silence.",
    ),
    verb(
        "kick",
        &[opt("reason", Ty::Text)],
        |call| Ok(Effect::Kick { person: call.this_member()?.id, reason: call.text(0) }),
        "Removes her.",
    ),
    verb(
        "ban",
        &[opt("reason", Ty::Text)],
        |call| Ok(Effect::Ban { person: call.this_member()?.id, reason: call.text(0) }),
        "Removes her for good.",
    ),
    verb(
        "set_admin",
        &[par("on", Ty::Bool)],
        |call| {
            let on = call.arg(0).is_some_and(|value| value.as_bool().unwrap_or(false));
            Ok(Effect::SetAdmin { person: call.this_member()?.id, on })
        },
        "Makes her an admin of the group, or a member again; only where an admin or the owner asks.",
    ),
    verb(
        "rename",
        &[par("name", Ty::Text)],
        |call| Ok(Effect::Rename { person: call.this_member()?.id, name: call.text(0) }),
        "Gives her another name in the group; an empty one takes it away.",
    ),
    verb(
        "tag",
        &[par("name", Ty::Text)],
        tag,
        "Gives her a tag of at most 64 bytes; she can have 50.",
    ),
    verb(
        "untag",
        &[par("name", Ty::Text)],
        |call| Ok(Effect::Untag { person: call.this_member()?.id, tag: call.text(0) }),
        "Takes a tag from her.",
    ),
];

/// Verbs that a command may only use when it asks for a role.
pub(in crate::script) const PUNISHING: [&str; 4] = ["kick", "ban", "mute", "set_admin"];

const fn get(
    name: &'static str,
    returns: Ty,
    get: fn(&Call) -> Outcome<Dynamic>,
    doc: &'static str,
) -> Row {
    Row::getter(Ty::Member, name, returns, get, doc)
}

const fn verb(
    name: &'static str,
    params: &'static [super::Par],
    wish: fn(&Call) -> Outcome<Effect>,
    doc: &'static str,
) -> Row {
    Row::new(Place::On(Ty::Member), name, params, Run::Effect(wish), doc)
}

fn read(call: &Call, get: fn(&MemberView) -> Dynamic) -> Outcome<Dynamic> {
    Ok(get(&*call.this_member()?))
}

fn tags(member: &MemberView) -> Dynamic {
    member.tags.iter().map(|tag| tag.clone().into()).collect::<Array>().into()
}

/// Longest tag, bytes: tags stay with a member, and every handler sees them all.
const TAG_MAX: usize = 64;

fn tag(call: &Call) -> Outcome<Effect> {
    let tag = call.text(0);
    if tag.is_empty() || tag.len() > TAG_MAX {
        return Fault::wrong(format!("a tag has 1 to {TAG_MAX} bytes: shorten it"));
    }
    Ok(Effect::Tag { person: call.this_member()?.id, tag })
}

/// Heaviest warning: weights are added up, and no sum of these runs over.
const WEIGHT_MAX: i64 = 1000;

fn warn(call: &Call) -> Outcome<Effect> {
    let options = call.map(1);
    check_options(call, &options, &["weight"])?;
    let weight = match options.get("weight") {
        None => 1,
        Some(value) => match value.as_int() {
            Ok(weight) if (1..=WEIGHT_MAX).contains(&weight) => weight,
            Ok(weight) => {
                return Fault::wrong(format!(
                    "the option `weight` is 1 to {WEIGHT_MAX}, got {weight}"
                ));
            }
            Err(_) => {
                return Fault::wrong(format!(
                    "the option `weight` takes an int, got {}",
                    type_name(value)
                ));
            }
        },
    };
    Ok(Effect::Warn { person: call.this_member()?.id, reason: call.text(0), weight })
}
