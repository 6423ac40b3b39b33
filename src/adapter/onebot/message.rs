//! The segments of a message → its elements, as every platform has them.
//!
//! Nothing a member sent gets lost without a trace: what has no element of its own becomes text in
//! brackets, so that word lists and people still see it.

use std::borrow::Cow;

use serde::Deserialize;

use super::cq;
use super::wire::{Data, Message, Scalar, Segment};
use super::{PLATFORM, SelfId};
use crate::event::{Element, Quote};
use crate::id::Ref;

/// A message, taken apart.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// Its elements; mentions of our own accounts are no elements.
    pub elements: Vec<Element>,
    /// What it answers.
    pub quote: Option<Quote>,
    /// One of our own accounts was mentioned.
    pub to_bot: bool,
    /// Kinds of segments that nobody knows here.
    pub unknown: Vec<String>,
}

/// Takes a message apart. `own` are our own accounts.
pub fn parse(message: Message<'_>, own: &[SelfId]) -> Parsed {
    let mut parsed = Parsed::default();
    match message {
        Message::None => {}
        Message::Text(text) => {
            cq::segments(&text).into_iter().for_each(|part| parsed.add(part, own));
        }
        Message::Parts(parts) => parts.into_iter().for_each(|part| parsed.add(part, own)),
    }
    parsed
}

impl Parsed {
    /// Adds one segment (<https://github.com/botuniverse/onebot-11/blob/master/message/segment.md>).
    fn add(&mut self, segment: Segment<'_>, own: &[SelfId]) {
        let data = segment.data.unwrap_or_default();
        let element = match segment.kind.as_str() {
            "text" => match data.text.0 {
                Some(text) if !text.is_empty() => Element::Text(text.into_owned()),
                _ => return,
            },
            "at" => match self.mention(&data, own) {
                Some(mention) => mention,
                None => return,
            },
            "reply" => return self.quote(&data),
            "face" => Element::Emoji(labelled("表情", data.id.get())),
            "mface" => Element::Emoji(data.summary.get().unwrap_or("[表情]").to_owned()),
            "image" => Element::Image { url: address(&data).to_owned() },
            "record" => file(&data, "语音"),
            "video" => file(&data, "视频"),
            "file" | "onlinefile" | "flashtransfer" => file(&data, "文件"),
            "share" => Element::Link {
                url: data.url.as_str().to_owned(),
                title: data.title.get().map(str::to_owned),
            },
            // The text that Markdown is written in; its marks stay visible.
            "markdown" => Element::Text(data.content.as_str().to_owned()),
            "json" | "miniapp" => {
                Element::Text(labelled("卡片", prompt(data.data.as_str()).as_deref()))
            }
            "xml" => Element::Text(labelled("卡片", None)),
            "forward" | "node" | "longmsg" => Element::Text(labelled("合并转发", None)),
            "location" => Element::Text(labelled("位置", data.title.get())),
            "contact" => Element::Text(labelled("名片", data.id.get())),
            "music" => Element::Text(labelled("音乐", data.title.get())),
            "dice" => Element::Emoji(labelled("骰子", data.result.get())),
            "rps" => Element::Emoji(labelled("猜拳", data.result.get())),
            "poke" | "shake" => Element::Emoji(labelled("戳一戳", data.name.get())),
            // Says how a message is to be sent, not what it is.
            "anonymous" => return,
            other => {
                self.unknown.push(other.chars().take(32).collect());
                Element::Text(format!("[{}]", other.chars().take(32).collect::<String>()))
            }
        };
        self.elements.push(element);
    }

    fn mention(&mut self, data: &Data<'_>, own: &[SelfId]) -> Option<Element> {
        let whom = data.qq.get()?;
        if whom == "all" {
            return Some(Element::MentionAll);
        }
        let number = whom.parse().ok().map(SelfId);
        if number.is_some_and(|number| own.contains(&number)) {
            self.to_bot = true;
            return None;
        }
        let name = data.name.get().unwrap_or(whom).trim_start_matches('@').to_owned();
        Some(Element::Mention { id: Ref::new(PLATFORM, whom), name })
    }

    /// An answer to a message whose id is not known (Lagrange says 0) is no answer to us.
    fn quote(&mut self, data: &Data<'_>) {
        let Some(message) = data.id.get().filter(|id| *id != "0") else { return };
        let author = data.qq.get().map(|number| Ref::new(PLATFORM, number));
        let text = data.text.as_str().to_owned();
        self.quote = Some(Quote { message: message.to_owned(), author, text });
    }
}

/// Where an image or file is; Lagrange says it in `file`, where others have its name.
fn address<'d>(data: &'d Data<'_>) -> &'d str {
    let file = data.file.get().filter(|file| file.contains("://"));
    data.url.get().or(file).unwrap_or_default()
}

fn file(data: &Data<'_>, kind: &str) -> Element {
    let name = data.name.get().or(data.file.get()).unwrap_or(kind);
    Element::File { url: address(data).to_owned(), name: name.to_owned() }
}

fn labelled(label: &str, what: Option<&str>) -> String {
    match what {
        Some(what) => format!("[{label}:{what}]"),
        None => format!("[{label}]"),
    }
}

/// The line that QQ shows in lists for a card; advertisements come as cards too.
fn prompt(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Card<'a> {
        #[serde(borrow, default)]
        prompt: Scalar<'a>,
    }
    let card: Card<'_> = serde_json::from_str(json).ok()?;
    card.prompt.0.map(Cow::into_owned).filter(|prompt| !prompt.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;
    use crate::event::plain_text;

    const OWN: &[SelfId] = &[SelfId(10001), SelfId(10002)];

    fn parsed(message: &str) -> Parsed {
        let frame = format!(r#"{{"message":{message}}}"#);
        parse(wire::read(&frame).expect("readable").message, OWN)
    }

    #[test]
    fn both_formats_say_the_same() {
        let array = parsed(
            r#"[{"type":"reply","data":{"id":"77"}},{"type":"at","data":{"qq":"10001"}},
            {"type":"text","data":{"text":" 抢 & [1]"}},{"type":"at","data":{"qq":20002,"name":"@小红"}},
            {"type":"at","data":{"qq":"all"}}]"#,
        );
        let text = parsed(
            r#""[CQ:reply,id=77][CQ:at,qq=10001] 抢 &amp; &#91;1&#93;[CQ:at,qq=20002,name=@小红][CQ:at,qq=all]""#,
        );
        assert_eq!(array, text);
        assert!(array.to_bot);
        assert_eq!(array.quote.expect("an answer").message, "77");
        insta::assert_debug_snapshot!(array.elements, @r#"
        [
            Text(
                " 抢 & [1]",
            ),
            Mention {
                id: Ref(onebot:20002),
                name: "小红",
            },
            MentionAll,
        ]
        "#);
    }

    #[test]
    fn everything_stays_visible() {
        let check = |segment: &str, expected: &str| {
            let parsed = parsed(&format!("[{segment}]"));
            assert_eq!(plain_text(&parsed.elements), expected, "{segment}");
        };
        check(r#"{"type":"face","data":{"id":"14","raw":{"faceText":"/微笑"}}}"#, "[表情:14]");
        check(r#"{"type":"mface","data":{"summary":"[抱抱]"}}"#, "[抱抱]");
        check(r#"{"type":"dice","data":{"result":5}}"#, "[骰子:5]");
        check(
            r#"{"type":"json","data":{"data":"{\"prompt\":\"加微信\",\"meta\":{}}"}}"#,
            "[卡片:加微信]",
        );
        check(r#"{"type":"json","data":{"data":{"prompt":"x"}}}"#, "[卡片]");
        check(r#"{"type":"xml","data":null}"#, "[卡片]");
        check(r#"{"type":"forward","data":{"id":"9"}}"#, "[合并转发]");
        check(r#"{"type":"share","data":{"url":"https://a.cn","title":"甲"}}"#, "甲");
        check(r#"{"type":"markdown","data":{"content":"**粗**"}}"#, "**粗**");
        check(r#"{"type":"hologram"}"#, "[hologram]");
        assert_eq!(parsed(r#"[{"type":"hologram"}]"#).unknown, ["hologram"]);
        assert_eq!(parsed(r#"[{"type":"reply","data":{"id":"0"}}]"#).quote, None);
    }

    #[test]
    fn an_image_has_an_address_where_one_is_known() {
        let url = |message: &str| match parsed(message).elements.remove(0) {
            Element::Image { url } => url,
            other => panic!("no image: {other:?}"),
        };
        let full =
            r#"{"type":"image","data":{"file":"a.jpg","url":"https://a.cn/a","sub_type":0}}"#;
        assert_eq!(url(full), "https://a.cn/a");
        assert_eq!(url(r#"{"type":"image","data":{"file":"https://a.cn/a"}}"#), "https://a.cn/a");
        assert_eq!(url(r#"{"type":"image","data":{"file":"a.jpg","url":""}}"#), "");
    }
}
