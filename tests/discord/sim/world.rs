//! What the simulated Discord knows: one server, its members, what was said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub const BOT: u64 = 123_456_789_012_345_678;
pub const APPLICATION: u64 = 123_456_789_012_345_679;
pub const GUILD: u64 = 3_000;
pub const CHANNEL: u64 = 777;
pub const SECOND_CHANNEL: u64 = 778;
pub const OWNER: u64 = 10_001;
pub const SOMEBODY: u64 = 20_002;
pub const SOMEBODY_ELSE: u64 = 20_003;
const BOT_ROLE: u64 = 3_001;
const EPOCH_MS: i64 = 1_420_070_400_000;

/// What the bot may do: everything that it asks for.
pub const ALL: u64 = (1 << 1)
    | (1 << 2)
    | (1 << 6)
    | (1 << 10)
    | (1 << 11)
    | (1 << 13)
    | (1 << 16)
    | (1 << 27)
    | (1 << 40);

#[derive(Clone, Debug, Default)]
pub struct Member {
    pub name: String,
    pub nick: Option<String>,
    pub roles: Vec<u64>,
    pub muted_until: Option<String>,
    pub joined_at: i64,
}

#[derive(Clone, Debug)]
pub struct Said {
    pub id: u64,
    pub channel: u64,
    pub author: u64,
    pub body: Value,
    pub nonce: Option<String>,
    pub ephemeral: bool,
    pub pinned: bool,
    pub reactions: Vec<String>,
}

#[derive(Debug, Default)]
pub struct World {
    pub members: BTreeMap<u64, Member>,
    pub banned: BTreeSet<u64>,
    pub said: Vec<Said>,
    pub direct: BTreeMap<u64, u64>,
    pub commands: Value,
    pub permissions: u64,
    /// What each channel takes away from everybody.
    pub denied: BTreeMap<u64, u64>,
    counter: u64,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self { permissions: ALL, commands: json!([]), ..Self::default() };
        for (id, name) in [(OWNER, "阿明"), (SOMEBODY, "小红"), (SOMEBODY_ELSE, "老王")] {
            let joined_at = 1_700_000_000_000;
            world.members.insert(id, Member { name: name.into(), joined_at, ..Member::default() });
        }
        let roles = vec![BOT_ROLE];
        world.members.insert(BOT, Member { name: "群岛".into(), roles, ..Member::default() });
        world
    }

    pub fn snowflake(&mut self, now: i64) -> u64 {
        self.counter += 1;
        ((now - EPOCH_MS) as u64) << 22 | (self.counter & 0x3f_ffff)
    }

    pub fn message(&self, id: &str) -> Option<&Said> {
        self.said.iter().find(|it| it.id.to_string() == id)
    }

    pub fn message_mut(&mut self, id: &str) -> Option<&mut Said> {
        self.said.iter_mut().find(|it| it.id.to_string() == id)
    }

    /// Texts of the bot in a channel, as members see them.
    pub fn by_bot(&self, channel: u64) -> Vec<String> {
        let own = self.said.iter().filter(|it| it.author == BOT && it.channel == channel);
        own.map(|it| seen(&it.body).0).collect()
    }

    pub fn user(&self, id: u64) -> Value {
        let name = self.members.get(&id).map_or("某人", |it| it.name.as_str());
        json!({
            "id": id.to_string(), "username": format!("user{id}"), "discriminator": "0",
            "global_name": name, "avatar": null, "bot": id == BOT, "public_flags": 0,
        })
    }

    pub fn member(&self, id: u64) -> Value {
        let member = self.members.get(&id).cloned().unwrap_or_default();
        json!({
            "nick": member.nick, "avatar": null, "roles": texts(&member.roles),
            "joined_at": time(member.joined_at), "deaf": false, "mute": false, "flags": 0,
            "pending": false, "premium_since": null,
            "communication_disabled_until": member.muted_until,
        })
    }

    pub fn guild(&self) -> Value {
        let role = |id: u64, position: u64, permissions: u64| {
            json!({
                "id": id.to_string(), "name": "r", "color": 0, "colors": {"primary_color": 0},
                "hoist": false, "icon": null, "unicode_emoji": null, "position": position,
                "permissions": permissions.to_string(), "managed": false, "mentionable": false,
                "flags": 0,
            })
        };
        let everybody = (1_u64 << 10) | (1 << 11) | (1 << 16) | (1 << 6);
        json!({
            "id": GUILD.to_string(), "name": "群岛", "icon": null, "splash": null,
            "discovery_splash": null, "owner_id": OWNER.to_string(), "afk_channel_id": null,
            "afk_timeout": 300, "verification_level": 0, "default_message_notifications": 0,
            "explicit_content_filter": 0, "emojis": [], "features": [], "mfa_level": 0,
            "roles": [role(GUILD, 0, everybody), role(BOT_ROLE, 10, self.permissions)],
            "application_id": null, "system_channel_id": CHANNEL.to_string(),
            "system_channel_flags": 0, "rules_channel_id": null, "max_members": 500_000,
            "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 0,
            "premium_subscription_count": 0, "preferred_locale": "zh-CN",
            "public_updates_channel_id": null, "nsfw_level": 0, "stickers": [],
            "premium_progress_bar_enabled": false, "joined_at": time(1_700_000_000_000),
            "large": false, "unavailable": false, "member_count": self.members.len(),
            "voice_states": [], "members": [self.whole_member(BOT)],
            "channels": [self.channel(CHANNEL, "大厅"), self.channel(SECOND_CHANNEL, "茶馆")],
            "threads": [], "presences": [], "stage_instances": [], "guild_scheduled_events": [],
        })
    }

    pub fn whole_member(&self, id: u64) -> Value {
        let mut member = self.member(id);
        member["user"] = self.user(id);
        member
    }

    pub fn channel(&self, id: u64, name: &str) -> Value {
        let latest = self.said.iter().filter(|it| it.channel == id).map(|it| it.id).max();
        let denied = self.denied.get(&id).copied().unwrap_or_default().to_string();
        json!({
            "id": id.to_string(), "type": 0, "guild_id": GUILD.to_string(), "position": 0,
            "name": name, "topic": null, "nsfw": false, "parent_id": null, "flags": 0,
            "last_message_id": latest.map(|id| id.to_string()), "rate_limit_per_user": 0,
            "permission_overwrites":
                [{ "id": GUILD.to_string(), "type": 0, "allow": "0", "deny": denied }],
        })
    }

    /// A message as the gateway or the history tells it.
    pub fn told(&self, said: &Said, live: bool) -> Value {
        let is_direct = self.direct.values().any(|channel| *channel == said.channel);
        let mentions: Vec<Value> = said.body["mentions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str()?.parse().ok())
            .map(|id| self.user(id))
            .collect();
        let mut message = json!({
            "id": said.id.to_string(), "channel_id": said.channel.to_string(),
            "author": self.user(said.author), "content": said.body["content"],
            "timestamp": time((said.id >> 22) as i64 + EPOCH_MS), "edited_timestamp": null,
            "tts": false, "mention_everyone": said.body["mention_everyone"] == true,
            "mentions": mentions, "mention_roles": [], "attachments": [],
            "embeds": said.body.get("embeds").cloned().unwrap_or(json!([])), "pinned": said.pinned,
            "type": 0, "components": said.body.get("components").cloned().unwrap_or(json!([])),
            "flags": if said.ephemeral { 64 } else { 0 }, "nonce": said.nonce,
        });
        if live && !is_direct {
            message["guild_id"] = GUILD.to_string().into();
            message["member"] = self.member(said.author);
        }
        message
    }
}

pub fn time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339()
}

fn texts(ids: &[u64]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// What members see of a message, and who is pinged: as Discord reads it.
pub fn seen(body: &Value) -> (String, Vec<String>) {
    let content = body["content"].as_str().unwrap_or_default();
    let allowed = &body["allowed_mentions"];
    let has =
        |list: &Value, word: &str| list.as_array().is_some_and(|it| it.iter().any(|x| x == word));
    let (mut text, mut pings, mut rest) = (String::new(), Vec::new(), content);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c == '\\' && after.starts_with(|c: char| c.is_ascii_punctuation()) {
            text.push_str(&after[..1]);
            rest = &after[1..];
            continue;
        }
        if let Some((number, then)) = rest.strip_prefix("<@").and_then(|it| it.split_once('>'))
            && has(&allowed["users"], number)
        {
            pings.push(number.to_owned());
            rest = then;
            continue;
        }
        if let Some(then) =
            rest.strip_prefix("@everyone").filter(|_| has(&allowed["parse"], "everyone"))
        {
            pings.push("all".to_owned());
            rest = then;
            continue;
        }
        text.push(c);
        rest = after;
    }
    if text == "\u{200b}" {
        text.clear();
    }
    (text, pings)
}
