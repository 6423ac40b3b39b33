//! What a call came to → what it means for the core.
//!
//! Only what certainly did not happen may be tried again blindly: no byte left, or the
//! implementation said that it did nothing and may do it later. What was written and not answered
//! is unknown, and stays unknown until somebody looks.

use std::time::Duration;

use serde::Deserialize;

use super::decode::Answer;
use super::wire::Scalar;
use crate::adapter::{Barred, Degradation, Outcome};
use crate::effect::{Call, Destination};

/// What became of one call.
#[derive(Debug)]
pub enum Reply {
    /// The implementation answered.
    Answer(Answer),
    /// An HTTP interface refused: status, and the seconds after which to come again.
    Http(u16, Option<u64>),
    /// No byte of it left: why.
    NotWritten(String),
    /// It was written, and nobody knows what became of it: why.
    Lost(String),
}

/// Words by which an implementation says that it waited in vain: it may have been done all the
/// same. NapCat ends every failure with 1200 and the exception's text, go-cqhttp answers
/// `SEND_MSG_API_ERROR` when QQ did not confirm in time
/// (`OneBotAction` in <https://github.com/NapNeko/NapCatQQ>,
/// `CQSendGroupMessage` in <https://github.com/Mrs4s/go-cqhttp/blob/master/coolq/api.go>).
const IN_VAIN: &[&str] = &["timeout", "timed out", "超时", "send_msg_api_error"];

/// Words by which it says that nothing was done and that later it may be.
const LATER: &[&str] =
    &["离线", "offline", "not login", "未登录", "频率", "too fast", "rate limit"];

/// Turns a reply into an outcome.
pub fn outcome(reply: Reply, degraded: Vec<Degradation>) -> Outcome {
    match reply {
        Reply::Answer(answer) => answered(&answer, degraded),
        Reply::Http(status, retry_after_s) => http(status, retry_after_s),
        Reply::NotWritten(reason) => Outcome::Offline { reason },
        Reply::Lost(reason) => Outcome::Unknown { reason },
    }
}

/// The table of return codes:
/// <https://github.com/botuniverse/onebot-11/blob/master/communication/ws.md>.
fn answered(answer: &Answer, degraded: Vec<Degradation>) -> Outcome {
    let said = if answer.wording.is_empty() { "no reason given" } else { &answer.wording };
    let reason = format!("the implementation answered {}: {said}", answer.retcode);
    let is_well = match answer.status.as_str() {
        // What is done later is accepted; nobody will ever tell more.
        "ok" | "async" => true,
        "failed" => false,
        _ => matches!(answer.retcode, 0 | 1),
    };
    match answer.retcode {
        _ if is_well => Outcome::Done { id: message_id(answer), degraded },
        1400 | 1404 => Outcome::Permanent { reason },
        1401 | 1403 => token(&reason),
        _ => {
            let words = said.to_lowercase();
            let says = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
            if says(IN_VAIN) {
                Outcome::Unknown { reason }
            } else if says(LATER) {
                Outcome::NotSent { reason, retry_after: None }
            } else {
                // Muted, no right to, no such member: trying again would change nothing.
                Outcome::Permanent { reason }
            }
        }
    }
}

/// The next step when a token does not fit.
pub const TOKEN: &str = "write the token of the implementation as `token` of `[adapters.onebot]`";

/// What the status says where there is no answer in JSON
/// (<https://github.com/botuniverse/onebot-11/blob/master/communication/http.md>).
fn http(status: u16, retry_after_s: Option<u64>) -> Outcome {
    let reason = format!("the HTTP interface answered {status}");
    match status {
        401 | 403 => token(&reason),
        429 => Outcome::NotSent { reason, retry_after: retry_after_s.map(Duration::from_secs) },
        // Somebody between us and the implementation may have lost only the answer.
        408 | 500.. => Outcome::Unknown { reason },
        _ => Outcome::Permanent { reason },
    }
}

fn token(reason: &str) -> Outcome {
    Outcome::Closed { why: Barred::Token, reason: format!("{reason}; {TOKEN}") }
}

/// Words by which it says that nothing that is said there arrives. The numbers are QQ's own, which
/// NapCat and Lagrange hand on: 120 the account is muted, 110 it is no member.
const MUTED: &[&str] = &["禁言", "muted", "\"result\":120", "\"result\": 120"];
const REMOVED: &[&str] = &[
    "移出",
    "不在群",
    "不在该群",
    "群聊不存在",
    "群不存在",
    "not in group",
    "group_not_found",
    "\"result\":110",
    "\"result\": 110",
];
const NO_FRIEND: &[&str] = &["非好友", "不是好友", "好友关系", "拒收"];

/// What a refusal of a message means for all others that would go to the same place.
pub fn barred(outcome: Outcome, call: &Call, to: &Destination) -> Outcome {
    let Outcome::Permanent { reason } = outcome else { return outcome };
    let words = reason.to_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    let why = match (call, to) {
        (Call::Send { .. } | Call::Card { .. }, Destination::Group(_)) if says(MUTED) => {
            Some(Barred::Muted)
        }
        (Call::Send { .. } | Call::Card { .. }, Destination::Group(_)) if says(REMOVED) => {
            Some(Barred::Removed)
        }
        (Call::Send { .. } | Call::Card { .. }, Destination::Direct(_)) if says(NO_FRIEND) => {
            Some(Barred::Forbidden)
        }
        _ => None,
    };
    match why {
        Some(why) => Outcome::Closed { why, reason },
        None => Outcome::Permanent { reason },
    }
}

/// The id of the message that a call made.
fn message_id(answer: &Answer) -> Option<String> {
    #[derive(Default, Deserialize)]
    struct Made<'a> {
        #[serde(borrow, default)]
        message_id: Scalar<'a>,
    }
    let data = answer.data.as_deref()?.get();
    let made: Made<'_> = serde_json::from_str(data).ok()?;
    made.message_id.get().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &str, retcode: i64, wording: &str) -> Outcome {
        let (status, wording) = (status.to_owned(), wording.to_owned());
        outcome(Reply::Answer(Answer { status, retcode, wording, ..Answer::default() }), Vec::new())
    }

    #[test]
    fn is_honest_about_what_nobody_knows() {
        let word = |outcome: Outcome| match outcome {
            Outcome::Done { .. } => "done",
            Outcome::NotSent { .. } => "not sent",
            Outcome::Offline { .. } => "offline",
            Outcome::Unknown { .. } => "unknown",
            Outcome::Permanent { .. } => "permanent",
            Outcome::Unrepeatable { .. } => "unrepeatable",
            Outcome::Closed { .. } => "closed",
        };
        let check = |status, retcode, wording, expected| {
            assert_eq!(word(told(status, retcode, wording)), expected, "{retcode} {wording}");
        };
        check("ok", 0, "", "done");
        check("async", 1, "", "done");
        check("failed", 1400, "bad", "permanent");
        check("failed", 1404, "", "permanent");
        check("failed", 1403, "", "closed");
        check("failed", 100, "群聊不存在", "permanent");
        check("failed", 1200, "Timeout: NTEvent", "unknown");
        check("failed", 100, "SEND_MSG_API_ERROR", "unknown");
        check("failed", 1200, "账号离线", "not sent");
        check("failed", 1200, "发送频率过快", "not sent");
        check("failed", -1, "", "permanent");
        for (status, expected) in [
            (401, "closed"),
            (403, "closed"),
            (408, "unknown"),
            (404, "permanent"),
            (429, "not sent"),
            (502, "unknown"),
            (500, "unknown"),
        ] {
            assert_eq!(word(outcome(Reply::Http(status, None), Vec::new())), expected, "{status}");
        }
        let later = outcome(Reply::Http(429, Some(7)), Vec::new());
        assert!(
            matches!(later, Outcome::NotSent { retry_after: Some(after), .. } if after.as_secs() == 7)
        );
        assert!(
            matches!(told("failed", 1403, "no"), Outcome::Closed { why: Barred::Token, reason } if reason.contains("`token`"))
        );
    }

    #[test]
    fn a_place_that_refuses_is_told_from_a_message_that_is_wrong() {
        let content = vec![crate::event::Element::Text("早".to_owned())];
        let send = Call::Send { content, reply_to: None, only_for: None, slot: None };
        let kick = Call::Kick { member: crate::id::Ref::new("onebot", 1) };
        let group = Destination::Group(crate::id::Ref::new("onebot", 777));
        let friend = Destination::Direct(crate::id::Ref::new("onebot", 1));
        let check = |call, to, wording, expected: Option<Barred>| {
            let why = match barred(told("failed", 1200, wording), call, to) {
                Outcome::Closed { why, .. } => Some(why),
                Outcome::Permanent { .. } => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(why, expected, "{wording}");
        };
        check(&send, &group, "你已被禁言", Some(Barred::Muted));
        check(&send, &group, "EventRet: {\"result\":120,\"errMsg\":\"\"}", Some(Barred::Muted));
        check(&send, &group, "发送失败，你已被移出该群，请重新加群。", Some(Barred::Removed));
        check(&send, &group, "消息体无法解析", None);
        check(&send, &friend, "对方不是好友", Some(Barred::Forbidden));
        check(&kick, &group, "该成员不在群", None);
    }

    #[test]
    fn the_id_may_be_a_number_or_a_text() {
        for data in [r#"{"message_id":-5}"#, r#"{"message_id":"-5"}"#] {
            let data = serde_json::value::RawValue::from_string(data.to_owned()).ok();
            let answer = Answer { status: "ok".into(), data, ..Answer::default() };
            assert_eq!(message_id(&answer).as_deref(), Some("-5"));
        }
        assert_eq!(message_id(&Answer::default()), None);
    }
}
