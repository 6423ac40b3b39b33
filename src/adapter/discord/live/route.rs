//! Where a call goes, with everything in it owned; the library's routes borrow.

use serenity::http::{LightMethod, Route};
use serenity::model::id::{ApplicationId, ChannelId, GuildId, InteractionId, MessageId, UserId};

/// An address of Discord's interface.
#[derive(Clone, Debug, PartialEq)]
pub enum Path {
    /// Messages of a channel.
    Messages(ChannelId),
    /// One message.
    Message(ChannelId, MessageId),
    /// Our own reaction, percent-encoded.
    Reaction(ChannelId, MessageId, String),
    /// A pin.
    Pin(ChannelId, MessageId),
    /// A member.
    Member(GuildId, UserId),
    /// Our own membership.
    MemberMe(GuildId),
    /// A ban.
    Ban(GuildId, UserId),
    /// Direct messages.
    DirectChannels,
    /// Where the gateway is, and how often it may be entered.
    GatewayBot,
    /// Where the gateway is.
    Gateway,
    /// Commands on offer.
    Commands(ApplicationId),
    /// The first answer to an interaction.
    Respond(InteractionId, String),
    /// What that became.
    Original(ApplicationId, String),
    /// Further answers.
    FollowUps(ApplicationId, String),
}

impl Path {
    /// The library's route.
    pub fn route(&self) -> Route<'_> {
        match self {
            Self::Messages(channel_id) => Route::ChannelMessages { channel_id: *channel_id },
            Self::Message(channel_id, message_id) => {
                Route::ChannelMessage { channel_id: *channel_id, message_id: *message_id }
            }
            Self::Reaction(channel_id, message_id, reaction) => Route::ChannelMessageReactionMe {
                channel_id: *channel_id,
                message_id: *message_id,
                reaction,
            },
            Self::Pin(channel_id, message_id) => {
                Route::ChannelPin { channel_id: *channel_id, message_id: *message_id }
            }
            Self::Member(guild_id, user_id) => {
                Route::GuildMember { guild_id: *guild_id, user_id: *user_id }
            }
            Self::MemberMe(guild_id) => Route::GuildMemberMe { guild_id: *guild_id },
            Self::Ban(guild_id, user_id) => {
                Route::GuildBan { guild_id: *guild_id, user_id: *user_id }
            }
            Self::DirectChannels => Route::UserMeDmChannels,
            Self::GatewayBot => Route::GatewayBot,
            Self::Gateway => Route::Gateway,
            Self::Commands(application_id) => Route::Commands { application_id: *application_id },
            Self::Respond(interaction_id, token) => {
                Route::InteractionResponse { interaction_id: *interaction_id, token }
            }
            Self::Original(application_id, token) => {
                let application_id = *application_id;
                Route::WebhookOriginalInteractionResponse { application_id, token }
            }
            Self::FollowUps(application_id, token) => {
                Route::WebhookFollowupMessages { application_id: *application_id, token }
            }
        }
    }

    /// Answers to interactions stand outside the rate of the whole account.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Respond(..) | Self::Original(..) | Self::FollowUps(..))
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Op {
    /// How.
    pub method: LightMethod,
    /// Where.
    pub path: Path,
    /// What, as JSON.
    pub body: Option<serde_json::Value>,
    /// What stands behind the `?`.
    pub query: Vec<(&'static str, String)>,
}

impl Op {
    /// A call.
    pub fn new(method: LightMethod, path: Path, body: Option<serde_json::Value>) -> Self {
        Self { method, path, body, query: Vec::new() }
    }
}
