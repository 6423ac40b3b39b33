//! One request of the core: written, checked, made, and its outcome judged.

use serde_json::{Value, json};
use serenity::http::LightMethod;
use serenity::model::id::{ChannelId, UserId};

use super::Discord;
use super::encode::{self, Body};
use super::permission::Act;
use super::rest::Reply;
use super::route::{Op, Path};
use crate::adapter::{Barred, Degradation, Outcome, Request};
use crate::clock::TimeMs;
use crate::effect::{Call, Destination};
use crate::id::Ref;

impl Discord {
    /// Makes a call.
    pub(super) async fn make(&self, request: &Request, now: TimeMs) -> Outcome {
        match self.try_to(request, now).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn try_to(&self, request: &Request, now: TimeMs) -> Result<Outcome, Outcome> {
        match &request.call {
            Call::Send { content, reply_to, only_for, .. } => {
                let body = encode::body(content).map_err(permanent)?;
                let aside = only_for.is_some();
                self.speak(request, body, reply_to.as_deref(), aside, now).await
            }
            Call::Card { content, message: None, .. } => {
                let body = encode::body(content).map_err(permanent)?;
                self.speak(request, body, None, false, now).await
            }
            Call::Card { content, message: Some(id), .. } => {
                let body = encode::body(content).map_err(permanent)?;
                let channel = self.channel(&request.to).await?;
                let op = encode::edit(channel, id, body.json).map_err(permanent)?;
                Ok(outcome(self.shared.rest.call(&op).await, body.degraded))
            }
            call => self.act(request, call, now).await,
        }
    }

    /// Says something new: as the answer to an interaction where there is one, else in the channel.
    async fn speak(
        &self,
        request: &Request,
        body: Body,
        reply_to: Option<&str>,
        aside: bool,
        now: TimeMs,
    ) -> Result<Outcome, Outcome> {
        let Body { json, mut degraded } = body;
        let personal = request.answers.as_ref().is_some_and(|answers| answers.is_personal);
        let asked = request.answers.as_ref();
        let question = asked.and_then(|answers| self.shared.questions().get(&answers.event, now));
        if let Some(question) = question {
            let answered = question.answer(&self.shared.rest, json.clone(), aside || personal);
            match answered.await {
                // The token holds no more: the channel is still there.
                None | Some(Reply::Refused { status: 401 | 404, .. }) => {}
                Some(reply) => return Ok(outcome(reply, degraded)),
            }
        }
        if aside && personal {
            // Nobody else needs to read it.
            degraded.push(Degradation { element: "message", shown_as: "nothing" });
            return Ok(Outcome::Done { id: None, degraded });
        }
        let channel = self.channel(&request.to).await?;
        self.allowed(channel, Act::Send, now)?;
        let op = encode::create(request, channel, json, reply_to);
        let reply = self.shared.rest.call(&op).await;
        if matches!(&reply, Reply::Refused { status: 403, .. }) {
            self.shared.memory().close(channel, now);
        }
        Ok(message_outcome(reply, degraded))
    }

    fn allowed(&self, channel: ChannelId, act: Act, now: TimeMs) -> Result<(), Outcome> {
        if act == Act::Send && self.shared.memory().is_closed(channel, now) {
            let reason = "Discord refused the bot there a moment ago; it is left alone".to_owned();
            return Err(Outcome::Closed { why: Barred::Forbidden, reason });
        }
        self.shared.table().may(channel, act).map_err(|reason| match act {
            Act::Send => Outcome::Closed { why: Barred::Forbidden, reason },
            Act::Delete
            | Act::React
            | Act::Pin
            | Act::Mute(_)
            | Act::Kick(_)
            | Act::Ban(_)
            | Act::Rename(_) => permanent(reason),
        })
    }

    async fn act(&self, request: &Request, call: &Call, now: TimeMs) -> Result<Outcome, Outcome> {
        let channel = self.channel(&request.to).await?;
        let (own, guild) = {
            let table = self.shared.table();
            (table.own, table.channels.get(&channel).map(|place| place.guild))
        };
        if guild.is_none() && matches!(request.to, Destination::Group(_)) && is_on_member(call) {
            // Servers are told one by one after the bot is connected.
            let reason = "the server of that channel is not known yet".to_owned();
            return Err(Outcome::NotSent { reason, retry_after: None });
        }
        let (act, op) = encode::act(call, channel, guild, own, now).map_err(permanent)?;
        let is_own_message = matches!(call, Call::Delete { message }
            if !self.shared.memory().is_foreign(message));
        // What we said ourselves needs no permission; who said an old message is not known.
        if !is_own_message {
            self.allowed(channel, act, now)?;
        }
        let reply = self.shared.rest.call(&op).await;
        let is_gone = matches!(reply, Reply::Refused { status: 404, .. });
        if is_gone && matches!(call, Call::Delete { .. } | Call::Kick { .. }) {
            return Ok(Outcome::Done { id: None, degraded: Vec::new() });
        }
        Ok(match outcome(reply, Vec::new()) {
            Outcome::Done { degraded, .. } => Outcome::Done { id: None, degraded },
            other => other,
        })
    }

    /// The channel of a destination; one of direct messages is opened first.
    pub(super) async fn channel(&self, to: &Destination) -> Result<ChannelId, Outcome> {
        match to {
            Destination::Group(group) => encode::number(group)
                .map(ChannelId::new)
                .ok_or_else(|| permanent(format!("`{group}` is no channel of Discord"))),
            Destination::Direct(person) => self.direct(person).await,
        }
    }

    async fn direct(&self, person: &Ref) -> Result<ChannelId, Outcome> {
        let user: UserId = encode::user(person).map_err(permanent)?;
        if let Some(channel) = self.shared.memory().direct.get(&user) {
            return Ok(*channel);
        }
        let body = json!({ "recipient_id": user.to_string() });
        let op = Op::new(LightMethod::Post, Path::DirectChannels, Some(body));
        match self.shared.rest.call(&op).await {
            Reply::Done(channel) => {
                let id = channel["id"].as_str().and_then(|id| id.parse().ok());
                let id = id.filter(|id| *id != 0).map(ChannelId::new);
                let id = id.ok_or_else(|| permanent("Discord gave no channel".to_owned()))?;
                self.shared.memory().put_direct(user, id);
                Ok(id)
            }
            // To open it twice gives the same channel, and nothing was said yet.
            Reply::Unknown(reason) => Err(Outcome::NotSent { reason, retry_after: None }),
            reply => Err(message_outcome(reply, Vec::new())),
        }
    }
}

fn is_on_member(call: &Call) -> bool {
    matches!(
        call,
        Call::Mute { .. }
            | Call::Unmute { .. }
            | Call::Kick { .. }
            | Call::Ban { .. }
            | Call::Rename { .. }
    )
}

fn permanent(reason: String) -> Outcome {
    Outcome::Permanent { reason }
}

/// What a reply means.
fn outcome(reply: Reply, degraded: Vec<Degradation>) -> Outcome {
    match reply {
        Reply::Done(body) => {
            let id = body.get("id").and_then(Value::as_str).map(str::to_owned);
            Outcome::Done { id, degraded }
        }
        Reply::Refused { status, code, message } => {
            let reason = format!("Discord refused it ({status}, {code}): {message}");
            match status {
                401 => Outcome::Closed { why: Barred::Token, reason },
                _ => permanent(reason),
            }
        }
        Reply::Wait { reason, after: None } => Outcome::Offline { reason },
        Reply::Wait { reason, after } => Outcome::NotSent { reason, retry_after: after },
        Reply::Unknown(reason) => Outcome::Unknown { reason },
        Reply::Unrepeatable(reason) => Outcome::Unrepeatable { reason },
    }
}

/// What a reply to a new message means: where the channel itself refuses, no other arrives there
/// (<https://discord.com/developers/docs/topics/opcodes-and-status-codes#json>: 10003 unknown
/// channel, 50001 missing access).
fn message_outcome(reply: Reply, degraded: Vec<Degradation>) -> Outcome {
    let why = match &reply {
        Reply::Refused { status: 404, code: 10003, .. }
        | Reply::Refused { status: 403, code: 50001, .. } => Some(Barred::Removed),
        Reply::Refused { status: 403, .. } => Some(Barred::Forbidden),
        _ => None,
    };
    match (outcome(reply, degraded), why) {
        (Outcome::Permanent { reason }, Some(why)) => Outcome::Closed { why, reason },
        (outcome, _) => outcome,
    }
}
