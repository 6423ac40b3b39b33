//! Discord (<https://discord.com/developers/docs>), its official interface.
//!
//! Here are the keys of its section alone, so that a binary without it still reads the
//! configuration of one with it; all that works is in `live`, behind the cargo feature `discord`.

#[cfg(feature = "discord")]
mod live;

#[cfg(feature = "discord")]
pub use live::{Discord, Dropped, Pacing, Surroundings};

use super::{AdapterDefault, AdapterKey, AdapterKind, AdapterSpec};

/// The first half of every reference.
const PLATFORM: &str = "discord";

/// The line in the table of adapters.
pub const SPEC: AdapterSpec = AdapterSpec {
    name: PLATFORM,
    about: "Discord, by its official interface for bots",
    // It warns with the whole text of what it cannot read, which is what members wrote.
    log: "serenity=error",
    keys: KEYS,
    #[cfg(feature = "discord")]
    build: |section| Ok(std::sync::Arc::new(Discord::new(section, Surroundings::of_system()?)?)),
    #[cfg(not(feature = "discord"))]
    build: |_| anyhow::bail!("this program was built without Discord: build it with `discord`"),
};

/// What `[adapters.discord]` may say.
pub const KEYS: &[AdapterKey] = &[
    AdapterKey {
        name: "token",
        kind: AdapterKind::Secret,
        default: AdapterDefault::Required,
        about: "The token of the bot, from the developer portal.",
    },
    AdapterKey {
        name: "welcome_channel",
        kind: AdapterKind::Text,
        default: AdapterDefault::Absent,
        about: "Channels where joins and leaves happen, by number, with commas; one a server.",
    },
    AdapterKey {
        name: "base_url",
        kind: AdapterKind::Text,
        default: AdapterDefault::Text("https://discord.com"),
        about: "Where Discord is; another address for a proxy.",
    },
    AdapterKey {
        name: "timeout_s",
        kind: AdapterKind::Int,
        default: AdapterDefault::Int(15),
        about: "Longest wait for the answer to a call, s.",
    },
];
