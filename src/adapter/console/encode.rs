//! A request of the core → what the room does and what is shown; honest about what a terminal
//! cannot show.

use crate::adapter::{Degradation, Outcome, Request, Support};
use crate::clock::TimeMs;
use crate::effect::{Call, Destination};
use crate::event::Element;
use crate::id::Ref;
use crate::value::Role;

use super::plain::{plain, plain_line};
use super::room::{Place, Posted, Room};
use super::span::say_span;

/// How each element is carried; checked against [`encode`] by a test.
pub const ELEMENTS: &[(&str, Support)] = &[
    ("text", Support::Native),
    ("mention", Support::Native),
    ("mention_all", Support::Native),
    ("link", Support::Native),
    ("image", Support::Degraded),
    ("file", Support::Degraded),
    ("emoji", Support::Native),
    ("button", Support::Native),
    ("code", Support::Native),
    ("break", Support::Native),
];

/// Something for the screen; every text in it is [`plain`].
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// A message.
    Message {
        /// The number to answer it by.
        number: u64,
        /// Where.
        place: Place,
        /// The words.
        text: String,
        /// Labels of buttons.
        buttons: Vec<String>,
        /// Only this member can see it.
        only_for: Option<String>,
        /// The beginning of the message that it answers.
        answers: Option<String>,
    },
    /// A living message, new or changed.
    Card {
        /// The number to answer it by.
        number: u64,
        /// Where.
        place: Place,
        /// The words.
        text: String,
        /// Labels of buttons.
        buttons: Vec<String>,
        /// It was there before.
        is_edit: bool,
    },
    /// Something that was done to a message or a member.
    Action(String),
}

/// The parts of a message as a terminal can show them.
#[derive(Debug, Default, PartialEq)]
pub struct Encoded {
    /// The words.
    pub text: String,
    /// Label and value of buttons.
    pub buttons: Vec<(String, String)>,
    /// What is shown otherwise than asked.
    pub degraded: Vec<Degradation>,
}

/// Writes the parts of a message as text.
pub fn encode(content: &[Element]) -> Encoded {
    let mut shown = Encoded::default();
    for element in content {
        match element {
            Element::Text(text) | Element::Emoji(text) | Element::Code(text) => {
                shown.text.push_str(&plain(text));
            }
            Element::Mention { name, .. } => shown.text.push_str(&format!("@{}", plain_line(name))),
            Element::MentionAll => shown.text.push_str("@全体成员"),
            Element::Link { url, title } => shown.text.push_str(&link(url, title.as_deref())),
            Element::Image { url } => {
                shown.text.push_str(&format!("[图片 {}]", plain_line(url)));
                shown.degraded.push(Degradation { element: "image", shown_as: "link" });
            }
            Element::File { url, name } => {
                let (name, url) = (plain_line(name), plain_line(url));
                shown.text.push_str(&format!("[文件 {name} {url}]"));
                shown.degraded.push(Degradation { element: "file", shown_as: "link" });
            }
            Element::Button { label, value } => {
                shown.buttons.push((plain_line(label), value.clone()));
            }
            Element::Break => shown.text.push('\n'),
        }
    }
    shown
}

fn link(url: &str, title: Option<&str>) -> String {
    let url = plain_line(url);
    match title {
        Some(title) if !title.is_empty() => format!("{} ({url})", plain_line(title)),
        _ => url,
    }
}

/// Does what the request asks in the room; says what came of it and what to show.
pub fn perform(room: &mut Room, request: &Request, now: TimeMs) -> (Outcome, Option<Shown>) {
    let group = request.to.reference().local().to_owned();
    match &request.call {
        Call::Send { content, reply_to, only_for, slot: _ } => {
            let answers = reply_to
                .as_deref()
                .and_then(|id| room.message_mut(id))
                .map(|posted| beginning(posted));
            let only_for = only_for.as_ref().map(|member| plain_line(member.local()));
            send(room, place(&request.to), content, only_for, answers)
        }
        Call::Card { content, message: None, .. } => {
            let is_edit = false;
            card(room, encode(content), is_edit, |room, encoded| {
                Some(room.post(place(&request.to), None, &encoded.text, encoded.buttons.clone()))
            })
        }
        Call::Card { content, message: Some(id), .. } => {
            let is_edit = true;
            card(room, encode(content), is_edit, |room, encoded| {
                let posted = room.message_mut(id)?;
                posted.text.clone_from(&encoded.text);
                posted.buttons.clone_from(&encoded.buttons);
                Some(posted.clone())
            })
        }
        Call::Delete { message } => on_message(room.delete(message), |posted| {
            format!("🗑 {}的消息被撤回：{}", author(posted), beginning(posted))
        }),
        Call::React { message, emoji } => {
            on_message(room.message_mut(message).cloned(), |posted| {
                let emoji = plain_line(emoji);
                format!("{emoji} ← 机器人对{}的消息：{}", author(posted), beginning(posted))
            })
        }
        Call::Pin { message } => on_message(room.message_mut(message).cloned(), |posted| {
            format!("📌 置顶：{}", beginning(posted))
        }),
        Call::Mute { member, .. }
        | Call::Unmute { member }
        | Call::Kick { member }
        | Call::Ban { member }
        | Call::SetAdmin { member, .. } => punish(room, &request.call, member, &group, now),
        // Not among its capabilities, so that nobody asks.
        Call::Rename { .. } | Call::Admit { .. } => {
            let reason = "the console cannot do that".to_owned();
            (Outcome::Permanent { reason }, None)
        }
    }
}

fn place(to: &Destination) -> Place {
    match to {
        Destination::Group(id) => Place::Group(id.local().to_owned()),
        Destination::Direct(id) => Place::Direct(id.local().to_owned()),
    }
}

fn send(
    room: &mut Room,
    place: Place,
    content: &[Element],
    only_for: Option<String>,
    answers: Option<String>,
) -> (Outcome, Option<Shown>) {
    let Encoded { text, buttons, degraded } = encode(content);
    let labels = labels(&buttons);
    let posted = room.post(place.clone(), None, &text, buttons);
    let number = posted.number;
    let shown = Shown::Message { number, place, text, buttons: labels, only_for, answers };
    (Outcome::Done { id: Some(posted.id), degraded }, Some(shown))
}

fn card(
    room: &mut Room,
    encoded: Encoded,
    is_edit: bool,
    put: impl FnOnce(&mut Room, &Encoded) -> Option<Posted>,
) -> (Outcome, Option<Shown>) {
    let Some(posted) = put(room, &encoded) else { return gone() };
    let Encoded { text, buttons, degraded } = encoded;
    let (number, place) = (posted.number, posted.place);
    let shown = Shown::Card { number, place, text, buttons: labels(&buttons), is_edit };
    (Outcome::Done { id: Some(posted.id), degraded }, Some(shown))
}

fn on_message(
    posted: Option<Posted>,
    say: impl FnOnce(&Posted) -> String,
) -> (Outcome, Option<Shown>) {
    let Some(posted) = posted else { return gone() };
    (done(), Some(Shown::Action(say(&posted))))
}

/// What is done to a member.
fn punish(
    room: &mut Room,
    call: &Call,
    member: &Ref,
    group: &str,
    now: TimeMs,
) -> (Outcome, Option<Shown>) {
    let name = plain_line(member.local());
    let Some(guest) = room.guest_mut(&name) else {
        return (Outcome::Permanent { reason: format!("`{name}` is not here") }, None);
    };
    let shown_group = plain_line(group);
    let text = match call {
        Call::Mute { until, .. } => {
            guest.muted_until = *until;
            format!("🔇 {name} 被禁言 {}", say_span(until.saturating_sub(now)))
        }
        Call::Unmute { .. } => {
            guest.muted_until = 0;
            format!("🔊 {name} 可以说话了")
        }
        Call::Kick { .. } => {
            guest.groups.remove(group);
            format!("👢 {name} 被移出了 {shown_group}")
        }
        Call::Ban { .. } => {
            guest.groups.remove(group);
            room.ban(&name);
            format!("⛔ {name} 被拉黑，不能再进 {shown_group}")
        }
        Call::SetAdmin { on, .. } => {
            guest.role = if *on { Role::Admin } else { Role::Member };
            let what = if *on { "成为管理员" } else { "不再是管理员" };
            format!("🛡 {name} {what}")
        }
        Call::Send { .. }
        | Call::Card { .. }
        | Call::Delete { .. }
        | Call::React { .. }
        | Call::Pin { .. }
        | Call::Rename { .. }
        | Call::Admit { .. } => return gone(),
    };
    (done(), Some(Shown::Action(text)))
}

fn done() -> Outcome {
    Outcome::Done { id: None, degraded: Vec::new() }
}

fn gone() -> (Outcome, Option<Shown>) {
    let reason = "the console does not have this message (any more)".to_owned();
    (Outcome::Permanent { reason }, None)
}

fn labels(buttons: &[(String, String)]) -> Vec<String> {
    buttons.iter().map(|(label, _)| label.clone()).collect()
}

fn author(posted: &Posted) -> String {
    posted.author.as_deref().map_or_else(|| "机器人".to_owned(), |name| format!("{name} "))
}

/// The first characters of a message, to tell it from others.
fn beginning(posted: &Posted) -> String {
    let line = plain_line(&posted.text);
    let start: String = line.chars().take(16).collect();
    if start.len() < line.len() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use crate::adapter::element_word;

    use super::*;

    fn one_of_each() -> Vec<Element> {
        let text = |text: &str| text.to_owned();
        vec![
            Element::Text(text("文")),
            Element::Mention { id: Room::reference("小红"), name: text("小红") },
            Element::MentionAll,
            Element::Link { url: text("https://a.cn"), title: Some(text("甲")) },
            Element::Image { url: text("https://a.cn/i.png") },
            Element::File { url: text("https://a.cn/f"), name: text("表") },
            Element::Emoji(text("👍")),
            Element::Button { label: text("抢"), value: text("抢 1") },
            Element::Code(text("let x;")),
            Element::Break,
        ]
    }

    #[test]
    fn every_element_is_carried_as_the_table_says() {
        assert_eq!(ELEMENTS.len(), one_of_each().len());
        for element in one_of_each() {
            let word = element_word(&element);
            let claim = ELEMENTS.iter().find(|(name, _)| *name == word).map(|(_, how)| *how);
            let encoded = encode(std::slice::from_ref(&element));
            let is_shown = !encoded.text.is_empty() || !encoded.buttons.is_empty();
            let happened = match (is_shown, encoded.degraded.is_empty()) {
                (false, _) => Support::None,
                (true, true) => Support::Native,
                (true, false) => Support::Degraded,
            };
            assert_eq!(claim, Some(happened), "{word}");
        }
    }

    #[test]
    fn shows_a_message_as_text() {
        let encoded = encode(&one_of_each());
        insta::assert_snapshot!(encoded.text, @"文@小红@全体成员甲 (https://a.cn)[图片 https://a.cn/i.png][文件 表 https://a.cn/f]👍let x;");
        assert_eq!(encoded.buttons, [("抢".to_owned(), "抢 1".to_owned())]);
    }

    fn asked(to: Destination, call: Call) -> Request {
        let account = Room::account();
        Request { key: "k".into(), account, answers: None, to, call, attempt: 1, since: 0 }
    }

    #[test]
    fn does_in_the_room_what_is_asked() {
        let mut room = Room::new("t", &[]);
        room.admit("小明", Role::Member, false, &[]);
        let spam = room.post(Place::Group("群岛".into()), Some("小明"), "加微信", Vec::new());
        let mut ask = |call: Call| {
            let to = Destination::Group(Room::reference("群岛"));
            perform(&mut room, &asked(to, call), 1000)
        };
        let member = Room::reference("小明");
        let shown = [
            Call::Delete { message: spam.id.clone() },
            Call::Mute { member: member.clone(), until: 601_000 },
            Call::Kick { member },
        ]
        .map(|call| match ask(call) {
            (Outcome::Done { .. }, Some(Shown::Action(text))) => text,
            other => panic!("not an action: {other:?}"),
        });
        insta::assert_snapshot!(shown.join("\n"), @r#"
        🗑 小明 的消息被撤回：加微信
        🔇 小明 被禁言 10 分钟
        👢 小明 被移出了 群岛
        "#);
        let (outcome, shown) = ask(Call::Delete { message: spam.id });
        assert!(matches!(outcome, Outcome::Permanent { .. }) && shown.is_none());
        assert!(room.may_act("小明", Some("群岛"), 1000).is_err());
    }

    #[test]
    fn a_card_keeps_its_message() {
        let mut room = Room::new("t", &[]);
        let mut ask = |text: &str, message: Option<String>| {
            let content = vec![Element::Text(text.into())];
            let call = Call::Card { key: "packet 1".into(), content, message };
            let to = Destination::Group(Room::reference("群岛"));
            perform(&mut room, &asked(to, call), 0)
        };
        let (Outcome::Done { id: first, .. }, _) = ask("0/3", None) else { panic!("not sent") };
        let (Outcome::Done { id: second, .. }, Some(Shown::Card { is_edit, text, .. })) =
            ask("1/3", first.clone())
        else {
            panic!("not edited");
        };
        assert_eq!((first, is_edit, text.as_str()), (second, true, "1/3"));
        assert!(matches!(ask("1/3", Some("old:1".into())).0, Outcome::Permanent { .. }));
    }
}
