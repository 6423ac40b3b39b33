//! The limits of the script side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Limits of the script side, from `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptLimits {
    /// Operations of one handler.
    pub operations: u64,
    /// Processor time of one handler, ms; by the clock on the wall four times that.
    pub handler_ms: u64,
    /// Depth of calls.
    pub call_depth: usize,
    /// Length of a text, bytes.
    pub string_bytes: usize,
    /// Entries of an array or map; lines of a message, and breaks between them.
    pub entries: usize,
    /// Length of a script, bytes.
    pub source_bytes: usize,
    /// Bytes that `print` keeps for one handler.
    pub print_bytes: usize,
    /// Effects of one handler, by [`Effect::word`](crate::effect::Effect::word); a kind that is not named has `effects`.
    pub effects_by_kind: BTreeMap<String, usize>,
    /// Effects of one handler of any one kind.
    pub effects: usize,
    /// Host calls of one handler.
    pub host_calls: usize,
    /// Memory of the process that runs scripts, MiB.
    pub memory_mib: u64,
    /// Times that an event may end that process in one script before it is left out, and a script
    /// before it is taken out of force.
    pub kills: usize,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            operations: 2_000_000,
            handler_ms: 50,
            call_depth: 32,
            string_bytes: 16 * 1024,
            entries: 1000,
            source_bytes: 64 * 1024,
            print_bytes: 16 * 1024,
            effects_by_kind: [
                ("reply", 5),
                ("say", 5),
                ("dm", 2),
                ("card", 5),
                ("kick", 3),
                ("ban", 3),
            ]
            .into_iter()
            .map(|(kind, count)| (kind.to_owned(), count))
            .collect(),
            effects: 20,
            host_calls: 100,
            memory_mib: 512,
            kills: 3,
        }
    }
}
