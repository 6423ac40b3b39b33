//! Whether a call can succeed, before it is made: Discord counts refused calls, and blocks an
//! address that makes too many (<https://discord.com/developers/docs/topics/permissions>).

use serenity::model::channel::PermissionOverwriteType;
use serenity::model::id::{ChannelId, GuildId, RoleId, UserId};
use serenity::model::permissions::Permissions;

use super::table::{Place, Table};

/// Something that is not always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Speak.
    Send,
    /// Take away what another said.
    Delete,
    /// React.
    React,
    /// Pin.
    Pin,
    /// Silence, or end it.
    Mute(UserId),
    /// Remove.
    Kick(UserId),
    /// Remove for good.
    Ban(UserId),
    /// Give another name.
    Rename(UserId),
}

impl Act {
    /// What the bot needs, any one of them, with Discord's word for it.
    fn needs(self) -> (Permissions, &'static str) {
        match self {
            Self::Send => (Permissions::SEND_MESSAGES, "Send Messages"),
            Self::Delete => (Permissions::MANAGE_MESSAGES, "Manage Messages"),
            Self::React => (Permissions::ADD_REACTIONS, "Add Reactions"),
            // A permission of its own since 2026, which the library does not know.
            Self::Pin => (Permissions::all(), "Pin Messages"),
            Self::Mute(_) => (Permissions::MODERATE_MEMBERS, "Moderate Members"),
            Self::Kick(_) => (Permissions::KICK_MEMBERS, "Kick Members"),
            Self::Ban(_) => (Permissions::BAN_MEMBERS, "Ban Members"),
            Self::Rename(_) => (Permissions::MANAGE_NICKNAMES, "Manage Nicknames"),
        }
    }

    fn target(self) -> Option<UserId> {
        match self {
            Self::Send | Self::Delete | Self::React | Self::Pin => None,
            Self::Mute(who) | Self::Kick(who) | Self::Ban(who) | Self::Rename(who) => Some(who),
        }
    }
}

impl Table {
    /// Whether the bot may do something in a channel. What is not known is left to Discord.
    ///
    /// # Errors
    /// Why not, for a human.
    pub fn may(&self, channel: ChannelId, act: Act) -> Result<(), String> {
        let Some(place) = self.channels.get(&channel) else { return Ok(()) };
        let Some(own) = self.own else { return Ok(()) };
        let Some(allowed) = self.permissions(place.guild, own) else { return Ok(()) };
        let (needed, word) = match act {
            Act::Send if place.thread_of.is_some() => {
                (Permissions::SEND_MESSAGES_IN_THREADS, "Send Messages in Threads")
            }
            _ => act.needs(),
        };
        let here = match act.target() {
            // What concerns a member holds in the whole server.
            Some(_) => allowed,
            None => self.here(place, own, allowed),
        };
        if act.target().is_none() && !here.view_channel() {
            return Err("the bot cannot see that channel; let it (View Channel)".to_owned());
        }
        if !here.intersects(needed) {
            return Err(format!("the bot lacks the permission `{word}` there"));
        }
        act.target().map_or(Ok(()), |who| self.stands_below(place.guild, own, who, act))
    }

    fn stands_below(
        &self,
        guild: GuildId,
        own: UserId,
        who: UserId,
        act: Act,
    ) -> Result<(), String> {
        let (Some(ours), Some(hers)) = (self.height(guild, own), self.height(guild, who)) else {
            return Ok(());
        };
        if hers == u32::MAX {
            return Err("she owns the server: nobody can act on her".to_owned());
        }
        if hers >= ours {
            return Err(
                "her highest role is not below the bot's: move the bot's role up".to_owned()
            );
        }
        let is_admin = self.permissions(guild, who).is_some_and(Permissions::administrator);
        if matches!(act, Act::Mute(_)) && is_admin {
            return Err("Discord lets nobody silence an administrator".to_owned());
        }
        Ok(())
    }

    /// Permissions in one channel: everybody's, then those of roles, then one's own.
    fn here(&self, place: &Place, who: UserId, allowed: Permissions) -> Permissions {
        if allowed.administrator() {
            return allowed;
        }
        let parent = place.thread_of.and_then(|channel| self.channels.get(&channel));
        let overwrites = &parent.unwrap_or(place).overwrites;
        let everybody = RoleId::new(place.guild.get());
        let roles = self.roles_of(place.guild, who).unwrap_or_default();
        let layer = |fits: &dyn Fn(PermissionOverwriteType) -> bool| {
            let found = overwrites.iter().filter(|it| fits(it.kind));
            found.fold((Permissions::empty(), Permissions::empty()), |(allow, deny), it| {
                (allow | it.allow, deny | it.deny)
            })
        };
        let layers = [
            layer(&|kind| kind == PermissionOverwriteType::Role(everybody)),
            layer(&|kind| {
                matches!(kind, PermissionOverwriteType::Role(role)
                    if role != everybody && roles.contains(&role))
            }),
            layer(&|kind| kind == PermissionOverwriteType::Member(who)),
        ];
        layers.into_iter().fold(allowed, |sum, (allow, deny)| (sum - deny) | allow)
    }
}
