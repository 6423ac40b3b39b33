//! A request of the core → a call to Discord
//! (<https://discord.com/developers/docs/resources/message#create-message>).
//!
//! Who is pinged is said in `allowed_mentions`, from elements alone. Text is escaped, so that it
//! shows as it was written.

use serde_json::{Value, json};
use serenity::http::LightMethod;
use serenity::model::id::{ChannelId, GuildId, MessageId, UserId};
use sha2::{Digest, Sha256};

use super::markup;
use super::permission::Act;
use super::route::{Op, Path};
use crate::adapter::discord::PLATFORM;
use crate::adapter::{Degradation, Request, Support};
use crate::clock::TimeMs;
use crate::effect::Call;
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
    ("button", Support::Native),
    ("code", Support::Native),
    ("break", Support::Native),
];

/// The longest text of a message.
pub const TEXT_CHARS: usize = 2_000;
/// The longest silence.
pub const MUTE_MAX_MS: i64 = 28 * 24 * 3_600_000;
const EMBEDS_MAX: usize = 10;
const BUTTONS_MAX: usize = 25;
const BUTTONS_IN_ROW: usize = 5;
const LABEL_CHARS: usize = 80;
const VALUE_CHARS: usize = 100;
const PINGS_MAX: usize = 100;
const NICK_CHARS: usize = 32;
const NONCE_CHARS: usize = 25;

/// A message as Discord takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Text, pings, buttons and pictures.
    pub json: Value,
    /// What is shown otherwise than asked.
    pub degraded: Vec<Degradation>,
}

/// Writes a message.
///
/// # Errors
/// What Discord cannot show, for a human.
pub fn body(content: &[Element]) -> Result<Body, String> {
    let mut writer = Writer::default();
    content.iter().for_each(|element| writer.write(element));
    let chars = writer.text.chars().count();
    if chars > TEXT_CHARS {
        return Err(format!(
            "the text has {chars} characters with what keeps its marks inert, more than {TEXT_CHARS}; split it"
        ));
    }
    let has_more = !writer.buttons.is_empty() || !writer.embeds.is_empty();
    if writer.text.trim().is_empty() && !has_more {
        if writer.text.is_empty() {
            return Err("there is nothing to send that Discord could show".to_owned());
        }
        // Discord takes no message of mere spaces.
        writer.text = "\u{200b}".to_owned();
    }
    let rows: Vec<Value> = writer
        .buttons
        .chunks(BUTTONS_IN_ROW)
        .map(|row| json!({ "type": 1, "components": row }))
        .collect();
    let parse: &[&str] = if writer.pings_all { &["everyone"] } else { &[] };
    let json = json!({
        "content": writer.text,
        "allowed_mentions": { "parse": parse, "users": writer.pings, "replied_user": false },
        "components": rows,
        "embeds": writer.embeds,
    });
    Ok(Body { json, degraded: writer.degraded })
}

/// How long a message is for Discord: with what keeps its marks inert.
pub fn length(content: &[Element]) -> usize {
    let mut writer = Writer::default();
    content.iter().for_each(|element| writer.write(element));
    writer.text.chars().count()
}

/// A message in the making.
#[derive(Default)]
struct Writer {
    text: String,
    pings: Vec<String>,
    pings_all: bool,
    buttons: Vec<Value>,
    embeds: Vec<Value>,
    degraded: Vec<Degradation>,
}

impl Writer {
    fn write(&mut self, element: &Element) {
        match element {
            Element::Text(text) | Element::Emoji(text) => markup::escape(text, &mut self.text),
            Element::Code(code) => markup::code(code, &mut self.text),
            Element::Break => self.text.push('\n'),
            Element::Link { url, title } => self.link(url, title.as_deref()),
            Element::File { url, name } => {
                self.instead(("file", "link"), &format!("[文件 {name} {url}]"));
            }
            Element::Mention { id, name } => match number(id) {
                Some(user) if self.pings.len() < PINGS_MAX => {
                    self.text += &format!("<@{user}>");
                    let user = user.to_string();
                    if !self.pings.contains(&user) {
                        self.pings.push(user);
                    }
                }
                _ => self.instead(("mention", "text"), &format!("@{name}")),
            },
            Element::MentionAll => {
                self.text.push_str("@everyone");
                self.pings_all = true;
            }
            Element::Image { url } if is_web(url) && self.embeds.len() < EMBEDS_MAX => {
                self.embeds.push(json!({ "image": { "url": url } }));
            }
            Element::Image { url } => self.instead(("image", "text"), &format!("[图片 {url}]")),
            Element::Button { label, value } => self.button(label, value),
        }
    }

    /// Shows an element as something else.
    fn instead(&mut self, (element, shown_as): (&'static str, &'static str), text: &str) {
        markup::escape(text, &mut self.text);
        self.degraded.push(Degradation { element, shown_as });
    }

    fn link(&mut self, url: &str, title: Option<&str>) {
        let is_safe = is_web(url) && !url.contains(['(', ')', '<', '>', ' ', '\n']);
        match title {
            Some(title) if !title.is_empty() && is_safe => {
                self.text.push('[');
                markup::escape(&title.replace("://", ":\u{200b}//"), &mut self.text);
                self.text += &format!("](<{url}>)");
            }
            Some(title) if !title.is_empty() => {
                markup::escape(&format!("{title} ({url})"), &mut self.text);
            }
            _ => markup::escape(url, &mut self.text),
        }
    }

    /// A press sends the button's name back, which so has to be the value; each only once.
    fn button(&mut self, label: &str, value: &str) {
        let is_there = self.buttons.iter().any(|it| it["custom_id"] == value);
        let fits = (1..=VALUE_CHARS).contains(&value.chars().count());
        if is_there || !fits || label.is_empty() || self.buttons.len() >= BUTTONS_MAX {
            self.degraded.push(Degradation { element: "button", shown_as: "nothing" });
            return;
        }
        let label: String = label.chars().take(LABEL_CHARS).collect();
        self.buttons.push(json!({ "type": 2, "style": 2, "label": label, "custom_id": value }));
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The number of somebody or something on this platform.
pub fn number(id: &Ref) -> Option<u64> {
    let local = id.local().parse().ok().filter(|number| *number != 0)?;
    (id.platform() == PLATFORM).then_some(local)
}

/// A person's number.
///
/// # Errors
/// It is none of this platform.
pub fn user(id: &Ref) -> Result<UserId, String> {
    number(id).map(UserId::new).ok_or_else(|| format!("`{id}` is no account of Discord"))
}

/// A message's number; what a slash command says is no message.
fn message(id: &str) -> Result<MessageId, String> {
    let number = id.parse().ok().filter(|number| *number != 0);
    number.map(MessageId::new).ok_or_else(|| "what a command says is no message".to_owned())
}

/// The name under which Discord drops a repeat: one for each effect, of this data alone.
pub fn nonce(request: &Request) -> String {
    let mut hash = Sha256::new();
    for part in [request.account.as_str(), request.to.reference().as_str(), &request.key] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(request.since.to_be_bytes());
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits[..NONCE_CHARS].to_owned()
}

/// A new message, which a repeat does not double.
pub fn create(
    request: &Request,
    channel: ChannelId,
    mut body: Value,
    reply_to: Option<&str>,
) -> Op {
    body["nonce"] = nonce(request).into();
    body["enforce_nonce"] = true.into();
    if let Some(Ok(quoted)) = reply_to.map(message) {
        body["message_reference"] = json!({
            "type": 0,
            "message_id": quoted.to_string(),
            "channel_id": channel.to_string(),
            "fail_if_not_exists": false,
        });
    }
    Op::new(LightMethod::Post, Path::Messages(channel), Some(body))
}

/// A call on a message or member: what it needs, and the call. `own` is our own account.
///
/// # Errors
/// What Discord cannot do, for a human.
pub fn act(
    call: &Call,
    channel: ChannelId,
    guild: Option<GuildId>,
    own: Option<UserId>,
    now: TimeMs,
) -> Result<(Act, Op), String> {
    use LightMethod::{Delete, Patch, Put};
    let server = || guild.ok_or_else(|| "only a server has members".to_owned());
    Ok(match call {
        Call::Delete { message: id } => {
            (Act::Delete, Op::new(Delete, Path::Message(channel, message(id)?), None))
        }
        Call::React { message: id, emoji } => {
            let path = Path::Reaction(channel, message(id)?, percent(emoji));
            (Act::React, Op::new(Put, path, None))
        }
        Call::Pin { message: id } => {
            (Act::Pin, Op::new(Put, Path::Pin(channel, message(id)?), None))
        }
        Call::Mute { member, until } => {
            // A little less than what is allowed: clocks differ.
            let until = (*until).clamp(now + 1_000, now + MUTE_MAX_MS - 60_000);
            let until = chrono::DateTime::from_timestamp_millis(until).unwrap_or_default();
            let body = json!({ "communication_disabled_until": until.to_rfc3339() });
            let who = user(member)?;
            (Act::Mute(who), Op::new(Patch, Path::Member(server()?, who), Some(body)))
        }
        Call::Unmute { member } => {
            let body = json!({ "communication_disabled_until": null });
            let who = user(member)?;
            (Act::Mute(who), Op::new(Patch, Path::Member(server()?, who), Some(body)))
        }
        Call::Kick { member } => {
            let who = user(member)?;
            (Act::Kick(who), Op::new(Delete, Path::Member(server()?, who), None))
        }
        Call::Ban { member } => {
            let (who, body) = (user(member)?, json!({ "delete_message_seconds": 0 }));
            (Act::Ban(who), Op::new(Put, Path::Ban(server()?, who), Some(body)))
        }
        Call::Rename { member, name } => {
            if name.chars().count() > NICK_CHARS {
                return Err(format!("a name has at most {NICK_CHARS} characters on Discord"));
            }
            let (who, body) = (user(member)?, json!({ "nick": name }));
            let path = match own == Some(who) {
                true => Path::MemberMe(server()?),
                false => Path::Member(server()?, who),
            };
            (Act::Rename(who), Op::new(Patch, path, Some(body)))
        }
        Call::SetAdmin { .. } => return Err("Discord has roles instead of admins".to_owned()),
        Call::Admit { .. } => return Err("nobody asks to join on Discord".to_owned()),
        Call::Send { .. } | Call::Card { .. } => return Err("this is a message".to_owned()),
    })
}

/// An edit of our own message.
///
/// # Errors
/// It has no number.
pub fn edit(channel: ChannelId, id: &str, body: Value) -> Result<Op, String> {
    Ok(Op::new(LightMethod::Patch, Path::Message(channel, message(id)?), Some(body)))
}

/// An emoji as it stands in an address.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Destination;

    fn written(content: &[Element]) -> String {
        body(content).map_or_else(|reason| reason, |body| body.json.to_string())
    }

    #[test]
    fn a_message_pings_whom_it_mentions_and_nobody_else() {
        let content = [
            Element::Text("*早* <@7> @everyone ".into()),
            Element::Mention { id: Ref::new(PLATFORM, 20002), name: "小红".into() },
            Element::Mention { id: Ref::new("console", "小李"), name: "小李".into() },
            Element::Break,
            Element::Link { url: "https://a.cn".into(), title: Some("甲]".into()) },
            Element::Code("let x;".into()),
            Element::Image { url: "https://a.cn/i.png".into() },
            Element::Image { url: "file:///etc/passwd".into() },
            Element::Button { label: "抢".into(), value: "抢 1".into() },
            Element::Button { label: "抢".into(), value: "抢 1".into() },
        ];
        insta::assert_snapshot!(written(&content));
        let degraded = body(&content).expect("written").degraded;
        let degraded: Vec<_> = degraded.iter().map(|d| (d.element, d.shown_as)).collect();
        assert_eq!(degraded, [("mention", "text"), ("image", "text"), ("button", "nothing")]);
        let all = written(&[Element::MentionAll]);
        assert!(all.contains(r#""parse":["everyone"]"#), "{all}");
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        assert!(written(&[Element::Text("长".repeat(TEXT_CHARS + 1))]).contains("more than 2000"));
        assert!(written(&[]).contains("nothing to send"));
        assert!(written(&[Element::Text(" ".into())]).contains("\u{200b}"));
    }

    #[test]
    fn calls_on_members_and_messages() {
        let member = Ref::new(PLATFORM, 20002);
        let day = 24 * 3_600_000;
        let calls = [
            Call::Mute { member: member.clone(), until: day },
            Call::Mute { member: member.clone(), until: i64::MAX },
            Call::Unmute { member: member.clone() },
            Call::Kick { member: member.clone() },
            Call::Ban { member: member.clone() },
            Call::Rename { member: member.clone(), name: "新".into() },
            Call::Rename { member, name: "长".repeat(33) },
            Call::Delete { message: "9".into() },
            Call::Delete { message: "i9".into() },
            Call::React { message: "9".into(), emoji: "👍".into() },
            Call::Pin { message: "9".into() },
            Call::Kick { member: Ref::new("console", "小红") },
            Call::SetAdmin { member: Ref::new(PLATFORM, 1), on: true },
        ];
        let show = |call: &Call| match act(call, ChannelId::new(5), Some(GuildId::new(3)), None, 0)
        {
            Ok((_, op)) => {
                let path = op.path.route().path();
                format!("{:?} {} {}", op.method, &path[27..], op.body.unwrap_or_default())
            }
            Err(reason) => reason,
        };
        insta::assert_snapshot!(calls.iter().map(show).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_nonce_is_short_and_of_its_effect_alone() {
        let request = |key: &str| Request {
            key: key.to_owned(),
            account: Ref::new(PLATFORM, 1),
            answers: None,
            to: Destination::Group(Ref::new(PLATFORM, 5)),
            call: Call::Pin { message: "1".into() },
            attempt: 1,
            since: 7,
        };
        let nonces = [request("1-0"), request("1-0"), request("1-1")].map(|it| nonce(&it));
        assert_eq!((nonces[0].len(), &nonces[0]), (NONCE_CHARS, &nonces[1]));
        assert_ne!(nonces[0], nonces[2]);
        let again = Request { attempt: 2, ..request("1-0") };
        assert_eq!(nonce(&again), nonces[0]);
    }
}
