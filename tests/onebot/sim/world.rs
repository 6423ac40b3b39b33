//! Groups, members and messages of a simulated account.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

/// Everything that the account can see.
pub struct World {
    pub self_id: i64,
    pub groups: BTreeMap<i64, Group>,
    pub messages: Vec<Message>,
    /// Flags of open requests, with their type.
    pub requests: HashMap<String, String>,
    next: i64,
}

/// A group.
#[derive(Clone, Default)]
pub struct Group {
    pub name: String,
    pub members: BTreeMap<i64, Member>,
    pub silenced: bool,
}

/// A member of a group.
#[derive(Clone, Default)]
pub struct Member {
    pub nickname: String,
    pub card: String,
    pub role: String,
    /// Unix seconds.
    pub muted_until: i64,
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: i64,
    /// `None` for a direct message.
    pub group: Option<i64>,
    pub user: i64,
    /// The other side of a direct message.
    pub peer: i64,
    /// Unix seconds.
    pub time: i64,
    /// Segments.
    pub segments: Vec<Value>,
    pub deleted: bool,
}

impl World {
    pub fn new(self_id: i64) -> Self {
        let (groups, messages) = (BTreeMap::new(), Vec::new());
        Self { self_id, groups, messages, requests: HashMap::new(), next: 0 }
    }

    pub fn add_group(&mut self, group: i64, name: &str) {
        self.groups.insert(group, Group { name: name.to_owned(), ..Group::default() });
    }

    pub fn join(&mut self, group: i64, user: i64, nickname: &str, role: &str) {
        let member =
            Member { nickname: nickname.to_owned(), role: role.to_owned(), ..Member::default() };
        self.groups.entry(group).or_default().members.insert(user, member);
    }

    pub fn member(&self, group: i64, user: i64) -> Option<&Member> {
        self.groups.get(&group)?.members.get(&user)
    }

    /// A 31-bit hash, as implementations have it: neither small nor in order.
    pub fn next_id(&mut self) -> i64 {
        self.next += 1;
        i64::from((self.next.wrapping_mul(2_654_435_761) & 0xffff_ffff) as u32 as i32)
    }

    pub fn post(
        &mut self,
        group: Option<i64>,
        user: i64,
        peer: i64,
        time: i64,
        segments: Vec<Value>,
    ) -> Message {
        let id = self.next_id();
        let message = Message { id, group, user, peer, time, segments, deleted: false };
        self.messages.push(message.clone());
        message
    }

    pub fn message(&self, id: i64) -> Option<&Message> {
        // From the latest, because it is they that are asked for.
        self.messages.iter().rev().find(|message| message.id == id && !message.deleted)
    }

    /// What the account itself said in a group, in order.
    pub fn said(&self, group: i64) -> Vec<String> {
        let own = |message: &&Message| message.group == Some(group) && message.user == self.self_id;
        self.messages.iter().filter(own).map(Message::text).collect()
    }

    /// What it said to somebody alone.
    pub fn whispered(&self, user: i64) -> Vec<String> {
        let own = |message: &&Message| {
            message.group.is_none() && message.user == self.self_id && message.peer == user
        };
        self.messages.iter().filter(own).map(Message::text).collect()
    }

    /// A message as an event of the standard, `post_type` and all.
    pub fn event(&self, message: &Message, cq_strings: bool) -> Value {
        let is_own = message.user == self.self_id;
        let raw = super::cq::write(&message.segments);
        let content = if cq_strings { json!(raw) } else { json!(message.segments) };
        let member = message.group.and_then(|group| self.member(group, message.user));
        let nickname = member.map_or("路人", |member| member.nickname.as_str());
        let mut event = json!({
            "time": message.time, "self_id": self.self_id,
            "post_type": if is_own { "message_sent" } else { "message" },
            "message_id": message.id, "user_id": message.user, "message": content,
            "raw_message": raw, "font": 0,
            "sender": { "user_id": message.user, "nickname": nickname, "sex": "unknown", "age": 0 },
        });
        match message.group {
            Some(group) => {
                event["message_type"] = json!("group");
                event["sub_type"] = json!("normal");
                event["group_id"] = json!(group);
                event["anonymous"] = Value::Null;
                event["sender"]["card"] = json!(member.map_or("", |member| &member.card));
                event["sender"]["role"] = json!(member.map_or("member", |member| &member.role));
            }
            None => {
                event["message_type"] = json!("private");
                event["sub_type"] = json!("friend");
                event["target_id"] = json!(if is_own { message.peer } else { self.self_id });
            }
        }
        event
    }
}

impl Message {
    /// Its words, with mentions as `@number`.
    pub fn text(&self) -> String {
        let show = |segment: &Value| {
            let data = |key: &str| segment["data"][key].as_str().unwrap_or_default().to_owned();
            match segment["type"].as_str() {
                Some("text") => data("text"),
                Some("at") => format!("@{}", data("qq")),
                Some("reply") => String::new(),
                Some(other) => format!("[{other}]"),
                None => String::new(),
            }
        };
        self.segments.iter().map(show).collect()
    }

    /// Whom it mentions, `all` too.
    pub fn mentions(&self) -> Vec<String> {
        let at = self.segments.iter().filter(|segment| segment["type"] == "at");
        at.filter_map(|segment| segment["data"]["qq"].as_str()).map(str::to_owned).collect()
    }

    /// The message that it answers.
    pub fn reply(&self) -> Option<i64> {
        let reply = self.segments.iter().find(|segment| segment["type"] == "reply")?;
        reply["data"]["id"].as_str()?.parse().ok()
    }
}
