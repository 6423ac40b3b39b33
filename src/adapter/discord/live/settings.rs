//! `[adapters.discord]`: what its keys come to. Whatever can never work is refused before anything
//! is opened.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serenity::model::id::ChannelId;

use crate::config::{AdapterConfig, Secret};

/// What the section comes to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The token of the bot.
    pub token: Secret,
    /// Scheme, host and port, without a slash at the end.
    pub base_url: String,
    /// The address is Discord's own.
    pub is_discord: bool,
    /// Channels where joins and leaves happen.
    pub welcome: Vec<ChannelId>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

impl Settings {
    /// Reads a section.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn read(section: &AdapterConfig) -> anyhow::Result<Self> {
        let token = section.secret("token").context("`token` is missing")?.clone();
        let plain = token.reveal();
        let is_plain = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            is_plain && !plain.starts_with("Bot "),
            "`token` is no token of a bot: copy it from the page `Bot` of the developer portal, \
             without `Bot ` before it"
        );
        let base_url = section.text("base_url").unwrap_or_default().trim_end_matches('/');
        let url = url::Url::parse(base_url).context("`base_url` is no address")?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        ensure!(is_http, "`base_url` must begin with `https://`");
        let timeout_s = section.int("timeout_s").unwrap_or_default();
        ensure!((1..=120).contains(&timeout_s), "`timeout_s` must lie between 1 and 120");
        Ok(Self {
            token,
            base_url: base_url.to_owned(),
            is_discord: base_url == "https://discord.com",
            welcome: channels(section.text("welcome_channel").unwrap_or_default())?,
            timeout: Duration::from_secs(timeout_s.unsigned_abs()),
        })
    }
}

fn channels(text: &str) -> anyhow::Result<Vec<ChannelId>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let number = part.parse().ok().filter(|number| *number != 0);
            number.map(ChannelId::new).with_context(|| {
                format!("`welcome_channel`: `{part}` is no number of a channel (copy its ID)")
            })
        })
        .collect()
}

/// The number of the account that a token is of: its first part, in Base64.
pub fn account_of(token: &str) -> Option<u64> {
    let part = token.split('.').next()?;
    let (mut bits, mut width, mut text) = (0_u32, 0_u32, String::new());
    for byte in part.bytes().take_while(|byte| *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        (bits, width) = (bits << 6 | u32::from(six), width + 6);
        if width >= 8 {
            width -= 8;
            text.push(char::from((bits >> width & 0xff) as u8));
        }
    }
    text.parse().ok().filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_account() {
        assert_eq!(
            account_of("MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.rest"),
            Some(123_456_789_012_345_678)
        );
        for wrong in ["", ".", "token", "MTIz!.x", "MA.x"] {
            assert_eq!(account_of(wrong), None, "{wrong}");
        }
    }
}
