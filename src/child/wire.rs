//! What supervisor and child say to each other: length-prefixed postcard on one socket.
//!
//! What rarely changes (scripts, settings, names of languages) is said once and named by number
//! afterwards, so that a frame carries little more than its event.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId, ScriptName};
use crate::moderation::Found;
use crate::script::protocol::{
    Answer, Bundle, EventView, Frame, HandlerId, HostCall, HostReply, Manifest, ScriptError,
    ScriptLimits, Source,
};
use crate::value::ValueMap;

/// Longest message; nothing that keeps the limits of scripts comes near.
pub(super) const MESSAGE_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the length before each message.
const PREFIX: usize = 4;

/// From the supervisor, as it is written.
#[derive(Serialize)]
pub(super) enum Down<'a> {
    /// The first message.
    Hello { limits: &'a ScriptLimits, threads: usize },
    /// Scripts that frames may name from now on.
    Bundle(&'a Bundle),
    /// No frame will name these again.
    Forget { bundles: &'a [u64], settings: &'a [u32] },
    /// Settings that runs may name from now on.
    Settings { number: u32, settings: &'a ValueMap },
    /// An event for its handlers.
    Frame(FrameOut<'a>),
    /// The answer to a host call of this thread.
    Reply { thread: usize, reply: &'a HostReply },
    /// Compile, register and lint aside.
    Check(&'a Source),
}

/// The same, as the child reads it. Variants and fields stand in the order of [`Down`].
#[derive(Debug, Deserialize)]
pub(super) enum DownIn {
    Hello { limits: ScriptLimits, threads: usize },
    Bundle(Bundle),
    Forget { bundles: Vec<u64>, settings: Vec<u32> },
    Settings { number: u32, settings: ValueMap },
    Frame(Box<FrameIn>),
    Reply { thread: usize, reply: HostReply },
    Check(Source),
}

/// A frame with what its runs name replaced by numbers.
#[derive(Serialize)]
pub(super) struct FrameOut<'a> {
    pub turn: EventId,
    pub community: CommunityId,
    pub is_ahead: bool,
    pub bundle: u64,
    pub now: TimeMs,
    pub utc_offset_s: i32,
    pub locale: &'a str,
    pub seed: u64,
    pub event: &'a EventView,
    pub words: &'a [Found],
    pub runs: Vec<RunOut<'a>>,
}

/// The same, as the child reads it.
#[derive(Debug, Deserialize)]
pub(super) struct FrameIn {
    pub turn: EventId,
    pub community: CommunityId,
    pub is_ahead: bool,
    pub bundle: u64,
    pub now: TimeMs,
    pub utc_offset_s: i32,
    pub locale: Arc<str>,
    pub seed: u64,
    pub event: EventView,
    pub words: Vec<Found>,
    pub runs: Vec<RunIn>,
}

/// One handler of a frame; its script is an index into the bundle's sources.
#[derive(Serialize)]
pub(super) struct RunOut<'a> {
    pub script: usize,
    pub handler: HandlerId,
    pub args: &'a ValueMap,
    pub settings: u32,
    pub shadow: bool,
    pub spared: Option<&'a ScriptError>,
}

/// The same, as the child reads it.
#[derive(Debug, Deserialize)]
pub(super) struct RunIn {
    pub script: usize,
    pub handler: HandlerId,
    pub args: ValueMap,
    pub settings: u32,
    pub shadow: bool,
    pub spared: Option<ScriptError>,
}

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Up {
    /// It is confined and waits for frames; what the system could not do for that.
    Ready { missing: Vec<String> },
    /// A frame is done.
    Answer(Answer),
    /// A handler waits for the host.
    Call { thread: usize, turn: EventId, call: HostCall },
    /// A handler failed: what its calls changed is undone.
    Rollback { turn: EventId, run: usize },
    /// A handler does not come back; the process ends itself.
    Stuck { turn: EventId, run: usize, after_ms: u64 },
    /// What a check found.
    Checked(Result<Manifest, Vec<ScriptError>>),
}

/// Appends one message with its length.
pub(super) fn write<T: Serialize>(out: &mut Vec<u8>, message: &T) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    let mut whole = std::mem::take(out);
    // Plain data into memory: the only way to fail is a type that postcard cannot carry, which
    // the tests of this file would show.
    whole = postcard::to_extend(message, whole).expect("plain data has a form on the wire");
    let length = u32::try_from(whole.len() - start - PREFIX).unwrap_or(u32::MAX);
    whole[start..start + PREFIX].copy_from_slice(&length.to_le_bytes());
    *out = whole;
}

/// Bytes as they came, split into messages.
#[derive(Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    read: usize,
}

impl Incoming {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 && self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// Bytes that are no message: the other side is not what it should be.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        let rest = &self.bytes[self.read..];
        let Some((length, rest)) = rest.split_first_chunk::<PREFIX>() else {
            self.compact();
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MESSAGE_MAX {
            return Err(format!("a message of {length} bytes is announced"));
        }
        let Some(body) = rest.get(..length) else {
            self.compact();
            return Ok(None);
        };
        let message = postcard::from_bytes(body).map_err(|error| error.to_string())?;
        self.read += PREFIX + length;
        Ok(Some(message))
    }

    fn compact(&mut self) {
        self.bytes.drain(..self.read);
        self.read = 0;
    }
}

/// A frame as it is written; `None` where its bundle lacks a script that it names.
pub(super) fn frame_out<'a>(
    frame: &'a Frame,
    scripts: &HashMap<ScriptName, usize>,
    settings: &[u32],
) -> Option<FrameOut<'a>> {
    let runs = frame.runs.iter().zip(settings).map(|(run, settings)| {
        Some(RunOut {
            script: *scripts.get(&run.script)?,
            handler: run.handler,
            args: &run.args,
            settings: *settings,
            shadow: run.shadow,
            spared: run.spared.as_deref(),
        })
    });
    Some(FrameOut {
        turn: frame.turn,
        community: frame.community,
        is_ahead: frame.is_ahead,
        bundle: frame.bundle,
        now: frame.now,
        utc_offset_s: frame.utc_offset_s,
        locale: &frame.locale,
        seed: frame.seed,
        event: &frame.event,
        words: &frame.words,
        runs: runs.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Element, Quote};
    use crate::id::{GroupId, PersonId, Ref};
    use crate::script::protocol::{GroupView, Run};
    use crate::value::{MemberView, Role, Value};

    fn member(id: i64) -> Arc<MemberView> {
        Arc::new(MemberView {
            id: PersonId(id),
            name: "a".into(),
            nickname: "阿明".into(),
            role: Role::Admin,
            trust: 3,
            points: -4,
            tags: vec!["老友".into()],
            joined_at: 5,
            messages: 6,
            warnings: 7,
            is_bot: false,
            score: 8,
            level: 9,
        })
    }

    /// A frame with something in every field, so that two that stand in another order show.
    fn frame() -> Frame {
        let args = ValueMap::from([("n".to_owned(), Value::Int(1))]);
        let settings = ValueMap::from([("mute".to_owned(), "10m".into())]);
        let spared = ScriptError {
            path: "rules/a.rhai".into(),
            line: 1,
            column: 2,
            message: "no".into(),
            limit: Some("script_kills".into()),
        };
        Frame {
            turn: EventId(11),
            community: CommunityId(18),
            is_ahead: true,
            bundle: 12,
            now: 13,
            utc_offset_s: 14,
            locale: "zh".into(),
            seed: 15,
            event: EventView {
                member: Some(member(1)),
                group: Some(GroupView { id: GroupId(2), name: "群".into(), members: 3 }),
                at: 16,
                message: Some("m".into()),
                elements: [
                    Element::Text("你好".into()),
                    Element::Mention { id: Ref::new("qq", "7"), name: "小红".into() },
                    Element::Break,
                ]
                .into(),
                quote: Some(Quote { message: "q".into(), text: "什么".into(), author: None }),
                mentions: vec![member(2)],
                value: "👍".into(),
                data: Value::List(vec![Value::Float(0.5), Value::Unit]),
            },
            words: vec![Found { list: "ads".into(), words: vec!["刷单".into()] }],
            runs: vec![Run {
                script: ScriptName::new("a"),
                handler: 17,
                args,
                settings: Arc::new(settings),
                shadow: true,
                spared: Some(Box::new(spared)),
            }],
        }
    }

    #[test]
    fn a_frame_arrives_as_it_was_sent_in_however_many_pieces() {
        let frame = frame();
        let index = HashMap::from([(ScriptName::new("a"), 0)]);
        let mut bytes = Vec::new();
        write(&mut bytes, &Down::Forget { bundles: &[3], settings: &[4, 5] });
        write(&mut bytes, &Down::Frame(frame_out(&frame, &index, &[9]).expect("a known script")));
        for piece in [1, 7, bytes.len()] {
            let mut incoming = Incoming::default();
            let mut heard = Vec::new();
            for chunk in bytes.chunks(piece) {
                incoming.push(chunk);
                while let Some(message) = incoming.next::<DownIn>().expect("well formed") {
                    heard.push(message);
                }
            }
            let [DownIn::Forget { bundles, settings }, DownIn::Frame(found)] = &heard[..] else {
                panic!("{heard:?}");
            };
            assert_eq!((&bundles[..], &settings[..]), (&[3][..], &[4, 5][..]));
            same(&frame, found);
        }
        assert!(frame_out(&frame, &HashMap::new(), &[9]).is_none());
    }

    fn same(sent: &Frame, found: &FrameIn) {
        let (run, sent_run) = (&found.runs[0], &sent.runs[0]);
        let of = |f: &FrameIn| (f.turn, f.bundle, f.now, f.utc_offset_s, f.seed);
        assert_eq!(of(found), (sent.turn, sent.bundle, sent.now, sent.utc_offset_s, sent.seed));
        assert_eq!((found.community, found.is_ahead), (sent.community, sent.is_ahead));
        assert_eq!((&found.event, &found.words), (&sent.event, &sent.words));
        assert_eq!(found.locale, sent.locale);
        assert_eq!((run.script, run.handler, run.settings), (0, sent_run.handler, 9));
        assert_eq!((&run.args, run.shadow), (&sent_run.args, sent_run.shadow));
        assert_eq!(run.spared.as_ref(), sent_run.spared.as_deref());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let mut incoming = Incoming::default();
        incoming.push(&u32::MAX.to_le_bytes());
        assert!(incoming.next::<DownIn>().is_err_and(|error| error.contains("announced")));
        let mut incoming = Incoming::default();
        incoming.push(&[1, 0, 0, 0, 200]);
        assert!(incoming.next::<DownIn>().is_err());
    }
}
