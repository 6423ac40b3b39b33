//! The address of the database, whose password nobody sees.

use super::read::{Node, Reader};
use super::secret::{Kept, kept, secret_file};

/// The scheme of a file.
const SQLITE: &str = "sqlite";
/// Both are in use for servers.
const POSTGRES: [&str; 2] = ["postgres", "postgresql"];
/// What can be written.
const FORMS: &str = "write `sqlite:qundao.db` for a file in the data folder, `sqlite::memory:` to \
                     keep nothing, or `postgres://USER@HOST/DATABASE` for a server";

/// An address. Prints without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Wraps an address.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads one that was typed as an argument, or where it is kept: `${VARIABLE}`, `file:PATH`.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it is repeated.
    pub fn typed(text: &str) -> Result<Self, String> {
        let found = match kept(text) {
            Kept::Plain => text.to_owned(),
            Kept::Env(variable) => std::env::var(variable)
                .map_err(|_| format!("the environment variable `{variable}` is not set"))?,
            Kept::File(path) => {
                let secret = secret_file(std::path::Path::new(path));
                secret.map_err(|(message, _)| message)?.reveal().to_owned()
            }
        };
        match problem(&found) {
            None => Ok(Self(found)),
            Some(message) => Err(format!("{message}; {FORMS}")),
        }
    }

    /// The address itself, for who connects.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.starts_with("sqlite:") {
            return f.write_str(&self.0);
        }
        let Ok(mut url) = url::Url::parse(&self.0) else { return f.write_str("***") };
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return f.write_str("***");
        }
        // Parameters may hold another; none of them is needed to know which database is meant.
        url.set_query(None);
        f.write_str(url.as_str())
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// Whether it holds a password.
fn has_password(url: &url::Url) -> bool {
    let is_given = |(key, _): (std::borrow::Cow<'_, str>, _)| key == "password";
    url.password().is_some() || url.query_pairs().any(is_given)
}

/// What is wrong with an address; nothing of it is repeated.
fn problem(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    if scheme == SQLITE {
        return rest.trim().is_empty().then(|| "the file is missing after `sqlite:`".to_owned());
    }
    if POSTGRES.contains(&scheme) {
        return url::Url::parse(text).err().map(|error| format!("not an address: {error}"));
    }
    let is_word = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    Some(match is_word {
        true => format!("unsupported database `{scheme}`"),
        false => "not an address of a database".to_owned(),
    })
}

impl Reader<'_> {
    /// An address, or where one with a password is kept.
    pub(super) fn store_url(&mut self, path: &str, node: &Node<'_>) -> Option<StoreUrl> {
        let text = self.text(path, super::keys::Kind::StoreUrl.wants(), node)?;
        let is_kept = !matches!(kept(&text), Kept::Plain);
        let found = match self.pointed(&text) {
            Some(Ok(secret)) => secret.reveal().to_owned(),
            Some(Err((message, help))) => {
                let problem = self.error(path, node.span(), message).help(help);
                self.note(problem);
                return None;
            }
            None => text,
        };
        let has_password = url::Url::parse(&found).is_ok_and(|url| has_password(&url));
        let problem = match problem(&found) {
            None if is_kept || !has_password => return Some(StoreUrl(found)),
            None => self
                .error(path, node.span(), "an address with a password must not be written here")
                .help(
                    "write `\"${QUNDAO_STORE}\"` and set that variable to the address, or \
                     `\"file:PATH\"` of a file with mode 0600 that holds it; change the password \
                     if this file was ever shared",
                ),
            Some(message) => self.error(path, node.span(), message).help(FORMS),
        };
        // This picture may end in a bug report.
        if !is_kept && (has_password || found.contains('@')) {
            self.mask(node.span());
        }
        self.note(problem);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::StoreUrl;

    #[test]
    fn nobody_sees_the_password() {
        for (url, shown) in [
            ("sqlite:qundao.db", "sqlite:qundao.db"),
            (
                "postgres://bot:hunter2@db.example.org/qundao",
                "postgres://bot:***@db.example.org/qundao",
            ),
            (
                "postgres://db.example.org/q?user=bot&password=hunter2",
                "postgres://db.example.org/q",
            ),
            ("postgres://bot@localhost/q?host=/run/postgresql", "postgres://bot@localhost/q"),
            ("hunter2", "***"),
        ] {
            let url = StoreUrl::new(url);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunter2"));
        }
    }
}
