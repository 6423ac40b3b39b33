//! What must be known of servers to read their events: channels, roles, who has which. Small and
//! bounded; the library's own cache would keep every message and member.

use std::collections::HashMap;

use serenity::model::channel::{GuildChannel, PermissionOverwrite};
use serenity::model::guild::{Guild, Role};
use serenity::model::id::{ChannelId, GuildId, RoleId, UserId};
use serenity::model::permissions::Permissions;

use crate::value;

/// Servers without sharding: Discord allows no more.
const GUILDS_MAX: usize = 2_500;
/// Channels and threads of all servers together.
const CHANNELS_MAX: usize = 100_000;
/// Members whose roles are remembered, in each of two generations.
const MEMBERS_MAX: usize = 20_000;

/// A server.
#[derive(Debug)]
pub struct Server {
    /// Its owner.
    pub owner: UserId,
    /// Its roles: what each allows, and how high it stands.
    pub roles: HashMap<RoleId, (Permissions, u16)>,
    /// Where Discord itself greets who joins.
    pub system_channel: Option<ChannelId>,
    /// The first channel that anything was heard from.
    pub first_channel: Option<ChannelId>,
}

/// A channel or thread.
#[derive(Debug)]
pub struct Place {
    /// Its server.
    pub guild: GuildId,
    /// Its name.
    pub name: String,
    /// What differs here for roles and members.
    pub overwrites: Vec<PermissionOverwrite>,
    /// The channel that a thread belongs to.
    pub thread_of: Option<ChannelId>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Table {
    /// Our own account, once it is known.
    pub own: Option<UserId>,
    /// Servers.
    pub guilds: HashMap<GuildId, Server>,
    /// Channels.
    pub channels: HashMap<ChannelId, Place>,
    younger: HashMap<(GuildId, UserId), Vec<RoleId>>,
    older: HashMap<(GuildId, UserId), Vec<RoleId>>,
}

impl Table {
    /// Nothing known but who we are, perhaps.
    pub fn of(own: Option<UserId>) -> Self {
        Self { own, ..Self::default() }
    }

    /// Takes a server as it comes when the bot is connected or let in.
    pub fn enter(&mut self, guild: &Guild) {
        if self.guilds.len() >= GUILDS_MAX && !self.guilds.contains_key(&guild.id) {
            return;
        }
        let first_channel = self.guilds.get(&guild.id).and_then(|known| known.first_channel);
        let roles = guild.roles.values().map(|it| (it.id, (it.permissions, it.position))).collect();
        let (owner, system_channel) = (guild.owner_id, guild.system_channel_id);
        self.guilds.insert(guild.id, Server { owner, roles, system_channel, first_channel });
        guild.channels.values().chain(&guild.threads).for_each(|it| self.put_channel(it));
        for member in guild.members.values() {
            self.put_member(guild.id, member.user.id, &member.roles);
        }
    }

    /// Forgets a server.
    pub fn leave(&mut self, guild: GuildId) {
        self.guilds.remove(&guild);
        self.channels.retain(|_, place| place.guild != guild);
    }

    /// A channel is there or has changed.
    pub fn put_channel(&mut self, channel: &GuildChannel) {
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&channel.id) {
            return;
        }
        let place = Place {
            guild: channel.guild_id,
            name: channel.name.clone(),
            overwrites: channel.permission_overwrites.clone(),
            thread_of: channel.thread_metadata.and(channel.parent_id),
        };
        self.channels.insert(channel.id, place);
    }

    /// A role is there or has changed.
    pub fn put_role(&mut self, guild: GuildId, role: &Role) {
        if let Some(server) = self.guilds.get_mut(&guild) {
            server.roles.insert(role.id, (role.permissions, role.position));
        }
    }

    /// The roles of a member, whenever an event tells them.
    pub fn put_member(&mut self, guild: GuildId, user: UserId, roles: &[RoleId]) {
        if self.younger.len() >= MEMBERS_MAX {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert((guild, user), roles.to_vec());
    }

    /// Something was heard from a channel; where its server is not known yet, it is now.
    pub fn hear(&mut self, guild: GuildId, channel: ChannelId) {
        if let Some(server) = self.guilds.get_mut(&guild) {
            server.first_channel.get_or_insert(channel);
        }
    }

    /// The roles of a member, as far as they were told.
    pub fn roles_of(&self, guild: GuildId, user: UserId) -> Option<&[RoleId]> {
        let key = (guild, user);
        self.younger.get(&key).or_else(|| self.older.get(&key)).map(Vec::as_slice)
    }

    /// What somebody may do in a whole server; `None` where her roles are not known.
    pub fn permissions(&self, guild: GuildId, user: UserId) -> Option<Permissions> {
        let server = self.guilds.get(&guild)?;
        if server.owner == user {
            return Some(Permissions::all());
        }
        // The role of everybody has the number of the server.
        let everybody = RoleId::new(guild.get());
        let own = self.roles_of(guild, user)?.iter().chain([&everybody]);
        let allowed = own.filter_map(|role| server.roles.get(role).map(|(allows, _)| *allows));
        let sum = allowed.fold(Permissions::empty(), |sum, allows| sum | allows);
        Some(if sum.administrator() { Permissions::all() } else { sum })
    }

    /// How high somebody stands; nobody stands above the owner.
    pub fn height(&self, guild: GuildId, user: UserId) -> Option<u32> {
        let server = self.guilds.get(&guild)?;
        if server.owner == user {
            return Some(u32::MAX);
        }
        let roles = self.roles_of(guild, user)?.iter();
        let heights = roles.filter_map(|role| server.roles.get(role).map(|(_, at)| u32::from(*at)));
        Some(heights.max().unwrap_or(0))
    }

    /// Her authority in the words of every platform.
    pub fn role(&self, guild: GuildId, user: UserId) -> Option<value::Role> {
        let server = self.guilds.get(&guild)?;
        if server.owner == user {
            return Some(value::Role::Owner);
        }
        let may = self.permissions(guild, user)?;
        let keeps_order = Permissions::MODERATE_MEMBERS
            | Permissions::KICK_MEMBERS
            | Permissions::BAN_MEMBERS
            | Permissions::MANAGE_MESSAGES;
        Some(if may.administrator() {
            value::Role::Admin
        } else if may.intersects(keeps_order) {
            value::Role::Mod
        } else {
            value::Role::Member
        })
    }

    /// Where joins and leaves of a server happen.
    pub fn welcome(&self, guild: GuildId, chosen: &[ChannelId]) -> Option<ChannelId> {
        let is_here = |it: &&ChannelId| self.channels.get(it).is_some_and(|p| p.guild == guild);
        let chosen = chosen.iter().find(is_here).copied();
        let server = self.guilds.get(&guild);
        let otherwise = || server.and_then(|server| server.system_channel.or(server.first_channel));
        chosen.or_else(otherwise).or_else(|| {
            let channels = self.channels.iter().filter(|(_, place)| place.guild == guild);
            channels.map(|(id, _)| *id).min()
        })
    }
}
