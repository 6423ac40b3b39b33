//! The console: a group chat in the terminal.

use super::{AdapterDefault, AdapterKey, AdapterKind, AdapterSpec};

/// The line in the table of adapters.
pub const SPEC: AdapterSpec = AdapterSpec {
    name: "console",
    about: "a group chat in this terminal, with several members",
    keys: &[AdapterKey {
        name: "member",
        kind: AdapterKind::Text,
        default: AdapterDefault::Text("阿明"),
        about: "Who you are at the start.",
    }],
    build: |_| anyhow::bail!("not yet"),
};
