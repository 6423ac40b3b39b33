//! Where the log goes: to standard error, or to a file while a prompt has the terminal.

use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::adapter::ADAPTERS;

/// Logs to standard error.
pub fn to_stderr(filter: &str) {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(chosen(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A log that is set up already (in a test) is as good.
    let _ = subscriber.try_init();
}

/// Logs to the end of a file.
///
/// # Errors
/// The file cannot be opened.
pub fn to_file(filter: &str, path: &Path) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    // Names of members stand in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path);
    let file = file.with_context(|| format!("open the log {}", path.display()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(chosen(filter))
        .with_writer(Mutex::new(file))
        .with_ansi(false);
    let _ = subscriber.try_init();
    Ok(())
}

/// What the adapters say of their libraries, and then what the configuration says.
fn with_libraries(filter: &str) -> String {
    let libraries = ADAPTERS.iter().map(|spec| spec.log).filter(|log| !log.is_empty());
    libraries.chain([filter]).collect::<Vec<_>>().join(",")
}

/// `RUST_LOG` has the last word; a filter that cannot be read falls back to `info`.
fn chosen(filter: &str) -> EnvFilter {
    EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(with_libraries(filter)))
        .unwrap_or_else(|_| EnvFilter::new("info"))
}
