//! What members do, in the words of a test.

use serde_json::{Value, json};

use super::{Message, Sim};

/// A text as segments.
pub fn text(text: &str) -> Vec<Value> {
    vec![json!({ "type": "text", "data": { "text": text } })]
}

impl Sim {
    /// A member says something in a group; the message as it was reported.
    pub fn say(&self, group: i64, user: i64, words: &str) -> Message {
        self.send(group, user, text(words))
    }

    /// A member sends segments.
    pub fn send(&self, group: i64, user: i64, segments: Vec<Value>) -> Message {
        let now = self.now();
        let mut world = self.world();
        let message = world.post(Some(group), user, 0, now, segments);
        let event = world.event(&message, self.inner.options.cq_strings);
        // Under one lock: it is in no history before it is told.
        self.raw(&event);
        drop(world);
        message
    }

    /// A member says something that is not reported, as while the connection is down.
    pub fn keep(&self, group: i64, user: i64, segments: Vec<Value>) -> Message {
        let now = self.now();
        self.world().post(Some(group), user, 0, now, segments)
    }

    /// Somebody writes to the account alone.
    pub fn whisper(&self, user: i64, words: &str) -> Message {
        let now = self.now();
        let message = self.world().post(None, user, user, now, text(words));
        self.report(&message);
        message
    }

    /// Reports a message, for the first time or again.
    pub fn report(&self, message: &Message) {
        let event = self.event(message);
        self.raw(&event);
    }

    /// A message as it is reported.
    pub fn event(&self, message: &Message) -> Value {
        self.world().event(message, self.inner.options.cq_strings)
    }

    /// Somebody joins a group.
    pub fn join(&self, group: i64, user: i64, nickname: &str) {
        self.world().join(group, user, nickname, "member");
        self.raw(&self.notice(
            "group_increase",
            group,
            user,
            json!({
                "sub_type": "approve", "operator_id": 20001,
            }),
        ));
    }

    /// Somebody leaves a group.
    pub fn leave(&self, group: i64, user: i64) {
        let mut world = self.world();
        if let Some(group) = world.groups.get_mut(&group) {
            group.members.remove(&user);
        }
        drop(world);
        self.raw(&self.notice(
            "group_decrease",
            group,
            user,
            json!({
                "sub_type": "leave", "operator_id": user,
            }),
        ));
    }

    /// Somebody asks to be let into a group.
    pub fn ask_to_join(&self, group: i64, user: i64, comment: &str, flag: &str) {
        self.world().requests.insert(flag.to_owned(), "add".to_owned());
        self.raw(&json!({
            "time": self.now(), "self_id": self.self_id(), "post_type": "request",
            "request_type": "group", "sub_type": "add", "group_id": group, "user_id": user,
            "comment": comment, "flag": flag,
        }));
    }

    /// Any notice of a group.
    pub fn notice(&self, kind: &str, group: i64, user: i64, more: Value) -> Value {
        let mut notice = json!({
            "time": self.now(), "self_id": self.self_id(), "post_type": "notice",
            "notice_type": kind, "group_id": group, "user_id": user,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            notice[key] = value.clone();
        }
        notice
    }
}
