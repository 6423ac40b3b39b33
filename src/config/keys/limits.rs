//! Keys of `[limits]`: the fields of [`Limits`], and those of the script limits as `script_*`.

use super::{Applies, Key, KeyDoc, KeyValue, Kind};
use crate::config::Limits;

/// One limit: name, field, range, when a change applies, sentence.
macro_rules! limit {
    ($name:literal, $($field:ident).+, $min:literal..=$max:literal, $change:ident, $about:literal) => {
        Key {
            doc: KeyDoc {
                section: "limits",
                name: $name,
                kind: Kind::Int { min: $min, max: $max },
                about: $about,
                change: Applies::$change,
                required: false,
            },
            get: |of| i64::try_from(of.$($field).+).ok().map(KeyValue::Int),
            set: |of, value| {
                if let KeyValue::Int(number) = value
                    && let Ok(number) = number.try_into()
                {
                    of.$($field).+ = number;
                }
            },
        }
    };
}

/// Effects that `[limits.effects]` can count: the words of [`crate::effect::Effect::word`].
pub const EFFECT_WORDS: &[&str] = &[
    "reply",
    "say",
    "dm",
    "card",
    "delete",
    "react",
    "pin",
    "warn",
    "mute",
    "unmute",
    "kick",
    "ban",
    "set_admin",
    "rename",
    "admit",
    "tag",
    "untag",
    "score",
    "after",
];

/// `[limits]`
///
/// Limits that size a queue or an engine when it is made wait for a restart.
#[rustfmt::skip]
pub static LIMITS: &[Key<Limits>] = &[
    limit!("mailbox", mailbox, 1..=10_000_000, Restart, "Events waiting in one community's mailbox."),
    limit!("mailboxes", mailboxes, 1..=10_000_000, Restart, "Events waiting in all mailboxes together."),
    limit!("overload_ms", overload_ms, 0..=3_600_000, Live, "Time for which all mailboxes may be full before commands of members are left undone, ms."),
    limit!("commit_turns", commit_turns, 1..=100_000, Restart, "Turns in one commit."),
    limit!("communities_cached", communities_cached, 1..=10_000_000, Live, "Communities whose state is kept in memory."),
    limit!("deliveries", deliveries, 1..=1_000_000, Restart, "Messages waiting for one destination."),
    limit!("delivery_attempts", delivery_attempts, 1..=100, Live, "Tries of one message before it counts as failed."),
    limit!("reply_expires_s", reply_expires_s, 1..=604_800, Live, "Life of a reply that cannot be sent, s."),
    limit!("commands", commands, 1..=100_000, Live, "Commands of one member in commands_period_s."),
    limit!("commands_period_s", commands_period_s, 1..=86_400, Live, "The period of commands, s."),
    limit!("points_minted_day", points_minted_day, 0..=1_000_000_000, Live, "Points issued in one community in a day, budgets included."),
    limit!("points_member_day", points_member_day, 0..=1_000_000_000, Live, "Points issued to one member in a day, out of budgets too."),
    limit!("removals", removals, 0..=100_000, Live, "Members whom scripts may remove from one group in a minute; what an admin commands is not counted."),
    limit!("removals_hour", removals_hour, 0..=100_000, Live, "The same in an hour; one in a hundred of its members, if that is more."),
    limit!("timers", timers, 1..=1_000_000, Live, "Timers of one script in one community."),
    limit!("state_bytes", state_bytes, 1024..=1_073_741_824, Live, "Bytes that one script may keep in one community."),
    limit!("breaker_failures", breaker_failures, 1..=1000, Live, "Failures in a row after which a script pauses in a community."),
    limit!("breaker_pause_s", breaker_pause_s, 1..=604_800, Live, "The pause after breaker_failures, s."),
    limit!("shutdown_s", shutdown_s, 1..=3600, Live, "Longest wait for a graceful end, s."),
    limit!("disk_free_mb", disk_free_mb, 0..=1_048_576, Live, "Free space on the disk of the data below which nothing new is taken in, MiB; 0 for none."),
    limit!("script_operations", script.operations, 1000..=10_000_000_000, Restart, "Operations of one handler."),
    limit!("script_handler_ms", script.handler_ms, 1..=60_000, Restart, "Processor time of one handler, ms; by the clock on the wall four times that."),
    limit!("script_call_depth", script.call_depth, 4..=128, Restart, "Depth of calls in a script."),
    limit!("script_string_bytes", script.string_bytes, 256..=16_777_216, Restart, "Length of one text in a script, bytes."),
    limit!("script_entries", script.entries, 10..=1_000_000, Restart, "Entries of one array or map in a script; lines of one message, and breaks between them."),
    limit!("script_source_bytes", script.source_bytes, 1024..=16_777_216, Restart, "Length of a script file, bytes."),
    limit!("script_print_bytes", script.print_bytes, 0..=16_777_216, Restart, "Bytes that print keeps for one handler."),
    limit!("script_effects", script.effects, 1..=10_000, Restart, "Effects of one handler of any one kind that [limits.effects] does not name."),
    limit!("script_host_calls", script.host_calls, 1..=100_000, Restart, "Host calls of one handler."),
    limit!("script_memory_mib", script.memory_mib, 384..=65_536, Restart, "Memory of the process that runs scripts, MiB."),
    limit!("script_kills", script.kills, 1..=100, Restart, "Times that one event, or one script in ten minutes, may end that process before it is left out."),
    Key {
        doc: KeyDoc {
            section: "limits",
            name: "effects",
            kind: Kind::Counts { max: 10_000 },
            about: "Effects of one handler by kind; a kind that is not named keeps its default.",
            change: Applies::Restart,
            required: false,
        },
        get: |of| Some(KeyValue::Counts(of.script.effects_by_kind.clone())),
        set: |of, value| {
            if let KeyValue::Counts(counts) = value {
                of.script.effects_by_kind.extend(counts);
            }
        },
    },
];
