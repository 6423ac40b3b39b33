//! One frame of an implementation, read in a single pass and borrowed from it.
//!
//! Events and answers come over the same socket, so both are read as one flat [`Frame`]: the fields
//! of the standard (<https://github.com/botuniverse/onebot-11/tree/master/event>) and those that
//! NapCat, Lagrange and go-cqhttp add. Implementations differ in types (numbers as text, null,
//! fields left out), so every scalar is read leniently and what is unknown is read over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub use super::loose::{Id, Number, Scalar};

/// Everything that a frame may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Frame<'a> {
    /// Unix seconds; milliseconds in some implementations.
    pub time: Number,
    /// The account.
    pub self_id: Id,
    #[serde(borrow)]
    pub post_type: Scalar<'a>,
    #[serde(borrow)]
    pub message_type: Scalar<'a>,
    #[serde(borrow)]
    pub notice_type: Scalar<'a>,
    #[serde(borrow)]
    pub request_type: Scalar<'a>,
    #[serde(borrow)]
    pub meta_event_type: Scalar<'a>,
    #[serde(borrow)]
    pub sub_type: Scalar<'a>,
    /// A 31-bit hash, or another number as text.
    #[serde(borrow)]
    pub message_id: Scalar<'a>,
    pub user_id: Id,
    pub group_id: Id,
    #[serde(borrow)]
    pub group_name: Scalar<'a>,
    pub operator_id: Id,
    pub target_id: Id,
    #[serde(borrow)]
    pub message: Message<'a>,
    #[serde(borrow)]
    pub sender: Option<Sender<'a>>,
    #[serde(borrow)]
    pub anonymous: Option<Anonymous<'a>>,
    #[serde(borrow)]
    pub comment: Scalar<'a>,
    #[serde(borrow)]
    pub flag: Scalar<'a>,
    /// Seconds; -1 for no end.
    pub duration: Number,
    #[serde(borrow)]
    pub file: Option<File<'a>>,
    /// Only in `group_card` of NapCat and go-cqhttp.
    #[serde(borrow)]
    pub card_new: Scalar<'a>,
    #[serde(borrow)]
    pub honor_type: Scalar<'a>,
    #[serde(borrow)]
    pub title: Scalar<'a>,
    /// Only in `group_msg_emoji_like` of NapCat.
    #[serde(borrow)]
    pub likes: Option<Vec<Like<'a>>>,
    pub is_add: Option<bool>,
    /// Only in `reaction` of Lagrange.
    #[serde(borrow)]
    pub code: Scalar<'a>,
    /// Milliseconds to the next heartbeat.
    pub interval: Number,
    /// `{online, good}` of a heartbeat, or the word of an answer.
    #[serde(borrow)]
    pub status: Status<'a>,
    pub retcode: Option<i64>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub echo: Scalar<'a>,
    #[serde(borrow)]
    pub wording: Scalar<'a>,
    #[serde(borrow)]
    pub msg: Scalar<'a>,
}

/// Who sent a message, as far as the implementation knows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sender<'a> {
    #[serde(borrow)]
    pub nickname: Scalar<'a>,
    #[serde(borrow)]
    pub card: Scalar<'a>,
    #[serde(borrow)]
    pub role: Scalar<'a>,
}

/// The mask of an anonymous member.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Anonymous<'a> {
    #[serde(borrow)]
    pub name: Scalar<'a>,
}

/// A file of a group.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct File<'a> {
    #[serde(borrow)]
    pub id: Scalar<'a>,
    #[serde(borrow)]
    pub name: Scalar<'a>,
    pub size: Number,
}

/// One emoji of a reaction.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Like<'a> {
    #[serde(borrow)]
    pub emoji_id: Scalar<'a>,
}

/// One segment (<https://github.com/botuniverse/onebot-11/blob/master/message/array.md>).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Segment<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Scalar<'a>,
    #[serde(borrow)]
    pub data: Option<Data<'a>>,
}

/// The fields of all segments that are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Data<'a> {
    #[serde(borrow)]
    pub text: Scalar<'a>,
    #[serde(borrow)]
    pub qq: Scalar<'a>,
    #[serde(borrow)]
    pub id: Scalar<'a>,
    #[serde(borrow)]
    pub name: Scalar<'a>,
    #[serde(borrow)]
    pub file: Scalar<'a>,
    #[serde(borrow)]
    pub url: Scalar<'a>,
    #[serde(borrow)]
    pub title: Scalar<'a>,
    #[serde(borrow)]
    pub content: Scalar<'a>,
    #[serde(borrow)]
    pub summary: Scalar<'a>,
    #[serde(borrow)]
    pub result: Scalar<'a>,
    #[serde(borrow)]
    pub data: Scalar<'a>,
}

/// Reads a frame.
///
/// # Errors
/// It is no JSON object, or a field has a shape that no implementation gives it.
pub fn read(text: &str) -> Result<Frame<'_>, serde_json::Error> {
    serde_json::from_str(text)
}

/// A message in either of its two formats.
#[derive(Debug, Default)]
pub enum Message<'a> {
    /// There is none.
    #[default]
    None,
    /// With CQ codes in it.
    Text(Cow<'a, str>),
    /// Segment by segment.
    Parts(Vec<Segment<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Message<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or segments")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Message<'de>, E> {
                Ok(Message::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Message<'de>, E> {
                Ok(Message::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Message<'de>, E> {
                Ok(Message::None)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Message<'de>, A::Error> {
                let mut parts = Vec::with_capacity(seq.size_hint().unwrap_or(4).min(64));
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Message::Parts(parts))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message<'de>, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Ok(Message::Parts(vec![Segment::deserialize(map)?]))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// What `status` says: two different things in events and in answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Status<'a> {
    /// Nothing.
    #[default]
    None,
    /// The word of an answer.
    Word(Cow<'a, str>),
    /// How the implementation is doing; an unknown flag is `None`.
    Health {
        /// The account is logged in.
        online: Option<bool>,
        /// Everything works.
        good: Option<bool>,
    },
}

impl Status<'_> {
    /// Whether the account is logged in and all is well, where it says so: an unknown flag says
    /// nothing, a false one does.
    pub fn online(&self) -> Option<bool> {
        match self {
            Self::Health { online, good } => match (online, good) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), _) => Some(true),
                (None, _) => None,
            },
            Self::None | Self::Word(_) => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Status<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Status<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or an object")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Status<'de>, E> {
                Ok(Status::Word(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Status<'de>, E> {
                Ok(Status::Word(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Status<'de>, E> {
                Ok(Status::None)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Status<'de>, E> {
                Ok(Status::None)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Status<'de>, E> {
                Ok(Status::None)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Status<'de>, A::Error> {
                let (mut online, mut good) = (None, None);
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match key.as_ref() {
                        "online" => online = map.next_value()?,
                        "good" => good = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Status::Health { online, good })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_as_numbers_and_as_text() {
        for text in [
            r#"{"time":1,"self_id":2,"user_id":3,"group_id":0,"message_id":-4}"#,
            r#"{"time":"1","self_id":"2","user_id":"3","group_id":null,"message_id":"-4"}"#,
        ] {
            let frame = read(text).expect("readable");
            assert_eq!(frame.time, Number(Some(1)));
            assert_eq!(
                (frame.self_id, frame.user_id, frame.group_id),
                (Id(Some(2)), Id(Some(3)), Id(None))
            );
            assert_eq!(frame.message_id.as_str(), "-4");
        }
    }

    #[test]
    fn plain_text_is_borrowed() {
        let frame = read(r#"{"message":[{"type":"text","data":{"text":"早"}}]}"#).expect("fits");
        let Message::Parts(parts) = &frame.message else { panic!("no parts") };
        let text = &parts[0].data.as_ref().expect("data").text;
        assert!(matches!(text.0, Some(Cow::Borrowed("早"))));
    }

    #[test]
    fn what_has_another_shape_is_read_over() {
        let text = r#"{"user_id":{"a":[1]},"comment":["x"],"status":7,"raw":{"deep":[{}]},
            "message":{"type":"json","data":{"data":{"app":1},"text":null}},"sender":null}"#;
        let frame = read(text).expect("readable");
        assert_eq!(frame.user_id, Id(None));
        assert_eq!(frame.comment.get(), None);
        assert_eq!(frame.status, Status::None);
        assert!(matches!(&frame.message, Message::Parts(parts) if parts.len() == 1));
    }

    #[test]
    fn status_is_a_word_or_a_state() {
        let answer = read(r#"{"status":"ok","retcode":0,"data":{"message_id":1},"echo":"7"}"#);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, Status::Word("ok".into()));
        assert_eq!(answer.data.map(RawValue::get), Some(r#"{"message_id":1}"#));
        let beat = read(r#"{"status":{"online":null,"good":true,"stat":{}},"interval":5000}"#);
        let health = Status::Health { online: None, good: Some(true) };
        assert_eq!(beat.expect("a heartbeat").status, health);
    }
}
