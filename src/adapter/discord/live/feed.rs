//! Events of the gateway → the core, in their order; and what is known of servers is kept up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serenity::all::{Event, Guild, Interaction, Reaction, Ready};
use serenity::model::application::{CommandInteraction, ComponentInteraction};
use serenity::model::id::{ChannelId, GuildId, MessageId, UserId};
use tokio::sync::{Semaphore, mpsc};

use super::decode::{emoji, made_at, snowflake_at};
use super::history::{self, Missed};
use super::question::{Asked, Question};
use super::shared::Shared;
use super::slash;
use super::tally::Dropped;
use crate::adapter::{Inbox, Receipt};
use crate::clock::TimeMs;
use crate::event::{Actor, Envelope, EventKind};
use crate::id::Ref;

/// Events that wait for room in the core.
const WAITING_MAX: usize = 16_384;
/// Channels whose latest message is remembered.
const HEARD_MAX: usize = 20_000;
/// Reactions of which it is remembered how often they were given and taken back.
const TURNS_MAX: usize = 20_000;
/// Channels whose history is fetched at the same time.
const FETCHES: usize = 2;
/// An answer comes soon after its turn, or never.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// An event on its way.
pub type Item = (Envelope, Option<Receipt>);

/// One who gave a reaction.
type Given = (MessageId, UserId, String);

/// Where events come by.
pub struct Feed {
    shared: Arc<Shared>,
    out: mpsc::Sender<Item>,
    /// The latest message of each channel.
    heard: HashMap<ChannelId, u64>,
    /// Channels whose history is still to be asked after the session began anew.
    to_fill: HashSet<ChannelId>,
    /// When anything was heard for the last time, and when the session began.
    alive_at: Option<TimeMs>,
    gap_from: Option<TimeMs>,
    ready_at: TimeMs,
    /// Servers that were there already when the session began.
    old: HashSet<GuildId>,
    turns: HashMap<Given, (bool, u64)>,
    room: Arc<Semaphore>,
}

impl Feed {
    /// A feed, and what brings its events to the core.
    pub fn new(shared: Arc<Shared>, before: &[(Ref, TimeMs)]) -> (Self, mpsc::Receiver<Item>) {
        let (out, items) = mpsc::channel(WAITING_MAX);
        let known = before.iter().filter_map(|(group, until)| {
            let channel = super::encode::number(group).map(ChannelId::new)?;
            Some((channel, snowflake_at(*until)))
        });
        let feed = Self {
            heard: known.collect(),
            to_fill: HashSet::new(),
            alive_at: before.iter().map(|(_, until)| *until).max(),
            gap_from: None,
            ready_at: 0,
            old: HashSet::new(),
            turns: HashMap::new(),
            room: Arc::new(Semaphore::new(FETCHES)),
            shared,
            out,
        };
        (feed, items)
    }

    /// Takes one event.
    pub fn take(&mut self, event: Event) {
        let now = self.shared.clock.now();
        match event {
            Event::Ready(event) => self.ready(&event.ready, now),
            Event::Resumed(_) => {}
            Event::InteractionCreate(event) => self.interaction(event.interaction, now),
            Event::Unknown(event) => self.shared.tally.add(Dropped::Unreadable, &event.kind),
            Event::GuildCreate(event) => self.entered(&event.guild, now),
            event => {
                self.learn(&event);
                self.told(&event);
            }
        }
        self.alive_at = Some(now);
    }

    fn ready(&mut self, ready: &Ready, now: TimeMs) {
        self.shared.table().own = Some(ready.user.id);
        // The same for as long as the token is.
        let _ = self.shared.application.set(ready.application.id);
        self.old = ready.guilds.iter().map(|guild| guild.id).collect();
        self.ready_at = now;
        self.gap_from = self.alive_at;
        self.to_fill = self.heard.keys().copied().collect();
        tracing::info!(servers = self.old.len(), "Discord: connected");
    }

    fn entered(&mut self, guild: &Guild, now: TimeMs) {
        let is_known = self.shared.table().guilds.contains_key(&guild.id);
        self.shared.table().enter(guild);
        self.reopen(guild.id);
        if !is_known && !self.old.contains(&guild.id) {
            let since = super::decode::millis(guild.joined_at);
            let table = self.shared.table();
            let envelope = self.shared.reader(&table).membership(guild.id, true, since);
            drop(table);
            self.offer(envelope);
        }
        let channels = guild.channels.values().chain(&guild.threads);
        for channel in channels {
            if self.to_fill.remove(&channel.id) {
                let latest = channel.last_message_id.map(MessageId::get);
                self.fill(channel.id, latest, now);
            }
        }
    }

    /// Asks the history of a channel for what was said while nobody listened.
    fn fill(&mut self, channel: ChannelId, latest: Option<u64>, now: TimeMs) {
        let Some(after) = self.heard.get(&channel).copied() else { return };
        let from = self.gap_from.unwrap_or(now);
        let missed = Missed { channel, after, from, ready_at: self.ready_at };
        let (shared, out, room) = (self.shared.clone(), self.out.clone(), self.room.clone());
        let is_anything = latest.is_none_or(|latest| latest > after);
        tokio::spawn(async move {
            let found = if is_anything {
                history::fetch(&shared, &missed, &room).await
            } else {
                Vec::new()
            };
            let filled = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let gap = {
                let table = shared.table();
                shared.reader(&table).gap(missed.channel, missed.from, filled)
            };
            for envelope in found.into_iter().chain(gap) {
                // The bot stops.
                if out.send((envelope, None)).await.is_err() {
                    return;
                }
            }
        });
    }

    /// A server changed: what it refused before it may allow now.
    fn reopen(&self, guild: GuildId) {
        let table = self.shared.table();
        let is_there = |channel: &ChannelId| {
            table.channels.get(channel).is_some_and(|place| place.guild == guild)
        };
        self.shared.memory().closed.retain(|channel, _| !is_there(channel));
    }

    /// Keeps up what is known of servers.
    fn learn(&self, event: &Event) {
        let mut table = self.shared.table();
        let changed = match event {
            Event::ChannelCreate(it) => Some(&it.channel),
            Event::ChannelUpdate(it) => Some(&it.channel),
            Event::ThreadCreate(it) => Some(&it.thread),
            Event::ThreadUpdate(it) => Some(&it.thread),
            _ => None,
        };
        if let Some(channel) = changed {
            table.put_channel(channel);
        }
        let mut reopened = changed.map(|channel| channel.guild_id);
        match event {
            Event::ChannelDelete(it) => drop(table.channels.remove(&it.channel.id)),
            Event::ThreadListSync(it) => it.threads.iter().for_each(|it| table.put_channel(it)),
            Event::GuildRoleCreate(it) => table.put_role(it.role.guild_id, &it.role),
            Event::GuildRoleUpdate(it) => {
                table.put_role(it.role.guild_id, &it.role);
                reopened = Some(it.role.guild_id);
            }
            Event::GuildRoleDelete(it) => {
                if let Some(server) = table.guilds.get_mut(&it.guild_id) {
                    server.roles.remove(&it.role_id);
                }
            }
            Event::GuildUpdate(it) => {
                if let Some(server) = table.guilds.get_mut(&it.guild.id) {
                    (server.owner, server.system_channel) =
                        (it.guild.owner_id, it.guild.system_channel_id);
                }
            }
            Event::GuildMemberAdd(it) => {
                table.put_member(it.member.guild_id, it.member.user.id, &it.member.roles);
            }
            Event::GuildMemberUpdate(it) => {
                table.put_member(it.guild_id, it.user.id, &it.roles);
                reopened = (table.own == Some(it.user.id)).then_some(it.guild_id);
            }
            Event::MessageCreate(it) => {
                let message = &it.message;
                if let (Some(guild), Some(member)) = (message.guild_id, &message.member) {
                    table.put_member(guild, message.author.id, &member.roles);
                    table.hear(guild, message.channel_id);
                }
            }
            Event::ReactionAdd(it) => {
                if let (Some(guild), Some(member)) = (it.reaction.guild_id, &it.reaction.member) {
                    table.put_member(guild, member.user.id, &member.roles);
                }
            }
            _ => {}
        }
        drop(table);
        if let Some(guild) = reopened {
            self.reopen(guild);
        }
    }

    /// What happened, for the core.
    fn told(&mut self, event: &Event) {
        let shared = self.shared.clone();
        let table = shared.table();
        let reader = shared.reader(&table);
        let own = table.own;
        let envelope = match event {
            Event::MessageCreate(it) => {
                let message = &it.message;
                if Some(message.author.id) == own {
                    return shared.tally.add(Dropped::Own, "message");
                }
                self.hear(message.channel_id, message.id);
                shared.memory().put_foreign(message.id);
                reader.message(message)
            }
            Event::MessageUpdate(it) if it.author.as_ref().map(|it| it.id) != own => {
                reader.edited(it)
            }
            Event::MessageDelete(it) => {
                Some(reader.deleted(it.message_id, it.channel_id, it.guild_id))
            }
            Event::MessageDeleteBulk(it) => {
                let each = it.ids.iter().map(|id| reader.deleted(*id, it.channel_id, it.guild_id));
                let each: Vec<_> = each.collect();
                drop(table);
                return each.into_iter().for_each(|envelope| self.offer(Some(envelope)));
            }
            Event::ReactionAdd(it) => self
                .reacted(&it.reaction, true)
                .and_then(|turn| reader.reaction(&it.reaction, true, turn)),
            Event::ReactionRemove(it) => self
                .reacted(&it.reaction, false)
                .and_then(|turn| reader.reaction(&it.reaction, false, turn)),
            Event::GuildMemberAdd(it) if Some(it.member.user.id) != own => {
                reader.joined(&it.member)
            }
            Event::GuildMemberRemove(it) if Some(it.user.id) != own => {
                reader.left(it.guild_id, &it.user)
            }
            Event::GuildMemberUpdate(it) => reader.updated(it),
            // One that is away for a while is no server that we left.
            Event::GuildDelete(it) if !it.guild.unavailable => {
                let envelope = reader.membership(it.guild.id, false, shared.clock.now());
                drop(table);
                shared.table().leave(it.guild.id);
                return self.offer(envelope);
            }
            _ => return,
        };
        drop(table);
        self.offer(envelope);
    }

    fn hear(&mut self, channel: ChannelId, message: MessageId) {
        if self.heard.len() >= HEARD_MAX && !self.heard.contains_key(&channel) {
            return;
        }
        let latest = self.heard.entry(channel).or_default();
        *latest = (*latest).max(message.get());
    }

    /// How many times this reaction has been given or taken back; `None` for our own. The same
    /// told twice in a row is one.
    fn reacted(&mut self, reaction: &Reaction, added: bool) -> Option<u64> {
        let user = reaction.user_id?;
        if self.turns.len() >= TURNS_MAX {
            self.turns.clear();
        }
        let given = (reaction.message_id, user, emoji(&reaction.emoji));
        let (was, turn) = self.turns.entry(given).or_insert((!added, 0));
        if *was != added {
            (*was, *turn) = (added, *turn + 1);
        }
        Some(*turn)
    }

    fn offer(&self, envelope: Option<Envelope>) {
        let Some(envelope) = envelope else { return };
        let own = envelope.actor.as_ref().is_some_and(|actor| actor.id == envelope.account);
        if own && matches!(envelope.kind, EventKind::Reaction { .. } | EventKind::Updated) {
            return self.shared.tally.add(Dropped::Own, envelope.kind.word());
        }
        self.put((envelope, None));
    }

    fn put(&self, item: Item) {
        if self.out.try_send(item).is_err() {
            self.shared.tally.add(Dropped::Overflow, "core");
        }
    }

    fn interaction(&mut self, interaction: Interaction, now: TimeMs) {
        match interaction {
            Interaction::Command(it) => self.command(&it, now),
            Interaction::Component(it) => self.pressed(&it, now),
            other => {
                self.shared.tally.add(Dropped::Ignored, &format!("interaction {:?}", other.kind()));
            }
        }
    }

    fn command(&self, it: &CommandInteraction, now: TimeMs) {
        let offers = self.shared.offers().clone();
        let elements = slash::typed(&it.data, &offers);
        let aside = offers.get(&it.data.name).is_some_and(|offered| offered.quiet);
        let kind = EventKind::Message {
            id: format!("i{}", it.id),
            elements: elements.into(),
            quote: None,
            to_bot: true,
        };
        let member = it.member.as_deref();
        let nick = member.map(|member| (member.nick.as_deref(), &*member.roles));
        let user = member.map_or(&it.user, |member| &member.user);
        let who = self.who(user, it.guild_id, nick);
        let question =
            Question::new((it.id, it.application_id), &it.token, Asked::Command { aside }, now);
        self.ask((it.id.get(), it.channel_id, it.guild_id), who, kind, question);
    }

    fn pressed(&self, it: &ComponentInteraction, now: TimeMs) {
        let (message, value) = (it.message.id.to_string(), it.data.custom_id.clone());
        let kind = EventKind::Button { message, value };
        let member = it.member.as_ref();
        let nick = member.map(|member| (member.nick.as_deref(), &*member.roles));
        let user = member.map_or(&it.user, |member| &member.user);
        let who = self.who(user, it.guild_id, nick);
        let question = Question::new((it.id, it.application_id), &it.token, Asked::Button, now);
        self.ask((it.id.get(), it.channel_id, it.guild_id), who, kind, question);
    }

    fn who(
        &self,
        user: &serenity::model::user::User,
        guild: Option<GuildId>,
        member: Option<(Option<&str>, &[serenity::model::id::RoleId])>,
    ) -> Actor {
        let mut table = self.shared.table();
        if let (Some(guild), Some((_, roles))) = (guild, member) {
            table.put_member(guild, user.id, roles);
        }
        self.shared.reader(&table).actor(user, guild, member.and_then(|(nick, _)| nick))
    }

    /// Acknowledges an interaction at once, and hands it on.
    fn ask(
        &self,
        (id, channel, guild): (u64, ChannelId, Option<GuildId>),
        actor: Actor,
        kind: EventKind,
        question: Question,
    ) {
        let at = made_at(id);
        let envelope = {
            let table = self.shared.table();
            let reader = self.shared.reader(&table);
            let key = (at / 1000, format!("{id}:interaction"));
            reader.envelope(key, at, reader.place(channel, guild), Some(actor), kind)
        };
        let question = Arc::new(question);
        self.shared.questions().put(envelope.key.clone(), question.clone());
        let (receipt, accepted) = tokio::sync::oneshot::channel();
        let rest = self.shared.rest.clone();
        tokio::spawn(async move {
            question.acknowledge(&rest).await;
            // However it went, what is not answered soon after will not be.
            let _ = accepted.await;
            tokio::time::sleep(ANSWER_WAIT).await;
            question.give_up(&rest).await;
        });
        self.put((envelope, Some(receipt)));
    }
}

/// Brings events to the core until the bot stops.
pub async fn hand_on(mut items: mpsc::Receiver<Item>, inbox: Arc<dyn Inbox>) {
    let mut batch = Vec::new();
    while items.recv_many(&mut batch, 256).await > 0 {
        inbox.offer_all(std::mem::take(&mut batch)).await;
    }
}
