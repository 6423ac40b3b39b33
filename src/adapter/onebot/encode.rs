//! A request of the core → an action and its parameters
//! (<https://github.com/botuniverse/onebot-11/blob/master/api/public.md>).
//!
//! Messages go out as segments only: text is data there, whatever it looks like, and a mention is
//! what was meant as one. A CQ string would let a member's text ping everybody.

use serde_json::{Value, json};

use super::PLATFORM;
use crate::adapter::{Degradation, Request, Support};
use crate::clock::TimeMs;
use crate::effect::{Call, Destination};
use crate::event::Element;
use crate::id::Ref;

/// How each element is carried.
pub const ELEMENTS: &[(&str, Support)] = &[
    ("text", Support::Native),
    ("mention", Support::Native),
    ("mention_all", Support::Native),
    ("link", Support::Native),
    ("image", Support::Native),
    ("file", Support::Degraded),
    ("emoji", Support::Native),
    ("button", Support::None),
    ("code", Support::Degraded),
    ("break", Support::Native),
];

/// The longest text. QQ states no limit; what people found is 4,500 to 5,000
/// (<https://github.com/mamoe/mirai/issues/2289>, <https://github.com/Mrs4s/go-cqhttp/issues/744>).
pub const TEXT_CHARS: usize = 4_500;

/// The longest mute is just below 30 days: 30 days are refused
/// (`CQSetGroupBan` in <https://github.com/Mrs4s/go-cqhttp/blob/master/coolq/api.go>).
const MUTE_MAX_S: i64 = 30 * 24 * 3600 - 1;

/// A call as the implementation takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub params: Value,
    /// What is shown otherwise than asked.
    pub degraded: Vec<Degradation>,
}

/// Writes a request as an action. `is_own` is false when another account makes it than the one
/// that saw the event: it does not know that account's message ids.
///
/// # Errors
/// What QQ cannot do, for a human.
pub fn encode(request: &Request, is_own: bool, now: TimeMs) -> Result<Action, String> {
    let to = &request.to;
    match &request.call {
        // Shown to everybody: QQ cannot show a message to one member alone.
        Call::Send { content, reply_to, only_for: _, slot: _ } => {
            send(to, content, reply_to.as_deref(), is_own)
        }
        Call::Card { content, message: None, .. } => send(to, content, None, is_own),
        Call::Card { message: Some(_), .. } => Err("QQ cannot change a message".to_owned()),
        Call::Delete { message } => action("delete_msg", json!({ "message_id": number(message) })),
        Call::Mute { member, until } => {
            let seconds =
                (until.saturating_sub(now).saturating_add(999) / 1000).clamp(1, MUTE_MAX_S);
            on_member("set_group_ban", to, member, &[("duration", json!(seconds))])
        }
        Call::Unmute { member } => {
            on_member("set_group_ban", to, member, &[("duration", json!(0))])
        }
        Call::Kick { member } => {
            on_member("set_group_kick", to, member, &[("reject_add_request", json!(false))])
        }
        Call::Ban { member } => {
            on_member("set_group_kick", to, member, &[("reject_add_request", json!(true))])
        }
        Call::SetAdmin { member, on } => {
            on_member("set_group_admin", to, member, &[("enable", json!(on))])
        }
        Call::Rename { member, name } => {
            on_member("set_group_card", to, member, &[("card", json!(name))])
        }
        Call::Admit { token, yes, reason } => admit(token, *yes, reason),
        Call::React { .. } => Err("OneBot v11 has no reactions".to_owned()),
        Call::Pin { .. } => Err("OneBot v11 has no pinned messages".to_owned()),
    }
}

fn action(name: &'static str, params: Value) -> Result<Action, String> {
    Ok(Action { name, params, degraded: Vec::new() })
}

/// An id as a number where it is one, because the standard says so.
fn number(id: &str) -> Value {
    id.parse::<i64>().map_or_else(|_| json!(id), |number| json!(number))
}

fn send(
    to: &Destination,
    content: &[Element],
    reply_to: Option<&str>,
    is_own: bool,
) -> Result<Action, String> {
    let in_group = matches!(to, Destination::Group(_));
    let (mut segments, mut degraded) = segments(content, in_group);
    let chars = text_length(&segments);
    if chars > TEXT_CHARS {
        return Err(format!("the text has {chars} characters, more than {TEXT_CHARS}; split it"));
    }
    if segments.is_empty() {
        return Err("there is nothing to send that QQ could show".to_owned());
    }
    match reply_to {
        Some(id) if is_own => segments.insert(0, segment("reply", "id", id)),
        Some(_) => degraded.push(Degradation { element: "reply", shown_as: "message" }),
        None => {}
    }
    let local = number(to.reference().local());
    let (name, params) = match to {
        Destination::Group(_) => {
            ("send_group_msg", json!({ "group_id": local, "message": segments }))
        }
        Destination::Direct(_) => {
            ("send_private_msg", json!({ "user_id": local, "message": segments }))
        }
    };
    Ok(Action { name, params, degraded })
}

/// The elements of a message as segments; in a direct message nobody can be mentioned.
pub fn segments(content: &[Element], in_group: bool) -> (Vec<Value>, Vec<Degradation>) {
    let mut writer = Writer::default();
    content.iter().for_each(|element| writer.write(element, in_group));
    writer.flush();
    (writer.segments, writer.degraded)
}

/// Segments in the making; text that stands together is one of them.
#[derive(Default)]
struct Writer {
    plain: String,
    segments: Vec<Value>,
    degraded: Vec<Degradation>,
}

impl Writer {
    fn write(&mut self, element: &Element, in_group: bool) {
        match element {
            Element::Text(text) | Element::Emoji(text) => self.plain.push_str(text),
            Element::Code(code) => self.instead(("code", "text"), code),
            Element::Break => self.plain.push('\n'),
            Element::Link { url, title } => self.plain.push_str(&link(url, title.as_deref())),
            Element::File { url, name } => {
                self.instead(("file", "link"), &format!("[文件 {name} {url}]"));
            }
            Element::Mention { id, name } => match uin(id).filter(|_| in_group) {
                Some(uin) => self.special(segment("at", "qq", uin)),
                None => self.instead(("mention", "text"), &format!("@{name}")),
            },
            Element::MentionAll if in_group => self.special(segment("at", "qq", "all")),
            Element::MentionAll => self.instead(("mention_all", "text"), "@全体成员"),
            Element::Image { url } if is_fetchable(url) => {
                self.special(segment("image", "file", url));
            }
            Element::Image { url } => self.instead(("image", "text"), &format!("[图片 {url}]")),
            Element::Button { .. } => self.instead(("button", "nothing"), ""),
        }
    }

    /// Shows an element as something else.
    fn instead(&mut self, (element, shown_as): (&'static str, &'static str), text: &str) {
        self.plain.push_str(text);
        self.degraded.push(Degradation { element, shown_as });
    }

    fn special(&mut self, segment: Value) {
        self.flush();
        self.segments.push(segment);
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            let text = std::mem::take(&mut self.plain);
            self.segments.push(segment("text", "text", &text));
        }
    }
}

/// Values are texts, so that every implementation reads them.
fn segment(kind: &str, name: &str, value: &str) -> Value {
    json!({ "type": kind, "data": { name: value } })
}

/// How long a message is for QQ: its text, wherever it goes.
pub fn length(content: &[Element]) -> usize {
    let of = |in_group| text_length(&segments(content, in_group).0);
    of(true).max(of(false))
}

fn text_length(segments: &[Value]) -> usize {
    segments.iter().filter_map(text_of).map(|text| text.chars().count()).sum()
}

fn text_of(segment: &Value) -> Option<&str> {
    segment.get("data")?.get("text")?.as_str()
}

fn link(url: &str, title: Option<&str>) -> String {
    match title {
        Some(title) if !title.is_empty() => format!("{title} ({url})"),
        _ => url.to_owned(),
    }
}

/// `file:` would read files of the machine that the implementation runs on.
fn is_fetchable(url: &str) -> bool {
    ["http://", "https://", "base64://"].iter().any(|scheme| url.starts_with(scheme))
}

/// The number of somebody on this platform.
fn uin(id: &Ref) -> Option<&str> {
    let local = id.local();
    let is_number = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_digit());
    (id.platform() == PLATFORM && is_number).then_some(local)
}

fn on_member(
    name: &'static str,
    to: &Destination,
    member: &Ref,
    more: &[(&str, Value)],
) -> Result<Action, String> {
    let Destination::Group(group) = to else {
        return Err("only a group has members".to_owned());
    };
    let member = uin(member).ok_or_else(|| format!("`{member}` is no account of QQ"))?;
    let mut params = json!({ "group_id": number(group.local()), "user_id": number(member) });
    for (key, value) in more {
        params[key] = value.clone();
    }
    action(name, params)
}

/// The token is `add:FLAG`, `invite:FLAG` or `friend:FLAG`, as the request was decoded.
fn admit(token: &str, yes: bool, reason: &str) -> Result<Action, String> {
    let (word, flag) = token.split_once(':').ok_or("the token of the request is broken")?;
    // Texts that may be left out are written all the same: some implementations miss them.
    if word == "friend" {
        let params = json!({ "flag": flag, "approve": yes, "remark": "" });
        return action("set_friend_add_request", params);
    }
    let reason = if yes { "" } else { reason };
    let params = json!({ "flag": flag, "sub_type": word, "approve": yes, "reason": reason });
    action("set_group_add_request", params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(to: Destination, call: Call) -> Request {
        let account = Ref::new(PLATFORM, 10001);
        Request { key: "k".into(), account, answers: None, to, call, attempt: 1, since: 0 }
    }

    fn group() -> Destination {
        Destination::Group(Ref::new(PLATFORM, 777))
    }

    fn written(call: Call) -> String {
        match encode(&asked(group(), call), true, 1_000_000) {
            Ok(action) => format!("{} {}", action.name, action.params),
            Err(reason) => reason,
        }
    }

    #[test]
    fn calls_on_members() {
        let member = Ref::new(PLATFORM, 20002);
        let calls = [
            Call::Mute { member: member.clone(), until: 1_600_001 },
            Call::Mute { member: member.clone(), until: 0 },
            Call::Mute { member: member.clone(), until: i64::MAX },
            Call::Unmute { member: member.clone() },
            Call::Kick { member: member.clone() },
            Call::Ban { member: member.clone() },
            Call::SetAdmin { member: member.clone(), on: true },
            Call::Rename { member, name: String::new() },
            Call::Delete { message: "-77".into() },
            Call::Admit { token: "add:f:1".into(), yes: false, reason: "满了".into() },
            Call::Admit { token: "friend:f".into(), yes: true, reason: String::new() },
            Call::Kick { member: Ref::new("console", "小红") },
            Call::Pin { message: "1".into() },
        ];
        let lines: Vec<String> = calls.into_iter().map(written).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        set_group_ban {"duration":601,"group_id":777,"user_id":20002}
        set_group_ban {"duration":1,"group_id":777,"user_id":20002}
        set_group_ban {"duration":2591999,"group_id":777,"user_id":20002}
        set_group_ban {"duration":0,"group_id":777,"user_id":20002}
        set_group_kick {"group_id":777,"reject_add_request":false,"user_id":20002}
        set_group_kick {"group_id":777,"reject_add_request":true,"user_id":20002}
        set_group_admin {"enable":true,"group_id":777,"user_id":20002}
        set_group_card {"card":"","group_id":777,"user_id":20002}
        delete_msg {"message_id":-77}
        set_group_add_request {"approve":false,"flag":"f:1","reason":"满了","sub_type":"add"}
        set_friend_add_request {"approve":true,"flag":"f","remark":""}
        `console:小红` is no account of QQ
        OneBot v11 has no pinned messages
        "#);
    }

    #[test]
    fn a_message_is_segments() {
        let content = vec![
            Element::Text("你好 ".into()),
            Element::Mention { id: Ref::new(PLATFORM, 20002), name: "小红".into() },
            Element::Break,
            Element::Text("[CQ:at,qq=all] & ".into()),
            Element::Link { url: "https://a.cn".into(), title: None },
            Element::Mention { id: Ref::new("console", "小李"), name: "小李".into() },
            Element::Image { url: "https://a.cn/i.png".into() },
            Element::Image { url: "file:///etc/passwd".into() },
            Element::Button { label: "抢".into(), value: "抢".into() },
        ];
        let reply_to = Some("-5".to_owned());
        let call = Call::Send { content: content.clone(), reply_to, only_for: None, slot: None };
        let action = encode(&asked(group(), call.clone()), true, 0).expect("encoded");
        insta::assert_snapshot!(action.params["message"].to_string(), @r#"[{"data":{"id":"-5"},"type":"reply"},{"data":{"text":"你好 "},"type":"text"},{"data":{"qq":"20002"},"type":"at"},{"data":{"text":"\n[CQ:at,qq=all] & https://a.cn@小李"},"type":"text"},{"data":{"file":"https://a.cn/i.png"},"type":"image"},{"data":{"text":"[图片 file:///etc/passwd]"},"type":"text"}]"#);
        let degraded: Vec<_> = action.degraded.iter().map(|d| (d.element, d.shown_as)).collect();
        assert_eq!(degraded, [("mention", "text"), ("image", "text"), ("button", "nothing")]);
        // To one person nobody can be mentioned; another account does not know the message.
        let direct = Destination::Direct(Ref::new(PLATFORM, 20002));
        let action = encode(&asked(direct, call), false, 0).expect("encoded");
        let text = action.params["message"].to_string();
        assert!(!text.contains("\"at\"") && !text.contains("\"reply\""), "{text}");
        assert!(action.degraded.iter().any(|d| d.element == "reply"));
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        let long = vec![Element::Text("长".repeat(TEXT_CHARS + 1))];
        let call = |content| Call::Card { key: "k".into(), content, message: None };
        assert!(written(call(long)).contains("more than 4500"));
        assert!(written(call(Vec::new())).contains("nothing to send"));
        let edit = Call::Card { key: "k".into(), content: Vec::new(), message: Some("1".into()) };
        assert_eq!(written(edit), "QQ cannot change a message");
    }
}
