//! Secrets: read from the environment or from a file that only we can read, and never shown.

use std::path::Path;

use super::Diagnostic;
use super::read::{Node, Reader};

/// A secret. Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, at the place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is kept, as config.toml says it.
pub(super) enum Kept<'t> {
    /// `${NAME}`
    Env(&'t str),
    /// `file:PATH`
    File(&'t str),
    /// Here, in the open.
    Plain,
}

pub(super) fn kept(text: &str) -> Kept<'_> {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match (name, text.strip_prefix("file:")) {
        (Some(name), _) if !name.is_empty() && name.chars().all(fits) => Kept::Env(name),
        (_, Some(path)) if !path.is_empty() => Kept::File(path),
        _ => Kept::Plain,
    }
}

impl Reader<'_> {
    /// The value of a secret key. A disabled adapter has its form checked and nothing fetched.
    pub(super) fn secret(&mut self, path: &str, node: &Node<'_>, fetch: bool) -> Option<Secret> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let variable =
            path.trim_start_matches("/adapters/").replace(['/', '-'], "_").to_uppercase();
        let Some(text) = node.get_ref().as_str() else {
            self.mask(node.span());
            self.wrong_type(path, "a secret as `\"${NAME}\"` or `\"file:PATH\"`", node, None);
            return None;
        };
        let found = match kept(text) {
            Kept::Plain => {
                self.mask(node.span());
                Err((
                    format!("`{name}` is a secret and must not be written here"),
                    format!(
                        "write `\"${{{variable}}}\"` and set that variable, or `\"file:PATH\"` \
                         of a file with mode 0600; change the secret if this file was ever shared"
                    ),
                ))
            }
            _ if !fetch => return None,
            Kept::Env(variable) => self.secret_variable(variable),
            Kept::File(file) => secret_file(&self.base.join(file)),
        };
        match found {
            Ok(secret) => Some(secret),
            Err((message, help)) => {
                let problem: Diagnostic = self.error(path, node.span(), message).help(help);
                self.note(problem);
                None
            }
        }
    }

    /// What a pointer at a secret points at; `None` where the text is none. The error is the message
    /// and the next step.
    pub(super) fn pointed(&self, text: &str) -> Option<Result<Secret, (String, String)>> {
        match kept(text) {
            Kept::Plain => None,
            Kept::Env(variable) => Some(self.secret_variable(variable)),
            Kept::File(file) => Some(secret_file(&self.base.join(file))),
        }
    }

    fn secret_variable(&self, variable: &str) -> Result<Secret, (String, String)> {
        match (self.around.env)(variable).filter(|value| !value.trim().is_empty()) {
            Some(value) => Ok(Secret::new(value)),
            None => Err((
                format!("the environment variable `{variable}` is not set"),
                format!(
                    "run `export {variable}=…` before the start, or set it in the service's unit"
                ),
            )),
        }
    }
}

/// Reads a secret from a file; the error is the message and the next step.
pub(super) fn secret_file(path: &Path) -> Result<Secret, (String, String)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        (
            format!("the file `{shown}` cannot be read: {error}"),
            format!("write the secret into it, then `chmod 600 {shown}`"),
        )
    })?;
    if let Some(mode) = open_to_others(path) {
        return Err((
            format!("others may read the file `{shown}`: its mode is {mode:04o}"),
            format!("run `chmod 600 {shown}`"),
        ));
    }
    match text.trim() {
        "" => Err((
            format!("the file `{shown}` is empty"),
            "write the secret into it, on one line".to_owned(),
        )),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}

/// The mode of a file that the group or anybody may touch.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere permissions are lists that the file's owner keeps; `doctor` says so.
#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::{AdapterDefault, AdapterKey, AdapterKind, AdapterSpec};
    use crate::config::{AdapterConfig, Diagnostics, Surroundings, inspect};

    static ADAPTERS: &[AdapterSpec] = &[AdapterSpec {
        name: "onebot",
        about: "QQ groups",
        log: "",
        keys: &[
            AdapterKey {
                name: "token",
                kind: AdapterKind::Secret,
                default: AdapterDefault::Absent,
                about: "The access token.",
            },
            AdapterKey {
                name: "pace_ms",
                kind: AdapterKind::Int,
                default: AdapterDefault::Int(500),
                about: "Between two messages, ms.",
            },
        ],
        build: |_| anyhow::bail!("never built"),
    }];

    fn read(folder: &Path, section: &str) -> (Option<AdapterConfig>, Diagnostics) {
        let text = format!("[adapters.onebot]\n{section}\n");
        let env = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
        let around = Surroundings { env: &env, adapters: ADAPTERS };
        let (mut config, found) = inspect(&text, &folder.join("config.toml"), around);
        assert!(!format!("{config:?}{found:?}{found}").contains("hunter2"));
        (config.adapters.remove("onebot"), found)
    }

    #[test]
    fn comes_from_the_environment() {
        let (adapter, found) = read(Path::new(""), "token = \"${TOKEN}\"");
        assert!(!found.has_errors(), "{found}");
        let adapter = adapter.expect("it is enabled");
        assert_eq!(adapter.secret("token").map(Secret::reveal), Some("hunter2"));
        assert_eq!((adapter.int("pace_ms"), adapter.text("nothing")), (Some(500), None));
    }

    #[test]
    fn is_not_fetched_for_what_is_disabled() {
        let (adapter, found) = read(Path::new(""), "enabled = false\ntoken = \"${UNSET}\"");
        assert!(!found.has_errors() && adapter.is_none(), "{found}");
    }

    #[cfg(unix)]
    #[test]
    fn comes_from_a_file_that_only_we_can_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "hunter2\n").unwrap();
        let mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o644);
        let (_, found) = read(folder.path(), "token = \"file:token\"");
        let said = found.to_string();
        assert!(said.contains("others may read") && said.contains("mode is 0644"), "{said}");
        assert!(said.contains("run `chmod 600 "), "{said}");
        mode(0o600);
        let (adapter, found) = read(folder.path(), "token = \"file:token\"");
        assert!(!found.has_errors(), "{found}");
        assert_eq!(adapter.unwrap().secret("token").map(Secret::reveal), Some("hunter2"));
    }
}
