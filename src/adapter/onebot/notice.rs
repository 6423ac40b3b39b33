//! Notices and requests → what happened
//! (<https://github.com/botuniverse/onebot-11/blob/master/event/notice.md>).
//!
//! They carry no names, so the actor's name is left empty and whoever knows it keeps it.

use super::decode::{Ear, Heard, Stamp, fingerprint, place};
use super::wire::{Frame, Id};
use super::{PLATFORM, SelfId};
use crate::event::{Actor, Envelope, EventKind};
use crate::id::Ref;
use crate::value::Role;

/// What an event is about: the place, who did it, what.
struct Deed {
    group: Option<i64>,
    actor: Option<Actor>,
    kind: EventKind,
    /// What tells it from another of its kind in the same second.
    detail: String,
}

/// Reads a notice. `text` is the whole frame, for what has no id.
pub fn notice(frame: &Frame<'_>, text: &str, ear: &Ear, stamp: Stamp) -> Heard {
    let kind = frame.notice_type.as_str();
    let is_own = |id: Id| id.0.is_some_and(|id| ear.own.contains(&SelfId(id)));
    let deed = match kind {
        "group_upload" => uploaded(frame, ear),
        "group_admin" => {
            let role = if frame.sub_type.as_str() == "set" { Role::Admin } else { Role::Member };
            somebody(frame.user_id, ear).map(|actor| {
                let actor = Actor { role: Some(role), ..actor };
                deed(frame, Some(actor), EventKind::Updated)
            })
        }
        "group_card" => somebody(frame.user_id, ear).map(|actor| {
            // An empty one means that it was taken away.
            let card = frame.card_new.as_str();
            let detail = fingerprint(card);
            let actor = Actor { nickname: Some(card.to_owned()), ..actor };
            Deed { detail, ..deed(frame, Some(actor), EventKind::Updated) }
        }),
        "group_increase" => joined(frame, ear),
        "group_decrease" => left(frame, ear),
        "group_ban" => return silenced(frame, ear, stamp),
        "friend_add" => {
            somebody(frame.user_id, ear).map(|who| deed(frame, Some(who), EventKind::Befriended))
        }
        "group_recall" | "friend_recall" => recalled(frame, ear),
        "notify" if is_own(frame.user_id) && frame.sub_type.as_str() == "poke" => {
            return Heard::Ignored("our own poke".to_owned());
        }
        "notify" => match notified(frame, text, ear) {
            Ok(deed) => deed,
            Err(ignored) => return ignored,
        },
        "group_msg_emoji_like" => {
            let emoji = frame.likes.as_ref().and_then(|likes| likes.first());
            let emoji = emoji.map(|like| like.emoji_id.as_str()).unwrap_or_default();
            reacted(frame, ear, frame.user_id, emoji, frame.is_add != Some(false))
        }
        "reaction" => {
            let added = frame.sub_type.as_str() != "remove";
            reacted(frame, ear, frame.operator_id, frame.code.as_str(), added)
        }
        "bot_offline" => return Heard::Online(false),
        "bot_online" => return Heard::Online(true),
        other => return Heard::Ignored(format!("notice `{other}`")),
    };
    match deed {
        Some(deed) => tell(frame, kind, deed, ear, stamp),
        None => Heard::Unreadable(format!("notice `{kind}` without its ids")),
    }
}

/// Reads a request (<https://github.com/botuniverse/onebot-11/blob/master/event/request.md>).
pub fn request(frame: &Frame<'_>, ear: &Ear, stamp: Stamp) -> Heard {
    let kind = frame.request_type.as_str();
    let Some((actor, flag)) = somebody(frame.user_id, ear).zip(frame.flag.get()) else {
        return Heard::Unreadable(format!("request `{kind}` without its ids"));
    };
    let comment = frame.comment.as_str();
    let (group, word, note) = match (kind, frame.sub_type.as_str()) {
        ("friend", _) => (None, "friend", comment.to_owned()),
        // Who invites the bot asks nothing of that group: no rule of it may say yes.
        ("group", "invite") => {
            let place = frame.group_id.0.unwrap_or_default();
            (None, "invite", format!("邀请进群 {place} {comment}").trim_end().to_owned())
        }
        ("group", _) if frame.group_id.0.is_none() => {
            return Heard::Unreadable("a request without `group_id`".to_owned());
        }
        ("group", _) => (frame.group_id.0, "add", comment.to_owned()),
        (other, _) => return Heard::Ignored(format!("request `{other}`")),
    };
    let token = format!("{word}:{flag}");
    let detail = token.clone();
    let kind = EventKind::JoinRequest { token, note };
    let deed = Deed { group, actor: Some(actor), kind, detail };
    tell(frame, "request", deed, ear, stamp)
}

fn deed(frame: &Frame<'_>, actor: Option<Actor>, kind: EventKind) -> Deed {
    let detail = frame.message_id.as_str().to_owned();
    Deed { group: frame.group_id.0, actor, kind, detail }
}

fn tell(frame: &Frame<'_>, word: &str, deed: Deed, ear: &Ear, stamp: Stamp) -> Heard {
    let sub = frame.sub_type.as_str();
    let number = |id: Id| id.0.unwrap_or_default();
    let key = format!(
        "{}:{word}:{sub}:g{}:u{}:o{}:t{}:{}",
        stamp.raw,
        number(frame.group_id),
        number(frame.user_id),
        number(frame.operator_id),
        number(frame.target_id),
        deed.detail
    );
    Heard::Event(Box::new(Envelope {
        account: ear.account.clone(),
        key: key.into(),
        key_quality: stamp.quality(),
        at: stamp.at,
        group: deed.group.map(|group| place(group, frame.group_name.get())),
        actor: deed.actor,
        kind: deed.kind,
        backfilled: false,
    }))
}

/// Somebody of whom only the number is known.
fn somebody(id: Id, ear: &Ear) -> Option<Actor> {
    let id = id.0?;
    Some(Actor {
        id: Ref::new(PLATFORM, id),
        name: String::new(),
        nickname: None,
        role: None,
        is_bot: ear.own.contains(&SelfId(id)),
    })
}

fn reference(id: Id) -> Option<Ref> {
    id.0.map(|id| Ref::new(PLATFORM, id))
}

/// Who did it to somebody; nobody where she did it herself.
fn other(frame: &Frame<'_>) -> Option<Ref> {
    reference(frame.operator_id).filter(|_| frame.operator_id != frame.user_id)
}

fn uploaded(frame: &Frame<'_>, ear: &Ear) -> Option<Deed> {
    let file = frame.file.as_ref()?;
    let kind = EventKind::Uploaded {
        id: file.id.as_str().to_owned(),
        name: file.name.as_str().to_owned(),
        bytes: file.size.0.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
    };
    let deed = deed(frame, Some(somebody(frame.user_id, ear)?), kind);
    Some(Deed { detail: file.id.as_str().to_owned(), ..deed })
}

fn joined(frame: &Frame<'_>, ear: &Ear) -> Option<Deed> {
    if frame.user_id.0 == Some(ear.self_id.0) {
        return Some(deed(frame, None, EventKind::BotJoined { by: other(frame) }));
    }
    let is_invited = frame.sub_type.as_str() == "invite";
    let inviter = other(frame).filter(|_| is_invited);
    Some(deed(frame, Some(somebody(frame.user_id, ear)?), EventKind::Joined { inviter }))
}

fn left(frame: &Frame<'_>, ear: &Ear) -> Option<Deed> {
    let is_me = frame.user_id.0 == Some(ear.self_id.0) || frame.sub_type.as_str() == "kick_me";
    if is_me {
        return Some(deed(frame, None, EventKind::BotLeft { by: other(frame) }));
    }
    let kind = EventKind::Left { removed_by: other(frame) };
    Some(deed(frame, Some(somebody(frame.user_id, ear)?), kind))
}

fn silenced(frame: &Frame<'_>, ear: &Ear, stamp: Stamp) -> Heard {
    // The whole group is silenced: nobody in particular is.
    let Some(actor) = somebody(frame.user_id, ear) else {
        return Heard::Ignored("notice `group_ban` of everybody".to_owned());
    };
    let until = match frame.duration.0 {
        _ if frame.sub_type.as_str() == "lift_ban" => None,
        Some(0) => None,
        Some(seconds) if seconds > 0 => Some(stamp.at.saturating_add(seconds.saturating_mul(1000))),
        _ => Some(i64::MAX),
    };
    let kind = EventKind::Silenced { until, by: other(frame) };
    let detail = frame.duration.0.unwrap_or_default().to_string();
    let deed = Deed { detail, ..deed(frame, Some(actor), kind) };
    tell(frame, "group_ban", deed, ear, stamp)
}

/// Who took a message back is the actor: its author, or somebody of the staff.
fn recalled(frame: &Frame<'_>, ear: &Ear) -> Option<Deed> {
    let id = frame.message_id.get()?.to_owned();
    let who = if frame.operator_id.0.is_some() { frame.operator_id } else { frame.user_id };
    Some(deed(frame, Some(somebody(who, ear)?), EventKind::Deleted { id }))
}

fn notified(frame: &Frame<'_>, text: &str, ear: &Ear) -> Result<Option<Deed>, Heard> {
    let (who, kind) = match frame.sub_type.as_str() {
        "poke" => {
            let whom = reference(frame.target_id);
            (frame.user_id, whom.map(|whom| EventKind::Poked { whom }))
        }
        // The lucky one is the target, the user is who sent the packet.
        "lucky_king" => {
            (frame.target_id, Some(EventKind::Honored { what: "lucky_king".to_owned() }))
        }
        "honor" => {
            let what = frame.honor_type.get().map(str::to_owned);
            (frame.user_id, what.map(|what| EventKind::Honored { what }))
        }
        other => return Err(Heard::Ignored(format!("notice `notify` of {other}"))),
    };
    let deed = kind.zip(somebody(who, ear)).map(|(kind, who)| deed(frame, Some(who), kind));
    // No id: two pokes in one second differ in nothing but what the implementation adds.
    Ok(deed.map(|deed| Deed { detail: fingerprint(text), ..deed }))
}

fn reacted(frame: &Frame<'_>, ear: &Ear, who: Id, emoji: &str, added: bool) -> Option<Deed> {
    let message = frame.message_id.get()?.to_owned();
    let detail = format!("{message}:{emoji}:{added}");
    let kind = EventKind::Reaction { message, emoji: glyph(emoji), added };
    Some(Deed { detail, ..deed(frame, Some(somebody(who, ear)?), kind) })
}

/// QQ numbers its own faces below 1000; above, the number is that of a character.
fn glyph(emoji: &str) -> String {
    let number = emoji.parse::<u32>().ok().filter(|number| *number >= 1000);
    match number.and_then(char::from_u32) {
        Some(character) => character.to_string(),
        None => format!("[表情:{emoji}]"),
    }
}
