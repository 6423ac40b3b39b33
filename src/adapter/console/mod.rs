//! The console: a group chat in the terminal.

use super::AdapterSpec;

/// The line in the table of adapters.
pub const SPEC: AdapterSpec = AdapterSpec {
    name: "console",
    about: "a group chat in this terminal, with several members",
    build: |_| anyhow::bail!("not yet"),
};
