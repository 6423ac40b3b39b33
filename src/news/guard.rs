//! Which addresses may be dialled: the public internet, and nothing that only this machine or its
//! neighbours can reach.
//!
//! A feed's address comes from a file that somebody edits and from servers that answer with
//! redirections, so that it must not be a way into the network that the bot stands in. What is
//! checked is the address that is then connected to: a name is resolved once, and a name server
//! that answers differently the next time gains nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use crate::adapter::BoxFuture;
use crate::planted::{self, Bug};

/// Longest address, bytes.
const URL_MAX: usize = 2048;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Ports that may be dialled.
const PORTS: [u16; 2] = [80, 443];

/// Why an address is not dialled, for the people who run the bot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub String);

/// How names become addresses; a test hands out its own.
pub trait Resolver: Send + Sync {
    /// Every address of a name.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// An address of the web, read and checked as far as that needs no resolver.
#[derive(Clone, Debug)]
pub struct Target {
    /// The whole address, in the form that browsers give it.
    pub url: Url,
    /// Name or number.
    pub host: Host<String>,
    /// Port.
    pub port: u16,
}

impl Target {
    /// Whether it is reached through TLS.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address without what may be secret in it, for people.
    pub fn shown(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.host)
    }
}

/// What may be dialled.
#[derive(Clone, Debug)]
pub struct Guard {
    ports: Vec<u16>,
    /// Exact addresses that are let through although they are not public. Empty in the program;
    /// tests name their own servers.
    exceptions: Vec<SocketAddr>,
}

impl Guard {
    /// Nothing but the public internet.
    pub fn strict() -> Self {
        Self { ports: PORTS.to_vec(), exceptions: Vec::new() }
    }

    /// The same, and these very addresses.
    pub fn except(exceptions: &[SocketAddr]) -> Self {
        Self { exceptions: exceptions.to_vec(), ..Self::strict() }
    }

    /// Another port as well: a test shows that an address is refused for what it is.
    pub fn and_port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Reads an address.
    ///
    /// # Errors
    /// Why it is not dialled.
    pub fn target(&self, text: &str) -> Result<Target, Denied> {
        if text.len() > URL_MAX {
            return Err(Denied(format!("the address is longer than {URL_MAX} bytes")));
        }
        let url = Url::parse(text.trim())
            .map_err(|error| Denied(format!("the address cannot be read: {error}")))?;
        self.accept(url)
    }

    /// Reads the place that a redirection points to.
    ///
    /// # Errors
    /// Why it is not dialled.
    pub fn redirected(&self, from: &Target, location: &str) -> Result<Target, Denied> {
        if location.len() > URL_MAX {
            return Err(Denied(format!("it redirects to more than {URL_MAX} bytes")));
        }
        let url = from.url.join(location.trim());
        self.accept(url.map_err(|error| Denied(format!("it redirects to no address: {error}")))?)
    }

    fn accept(&self, mut url: Url) -> Result<Target, Denied> {
        if !["http", "https"].contains(&url.scheme()) {
            return Err(Denied(format!("`{}:` is neither http nor https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Denied("the address carries a user name or a password".to_owned()));
        }
        url.set_fragment(None);
        let host = url.host().map(|host| host.to_owned());
        let host = host.ok_or_else(|| Denied("the address names no host".to_owned()))?;
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.contains(&port) && !self.exceptions.iter().any(|known| known.port() == port)
        {
            return Err(Denied(format!("port {port} is neither 80 nor 443")));
        }
        Ok(Target { url, host, port })
    }

    /// The addresses to connect to, of which every one has been checked.
    ///
    /// # Errors
    /// Why none of them is dialled.
    pub async fn addresses(
        &self,
        target: &Target,
        resolver: &dyn Resolver,
    ) -> Result<Vec<SocketAddr>, Denied> {
        let found = match &target.host {
            Host::Ipv4(ip) => vec![IpAddr::V4(*ip)],
            Host::Ipv6(ip) => vec![IpAddr::V6(*ip)],
            Host::Domain(name) => {
                let found = resolver.resolve(name).await;
                found.map_err(|error| Denied(format!("`{name}` has no address: {error}")))?
            }
        };
        let (mut public, mut denied) = (Vec::new(), None);
        let is_name = matches!(target.host, Host::Domain(_));
        for ip in found {
            let address = SocketAddr::new(ip, target.port);
            if is_name && planted::has(Bug::LiteralAddressOnly) {
                public.push(address);
                continue;
            }
            match self.admit(address) {
                Ok(()) => public.push(address),
                Err(what) => {
                    denied.get_or_insert(format!("`{}` is {ip}, {what}", target.host));
                }
            }
        }
        public.truncate(ADDRESSES_MAX);
        if public.is_empty() {
            let nothing = || format!("`{}` has no address", target.host);
            return Err(Denied(denied.unwrap_or_else(nothing)));
        }
        Ok(public)
    }

    fn admit(&self, address: SocketAddr) -> Result<(), &'static str> {
        if self.exceptions.contains(&address) {
            return Ok(());
        }
        if !self.ports.contains(&address.port()) {
            return Err("and its port is neither 80 nor 443");
        }
        public(address.ip())
    }
}

/// Whether an address is globally routable unicast; otherwise what it is
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>).
///
/// # Errors
/// What the address is instead.
pub fn public(ip: IpAddr) -> Result<(), &'static str> {
    match ip {
        IpAddr::V4(ip) => public_v4(ip),
        IpAddr::V6(ip) => public_v6(ip),
    }
}

/// Networks of version 4 that are not public: the network, the length of its prefix, what it is.
const V4: [([u8; 4], u32, &str); 19] = [
    ([0, 0, 0, 0], 8, "an address of this machine"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "an address of a provider's own network"),
    ([127, 0, 0, 0], 8, "an address of this machine"),
    ([168, 63, 129, 16], 32, "an address of a cloud's own services"),
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a reserved address"),
    ([192, 0, 2, 0], 24, "an address for documentation"),
    ([192, 31, 196, 0], 24, "a reserved address"),
    ([192, 52, 193, 0], 24, "a reserved address"),
    ([192, 88, 99, 0], 24, "a relay's address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([192, 175, 48, 0], 24, "a reserved address"),
    ([198, 18, 0, 0], 15, "an address for benchmarks, or of a local proxy"),
    ([198, 51, 100, 0], 24, "an address for documentation"),
    ([203, 0, 113, 0], 24, "an address for documentation"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

fn public_v4(ip: Ipv4Addr) -> Result<(), &'static str> {
    let within = |net: [u8; 4], prefix: u32| {
        let mask = u32::MAX << (32 - prefix);
        (ip.to_bits() ^ Ipv4Addr::from(net).to_bits()) & mask == 0
    };
    match V4.iter().find(|(net, prefix, _)| within(*net, *prefix)) {
        Some((_, _, what)) => Err(what),
        None => Ok(()),
    }
}

/// Networks inside `2000::/3` that are not public. Everything outside of it is none of ours: this
/// machine, links, private networks, multicast, and version 4 in any disguise.
const V6: [([u16; 2], u32, &str); 4] = [
    ([0x2001, 0x0000], 23, "a tunnel's or a reserved address"),
    ([0x2001, 0x0db8], 32, "an address for documentation"),
    ([0x2002, 0x0000], 16, "a tunnel's address"),
    ([0x3fff, 0x0000], 20, "an address for documentation"),
];

fn public_v6(ip: Ipv6Addr) -> Result<(), &'static str> {
    let segments = ip.segments();
    let head = u32::from(segments[0]) << 16 | u32::from(segments[1]);
    if head >> 29 != 1 {
        return Err("not a public address");
    }
    let within = |net: [u16; 2], prefix: u32| {
        let net = u32::from(net[0]) << 16 | u32::from(net[1]);
        (head ^ net) & (u32::MAX << (32 - prefix)) == 0
    };
    match V6.iter().find(|(net, prefix, _)| within(*net, *prefix)) {
        Some((_, _, what)) => Err(what),
        None => Ok(()),
    }
}
