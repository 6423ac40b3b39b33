//! What was typed in config.toml → what was meant.
//!
//! [`load`] reads, checks everything at once and gives either a [`Config`] or every problem with
//! its place; [`resolve`] joins it with what the scripts declare. Nothing else in the program
//! reads TOML.

mod adapter_section;
mod changes;
mod community;
mod diagnostic;
pub mod keys;
mod kind;
mod mask;
mod nearest;
mod planned;
mod read;
mod reference;
mod render;
mod resolve;
mod roles;
mod schema;
mod script_table;
mod secret;
mod setting;
mod store_url;
mod syntax;
mod typed;
mod unknown;
mod watch;
mod zone;

use std::path::Path;

use toml::de::DeTable;

use crate::adapter::{ADAPTERS, AdapterSpec};

pub use adapter_section::AdapterConfig;
pub use changes::{Change, changes, live};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, SourceText};
pub use nearest::nearest;
pub use planned::{PostingConfig, RoutineConfig};
pub use render::render;
pub use resolve::{Effective, Resolved, resolve};
pub use schema::schema;
pub use script_table::{Mode, ScriptConfig, ScriptTables, Spanned};
pub use secret::Secret;
pub use store_url::StoreUrl;
pub use typed::{
    BotConfig, CommunityConfig, Config, Limits, NewsConfig, PrivacyConfig, StoreConfig,
};
pub use watch::{WatchGuard, watch};

/// What a configuration is read against.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Looks up a variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The adapters that may be named.
    pub adapters: &'static [AdapterSpec],
}

/// Reads and checks a file with the environment of this process.
///
/// # Errors
/// Every problem at once.
pub fn load(path: &Path) -> Result<Config, Diagnostics> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    parse(&text, path, &|name| std::env::var(name).ok())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostics {
    let problem = Diagnostic::whole(format!("cannot be read: {error}")).help(
        "start in the folder that has config.toml, or name another file with `--config FILE`",
    );
    Diagnostics::new(path.to_owned(), SourceText::default(), vec![problem])
}

/// Checks a text with an environment.
///
/// # Errors
/// Every problem at once.
pub fn parse(
    text: &str,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Diagnostics> {
    let (config, found) = inspect(text, path, Surroundings { env, adapters: ADAPTERS });
    if found.has_errors() { Err(found) } else { Ok(config) }
}

/// Checks a text and gives its warnings too. The configuration is fit for use only where the
/// diagnostics have no errors.
pub fn inspect(text: &str, path: &Path, around: Surroundings<'_>) -> (Config, Diagnostics) {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut reader = read::Reader::new(text, path, around);
    let mut config = reader.document(document.get_ref());
    reader.syntax(&syntax);
    let (problems, masks) = reader.finish();
    config.source = SourceText::new(text, masks);
    config.path = path.to_owned();
    let found = Diagnostics::new(path.to_owned(), config.source.clone(), problems);
    (config, found)
}
