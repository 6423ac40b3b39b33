//! A typed line → what happened, as every adapter tells it.

use crate::clock::TimeMs;
use crate::event::{Actor, Element, Envelope, EventKind, KeyQuality, Place as EventPlace};
use crate::value::Role;

use super::room::{HOME, Place, Room};
use super::typed::{Misread, Pointer, Spot, Typed};

/// Names under which the bot is called in the console.
const BOT_NAMES: &[&str] = &[HOME, "bot", "qundao"];

/// Names for everybody.
const ALL_NAMES: &[&str] = &["全体成员", "所有人", "everyone", "all"];

/// Does in the room what the line says and tells it as an event; `None` for lines that concern
/// the console alone (`/as`, `/who`, `/clock` …), which are the caller's.
///
/// # Errors
/// The line makes no sense in this room; the sentence says what to do.
pub fn decode(room: &mut Room, typed: &Typed, at: TimeMs) -> Result<Option<Envelope>, Misread> {
    match typed {
        Typed::Say { who, to, reply, text } => {
            let deed = Deed::new(room, who.as_deref(), to, at)?;
            let kind = message(room, &deed, reply.as_ref(), text)?;
            Ok(Some(deed.tell(room, kind)))
        }
        Typed::Press { who, to, label } => {
            let deed = Deed::new(room, who.as_deref(), to, at)?;
            let (message, value) = room.button(&deed.place, label)?;
            Ok(Some(deed.tell(room, EventKind::Button { message, value })))
        }
        Typed::React { who, to, emoji, message } => {
            let deed = Deed::new(room, who.as_deref(), to, at)?;
            let message = room.find(&deed.place, message.as_ref())?.id.clone();
            let kind = EventKind::Reaction { message, emoji: emoji.clone(), added: true };
            Ok(Some(deed.tell(room, kind)))
        }
        Typed::Join { name, to } => {
            let group = a_group(room, to)?;
            room.enter(name, &group)?;
            let deed = Deed { name: name.clone(), place: Place::Group(group), at };
            Ok(Some(deed.tell(room, EventKind::Joined { inviter: None })))
        }
        Typed::Leave { name, to } => {
            let group = a_group(room, to)?;
            room.exit(name, &group)?;
            let deed = Deed { name: name.clone(), place: Place::Group(group), at };
            Ok(Some(deed.tell(room, EventKind::Left { removed_by: None })))
        }
        Typed::Role { name, role } => change_role(room, name, *role, at).map(Some),
        Typed::Clock(_)
        | Typed::As(_)
        | Typed::Group(_)
        | Typed::Who
        | Typed::Messages
        | Typed::Help
        | Typed::Quit => Ok(None),
    }
}

fn change_role(room: &mut Room, name: &str, role: Role, at: TimeMs) -> Result<Envelope, Misread> {
    let group = room.here().to_owned();
    room.may_act(name, Some(&group), TimeMs::MAX)?;
    if let Some(guest) = room.guest_mut(name) {
        guest.role = role;
    }
    let deed = Deed { name: name.to_owned(), place: Place::Group(group), at };
    Ok(deed.tell(room, EventKind::Updated))
}

/// Who does something, where and when.
struct Deed {
    name: String,
    place: Place,
    at: TimeMs,
}

impl Deed {
    fn new(room: &Room, who: Option<&str>, to: &Spot, at: TimeMs) -> Result<Self, Misread> {
        let name = who.unwrap_or_else(|| room.speaker()).to_owned();
        let group = room.group_of(to)?;
        room.may_act(&name, group.as_deref(), at)?;
        let place = group.map_or_else(|| Place::Direct(name.clone()), Place::Group);
        Ok(Self { name, place, at })
    }

    fn tell(self, room: &mut Room, kind: EventKind) -> Envelope {
        let guest = room.guest(&self.name).cloned().unwrap_or_default();
        let group = match &self.place {
            Place::Group(name) => {
                let id = Room::reference(name);
                Some(EventPlace { id, name: Some(name.clone()), community: None })
            }
            Place::Direct(_) => None,
        };
        let actor = Actor {
            id: Room::reference(&self.name),
            name: self.name,
            nickname: None,
            // Like other platforms, the console says in a group only what somebody is there.
            role: group.is_some().then_some(guest.role),
            is_bot: guest.is_bot,
        };
        Envelope {
            account: Room::account(),
            key: room.next_key().into(),
            key_quality: KeyQuality::Derived,
            at: self.at,
            group,
            actor: Some(actor),
            kind,
            backfilled: false,
        }
    }
}

fn a_group(room: &Room, spot: &Spot) -> Result<String, Misread> {
    room.group_of(spot)?.ok_or_else(|| Misread("Name a group, not the bot.".into()))
}

fn message(
    room: &mut Room,
    deed: &Deed,
    reply: Option<&Pointer>,
    text: &str,
) -> Result<EventKind, Misread> {
    let quote = match reply {
        Some(pointer) => Some(room.find(&deed.place, Some(pointer))?.quote()),
        None => None,
    };
    let names: Vec<&str> = room.members().map(|(name, _)| name).collect();
    let (elements, mentioned) = elements(text, &names);
    let to_bot = mentioned || matches!(deed.place, Place::Direct(_));
    let posted = room.post(deed.place.clone(), Some(&deed.name), text, Vec::new());
    Ok(EventKind::Message { id: posted.id, elements: elements.into(), quote, to_bot })
}

/// The parts of a typed text, and whether the bot was mentioned. A mention of the bot is said by
/// that flag and is not a part.
pub fn elements(text: &str, names: &[&str]) -> (Vec<Element>, bool) {
    let mut parts = Vec::new();
    let mut mentioned = false;
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let Some((part, length)) = special(rest, names) else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        if !plain.is_empty() {
            parts.push(Element::Text(std::mem::take(&mut plain)));
        }
        match part {
            Some(part) => parts.push(part),
            None => mentioned = true,
        }
        rest = &rest[length..];
    }
    if !plain.is_empty() {
        parts.push(Element::Text(plain));
    }
    (parts, mentioned)
}

/// A part that is not plain text at the beginning of `rest`, with its length; a mention of the
/// bot is `None`.
fn special(rest: &str, names: &[&str]) -> Option<(Option<Element>, usize)> {
    if rest.starts_with('\n') {
        return Some((Some(Element::Break), 1));
    }
    if rest.starts_with("http://") || rest.starts_with("https://") {
        let length = link_length(rest);
        let url = rest[..length].to_owned();
        return Some((Some(Element::Link { url, title: None }), length));
    }
    if let Some(inner) = rest.strip_prefix("[图片 ") {
        let end = inner.find(']')?;
        let url = inner[..end].to_owned();
        return Some((Some(Element::Image { url }), "[图片 ".len() + end + 1));
    }
    let called = rest.strip_prefix('@')?;
    let longest = |among: &[&str]| {
        let hits = among.iter().filter(|name| called.starts_with(**name));
        hits.map(|name| name.len()).max()
    };
    // Members first: a member may be called 群岛 too, and she is meant then.
    if let Some(length) = longest(names) {
        let name = called[..length].to_owned();
        return Some((Some(Element::Mention { id: Room::reference(&name), name }), length + 1));
    }
    if let Some(length) = longest(ALL_NAMES) {
        return Some((Some(Element::MentionAll), length + 1));
    }
    longest(BOT_NAMES).map(|length| (None, length + 1))
}

/// An address ends before a space, the first character that is not ASCII, or the punctuation
/// that closes the sentence around it.
fn link_length(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_ascii_graphic() || matches!(c, '<' | '>' | '"'));
    let link = &text[..end.unwrap_or(text.len())];
    link.trim_end_matches(['.', ',', '!', '?', ';', ':', ')', ']']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        let mut room = Room::new("t", &["群岛".into(), "二群".into()]);
        room.admit("阿明", Role::Owner, false, &[]);
        room.admit("小红", Role::Member, false, &["群岛".into()]);
        room
    }

    fn line(text: &str) -> Typed {
        super::super::typed::command(text)
            .map(|typed| typed.expect("a command"))
            .or_else(|| super::super::typed::named(text, &["阿明", "小红"]))
            .expect("a line")
    }

    #[test]
    fn splits_text_into_parts() {
        let (parts, mentioned) =
            elements("@群岛 看 https://a.cn/b。@小红 @所有人\n好", &["小红", "小"]);
        assert!(mentioned);
        insta::assert_debug_snapshot!(parts, @r#"
        [
            Text(
                " 看 ",
            ),
            Link {
                url: "https://a.cn/b",
                title: None,
            },
            Text(
                "。",
            ),
            Mention {
                id: Ref(console:小红),
                name: "小红",
            },
            Text(
                " ",
            ),
            MentionAll,
            Break,
            Text(
                "好",
            ),
        ]
        "#);
        assert_eq!(elements("a@b.c", &["小红"]), (vec![Element::Text("a@b.c".into())], false));
    }

    #[test]
    fn tells_a_message_as_an_event() {
        let mut room = room();
        let envelope = decode(&mut room, &line("小红: 早"), 5).expect("fits").expect("an event");
        let json = serde_json::to_string_pretty(&envelope).expect("plain data");
        insta::assert_snapshot!(json, @r#"
        {
          "account": "console:@bot",
          "key": "t:1",
          "key_quality": "Derived",
          "at": 5,
          "group": {
            "id": "console:群岛",
            "name": "群岛"
          },
          "actor": {
            "id": "console:小红",
            "name": "小红",
            "nickname": null,
            "role": "member",
            "is_bot": false
          },
          "kind": {
            "Message": {
              "id": "t:1",
              "elements": [
                {
                  "Text": "早"
                }
              ],
              "quote": null,
              "to_bot": false
            }
          },
          "backfilled": false
        }
        "#);
        let next = decode(&mut room, &line("阿明>bot: 积分"), 6).expect("fits").expect("event");
        assert_eq!(&*next.key, "t:2");
        assert!(next.group.is_none());
        assert!(matches!(next.kind, EventKind::Message { to_bot: true, .. }));
    }

    #[test]
    fn an_answer_quotes_the_latest_that_fits() {
        let mut room = room();
        for text in ["小红: 加我", "小红: 加我微信", "阿明: 别的"] {
            decode(&mut room, &line(text), 1).expect("fits");
        }
        let answer = decode(&mut room, &line("阿明 (reply \"加我\"): 举报"), 2).expect("fits");
        let Some(Envelope { kind: EventKind::Message { quote: Some(quote), .. }, .. }) = answer
        else {
            panic!("no quote");
        };
        assert_eq!((quote.message.as_str(), quote.text.as_str()), ("t:2", "加我微信"));
    }

    #[test]
    fn says_what_does_not_fit() {
        let mut room = room();
        let mut check = |text: &str, expected: &str| {
            let error = decode(&mut room, &line(text), 1).expect_err(text);
            assert_eq!(error.0, expected);
        };
        check("小红@二群: 早", "小红 is not in 二群; let the member in with `/join 小红`.");
        check("小红@三群: 早", "There is no group `三群`; there are: 群岛, 二群.");
        check("小红 presses 抢", "There is no button `抢`: no message here has buttons.");
        check("/join 小红", "小红 is in 群岛 already.");
        check("/leave 老王", "老王 is not in 群岛; let the member in with `/join 老王`.");
        check("小红 reacts 👍", "There is no message yet.");
    }
}
