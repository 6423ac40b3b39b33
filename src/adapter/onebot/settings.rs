//! `[adapters.onebot]`: its keys, and what they come to. Whatever would be unsafe or can never
//! work is refused before anything is opened.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::SelfId;
use super::dial::Address;
use crate::adapter::{AdapterDefault, AdapterKey, AdapterKind, Rate, RateScope};
use crate::config::{AdapterConfig, Secret};

/// A token that guards a port which others can reach has at least so many characters.
const TOKEN_CHARS: usize = 32;

/// What `[adapters.onebot]` may say.
pub const KEYS: &[AdapterKey] = &[
    text("listen", "Where implementations connect to (reverse WebSocket, HTTP POST), host:port."),
    text(
        "connect",
        "Implementations to connect to (forward WebSocket), ws:// or wss://, with commas.",
    ),
    text("api", "HTTP interfaces of implementations that post their events, http:// or https://."),
    text("self_id", "Accounts that may connect, by number, with commas; without it any may."),
    secret("token", "The access token, the same as in the implementation."),
    secret("secret", "The key of the signature under what is posted, as in the implementation."),
    number("messages_per_minute", 60, "Messages of one account a minute; 0 sets no rate."),
    number(
        "group_messages_per_minute",
        20,
        "Messages to one group or person a minute; 0 sets no rate.",
    ),
    number("timeout_s", 20, "Longest wait for the answer to a call, s."),
];

const fn text(name: &'static str, about: &'static str) -> AdapterKey {
    AdapterKey { name, kind: AdapterKind::Text, default: AdapterDefault::Absent, about }
}

const fn secret(name: &'static str, about: &'static str) -> AdapterKey {
    AdapterKey { name, kind: AdapterKind::Secret, default: AdapterDefault::Absent, about }
}

const fn number(name: &'static str, default: i64, about: &'static str) -> AdapterKey {
    AdapterKey { name, kind: AdapterKind::Int, default: AdapterDefault::Int(default), about }
}

/// What the section comes to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Where to connect.
    pub connect: Vec<Address>,
    /// HTTP interfaces.
    pub api: Vec<Address>,
    /// Accounts that may connect; empty is any.
    pub accounts: Vec<SelfId>,
    /// The access token.
    pub token: Option<Secret>,
    /// The key of signatures.
    pub secret: Option<Secret>,
    /// Rates to keep.
    pub rates: Vec<Rate>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

impl Settings {
    /// Reads a section.
    ///
    /// # Errors
    /// What is wrong, where, and what to do.
    pub fn read(section: &AdapterConfig) -> anyhow::Result<Self> {
        let listen = section.text("listen").map(listen).transpose()?;
        let connect = addresses(section, "connect", ["ws", "wss"])?;
        let api = addresses(section, "api", ["http", "https"])?;
        ensure!(
            listen.is_some() || !connect.is_empty(),
            "neither `listen` nor `connect` is set, so no account could ever be heard; set `listen \
             = \"127.0.0.1:6700\"` and let the implementation connect to it, or `connect` to its \
             address"
        );
        let (token, secret) = (section.secret("token"), section.secret("secret"));
        if let Some(address) = listen.filter(|address| !address.ip().is_loopback()) {
            guard(address, "token", token)?;
            if secret.is_some() {
                guard(address, "secret", secret)?;
            }
        }
        let timeout_s = section.int("timeout_s").unwrap_or(20);
        ensure!((1..=600).contains(&timeout_s), "`timeout_s` is {timeout_s}; write 1 to 600");
        Ok(Self {
            listen,
            connect,
            api,
            accounts: accounts(section.text("self_id").unwrap_or_default())?,
            token: token.cloned(),
            secret: secret.cloned(),
            rates: rates(section)?,
            timeout: Duration::from_secs(timeout_s.unsigned_abs()),
        })
    }

    /// Whether an account may connect.
    pub fn admits(&self, self_id: SelfId) -> bool {
        self.accounts.is_empty() || self.accounts.contains(&self_id)
    }
}

/// Items between commas.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '，']).map(str::trim).filter(|item| !item.is_empty())
}

fn listen(text: &str) -> anyhow::Result<SocketAddr> {
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse().ok().with_context(|| {
        format!("`listen` is `{text}`; write an address of this machine and a port, such as `127.0.0.1:6700`")
    })
}

fn addresses(
    section: &AdapterConfig,
    key: &str,
    schemes: [&str; 2],
) -> anyhow::Result<Vec<Address>> {
    let read = |item: &str| {
        Address::parse(item, schemes).with_context(|| {
            let [plain, _] = schemes;
            format!("`{key}` has `{item}`; write an address such as `{plain}://127.0.0.1:3001`")
        })
    };
    items(section.text(key).unwrap_or_default()).map(read).collect()
}

/// Who can reach the port could speak as any member, so it has to be guarded.
fn guard(address: SocketAddr, key: &str, secret: Option<&Secret>) -> anyhow::Result<()> {
    let next = format!(
        "run `openssl rand -hex 32`, and write the same into the implementation and as `{key}` \
         here; or listen on 127.0.0.1"
    );
    match secret.map(|secret| secret.reveal().chars().count()) {
        None => bail!(
            "`listen` is `{address}`, which others can reach, and there is no `{key}`; {next}"
        ),
        Some(chars) if chars < TOKEN_CHARS => bail!(
            "`listen` is `{address}`, which others can reach, and `{key}` has {chars} characters, \
             fewer than {TOKEN_CHARS}; {next}"
        ),
        Some(_) => Ok(()),
    }
}

fn accounts(text: &str) -> anyhow::Result<Vec<SelfId>> {
    let read = |item: &str| match item.parse() {
        Ok(number @ 1..) => Ok(SelfId(number)),
        _ => bail!("`self_id` has `{item}`; write the number of the account, such as `10001`"),
    };
    items(text).map(read).collect()
}

fn rates(section: &AdapterConfig) -> anyhow::Result<Vec<Rate>> {
    let mut rates = Vec::new();
    for (key, scope) in [
        ("messages_per_minute", RateScope::Account),
        ("group_messages_per_minute", RateScope::Destination),
    ] {
        let count = section.int(key).unwrap_or_default();
        let count = u32::try_from(count).ok().filter(|count| *count <= 60_000);
        let count = count.with_context(|| format!("`{key}` is out of range; write 0 to 60000"))?;
        if count > 0 {
            let period = Duration::from_secs(60);
            rates.push(Rate { scope, count, period, drops_silently: false });
        }
    }
    Ok(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)], token: Option<&str>) -> Result<Settings, String> {
        let mut section = AdapterConfig { keys: KEYS, ..AdapterConfig::default() };
        for (key, value) in values {
            section.values.insert((*key).to_owned(), toml::Value::String((*value).to_owned()));
        }
        if let Some(token) = token {
            section.secrets.insert("token".to_owned(), Secret::new(token.to_owned()));
        }
        Settings::read(&section).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn says_what_is_wrong_and_what_to_do() {
        let long = "0123456789abcdef0123456789abcdef";
        let lines = [
            read(&[], None),
            read(&[("listen", "6700")], None),
            read(&[("listen", "0.0.0.0:6700")], None),
            read(&[("listen", "[::]:6700")], Some("hunter2")),
            read(&[("connect", "http://127.0.0.1:3001")], None),
            read(&[("connect", "ws://a.cn, ws://")], None),
            read(&[("listen", "127.0.0.1:6700"), ("self_id", "10001, me")], None),
        ];
        let lines: Vec<String> = lines.map(|line| line.expect_err("wrong")).to_vec();
        assert!(!lines.join("").contains("hunter2"));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        neither `listen` nor `connect` is set, so no account could ever be heard; set `listen = "127.0.0.1:6700"` and let the implementation connect to it, or `connect` to its address
        `listen` is `6700`; write an address of this machine and a port, such as `127.0.0.1:6700`
        `listen` is `0.0.0.0:6700`, which others can reach, and there is no `token`; run `openssl rand -hex 32`, and write the same into the implementation and as `token` here; or listen on 127.0.0.1
        `listen` is `[::]:6700`, which others can reach, and `token` has 7 characters, fewer than 32; run `openssl rand -hex 32`, and write the same into the implementation and as `token` here; or listen on 127.0.0.1
        `connect` has `http://127.0.0.1:3001`; write an address such as `ws://127.0.0.1:3001`
        `connect` has `ws://`; write an address such as `ws://127.0.0.1:3001`
        `self_id` has `me`; write the number of the account, such as `10001`
        "#);
        assert!(read(&[("listen", "0.0.0.0:6700")], Some(long)).is_ok());
        assert!(read(&[("listen", "[::1]:6700")], None).is_ok());
        assert!(read(&[("listen", "localhost:6700")], None).is_ok());
    }

    #[test]
    fn the_rates_are_those_of_an_account_at_risk() {
        let settings = read(&[("connect", "ws://127.0.0.1:3001")], None).expect("right");
        let rates: Vec<_> = settings.rates.iter().map(|rate| (rate.scope, rate.count)).collect();
        assert_eq!(rates, [(RateScope::Account, 60), (RateScope::Destination, 20)]);
        assert!(settings.admits(SelfId(5)));
    }
}
