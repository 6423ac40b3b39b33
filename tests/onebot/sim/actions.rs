//! What can be asked of the simulated implementation
//! (<https://github.com/botuniverse/onebot-11/blob/master/api/public.md>): parameters are checked
//! one by one, an unknown action is 1404, anything wrong with its parameters 1400.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::{Called, Inner, cq};

/// What a parameter must be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Text,
    Flag,
    Message,
    /// In the standard, and not looked at.
    Any,
}

/// Name, kind, whether it must be there.
type Param = (&'static str, Kind, bool);

use Kind::{Any, Flag, Message, Number, Text};

const GROUP: Param = ("group_id", Number, true);
const USER: Param = ("user_id", Number, true);

/// The actions of the standard that are played, with all their parameters.
const ACTIONS: &[(&str, &[Param])] = &[
    ("send_private_msg", &[USER, ("message", Message, true), ("auto_escape", Flag, false)]),
    ("send_group_msg", &[GROUP, ("message", Message, true), ("auto_escape", Flag, false)]),
    (
        "send_msg",
        &[
            ("message_type", Text, false),
            ("user_id", Number, false),
            ("group_id", Number, false),
            ("message", Message, true),
            ("auto_escape", Flag, false),
        ],
    ),
    ("delete_msg", &[("message_id", Number, true)]),
    ("get_msg", &[("message_id", Number, true)]),
    ("set_group_kick", &[GROUP, USER, ("reject_add_request", Flag, false)]),
    ("set_group_ban", &[GROUP, USER, ("duration", Number, false)]),
    ("set_group_whole_ban", &[GROUP, ("enable", Flag, false)]),
    ("set_group_admin", &[GROUP, USER, ("enable", Flag, false)]),
    ("set_group_card", &[GROUP, USER, ("card", Text, false)]),
    (
        "set_friend_add_request",
        &[("flag", Text, true), ("approve", Flag, false), ("remark", Text, false)],
    ),
    (
        "set_group_add_request",
        &[
            ("flag", Text, true),
            ("sub_type", Text, false),
            ("type", Text, false),
            ("approve", Flag, false),
            ("reason", Text, false),
        ],
    ),
    ("get_login_info", &[]),
    ("get_stranger_info", &[USER, ("no_cache", Flag, false)]),
    ("get_friend_list", &[]),
    ("get_group_info", &[GROUP, ("no_cache", Flag, false)]),
    ("get_group_list", &[]),
    ("get_group_member_info", &[GROUP, USER, ("no_cache", Flag, false)]),
    ("get_group_member_list", &[GROUP]),
    ("get_status", &[]),
    ("get_version_info", &[]),
    ("can_send_image", &[]),
    ("can_send_record", &[]),
];

/// Beyond the standard, as go-cqhttp has it.
const HISTORY: &[(&str, &[Param])] = &[
    ("get_group_msg_history", &[GROUP, ("message_seq", Any, false), ("count", Number, false)]),
    ("get_friend_msg_history", &[USER, ("message_seq", Any, false), ("count", Number, false)]),
];

/// Segments that can be sent, with the fields that they must and may have
/// (<https://github.com/botuniverse/onebot-11/blob/master/message/segment.md>).
const SEGMENTS: &[(&str, &[&str], &[&str])] = &[
    ("text", &["text"], &[]),
    ("face", &["id"], &[]),
    ("image", &["file"], &["type", "cache", "proxy", "timeout"]),
    ("record", &["file"], &["magic", "cache", "proxy", "timeout"]),
    ("video", &["file"], &["cache", "proxy", "timeout"]),
    ("at", &["qq"], &[]),
    ("share", &["url", "title"], &["content", "image"]),
    ("reply", &["id"], &[]),
];

/// An answer that is no success.
struct Failed(i64, String);

fn failed<T>(retcode: i64, wording: impl Into<String>) -> Result<T, Failed> {
    Err(Failed(retcode, wording.into()))
}

impl Inner {
    /// Does what is asked and answers; every call is noted with what came of it.
    pub fn perform(&self, action: &str, params: &Value, echo: &Value) -> Value {
        let prepared = {
            let mut refusals = self.refusals.lock().unwrap();
            refusals.get_mut(action).and_then(|answers| answers.pop_front())
        };
        let mut answer = match prepared {
            Some(answer) => answer,
            None => match self.attempt(action, params) {
                Ok(data) => {
                    json!({ "status": "ok", "retcode": 0, "data": self.written(data) })
                }
                Err(Failed(retcode, wording)) => json!({
                    "status": "failed", "retcode": retcode, "data": null,
                    "msg": "ERROR", "wording": wording,
                }),
            },
        };
        if !echo.is_null() {
            answer["echo"] = echo.clone();
        }
        self.called.lock().unwrap().push(Called {
            action: action.to_owned(),
            params: params.clone(),
            echo: echo.clone(),
            retcode: answer["retcode"].as_i64().unwrap_or(-1),
            wording: answer["wording"].as_str().unwrap_or_default().to_owned(),
        });
        self.changed.notify_waiters();
        answer
    }

    fn attempt(&self, action: &str, params: &Value) -> Result<Value, Failed> {
        let more: &[(&str, &[Param])] = if self.options.history { HISTORY } else { &[] };
        let spec = ACTIONS.iter().chain(more).find(|(name, _)| *name == action);
        let Some((_, spec)) = spec else { return failed(1404, format!("no action `{action}`")) };
        let nothing = Map::new();
        let given = match params {
            Value::Null => &nothing,
            Value::Object(given) => given,
            _ => return failed(1400, "`params` is no object"),
        };
        for (name, value) in given {
            let Some((_, kind, _)) = spec.iter().find(|(known, ..)| known == name) else {
                return failed(1400, format!("`{action}` has no parameter `{name}`"));
            };
            self.check(name, *kind, value)?;
        }
        if let Some((name, ..)) = spec.iter().find(|(n, _, must)| *must && !given.contains_key(*n))
        {
            return failed(1400, format!("`{action}` lacks `{name}`"));
        }
        self.act(action, params)
    }

    fn check(&self, name: &str, kind: Kind, value: &Value) -> Result<(), Failed> {
        let as_text = |value: &Value| value.as_str().is_some_and(|it| it.parse::<i64>().is_ok());
        let fits = match kind {
            Number => value.is_i64() || self.options.string_ids && as_text(value),
            Text => value.is_string(),
            Flag => value.is_boolean(),
            Any => true,
            Message => return segments(value).map(drop),
        };
        if fits { Ok(()) } else { failed(1400, format!("`{name}` is {value}")) }
    }

    fn act(&self, action: &str, params: &Value) -> Result<Value, Failed> {
        let number = |key: &str| int(&params[key]);
        let (group, user) = (number("group_id"), number("user_id"));
        match action {
            "send_group_msg" => self.send(Some(group), 0, &params["message"]),
            "send_private_msg" => self.send(None, user, &params["message"]),
            "send_msg" => match (params["message_type"].as_str(), params.get("group_id")) {
                (Some("group"), Some(_)) | (None, Some(_)) => {
                    self.send(Some(group), 0, &params["message"])
                }
                _ if params.get("user_id").is_some() => self.send(None, user, &params["message"]),
                _ => failed(1400, "neither `group_id` nor `user_id`"),
            },
            "delete_msg" => self.delete(number("message_id")),
            "get_msg" => {
                let world = self.world.lock().unwrap();
                match world.message(number("message_id")) {
                    Some(message) => {
                        let event = world.event(message, self.options.cq_strings);
                        let fields = ["time", "message_type", "message_id", "sender", "message"];
                        let mut found: Map<String, Value> = fields
                            .map(|key| (key.to_owned(), event[key].clone()))
                            .into_iter()
                            .collect();
                        found.insert("real_id".to_owned(), json!(message.id));
                        Ok(Value::Object(found))
                    }
                    None => failed(100, "消息不存在"),
                }
            }
            "set_group_kick" | "set_group_ban" | "set_group_admin" | "set_group_card" => {
                self.on_member(action, group, user, params)
            }
            "set_group_whole_ban" => {
                let mut world = self.world.lock().unwrap();
                let group = world.groups.get_mut(&group).ok_or(Failed(100, "群聊不存在".into()))?;
                group.silenced = params["enable"].as_bool().unwrap_or(true);
                Ok(Value::Null)
            }
            "set_group_add_request" | "set_friend_add_request" => self.settle(action, params),
            "get_login_info" => {
                Ok(json!({ "user_id": self.options.self_id, "nickname": "机器人" }))
            }
            "get_status" => {
                let online = !self.offline.load(Ordering::SeqCst);
                Ok(json!({ "online": online, "good": online }))
            }
            "get_version_info" => Ok(json!({
                "app_name": "qundao-sim", "app_version": "1", "protocol_version": "v11",
            })),
            "can_send_image" | "can_send_record" => Ok(json!({ "yes": true })),
            "get_group_msg_history" => self.history(|message| message.group == Some(group), params),
            "get_friend_msg_history" => {
                self.history(|message| message.group.is_none() && message.peer == user, params)
            }
            _ => self.look_up(action, group, user),
        }
    }

    fn send(&self, group: Option<i64>, peer: i64, message: &Value) -> Result<Value, Failed> {
        let segments = segments(message)?;
        let now = self.options.clock.now() / 1000;
        let mut world = self.world.lock().unwrap();
        let self_id = world.self_id;
        if let Some(id) = group {
            let Some(group) = world.groups.get(&id) else { return failed(100, "群聊不存在") };
            let Some(me) = group.members.get(&self_id) else { return failed(100, "不在群里") };
            let is_member = me.role == "member";
            if me.muted_until > now || group.silenced && is_member {
                return failed(120, "被禁言");
            }
            let pings_all = segments.iter().any(|segment| segment["data"]["qq"] == "all");
            if pings_all && is_member {
                return failed(100, "没有权限艾特全体成员");
            }
        }
        let reply = segments.iter().find(|segment| segment["type"] == "reply");
        if let Some(reply) = reply {
            let id = reply["data"]["id"].as_str().and_then(|id| id.parse().ok());
            if id.is_none_or(|id| world.message(id).is_none()) {
                return failed(100, "回复的消息不存在");
            }
        }
        let message = world.post(group, self_id, peer, now, segments);
        let event =
            self.options.message_sent.then(|| world.event(&message, self.options.cq_strings));
        drop(world);
        if let Some(event) = event {
            self.tell(&event);
        }
        Ok(json!({ "message_id": message.id }))
    }

    fn delete(&self, id: i64) -> Result<Value, Failed> {
        let now = self.options.clock.now() / 1000;
        let mut world = self.world.lock().unwrap();
        let self_id = world.self_id;
        let Some(message) = world.message(id).cloned() else {
            return failed(100, "消息不存在");
        };
        let rank = |user: i64| {
            message.group.and_then(|group| world.member(group, user)).map_or(0, |m| rank(&m.role))
        };
        if message.user != self_id && rank(self_id) <= rank(message.user) {
            return failed(100, "权限不足");
        }
        let found = world.messages.iter_mut().rev().find(|it| it.id == id);
        found.into_iter().for_each(|it| it.deleted = true);
        drop(world);
        if let Some(group) = message.group {
            self.tell(&json!({
                "time": now, "self_id": self_id, "post_type": "notice",
                "notice_type": "group_recall", "group_id": group, "user_id": message.user,
                "operator_id": self_id, "message_id": id,
            }));
        }
        Ok(Value::Null)
    }

    fn on_member(
        &self,
        action: &str,
        group: i64,
        user: i64,
        params: &Value,
    ) -> Result<Value, Failed> {
        let now = self.options.clock.now() / 1000;
        let mut world = self.world.lock().unwrap();
        let self_id = world.self_id;
        let Some(place) = world.groups.get_mut(&group) else {
            return failed(100, "群聊不存在");
        };
        let mine = place.members.get(&self_id).map_or(0, |member| rank(&member.role));
        let Some(member) = place.members.get_mut(&user) else {
            return failed(100, "群员不存在");
        };
        if mine <= rank(&member.role) && user != self_id {
            return failed(100, "权限不足");
        }
        let mut notice = json!({
            "time": now, "self_id": self_id, "post_type": "notice", "group_id": group,
            "user_id": user, "operator_id": self_id,
        });
        match action {
            "set_group_ban" => {
                let seconds = params.get("duration").map_or(1800, int);
                if !(0..30 * 24 * 3600).contains(&seconds) {
                    return failed(100, "非法的禁言时长");
                }
                member.muted_until = if seconds == 0 { 0 } else { now + seconds };
                notice["notice_type"] = json!("group_ban");
                notice["sub_type"] = json!(if seconds == 0 { "lift_ban" } else { "ban" });
                notice["duration"] = json!(seconds);
            }
            "set_group_kick" => {
                place.members.remove(&user);
                notice["notice_type"] = json!("group_decrease");
                notice["sub_type"] = json!("kick");
            }
            "set_group_admin" => {
                if mine < rank("owner") {
                    return failed(100, "只有群主能设置管理员");
                }
                let is_set = params["enable"].as_bool().unwrap_or(true);
                member.role = if is_set { "admin" } else { "member" }.to_owned();
                notice["notice_type"] = json!("group_admin");
                notice["sub_type"] = json!(if is_set { "set" } else { "unset" });
            }
            _ => {
                let old = std::mem::replace(
                    &mut member.card,
                    params["card"].as_str().unwrap_or_default().to_owned(),
                );
                notice["notice_type"] = json!("group_card");
                notice["card_new"] = json!(member.card);
                notice["card_old"] = json!(old);
            }
        }
        drop(world);
        self.tell(&notice);
        Ok(Value::Null)
    }

    /// A request is settled once, with the type that it came with.
    fn settle(&self, action: &str, params: &Value) -> Result<Value, Failed> {
        let flag = params["flag"].as_str().unwrap_or_default();
        let mut world = self.world.lock().unwrap();
        let Some(kind) = world.requests.get(flag).cloned() else {
            return failed(100, "没有这个请求");
        };
        let given = if action == "set_friend_add_request" {
            "friend"
        } else {
            params["sub_type"].as_str().or(params["type"].as_str()).unwrap_or("add")
        };
        if given != kind {
            return failed(1400, format!("the request is `{kind}`, not `{given}`"));
        }
        world.requests.remove(flag);
        Ok(Value::Null)
    }

    fn history(
        &self,
        is_wanted: impl Fn(&super::Message) -> bool,
        params: &Value,
    ) -> Result<Value, Failed> {
        let count = params.get("count").map_or(20, int).clamp(1, 100) as usize;
        let world = self.world.lock().unwrap();
        let found = world.messages.iter().rev().filter(|it| !it.deleted && is_wanted(it));
        let mut events: Vec<Value> = found
            .take(count)
            .map(|message| world.event(message, self.options.cq_strings))
            .collect();
        events.reverse();
        Ok(json!({ "messages": events }))
    }

    fn look_up(&self, action: &str, group: i64, user: i64) -> Result<Value, Failed> {
        let world = self.world.lock().unwrap();
        let info = |id: &i64, group: &super::world::Group| {
            json!({
                "group_id": id, "group_name": group.name,
                "member_count": group.members.len(), "max_member_count": 500,
            })
        };
        let member = |id: &i64, member: &super::world::Member| {
            json!({
                "group_id": group, "user_id": id, "nickname": member.nickname,
                "card": member.card, "sex": "unknown", "age": 0, "area": "", "join_time": 0,
                "last_sent_time": 0, "level": "1", "role": member.role, "unfriendly": false,
                "title": "", "title_expire_time": 0, "card_changeable": true,
            })
        };
        match action {
            "get_group_list" => {
                Ok(world.groups.iter().map(|(id, group)| info(id, group)).collect())
            }
            "get_friend_list" => Ok(json!([])),
            "get_stranger_info" => Ok(json!({
                "user_id": user, "nickname": "路人", "sex": "unknown", "age": 0,
            })),
            _ => {
                let Some(place) = world.groups.get(&group) else {
                    return failed(100, "群聊不存在");
                };
                match action {
                    "get_group_info" => Ok(info(&group, place)),
                    "get_group_member_list" => {
                        Ok(place.members.iter().map(|(id, it)| member(id, it)).collect())
                    }
                    _ => match place.members.get(&user) {
                        Some(it) => Ok(member(&user, it)),
                        None => failed(100, "群员不存在"),
                    },
                }
            }
        }
    }
}

fn rank(role: &str) -> u8 {
    match role {
        "owner" => 2,
        "admin" => 1,
        _ => 0,
    }
}

fn int(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// A message in any of its forms as segments, each of which has what it must have.
fn segments(message: &Value) -> Result<Vec<Value>, Failed> {
    let segments = match message {
        Value::String(text) => cq::read(text),
        Value::Array(segments) => segments.clone(),
        Value::Object(_) => vec![message.clone()],
        _ => return failed(1400, "`message` is neither text nor segments"),
    };
    if segments.is_empty() {
        return failed(100, "消息为空");
    }
    for segment in &segments {
        let kind = segment["type"].as_str().unwrap_or_default();
        let Some((_, must, may)) = SEGMENTS.iter().find(|(name, ..)| *name == kind) else {
            return failed(1400, format!("no segment `{kind}` can be sent"));
        };
        let empty = Map::new();
        let data = segment["data"].as_object().unwrap_or(&empty);
        if let Some(name) = must.iter().find(|name| !data.contains_key(**name)) {
            return failed(1400, format!("a segment `{kind}` lacks `{name}`"));
        }
        for (name, value) in data {
            if !must.contains(&name.as_str()) && !may.contains(&name.as_str()) {
                return failed(1400, format!("a segment `{kind}` has no `{name}`"));
            }
            if !value.is_string() {
                return failed(1400, format!("`{name}` of a segment `{kind}` is {value}, no text"));
            }
        }
    }
    Ok(segments)
}
