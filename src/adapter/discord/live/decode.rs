//! An event of the gateway → what happened.
//!
//! Every event gets a key that is the same when it comes again. The time stands first and then
//! Discord's number, so that the index over keys grows at its end. Joins are of a server and not of
//! a channel; they happen where the server greets.

use serenity::model::Timestamp;
use serenity::model::channel::{Message, MessageType, Reaction, ReactionType};
use serenity::model::event::{GuildMemberUpdateEvent, MessageUpdateEvent};
use serenity::model::guild::Member;
use serenity::model::id::{ChannelId, GuildId, MessageId, UserId};
use serenity::model::user::User;

use super::message::{Parts, person, quote};
use super::table::Table;
use crate::adapter::discord::PLATFORM;
use crate::clock::TimeMs;
use crate::event::{Actor, Envelope, EventKind, KeyQuality, Place};
use crate::id::Ref;

/// When numbers of Discord begin, Unix ms.
const EPOCH_MS: i64 = 1_420_070_400_000;

/// When the thing with this number was made, Unix ms.
pub fn made_at(snowflake: u64) -> TimeMs {
    (snowflake >> 22).cast_signed() + EPOCH_MS
}

/// The lowest number of things made at a time.
pub fn snowflake_at(at: TimeMs) -> u64 {
    (at - EPOCH_MS).max(0).cast_unsigned() << 22
}

/// What everything is read against.
pub struct Reader<'t> {
    /// What is known of servers.
    pub table: &'t Table,
    /// Channels where joins happen, as configured.
    pub welcome: &'t [ChannelId],
    /// Now, for what Discord gives no time.
    pub now: TimeMs,
    /// When this process began: tells apart what was taken back and done again.
    pub started_at: TimeMs,
}

impl Reader<'_> {
    fn account(&self) -> Ref {
        self.table.own.map_or_else(|| Ref::new(PLATFORM, "bot"), person)
    }

    /// A channel with its name and server. `None` for a direct message.
    pub fn place(&self, channel: ChannelId, guild: Option<GuildId>) -> Option<Place> {
        let known = self.table.channels.get(&channel);
        let guild = guild.or_else(|| known.map(|place| place.guild))?;
        Some(Place {
            id: Ref::new(PLATFORM, channel),
            name: known.map(|place| place.name.clone()),
            community: Some(server(guild)),
        })
    }

    /// An envelope of something with a number of its own.
    pub fn envelope(
        &self,
        (secs, rest): (i64, String),
        at: TimeMs,
        group: Option<Place>,
        actor: Option<Actor>,
        kind: EventKind,
    ) -> Envelope {
        Envelope {
            account: self.account(),
            key: format!("{secs}:{rest}").into(),
            key_quality: KeyQuality::Stable,
            at,
            group,
            actor,
            kind,
            backfilled: false,
        }
    }

    /// Somebody, as an event in a server or in private tells her.
    pub fn actor(&self, user: &User, guild: Option<GuildId>, nick: Option<&str>) -> Actor {
        let name = user.global_name.as_ref().unwrap_or(&user.name).clone();
        Actor {
            id: person(user.id),
            nickname: guild.map(|_| nick.unwrap_or_default().to_owned()),
            role: guild.and_then(|guild| self.table.role(guild, user.id)),
            is_bot: user.bot || user.system,
            name,
        }
    }

    /// A message; `None` for what Discord itself says in a channel.
    pub fn message(&self, message: &Message) -> Option<Envelope> {
        if !matches!(message.kind, MessageType::Regular | MessageType::InlineReply) {
            return None;
        }
        let group = self.place(message.channel_id, message.guild_id);
        let parsed = Parts::of(message).parse(self.table.own);
        let guild =
            message.guild_id.or_else(|| Some(self.table.channels.get(&message.channel_id)?.guild));
        let nick = message.member.as_ref().and_then(|member| member.nick.as_deref());
        let mut actor = self.actor(&message.author, guild, nick);
        actor.is_bot |= message.webhook_id.is_some();
        if message.member.is_none() {
            // The history does not tell her name in the group.
            actor.nickname = None;
        }
        let at = made_at(message.id.get());
        let kind = EventKind::Message {
            id: message.id.to_string(),
            elements: parsed.elements.into(),
            quote: quote(message),
            to_bot: parsed.to_bot || group.is_none(),
        };
        let key = (at / 1000, format!("{}:message", message.id));
        Some(self.envelope(key, at, group, Some(actor), kind))
    }

    /// An edit; `None` where only Discord's own preview changed.
    pub fn edited(&self, update: &MessageUpdateEvent) -> Option<Envelope> {
        let edited_at = update.edited_timestamp?;
        let parts = Parts {
            content: update.content.as_deref()?,
            mentions: update.mentions.as_deref().unwrap_or_default(),
            everyone: update.mention_everyone.unwrap_or_default(),
            attachments: update.attachments.as_deref().unwrap_or_default(),
            embeds: update.embeds.as_deref().unwrap_or_default(),
            stickers: update.sticker_items.as_deref().unwrap_or_default(),
        };
        let elements = parts.parse(self.table.own).elements.into();
        let kind = EventKind::Edited { id: update.id.to_string(), elements };
        let actor = update.author.as_ref().map(|author| self.actor(author, update.guild_id, None));
        // The name in the group is not told with an edit.
        let actor = actor.map(|actor| Actor { nickname: None, ..actor });
        let group = self.place(update.channel_id, update.guild_id);
        let at = millis(edited_at);
        Some(self.envelope(
            (at / 1000, format!("{}:edited:{at}", update.id)),
            at,
            group,
            actor,
            kind,
        ))
    }

    /// A message was taken away, by whom is not told.
    pub fn deleted(&self, id: MessageId, channel: ChannelId, guild: Option<GuildId>) -> Envelope {
        let key = (made_at(id.get()) / 1000, format!("{id}:deleted"));
        let kind = EventKind::Deleted { id: id.to_string() };
        self.envelope(key, self.now, self.place(channel, guild), None, kind)
    }

    /// A reaction; `turn` counts how often it was given and taken back.
    pub fn reaction(&self, reaction: &Reaction, added: bool, turn: u64) -> Option<Envelope> {
        let user = reaction.user_id?;
        let guild = reaction.guild_id;
        let actor = match &reaction.member {
            Some(member) => self.actor(&member.user, guild, member.nick.as_deref()),
            None => self.stranger(user, guild),
        };
        let emoji = emoji(&reaction.emoji);
        // Discord gives no time; the same in a replay, which may come in another second.
        let secs = made_at(reaction.message_id.get()) / 1000;
        let turn = self.started_at.wrapping_add(turn.cast_signed());
        let rest = format!("{}:{user}:{emoji}:{added}:{turn}", reaction.message_id);
        let message = reaction.message_id.to_string();
        let kind = EventKind::Reaction { message, emoji, added };
        let group = self.place(reaction.channel_id, guild);
        let envelope = self.envelope((secs, rest), self.now, group, Some(actor), kind);
        Some(Envelope { key_quality: KeyQuality::Derived, ..envelope })
    }

    fn stranger(&self, user: UserId, guild: Option<GuildId>) -> Actor {
        Actor {
            id: person(user),
            name: String::new(),
            nickname: None,
            role: guild.and_then(|guild| self.table.role(guild, user)),
            is_bot: self.table.own == Some(user),
        }
    }

    /// Where joins and leaves of a server happen; `None` where no channel is known.
    pub fn greeting(&self, guild: GuildId) -> Option<Place> {
        self.place(self.table.welcome(guild, self.welcome)?, Some(guild))
    }

    /// Somebody joined a server.
    pub fn joined(&self, member: &Member) -> Option<Envelope> {
        let at = member.joined_at.map_or(self.now, millis);
        let (guild, user) = (member.guild_id, member.user.id);
        let key = (at / 1000, format!("{guild}:{user}:joined"));
        let actor = self.actor(&member.user, Some(guild), member.nick.as_deref());
        let kind = EventKind::Joined { inviter: None };
        Some(self.envelope(key, at, Some(self.greeting(guild)?), Some(actor), kind))
    }

    /// Somebody left or was removed; Discord does not tell which.
    pub fn left(&self, guild: GuildId, user: &User) -> Option<Envelope> {
        let key = (self.now / 1000, format!("{guild}:{}:left", user.id));
        let actor = Actor { nickname: None, role: None, ..self.actor(user, None, None) };
        let kind = EventKind::Left { removed_by: None };
        let group = Some(self.greeting(guild)?);
        let envelope = self.envelope(key, self.now, group, Some(actor), kind);
        Some(Envelope { key_quality: KeyQuality::Derived, ..envelope })
    }

    /// Name, roles or silence of a member changed.
    pub fn updated(&self, update: &GuildMemberUpdateEvent) -> Option<Envelope> {
        let guild = update.guild_id;
        let actor = self.actor(&update.user, Some(guild), update.nick.as_deref());
        let silenced = update.communication_disabled_until.map(millis).filter(|it| *it > self.now);
        let kind = match silenced {
            Some(until) => EventKind::Silenced { until: Some(until), by: None },
            None => EventKind::Updated,
        };
        let rest = format!("{guild}:{}:{}", update.user.id, kind.word());
        let group = Some(self.greeting(guild)?);
        let envelope = self.envelope((self.now / 1000, rest), self.now, group, Some(actor), kind);
        Some(Envelope { key_quality: KeyQuality::Derived, ..envelope })
    }

    /// The bot was let into a server, or is there no more.
    pub fn membership(&self, guild: GuildId, is_in: bool, since: TimeMs) -> Option<Envelope> {
        let kind = match is_in {
            true => EventKind::BotJoined { by: None },
            false => EventKind::BotLeft { by: None },
        };
        let key = (since / 1000, format!("{guild}:{}", kind.word()));
        Some(self.envelope(key, since, Some(self.greeting(guild)?), None, kind))
    }

    /// What may be missing in a channel.
    pub fn gap(&self, channel: ChannelId, from: TimeMs, filled: u32) -> Option<Envelope> {
        let to = self.now;
        let key = (to / 1000, format!("{channel}:gap:{from}:{to}"));
        let kind = EventKind::Gap { from, to, filled };
        let envelope = self.envelope(key, to, Some(self.place(channel, None)?), None, kind);
        Some(Envelope { key_quality: KeyQuality::Derived, ..envelope })
    }
}

/// The reference of a server: the community that its channels are part of.
pub fn server(guild: GuildId) -> Ref {
    Ref::new(PLATFORM, format!("guild:{guild}"))
}

/// An emoji as people write it.
pub fn emoji(emoji: &ReactionType) -> String {
    match emoji {
        ReactionType::Unicode(emoji) => emoji.clone(),
        ReactionType::Custom { name, .. } => format!(":{}:", name.as_deref().unwrap_or("?")),
        // The library may learn of more.
        _ => "?".to_owned(),
    }
}

/// A time of Discord, Unix ms.
pub fn millis(at: Timestamp) -> TimeMs {
    let text = at.to_string();
    let read = chrono::DateTime::parse_from_rfc3339(&text);
    read.map_or_else(|_| at.unix_timestamp() * 1000, |at| at.timestamp_millis())
}
