//! Interactions that wait for an answer: a slash command or a button. Discord wants a first sign
//! within three seconds, so it gets one at once; the answer itself follows by a token that holds
//! for fifteen minutes (<https://discord.com/developers/docs/interactions/receiving-and-responding>).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use serenity::http::LightMethod;
use serenity::model::id::{ApplicationId, InteractionId};
use tokio::sync::watch;

use super::rest::{Reply, Rest};
use super::route::{Op, Path};
use crate::clock::TimeMs;

/// How long a token holds, with a little room.
const HOLDS_MS: i64 = 14 * 60_000;
/// Questions that are remembered; older ones are answered in the channel.
const QUESTIONS_MAX: usize = 4_096;
/// Seen by the member alone.
const EPHEMERAL: u32 = 1 << 6;

/// How it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By a slash command; the sign that the bot thinks is for the member alone, or for all.
    Command {
        /// For the member alone.
        aside: bool,
    },
    /// By a button.
    Button,
}

/// One interaction.
#[derive(Debug)]
pub struct Question {
    id: InteractionId,
    application: ApplicationId,
    token: String,
    asked: Asked,
    at: TimeMs,
    /// Whether Discord took the first sign; nothing yet at the beginning.
    acknowledged: watch::Sender<Option<bool>>,
    stage: Mutex<Stage>,
}

#[derive(Debug, Default)]
struct Stage {
    /// The sign that the bot thinks was made into an answer or taken away.
    is_used: bool,
}

impl Question {
    /// An interaction as it comes.
    pub fn new(
        (id, application): (InteractionId, ApplicationId),
        token: &str,
        asked: Asked,
        at: TimeMs,
    ) -> Self {
        let (acknowledged, _) = watch::channel(None);
        let (token, stage) = (token.to_owned(), Mutex::default());
        Self { id, application, token, asked, at, acknowledged, stage }
    }

    fn stage(&self) -> std::sync::MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the first sign.
    pub async fn acknowledge(&self, rest: &Rest) {
        let body = match self.asked {
            Asked::Command { aside: true } => json!({ "type": 5, "data": { "flags": EPHEMERAL } }),
            Asked::Command { aside: false } => json!({ "type": 5 }),
            Asked::Button => json!({ "type": 6 }),
        };
        let path = Path::Respond(self.id, self.token.clone());
        let reply = rest.call(&Op::new(LightMethod::Post, path, Some(body))).await;
        let is_taken = matches!(reply, Reply::Done(_));
        if !is_taken {
            tracing::warn!(?reply, "Discord: an interaction could not be acknowledged");
        }
        self.acknowledged.send_replace(Some(is_taken));
    }

    /// Answers; `None` where that is better done in the channel.
    pub async fn answer(&self, rest: &Rest, mut body: Value, aside: bool) -> Option<Reply> {
        let mut acknowledged = self.acknowledged.subscribe();
        let is_taken = acknowledged.wait_for(Option::is_some).await.ok().and_then(|it| *it);
        if is_taken != Some(true) || (self.asked == Asked::Button && !aside) {
            return None;
        }
        let fits = self.asked == Asked::Command { aside };
        let is_first =
            self.asked != Asked::Button && !std::mem::replace(&mut self.stage().is_used, true);
        if is_first && fits {
            let path = Path::Original(self.application, self.token.clone());
            let reply = rest.call(&Op::new(LightMethod::Patch, path, Some(body))).await;
            if matches!(reply, Reply::Wait { .. } | Reply::Unknown(_)) {
                // An edit may be made twice.
                self.stage().is_used = false;
            }
            return Some(reply);
        }
        if is_first {
            // Whether all see an answer is decided with the first sign; it is taken back.
            self.remove(rest).await;
        }
        if aside {
            body["flags"] = EPHEMERAL.into();
        }
        let path = Path::FollowUps(self.application, self.token.clone());
        Some(match rest.call(&Op::new(LightMethod::Post, path, Some(body))).await {
            // A further answer has no name by which a repeat would be recognised.
            Reply::Unknown(reason) => Reply::Unrepeatable(reason),
            reply => reply,
        })
    }

    /// Nothing will be answered: the sign that the bot thinks goes.
    pub async fn give_up(&self, rest: &Rest) {
        let is_command = self.asked != Asked::Button;
        let acknowledged = *self.acknowledged.borrow() == Some(true);
        if is_command && acknowledged && !std::mem::replace(&mut self.stage().is_used, true) {
            self.remove(rest).await;
        }
    }

    async fn remove(&self, rest: &Rest) {
        let path = Path::Original(self.application, self.token.clone());
        let reply = rest.call(&Op::new(LightMethod::Delete, path, None)).await;
        if !matches!(reply, Reply::Done(_)) {
            tracing::debug!(?reply, "Discord: the sign of thinking stays");
        }
    }
}

/// Questions by the key of their event.
#[derive(Debug, Default)]
pub struct Questions {
    by_key: HashMap<Arc<str>, Arc<Question>>,
    order: VecDeque<Arc<str>>,
}

impl Questions {
    /// Remembers one.
    pub fn put(&mut self, key: Arc<str>, question: Arc<Question>) {
        if self.by_key.insert(key.clone(), question).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > QUESTIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }

    /// The one of an event, while it can be answered.
    pub fn get(&self, key: &str, now: TimeMs) -> Option<Arc<Question>> {
        self.by_key.get(key).filter(|question| now - question.at < HOLDS_MS).cloned()
    }
}
